"""A place to spoil: a corpus and a configuration that a test may ruin, and the training command on it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tiny
from transformer_mt.training.checkpoint import list_checkpoints
from transformer_mt.training.session import Session


class Shop:
    """A corpus and configuration that a test may spoil, and the commands on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.run = folder / "run"
        self.capsys = capsys
        self.config = tiny.write_config(folder)

    def write(self, name: str, content: str | bytes) -> None:
        (self.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def train(self, *settings: str, options: tuple[str, ...] = (), code: int = 0) -> str:
        """Train three steps or as `settings` say; the exit code must be `code`. Returns what was told."""
        self.capsys.readouterr()
        filled = [setting.format(folder=self.folder) for setting in ("training.max_steps=3", *settings)]
        assert tiny.train(self.config, filled, options) == code
        return self.capsys.readouterr().err

    def refused(self, *settings: str, options: tuple[str, ...] = ()) -> str:
        """The one line with which a training is refused."""
        return the_error(self.train(*settings, options=options, code=2))

    def steps(self) -> list[int]:
        return [int(path.name[5:]) for path in list_checkpoints(self.run / "checkpoints")]


def the_error(told: str) -> str:
    """The last line; all before it must be reports, and none a traceback."""
    lines = [line for line in told.splitlines() if "error: " in line]
    assert len(lines) == 1 and told.endswith(f"{lines[0]}\n") and "Traceback" not in told, told
    assert lines[0].startswith("transformer-mt: error: ")
    return lines[0]


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[], object]) -> None:
    """Let `act` happen right after an update, before what is due is logged, validated and saved."""
    watch = Session._watch

    def watch_and_act(session: Session, stats: object) -> None:
        if session.trainer.progress.step == step:
            act()
        watch(session, stats)  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "_watch", watch_and_act)
