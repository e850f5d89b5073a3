"""Speed against quality of the ways of decoding, as a picture."""

from collections.abc import Sequence
from pathlib import Path

from transformer_mt.decoding.bench import Measurement
from transformer_mt.errors import MissingExtraError
from transformer_mt.files import atomic_file
from transformer_mt.style import BLUE, GRID, INK, ORANGE, PNG_DOTS_PER_INCH


def draw_trade_offs(rows: Sequence[Measurement], path: Path) -> None:
    """Write a PNG with a point for each way: the further right and up the better, hollow where it is dominated.

    Raises MissingExtraError without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plots", "drawing the picture") from None
    figure = Figure(figsize=(8, 5), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, title, values in (
        (left, "sentences per second", [row.sentences_per_second for row in rows]),
        (right, "milliseconds for one sentence alone (median)", [row.p50_ms for row in rows]),
    ):
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=INK, labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        for row, value in zip(rows, values, strict=True):
            color = BLUE if row.way.beam_size == 1 else ORANGE
            face = "white" if row.is_dominated else color
            axes.plot(value, row.bleu, marker="o", markersize=9, markeredgecolor=color, markerfacecolor=face)
            axes.annotate(row.way.name, (value, row.bleu), xytext=(0, 9), textcoords="offset points", ha="center")
        axes.set_xlim(0, 1.2 * max(values))
        axes.margins(y=0.25)
    left.set_ylabel("BLEU", color=INK)
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=PNG_DOTS_PER_INCH)
