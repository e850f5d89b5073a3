"""What a training tells: a progress bar or plain lines, log.txt, metrics.jsonl, TensorBoard and other loggers.

Nothing here may end a training: what cannot be written is reported once and tried again at the next line.
"""

import errno
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TextIO

from tqdm import tqdm

from transformer_mt.config.schema import LoggingConfig
from transformer_mt.errors import Interrupted
from transformer_mt.files import atomic_file
from transformer_mt.training.loggers import Logger, State, end_all

LONGEST_SAMPLE = 300
"""Characters of a sample sentence that are shown."""
SECONDS_BETWEEN_REFRESHES = 0.1
WARM_UP_TICKS = 10
"""Updates at the start that say nothing of the speed: memory is taken and products are compiled in them."""

_KINDS = ("corpus", "train", "validation", "average")
"""Of lines of metrics.jsonl, as they follow each other at one step; the last is a validation of averaged weights."""

# Codes that would move the cursor, colour a terminal, or break a line of the log in two.
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Sample(NamedTuple):
    """One validation sentence with what the model made of it."""

    src: str
    hypothesis: str
    reference: str


class Monitor:
    """Everything that watches one training; a context manager.

    Messages and progress go to `stream` (standard error): a bar that is redrawn when that is a terminal,
    one line per record otherwise. Both also go to log.txt, as plain lines. Records are appended to
    metrics.jsonl, whole and at once.
    """

    def __init__(self, run_dir: Path, config: LoggingConfig, stream: TextIO | None = None) -> None:
        self.run_dir = run_dir
        self.metrics_path = run_dir / "metrics.jsonl"
        self.log_path = run_dir / "log.txt"
        self._screen = Screen(sys.stderr if stream is None else stream)
        self._clock = Clock()
        self._tensorboard = TensorBoard(run_dir / "tensorboard") if config.tensorboard else None
        self.loggers: Sequence[Logger] = ()
        """They are sent the numbers too, and are ended with this."""
        self._failed: set[str] = set()

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.close()
        if error is not None:  # the command tells it on the screen
            reason = _printable(f"{type(error).__name__}: {error}".removesuffix(": "))
            self._log(f"the training stopped: {reason}")
        if self._tensorboard is not None:
            self.attempt("tensorboard", self._tensorboard.close)
        is_stop = isinstance(error, Interrupted | KeyboardInterrupt)
        state: State = "finished" if error is None else "stopped" if is_stop else "failed"
        self.attempt("loggers", lambda: end_all(self.loggers, state, self.say))

    def say(self, text: str) -> None:
        """Tell `text` (one or several lines) without breaking the bar, and keep it in log.txt."""
        text = _printable(text)
        self._screen.print(text)
        self._log(text)

    def tick(self, step: int, fraction_done: float) -> None:
        """Note that update `step` is done, and with it `fraction_done` (0 to 1) of the training."""
        self._clock.tick(fraction_done)
        self._screen.progress(step, fraction_done, self._clock.left())

    def corpus(self, record: dict[str, Any]) -> None:
        """Note facts about the training pairs."""
        self._record("corpus", record)

    def train(self, record: dict[str, Any]) -> None:
        """Tell about the updates since the last record: loss, perplexity, lr, tokens_per_second, padding, ..."""
        self._record("train", record)
        line = f"step {record['step']:,}  epoch {record['epoch']:.2f}  {_summary(record)}"
        left = self._clock.left()
        line += f"  {_duration(left)} left" if left is not None else ""
        self._screen.status(_summary(record), line)
        self._log(line)

    def validation(self, record: dict[str, Any], samples: Sequence[Sample]) -> None:
        """Tell the scores of a validation, and show how `samples` were translated."""
        told = [{key: _printable(_shown(text)) for key, text in sample._asdict().items()} for sample in samples]
        self._record("validation", {**record, "samples": told} if told else record)
        scores = [
            f"loss {_number(record.get('loss'), '.3f')}",
            f"perplexity {_number(record.get('perplexity'), '.2f')}",
        ]
        if record.get("bleu") is not None:
            scores.append(f"BLEU {record['bleu']:.2f}")
        best = " (best so far)" if record.get("best") else ""
        lines = [f"validation at step {record['step']:,}: {', '.join(scores)}{best}"]
        for sample in samples:
            lines += [f"    source       {_shown(sample.src)}", f"    translation  {_shown(sample.hypothesis)}"]
            lines += [f"    reference    {_shown(sample.reference)}", ""]
        self.say("\n".join(lines).rstrip())

    def truncate_after(self, step: int, kind: str = "average") -> None:
        """Drop the metrics of all that comes after update `step`, or after what it has of this kind (train,
        validation, average), from where training goes on; and a last line that is torn."""
        if self._tensorboard is not None:
            self._tensorboard.first_step = step + 1
        self.attempt("metrics.jsonl", lambda: _truncate(self.metrics_path, step, kind))

    def attempt(self, name: str, action: Callable[[], object]) -> bool:
        """Run `action`; a failure is told once for each `name` and otherwise has no effect. True if it went well."""
        try:
            action()
        except Exception as error:  # whatever a logger runs into, the training is worth more
            if name not in self._failed:
                self._failed.add(name)
                self.say(f"warning: {name}: {_reason(error)} (the training goes on)")
            return False
        return True

    def _record(self, kind: str, record: dict[str, Any]) -> None:
        line = json.dumps({"kind": kind, **{key: _finite(value) for key, value in record.items()}}, ensure_ascii=False)
        self.attempt("metrics.jsonl", lambda: _append(self.metrics_path, line))
        board = self._tensorboard
        if board is not None and not self.attempt("tensorboard", lambda: board.write(kind, record)):
            self._tensorboard = None  # a writer that failed may block the next time
        for logger in self.loggers:
            self.attempt(logger.name, lambda logger=logger: self._tell(logger, kind, record))  # type: ignore[misc]

    def _tell(self, logger: Logger, kind: str, record: dict[str, Any]) -> None:
        """Send a logger the numbers of `record`, and say what it says."""
        kind = "average" if "averaged" in record else kind
        logger.send({"kind": kind, "step": record["step"], "values": _numbers(record)})
        for text in logger.heard():
            self.say(text)

    def _log(self, text: str) -> None:
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        self.attempt(
            "log.txt", lambda: _append(self.log_path, "\n".join(f"{now}  {line}" for line in text.split("\n")))
        )


class SilentMonitor(Monitor):
    """The monitor of a process that leaves telling to the main one."""

    def __init__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def tick(self, step: int, fraction_done: float) -> None:
        pass

    def corpus(self, record: dict[str, Any]) -> None:
        pass

    def train(self, record: dict[str, Any]) -> None:
        pass

    def validation(self, record: dict[str, Any], samples: Sequence[Sample]) -> None:
        pass

    def truncate_after(self, step: int, kind: str = "average") -> None:
        pass

    def attempt(self, name: str, action: Callable[[], object]) -> bool:
        return True


class Clock:
    """Guesses the time left from how fast the fraction done has grown since the first updates, which are slower."""

    def __init__(self) -> None:
        self._num_ticks = 0
        self._first: tuple[float, float] | None = None
        self._last = (0.0, 0.0)

    def tick(self, fraction_done: float) -> None:
        """Note that `fraction_done` (0 to 1) is reached now."""
        self._num_ticks += 1
        self._last = (time.monotonic(), fraction_done)
        if self._num_ticks <= WARM_UP_TICKS:
            self._first = self._last

    def left(self) -> float | None:
        """Seconds until the fraction is 1, or None while nothing can be said."""
        if self._first is None or self._last[1] <= self._first[1]:
            return None
        seconds, grown = self._last[0] - self._first[0], self._last[1] - self._first[1]
        return max(0.0, 1.0 - self._last[1]) * seconds / grown


class Screen:
    """Standard error as a person sees it: a bar at the bottom of a terminal, plain lines anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._bar: tqdm | None = None
        self._summary = ""
        self._refreshed = -math.inf

    def print(self, text: str) -> None:
        """Print lines, above the bar if there is one."""
        with suppress(OSError, ValueError):  # the terminal was closed
            if self._bar is not None:
                self._bar.write(text, file=self._stream)
            else:
                print(text, file=self._stream, flush=True)

    def status(self, summary: str, line: str) -> None:
        """Show `summary` beside the bar of a terminal, or `line` elsewhere."""
        self._summary = summary
        if not self._is_terminal:
            self.print(line)

    def progress(self, step: int, fraction_done: float, left: float | None) -> None:
        """Redraw the bar of a terminal, at most ten times a second."""
        now = time.monotonic()
        if not self._is_terminal or (now - self._refreshed < SECONDS_BETWEEN_REFRESHES and fraction_done < 1.0):
            return
        self._refreshed = now
        with suppress(OSError, ValueError):
            if self._bar is None:
                layout = "{percentage:3.0f}%|{bar}|{desc}"
                self._bar = tqdm(total=1.0, file=self._stream, dynamic_ncols=True, bar_format=layout)
            self._bar.n = min(fraction_done, 1.0)
            time_left = f"{_duration(left)} left  " if left is not None else ""
            self._bar.set_description_str(f" step {step:,}  {time_left}{self._summary}")

    def close(self) -> None:
        """Leave the bar as it is and go on below it."""
        with suppress(OSError, ValueError):
            if self._bar is not None:
                self._bar.close()
        self._bar = None


class TensorBoard:
    """TensorBoard files of the records, if that package is installed; nothing otherwise."""

    def __init__(self, directory: Path) -> None:
        self.first_step = 0
        """Records of this step and later ones, from before a resumption, are hidden by TensorBoard."""
        self._directory = directory
        self._writer: Any = None
        self._is_missing = False

    def write(self, kind: str, record: dict[str, Any]) -> None:
        """Write each number of `record` as the scalar kind/name at its step."""
        if self._writer is None and not self._is_missing:
            self._open()
        if self._writer is None:
            return
        for name, value in _numbers(record).items():
            self._writer.add_scalar(f"{kind}/{name}", value, record["step"])
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()

    def _open(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # takes a second to import
        except ImportError:
            self._is_missing = True
            return
        purge_step = self.first_step if self.first_step > 1 else None
        self._writer = SummaryWriter(str(self._directory), purge_step=purge_step)


def _append(path: Path, text: str) -> None:
    """Add `text` and a line end to the file, or nothing at all: half a line would spoil the one after it."""
    data = f"{text}\n".encode()
    with path.open("ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                file.truncate(size)
            raise


def _truncate(path: Path, step: int, kind: str) -> None:
    if not path.exists():
        return
    last = (step, _KINDS.index(kind))
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if line.endswith(b"\n") and _place_of(line) <= last]
    if len(kept) < len(lines):
        with atomic_file(path) as file:
            file.writelines(kept)


def _place_of(line: bytes) -> tuple[float, int]:
    """The step and kind of a line of metrics.jsonl; one that is none comes after all others."""
    try:
        record = json.loads(line)
        return float(record["step"]), _KINDS.index("average" if "averaged" in record else record["kind"])
    except (ValueError, KeyError, TypeError):
        return math.inf, 0


def _numbers(record: dict[str, Any]) -> dict[str, float]:
    """What loggers draw of a record."""
    return {
        name: value
        for name, value in record.items()
        if name != "step" and isinstance(value, int | float) and not isinstance(value, bool)
    }


def _summary(record: dict[str, Any]) -> str:
    speed, skipped = record["tokens_per_second"], record.get("skipped")
    told_speed = f"{speed / 1000:.1f}k" if speed >= 1000 else f"{speed:.0f}"
    return (
        f"loss {_number(record['loss'], '.3f')}  ppl {_number(record['perplexity'], '.1f')}  "
        f"{told_speed} tok/s  lr {record['lr']:.2g}  pad {record['padding']:.0%}"
        + (f"  skipped {skipped:,}" if skipped else "")
    )


def _number(value: float | None, layout: str) -> str:
    return "?" if value is None else format(value, layout)


def _duration(seconds: float) -> str:
    """12:34, 3:12:34, or 2 d 03 h."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24:02} h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _finite(value: Any) -> Any:
    """`value`, or None for a float that JSON cannot hold."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shown(text: str) -> str:
    text = text.replace("\n", " ")
    return text if len(text) <= LONGEST_SAMPLE else f"{text[:LONGEST_SAMPLE]}… ({len(text):,} characters)"


def _printable(text: str) -> str:
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be written ({error.strerror})"
    return str(error) or type(error).__name__
