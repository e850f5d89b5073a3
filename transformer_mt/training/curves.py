"""The learning curves of a run as pictures, drawn from its metrics.jsonl."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from transformer_mt.errors import MissingExtraError
from transformer_mt.files import atomic_file
from transformer_mt.metrics import Record, read_metrics
from transformer_mt.style import BLUE, GREEN, GRID, INK, ORANGE, PNG_DOTS_PER_INCH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_curves(metrics_path: Path, directory: Path) -> list[Path]:
    """Draw the metrics of a run into `directory`/curves.png and curves.svg; returns the two paths.

    Returns no path when there is nothing to draw yet. Raises MissingExtraError without matplotlib and
    DataError when the metrics cannot be read; a last line that was not written to its end is left out.
    """
    records = [record for record in read_metrics(metrics_path) if record.get("kind") != "corpus"]
    if not records:
        return []
    figure = _figure(records, metrics_path.parent.name)
    from matplotlib import rc_context

    png, svg = directory / "curves.png", directory / "curves.svg"
    with atomic_file(png) as file:
        figure.savefig(file, format="png", dpi=PNG_DOTS_PER_INCH)
    # Without a date and with names that are not random, the same curves give the same file.
    with rc_context({"svg.hashsalt": "transformer_mt"}), atomic_file(svg) as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
    return [png, svg]


def _figure(records: Sequence[Record], name: str) -> "Figure":
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise MissingExtraError("matplotlib", "plots", "drawing learning curves") from None
    train = [record for record in records if record.get("kind") == "train"]
    validation = [record for record in records if record.get("kind") == "validation"]
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)  # inches
    figure = Figure(figsize=(12, 7), layout=layout, facecolor="white")
    grid = figure.add_gridspec(2, 6, height_ratios=(3, 2))
    figure.suptitle(_title(records, name), fontsize=11, color=INK)
    _draw_loss(figure.add_subplot(grid[0, :3]), train, validation)
    _draw_bleu(figure.add_subplot(grid[0, 3:]), validation)
    small = [figure.add_subplot(grid[1, 2 * column : 2 * column + 2]) for column in range(3)]
    _draw_train(small[0], train, "lr", "learning rate")
    _draw_train(small[1], train, "padding", "padding, % of positions", factor=100)
    _draw_train(small[2], train, "tokens_per_second", "target tokens per second")
    for axes in figure.axes:
        axes.set_xlim(0, 1.03 * records[-1]["step"])  # all that was trained, in every picture
        axes.xaxis.set_major_formatter("{x:,.0f}")
    return figure


def _title(records: Sequence[Record], name: str) -> str:
    last = records[-1]
    parts = [name, f"{last['step']:,} updates", f"{last.get('epoch', 0):.1f} epochs"]
    return "  ·  ".join([*parts, f"{last.get('minutes', 0):.1f} minutes"])


def _draw_loss(axes: "Axes", train: Sequence[Record], validation: Sequence[Record]) -> None:
    _prepare(axes, "loss per target token (nats)")
    _line(axes, train, "loss", BLUE, "training")
    _line(axes, validation, "loss", ORANGE, "validation", marker="o")
    if axes.lines:
        axes.legend(frameon=False, labelcolor=INK)


def _draw_bleu(axes: "Axes", validation: Sequence[Record]) -> None:
    _prepare(axes, "BLEU on validation")
    _line(axes, validation, "bleu", ORANGE, "BLEU", marker="o")
    kept = [record for record in validation if record.get("best") and record.get("bleu") is not None]
    if not axes.lines:
        axes.text(0.5, 0.5, "no BLEU yet", transform=axes.transAxes, ha="center", va="center", color=INK)
    if kept:
        best = kept[-1]
        axes.plot(best["step"], best["bleu"], marker="*", markersize=16, color=GREEN, linestyle="none")
        place = (best["step"], best["bleu"])
        text, side = f"kept: {best['bleu']:.2f}", "right" if 2 * best["step"] > validation[-1]["step"] else "left"
        axes.annotate(text, place, xytext=(0, -28), textcoords="offset points", ha=side, color=INK)


def _draw_train(axes: "Axes", train: Sequence[Record], key: str, title: str, factor: float = 1) -> None:
    _prepare(axes, title)
    _line(axes, train, key, BLUE, title, factor=factor)
    if axes.lines:
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])


def _prepare(axes: "Axes", title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel("updates", fontsize=9, color=INK)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _line(
    axes: "Axes",
    records: Sequence[Record],
    key: str,
    color: str,
    label: str,
    marker: str | None = None,
    factor: float = 1,
) -> None:
    """Draw `key` over the step; records that lack it, or hold null for a value that was no number, are left out."""
    points = [(record["step"], record[key] * factor) for record in records if record.get(key) is not None]
    points = [(step, value) for step, value in points if math.isfinite(value)]
    if not points:
        return
    marker = marker or ("o" if len(points) == 1 else None)
    axes.plot(*zip(*points, strict=True), color=color, label=label, marker=marker, markersize=4, linewidth=1.6)
