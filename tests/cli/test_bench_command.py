"""`bench`: every way of decoding measured and compared."""

import json
from pathlib import Path

import pytest

from transformer_mt.cli.main import main
from transformer_mt.decoding.bench import Measurement, Way, mark_dominated


def row(bleu: float, speed: float, p50: float) -> Measurement:
    way = Way(beam_size=1, precision="fp32", shortlist=False)
    return Measurement(
        way=way,
        lines=9,
        bleu=bleu,
        sentences_per_second=speed,
        p50_ms=p50,
        p95_ms=p50,
        memory_mb=1,
        size_mb=1,
        start_s=1,
    )


def test_a_way_is_dominated_by_one_that_is_no_worse_in_anything_and_better_in_something() -> None:
    rows = [row(50, 100, 9), row(50, 120, 9), row(51, 90, 20), row(49, 130, 8), row(48, 90, 8)]
    assert [one.is_dominated for one in mark_dominated(rows)] == [True, False, False, False, True]
    assert not any(one.is_dominated for one in mark_dominated([rows[0], rows[0]]))


def test_bench_measures_greedy_and_beam_and_keeps_to_its_minutes(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--src", str(tiny_run.parent / "test.en"), "--ref", str(tiny_run.parent / "test.fr")]
    words = [*files, "-o", str(tmp_path), "--threads", "1", "--minutes", "0.2"]
    assert main(["bench", str(tiny_run), *words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "bench.json").read_text()) == result
    assert {way["beam_size"] for way in result["ways"]} == {1, 5}
    assert {way["shortlist"] for way in result["ways"]} == {True, False}
    assert all(way["bleu"] > 20 and way["p50_ms"] <= way["p95_ms"] and way["size_mb"] > 0.1 for way in result["ways"])
    assert (tmp_path / "bench.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--src", "x"], "--src and --ref go together"),
        (["--minutes", "nan"], "--minutes: must be at least 0.1"),
        (["--threads", "0"], "--threads: must be at least 1"),
    ],
)
def test_a_wrong_option_is_one_clear_line(
    tiny_run: Path, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(tiny_run), *words]) == 2
    message = capsys.readouterr().err
    assert problem in message and message.count("\n") == 1
