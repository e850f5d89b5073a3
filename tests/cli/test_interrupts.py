"""Ctrl-C ends a command with one line and exit code 130, also where Python or a package would lose it."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests import tiny
from transformer_mt.cli.main import main

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SWALLOWS = """\
import signal, sys
try:
    signal.raise_signal(signal.SIGINT)
except BaseException:
    pass
sys.exit(7)
"""
"""A package whose import drops interrupts, as numpy and torch do here and there."""
SECOND_AT_THE_END = """\
import atexit, signal, sys
from transformer_mt.cli import main, train
from transformer_mt.errors import Interrupted
def stop(args):
    raise Interrupted("saved step 3")
train.run = stop
atexit.register(signal.raise_signal, signal.SIGINT)
sys.exit(main.main())
"""


def ended(words: list[str], folder: Path, sigint: signal.Handlers = signal.SIG_DFL) -> subprocess.CompletedProcess[str]:
    """A command of its own, in which SIGINT is what a shell leaves it to be."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{REPOSITORY}"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        preexec_fn=partial(signal.signal, signal.SIGINT, sigint),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a configuration, and a torch whose import drops Ctrl-C."""
    tiny.write_config(tmp_path)
    (tmp_path / "torch.py").write_text(SWALLOWS)
    return tmp_path


@pytest.mark.parametrize("command", ["train tiny.yaml", "train tiny.yaml --dry-run", "translate run", "evaluate run"])
def test_an_interrupt_while_a_command_imports_ends_it(folder: Path, command: str) -> None:
    done = ended(["-m", "transformer_mt", *command.split()], folder)
    assert (done.returncode, done.stderr) == (130, "transformer-mt: interrupted\n")


def test_a_job_in_the_background_goes_on(folder: Path) -> None:
    assert ended(["-m", "transformer_mt", "train", "tiny.yaml"], folder, signal.SIG_IGN).returncode == 7


def test_a_second_one_when_the_last_line_is_said_changes_nothing(tmp_path: Path) -> None:
    done = ended(["-c", SECOND_AT_THE_END, "train", "x.yaml"], tmp_path)
    assert (done.returncode, done.stderr) == (130, "transformer-mt: stopped: saved step 3\n")


def test_in_a_program_of_others_signals_are_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert main(["train", "missing.yaml"]) == 2
    assert signal.getsignal(signal.SIGINT) is before
