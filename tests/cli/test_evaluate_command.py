"""`evaluate`: the same figures in the log, in the command, in its files and by sacreBLEU itself."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

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


@pytest.fixture
def head(tiny_run: Path, tmp_path: Path) -> list[str]:
    """Ten pairs to evaluate on, and where the files go."""
    for side in ("en", "fr"):
        lines = (tiny_run.parent / f"test.{side}").read_text().splitlines()[:10]
        (tmp_path / f"head.{side}").write_text("".join(f"{line}\n" for line in lines))
    files = ["--src", str(tmp_path / "head.en"), "--ref", str(tmp_path / "head.fr")]
    return [str(tiny_run), *files, "-o", str(tmp_path / "out")]


def test_against_a_text_the_commands_that_it_names_print_the_same(
    head: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [line.replace("le", "la") for line in (tmp_path / "head.fr").read_text().splitlines()]
    others[3] = "<script>alert(1)</script> & rien"
    (tmp_path / "other.txt").write_text("".join(f"{line}\n" for line in others))
    page = tmp_path / "pages" / "changed.html"
    words = ["--against", str(tmp_path / "other.txt"), "--page", str(page)]
    found: dict[str, Any] = run_json(capsys, *head, *words)["against"]  # type: ignore[assignment]
    for command, p, signature in zip(
        found["commands"],
        ("p_bootstrap", "p_randomisation"),
        ("bootstrap_signature", "randomisation_signature"),
        strict=True,
    ):
        done = subprocess.run([sys.executable, "-m", *shlex.split(command)], capture_output=True, text=True, check=True)
        for name in ("bleu", "chrf"):
            for told in (f"{found[name]['score']:.6f}", f"{found[name]['other']:.6f}", f"(p = {found[name][p]:.4f})"):
                assert told in done.stdout
            assert f" {found[name][signature]}\n" in done.stdout
    hypotheses = (tmp_path / "out" / "hyp.txt").read_text().splitlines()
    assert found["changed"]["lines"] == sum(map(str.__ne__, hypotheses, others))
    html = page.read_text()
    assert "<script" not in html and "&lt;script&gt;alert(1)&lt;/script&gt;" in html and "//" not in html


def test_against_a_bundle_translates_with_it(
    tiny_run: Path, head: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With itself nothing differs, and that is said."""
    assert main(["evaluate", *head, "--against", str(tiny_run), "--threads", "1"]) == 0
    told = capsys.readouterr().out
    assert "no line differs" in told and ": +0.00, " in told


def test_robustness_is_what_translating_the_spoilt_text_gives(
    tiny_run: Path, head: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result: dict[str, Any] = run_json(capsys, *head, "--robustness", "--seed", "3")  # type: ignore[assignment]
    kinds = {kind["kind"]: kind for kind in result["robustness"]["kinds"]}
    assert kinds["doubled spaces"]["changed"] == 0 and kinds["no final mark"]["lines"] == 0
    assert kinds["no final mark"]["bleu"] is None
    assert kinds["upper case"]["clean_bleu"] == result["bleu"]["score"]
    (tmp_path / "upper.en").write_text((tmp_path / "head.en").read_text().upper())
    words = ["--src", str(tmp_path / "upper.en"), "--ref", str(tmp_path / "head.fr"), "-o", str(tmp_path / "upper")]
    upper: dict[str, Any] = run_json(capsys, str(tiny_run), *words)
    for name in ("bleu", "chrf"):
        assert kinds["upper case"][name] == pytest.approx(upper[name]["score"])
    before, after = ((tmp_path / name / "hyp.txt").read_text().splitlines() for name in ("out", "upper"))
    assert kinds["upper case"]["changed"] == sum(map(str.__ne__, before, after)) / 10
    assert run_json(capsys, *head, "--robustness", "--seed", "3")["robustness"] == result["robustness"]
    assert main(["evaluate", *head, "--robustness", "--seed", "3", "--threads", "1"]) == 0
    table = capsys.readouterr().out
    assert f"{kinds['typos']['bleu']:.2f}" in table and "upper case: capital letters only" in table


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--against", "{folder}/train.fr"], "has 1,000 lines, 30 are needed"),
        (["--against", "{folder}/none.fr"], "no such file"),
        (["--against", "{folder}"], "is neither a bundle nor a run directory"),
        (["--page", "x.html"], "name them with --against"),
        (["--against", "{folder}/test.fr", "--page", "{folder}"], "is a directory"),
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
