"""Weights & Biases and MLflow: each in a process of its own, so that nothing it does can stop or change a training.

What it is told goes into a pipe as far as that takes it at once; the rest waits here, up to a limit, and what comes
then is left out and counted. At the end it has some seconds; then it is ended.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from transformer_mt.config.schema import Config, LoggingConfig
from transformer_mt.errors import MissingExtraError

State = Literal["finished", "stopped", "failed"]
"""How a training came to its end; a stopped one may go on."""

NAMES = ("wandb", "mlflow")
"""Keys of the section logging, packages and extras."""
MOST_WAITING = 1 << 20
"""Bytes that wait here for a logger that does not keep up: some thousand records."""
SECONDS_TO_END = {"finished": 30.0, "stopped": 5.0, "failed": 5.0}
"""That all loggers together have to send what is left."""
SECONDS_ALONE = 60.0
"""That a logger has to send what is left when the training has vanished."""
_POLL = 0.02
_AT_ONCE = 1 << 16
_PROGRAM = """
import sys
sys.path[:] = sys.argv[1:]
from transformer_mt.training.logger_process import main
main()
"""


def configured_loggers(config: LoggingConfig) -> dict[str, str]:
    """The project or experiment by the name of each logger that is asked for.

    Raises MissingExtraError where its package is not installed: what was asked for is not left out in silence.
    """
    found = {name: value for name in NAMES if (value := getattr(config, name)) is not None}
    for name in found:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:  # a directory of the same name, as wandb makes them, has no origin
            raise MissingExtraError(name, name, f"logging.{name}")
    return found


def start_loggers(config: Config, run_dir: Path, say: Callable[[str], None]) -> list["Logger"]:
    """Start those that are asked for; says which could not be started."""
    found = []
    for name, project in configured_loggers(config.logging).items():
        opening = {
            "logger": name,
            "project": project,
            "directory": str(run_dir.absolute()),
            "config": asdict(config),
            "process": os.getpid(),
            "seconds_alone": SECONDS_ALONE,
        }
        try:
            found.append(Logger(name, opening))
        except OSError as error:
            say(f"warning: {name}: cannot be started ({error.strerror or error}; the training goes on)")
    return found


class Logger:
    """This end of one logger. Nothing waits here but `end_all`, and that not for long."""

    def __init__(self, name: str, opening: dict[str, Any]) -> None:
        """Raises OSError where no process can be started."""
        self.name = name
        self.lost = 0
        """Messages that were left out."""
        self._waiting = bytearray()
        self._heard = b""
        command = [sys.executable, "-I", "-c", _PROGRAM, *filter(None, sys.path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        # In a session of its own, so that Ctrl-C is for the training alone.
        self._process = subprocess.Popen(command, start_new_session=True, bufsize=0, **pipes)  # type: ignore[call-overload]
        self._pipes = [self._process.stdin.fileno(), self._process.stdout.fileno()]
        for descriptor in self._pipes:
            os.set_blocking(descriptor, False)
        self.send(opening)

    def send(self, message: dict[str, Any]) -> None:
        """Tell it something, at once or soon; where too much waits already, it is left out and counted."""
        line = json.dumps(message).encode() + b"\n"
        if len(self._waiting) + len(line) > MOST_WAITING:
            self.lost += 1
        else:
            self._waiting += line
        self.push()

    def push(self) -> None:
        """Hand over as much of what waits as can be done at once."""
        try:
            while self._waiting:
                del self._waiting[: os.write(self._pipes[0], self._waiting[:_AT_ONCE])]
        except BlockingIOError:
            return
        except OSError:  # it has ended
            self.lost += self._waiting.count(b"\n")
            self._waiting.clear()

    def heard(self) -> Iterator[str]:
        """What it has to say since this was asked last."""
        with suppress(OSError):
            while block := os.read(self._pipes[1], _AT_ONCE):
                self._heard += block
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            yield f"{self.name}: {json.loads(line)}"

    @property
    def has_ended(self) -> bool:
        """Whether its process is gone."""
        return self._process.poll() is not None

    def close(self, seconds: float) -> Iterator[str]:
        """End its process if it still runs after so many `seconds`; gives what is to be said of it."""
        was_running = not self.has_ended
        if was_running:
            with suppress(OSError):  # with the processes that it has started
                os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        self.lost += self._waiting.count(b"\n")
        yield from self.heard()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()
        if was_running:
            yield f"warning: {self.name}: did not get done in {seconds:.0f} s and was ended; it may lack some records"
        elif code != 0:
            yield f"warning: {self.name}: its process ended with {code}"
        if self.lost:
            yield f"warning: {self.name}: {self.lost:,} records did not get through; metrics.jsonl has them"


def end_all(loggers: Sequence[Logger], state: State, say: Callable[[str], None]) -> None:
    """Let them send what is left, for some seconds, and end them; says what they have to say."""
    seconds = SECONDS_TO_END[state]
    deadline = time.monotonic() + seconds
    try:
        for logger in loggers:
            logger.send({"kind": "end", "state": state})
        while time.monotonic() < deadline and not all(logger.has_ended for logger in loggers):
            for logger in loggers:
                logger.push()
                for text in logger.heard():
                    say(text)
            time.sleep(_POLL)
    finally:
        for logger in loggers:
            for text in logger.close(seconds):
                say(text)
