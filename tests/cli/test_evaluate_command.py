"""`evaluate`: the same figures in the log, in the command, in its files and by sacreBLEU itself."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.test_session import metrics
from transformer_mt.cli.main import main


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main(["evaluate", *words, "--json", "--threads", "1"]) == 0
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def test_results_json_is_what_is_printed(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = run_json(capsys, str(tiny_run))
    assert json.loads((tiny_run / "results.json").read_text()) == printed
    for name in ("bleu", "chrf", "ter", "lc_tok_bleu"):
        assert set(printed[name]) == {"score", "signature", "low", "high"}  # type: ignore[call-overload]
    assert printed["parameters"] > 0 and printed["minutes"] > 0  # type: ignore[operator]


def test_the_sacrebleu_command_gives_the_same_digits(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_json(capsys, str(tiny_run))
    command = shlex.split(str(result["command"]))
    assert command[0] == "sacrebleu"
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=True)
    for name, score in zip(("bleu", "chrf", "ter"), json.loads(done.stdout), strict=True):
        assert score["score"] == pytest.approx(result[name]["score"], abs=1e-5)  # type: ignore[index]


def test_the_figure_in_training_is_the_figure_of_evaluate(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Validation took 20 lines with a beam of 2; so does this."""
    folder = tiny_run.parent
    for side in ("en", "fr"):
        lines = (folder / f"val.{side}").read_text().splitlines()[:20]
        (folder / f"head.{side}").write_text("".join(f"{line}\n" for line in lines))
    words = ["--src", str(folder / "head.en"), "--ref", str(folder / "head.fr"), "--beam-size", "2"]
    result = run_json(capsys, str(tiny_run), *words, "-o", str(folder / "head"))
    best = [record for record in metrics(tiny_run) if record.get("best")][-1]
    assert result["bleu"]["score"] == pytest.approx(best["bleu"])  # type: ignore[index]


def test_several_references_raise_the_score(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_run.parent
    references = (folder / "test.fr").read_text().splitlines()
    (tmp_path / "refs.tsv").write_text("".join(f"{line}\tle chat\n" for line in references))
    words = ["--multi-ref", str(tmp_path / "refs.tsv"), "-o", str(tmp_path / "out")]
    result = run_json(capsys, str(tiny_run), *words)
    assert result["multi_reference_bleu"]["score"] >= result["bleu"]["score"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--src", "x.en"], "--src and --ref go together"),
        (["--src", "{folder}/test.en", "--ref", "{folder}/train.fr"], "30 lines and"),
        (["--src", "{folder}/none.en", "--ref", "{folder}/train.fr"], "no such file"),
    ],
)
def test_a_wrong_option_is_one_clear_line(
    tiny_run: Path, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [word.format(folder=tiny_run.parent) for word in words]
    assert main(["evaluate", str(tiny_run), *filled]) == 2
    message = capsys.readouterr().err
    assert problem in message and message.count("\n") == 1
