"""The command as a whole: help, usage, exit codes, and what the documents say of it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from transformer_mt.cli.main import COMMANDS, build_parser, main
from transformer_mt.errors import Interrupted, TransformerMTError

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [
    path
    for pattern in ("*.md", "docs/**/*.md", "configs/*.yaml", "scripts/quickstart", "transformer_mt/cli/*.py")
    for path in sorted(REPOSITORY.glob(pattern))
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_explains_and_exits_with_0(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command.split(), "--help"])
    assert stop.value.code == 0
    assert "usage: transformer-mt" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["trian"], ["train"], ["train", "x.yaml", "--fast"], ["config"]])
def test_wrong_usage_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_version_is_the_package_version(capsys: pytest.CaptureFixture[str]) -> None:
    from transformer_mt import __version__

    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"transformer-mt {__version__}\n"


def test_help_into_a_closed_pipe_is_no_error() -> None:
    command = f"'{sys.executable}' -m transformer_mt train --help | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code"), [(TransformerMTError("mend it"), 2), (Interrupted("saved"), 130), (KeyboardInterrupt(), 130)]
)
def test_errors_become_one_line_and_an_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("transformer_mt.cli.train.run", fail)
    assert main(["train", "x.yaml"]) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("transformer_mt.cli.train.run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["train", "x.yaml"])


def test_a_locale_that_cannot_name_the_files_is_told_how_to(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "data: {train: {src: é.en, tgt: é.fr}, validation: {src: a, tgt: b}}\ntraining: {max_steps: 1}\n",
        encoding="utf-8",
    )
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = {**os.environ, **locale, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "transformer_mt", "train", "c.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot name a file in this locale (ascii); set PYTHONUTF8=1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_wrong_configuration_is_answered_without_loading_torch(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("model: {d_modle: 3}\n")
    script = (
        "import sys\nfrom transformer_mt.cli.main import main\n"
        f"code = main(['train', {str(tmp_path / 'bad.yaml')!r}])\n"
        "assert 'torch' not in sys.modules\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "did you mean d_model" in done.stderr


def documented_commands() -> list[tuple[str, str]]:
    """Every line of the documents that is a command, with the name of its document."""
    found = []
    for path in DOCUMENTS:
        text = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))  # a command may go on in the next line
        for line in text.splitlines():
            match = re.match(
                r"[#\s]*(?:cat \S+ \| )?(?:\.venv/bin/)?transformer[-_]mt (\w.*?)(?:\s{2,}.*| #.*)?$", line
            )
            if match and match[1].split()[0] in COMMANDS and "COMMAND" not in line and "$" not in line:
                found.append((path.name, re.sub(r" [>|] .*", "", match[1])))
    return found


@pytest.mark.parametrize(("document", "command"), documented_commands())
def test_a_documented_command_is_understood(document: str, command: str) -> None:
    build_parser().parse_args(shlex.split(command))


def test_there_are_documented_commands() -> None:
    assert len(documented_commands()) > 20
