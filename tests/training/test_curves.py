"""Curves show what metrics.jsonl holds, and survive runs that are young, torn or odd."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from transformer_mt.errors import DataError, MissingExtraError
from transformer_mt.metrics import read_metrics
from transformer_mt.training.curves import _figure, draw_curves

matplotlib = pytest.importorskip("matplotlib")


def records(num_steps: int = 1000) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for step in range(100, num_steps + 1, 100):
        place = {"step": step, "epoch": step / 200, "minutes": step / 300}
        rates = {"lr": 1e-3 * min(1, step / 400), "padding": 0.05, "tokens_per_second": 9000 + step}
        lines.append({"kind": "train", **place, **rates, "loss": 2 + 700 / step, "perplexity": 9.0})
        if step % 200 == 0:
            bleu = 40 - abs(step - 800) / 30
            lines.append({"kind": "validation", **place, "loss": 2.2, "bleu": bleu, "best": step <= 800})
    return lines


def write(directory: Path, lines: list[dict[str, Any]], end: str = "") -> Path:
    path = directory / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + end)
    return path


def test_both_pictures_are_written_and_are_pictures(tmp_path: Path) -> None:
    paths = draw_curves(write(tmp_path, records()), tmp_path)
    assert [path.name for path in paths] == ["curves.png", "curves.svg"]
    assert paths[0].read_bytes().startswith(b"\x89PNG") and b"<svg" in paths[1].read_bytes()
    assert matplotlib.image.imread(paths[0]).std() > 0


def test_the_lines_are_the_numbers_and_the_best_is_marked() -> None:
    lines = records()
    loss, bleu, lr, padding, speed = _figure(lines, "run").axes
    train = [line for line in lines if line["kind"] == "train"]
    assert [list(data) for data in loss.lines[0].get_data()] == [
        [line["step"] for line in train],
        [line["loss"] for line in train],
    ]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert list(bleu.lines[0].get_xdata()) == [200, 400, 600, 800, 1000]
    assert bleu.lines[1].get_marker() == "*" and list(bleu.lines[1].get_xdata()) == [800]
    assert bleu.texts[0].get_text() == "kept: 40.00"
    assert list(padding.lines[0].get_ydata()) == pytest.approx([5.0] * len(train))
    assert list(speed.lines[0].get_ydata())[0] == 9100
    assert lr.get_ylim()[0] == 0


def test_every_picture_reaches_from_0_to_the_last_update() -> None:
    """A short training has one line of the log, and is validated after it."""
    lines = [record for record in records(200) if record["kind"] == "train"][:1]
    lines += [{"kind": "validation", "step": step, "loss": 3.0, "bleu": 9.0, "best": True} for step in (60, 135)]
    for axes in _figure(lines, "run").axes:
        low, high = axes.get_xlim()
        assert low == 0 and 135 <= high < 150


def test_the_same_metrics_give_the_same_vector_picture(tmp_path: Path) -> None:
    path = write(tmp_path, records())
    first = draw_curves(path, tmp_path)[1].read_bytes()
    assert draw_curves(path, tmp_path)[1].read_bytes() == first


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, records(300), end='{"kind": "train", "st')
    assert read_metrics(path) == records(300)
    assert len(draw_curves(path, tmp_path)) == 2


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, records(300)[:1], end="garbage\n" + json.dumps(records(300)[1]) + "\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl:2"):
        draw_curves(path, tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        records(100),
        [line for line in records() if line["kind"] == "train"],
        [line for line in records() if line["kind"] == "validation"],
        [{**line, "bleu": None} for line in records()],
        [{**line, "loss": None, "lr": float("nan")} for line in records()],
    ],
    ids=["young", "no validation", "only validation", "no bleu", "not numbers"],
)
def test_odd_runs_are_drawn(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    assert len(draw_curves(write(tmp_path, lines), tmp_path)) == 2


def test_nothing_to_draw_draws_nothing(tmp_path: Path) -> None:
    assert draw_curves(write(tmp_path, []), tmp_path) == []
    assert not (tmp_path / "curves.png").exists()


def test_missing_metrics_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        draw_curves(tmp_path / "metrics.jsonl", tmp_path)


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"transformer-mt\[plots\]"):
        draw_curves(write(tmp_path, records()), tmp_path)
