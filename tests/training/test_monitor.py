"""The monitor tells the same on a terminal and elsewhere, keeps metrics whole, and never ends a training."""

import fcntl
import io
import json
import math
import os
import pty
import re
import resource
import struct
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from transformer_mt.config.schema import LoggingConfig
from transformer_mt.errors import DataError, Interrupted, MissingExtraError
from transformer_mt.training import monitor as monitor_module
from transformer_mt.training.monitor import Clock, Monitor, Sample

QUIET = LoggingConfig(tensorboard=False)
ESCAPE = "\x1b"


def train_record(step: int, **changes: Any) -> dict[str, Any]:
    record = {"step": step, "epoch": step / 100, "minutes": step / 60, "loss": 2.5, "perplexity": 12.2, "lr": 7e-4}
    return {**record, "grad_norm": 0.5, "tokens_per_second": 11_300.0, "padding": 0.05, "data_wait": 0.01, **changes}


def validation_record(step: int, best: bool = True) -> dict[str, Any]:
    return {"step": step, "epoch": 1.0, "minutes": 1.0, "loss": 2.0, "perplexity": 7.4, "bleu": 41.234, "best": best}


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def on_terminal(use: Callable[[io.TextIOBase], None], columns: int = 100) -> str:
    """What appears on a terminal that `use` writes to."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    seen: list[bytes] = []

    def read() -> None:
        try:
            while block := os.read(master, 1 << 16):
                seen.append(block)
        except OSError:  # the other side was closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    with open(slave, "w", encoding="utf-8") as stream:
        use(stream)
    reader.join()
    os.close(master)
    return b"".join(seen).decode()


def screen_of(output: str) -> list[str]:
    """The lines that a person sees after `output`: a carriage return starts the line again and overwrites it."""
    lines = []
    for raw in output.replace("\r\n", "\n").split("\n"):
        line = ""
        for part in raw.split("\r"):
            line = part + line[len(part) :]
        lines.append(line.rstrip())
    return lines


def test_records_are_appended_whole_with_their_kind(tmp_path: Path) -> None:
    with Monitor(tmp_path, QUIET, io.StringIO()) as monitor:
        monitor.train(train_record(100))
        assert read_metrics(tmp_path) == [{"kind": "train", **train_record(100)}]  # without waiting for the end
        monitor.validation(validation_record(100), [])
    assert read_metrics(tmp_path)[1] == {"kind": "validation", **validation_record(100)}


def test_numbers_that_json_lacks_become_null(tmp_path: Path) -> None:
    with Monitor(tmp_path, QUIET, io.StringIO()) as monitor:
        monitor.train(train_record(100, loss=math.nan, grad_norm=math.inf))
        monitor.validation({**validation_record(100), "loss": math.nan, "bleu": None}, [])
    assert read_metrics(tmp_path)[0]["loss"] is None and read_metrics(tmp_path)[0]["grad_norm"] is None
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()


def test_elsewhere_than_on_a_terminal_there_are_plain_lines(tmp_path: Path) -> None:
    stream = io.StringIO()
    with Monitor(tmp_path, QUIET, stream) as monitor:
        monitor.say("29,000 pairs")
        for step in range(1, 101):
            monitor.tick(step, step / 200)
        monitor.train(train_record(100))
        monitor.validation(validation_record(100), [Sample("a cat", "un chat", "un petit chat")])
    told = stream.getvalue()
    assert "\r" not in told and ESCAPE not in told
    lines = told.splitlines()
    assert lines[0] == "29,000 pairs"
    for part in ("step 100", "loss 2.500", "ppl 12.2", "11.3k tok/s", "lr 0.0007", "pad 5%", "left"):
        assert part in lines[1]
    assert "BLEU 41.23" in lines[2] and "(best so far)" in lines[2]
    assert [line.split(maxsplit=1)[1] for line in lines[3:6]] == ["a cat", "un chat", "un petit chat"]


def test_a_terminal_has_a_bar_that_messages_do_not_break(tmp_path: Path) -> None:
    def use(stream: io.TextIOBase) -> None:
        with Monitor(tmp_path, QUIET, stream) as monitor:
            monitor.say("before the bar")
            for step in range(1, 11):
                monitor.tick(step, step / 200)
            monitor.train(train_record(100))
            monitor._screen._refreshed = -math.inf  # as if a while had passed
            monitor.tick(100, 0.5)
            monitor.say("one\ntwo")
            monitor.tick(200, 1.0)

    output = on_terminal(use, columns=120)
    lines = [line for line in screen_of(output) if line]
    assert lines[:3] == ["before the bar", "one", "two"]
    assert len(lines) == 4 and lines[3].startswith("100%|")
    for part in ("step 200", "loss 2.500", "ppl 12.2", "11.3k tok/s", "lr 0.0007", "pad 5%", "left"):
        assert part in lines[3]
    assert " 50%|" in output


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_the_bar_fits_a_narrow_terminal(tmp_path: Path, columns: int) -> None:
    def use(stream: io.TextIOBase) -> None:
        with Monitor(tmp_path, QUIET, stream) as monitor:
            monitor.tick(1, 0.01)
            monitor.train(train_record(123_456))
            monitor.tick(123_456, 1.0)

    assert max(map(len, screen_of(on_terminal(use, columns)))) <= columns


def test_a_dumb_terminal_has_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")

    def use(stream: io.TextIOBase) -> None:
        with Monitor(tmp_path, QUIET, stream) as monitor:
            monitor.tick(100, 0.5)
            monitor.train(train_record(100))

    output = on_terminal(use)
    assert "%|" not in output and "loss 2.500" in output


def test_no_colours_anywhere_and_no_control_codes_from_the_data(tmp_path: Path) -> None:
    nasty = f"{ESCAPE}[31mred{ESCAPE}[2J\x07 \x9b1m\r\u2028 \ud800"

    def use(stream: io.TextIOBase) -> None:
        with Monitor(tmp_path, QUIET, stream) as monitor:
            monitor.tick(1, 0.5)
            monitor.say(nasty)
            monitor.validation(validation_record(2), [Sample(nasty, nasty + "\nsecond", nasty)])

    seen = on_terminal(use)
    assert not re.search("\x1b\\[[0-9;]*m", seen) and "\x07" not in seen and "\x9b" not in seen
    log = (tmp_path / "log.txt").read_bytes().decode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", log)
    assert "\\x1b[31mred" in log


def test_the_log_keeps_what_was_said_with_its_time(tmp_path: Path) -> None:
    with Monitor(tmp_path, QUIET, io.StringIO()) as monitor:
        monitor.say("one\ntwo")
        monitor.train(train_record(100))
    lines = (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", "", line) for line in lines[:2]] == ["one", "two"]
    assert "loss 2.500" in lines[2]


def test_long_samples_are_shown_in_part(tmp_path: Path) -> None:
    stream = io.StringIO()
    with Monitor(tmp_path, QUIET, stream) as monitor:
        monitor.validation(validation_record(1), [Sample("ab " * 5000, "", "c")])
    assert len(stream.getvalue()) < 1000 and "15,000 characters" in stream.getvalue()


def test_samples_are_kept_in_the_metrics_as_they_are_shown(tmp_path: Path) -> None:
    nasty = f"{ESCAPE}[31m\u2028 \ud800 <b>\nend"
    with Monitor(tmp_path, QUIET, io.StringIO()) as monitor:
        monitor.validation(validation_record(1), [Sample("a cat", nasty, "c" * 5000)])
        monitor.validation(validation_record(2), [])
    first, second = read_metrics(tmp_path)
    (sample,) = first.pop("samples")
    assert sample.pop("reference").endswith("… (5,000 characters)")
    assert sample == {"src": "a cat", "hypothesis": "\\x1b[31m\\u2028 \\ud800 <b> end"}
    assert first == {"kind": "validation", **validation_record(1)}
    assert second == {"kind": "validation", **validation_record(2)}


def test_after_resumption_metrics_equal_those_of_an_uninterrupted_run(tmp_path: Path) -> None:
    def train(run_dir: Path, steps: range, resume_from: int) -> None:
        run_dir.mkdir(exist_ok=True)
        with Monitor(run_dir, QUIET, io.StringIO()) as monitor:
            monitor.truncate_after(resume_from)
            for step in steps:
                monitor.train(train_record(step))
                if step % 2 == 0:
                    monitor.validation(validation_record(step), [])

    train(tmp_path / "whole", range(1, 9), 0)
    train(tmp_path / "killed", range(1, 7), 0)
    with (tmp_path / "killed" / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')  # killed while writing
    train(tmp_path / "killed", range(5, 9), 4)
    assert (tmp_path / "killed" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_a_torn_line_without_later_steps_is_dropped_too(tmp_path: Path) -> None:
    with Monitor(tmp_path, QUIET, io.StringIO()) as monitor:
        monitor.train(train_record(4))
        whole = (tmp_path / "metrics.jsonl").read_bytes()
        (tmp_path / "metrics.jsonl").write_bytes(whole + b'{"kind": "train", "step": 4}')
        monitor.truncate_after(4)
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole


def test_a_directory_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()  # a permission would not hold the superuser back
    (tmp_path / "log.txt").mkdir()
    (tmp_path / "tensorboard").write_text("")
    stream = io.StringIO()
    with Monitor(tmp_path, LoggingConfig(), stream) as monitor:
        monitor.truncate_after(0)
        for step in range(1, 4):
            monitor.train(train_record(step))
            monitor.validation(validation_record(step), [])
    told = stream.getvalue()
    for name in ("metrics.jsonl", "log.txt", "tensorboard"):
        assert told.count(f"warning: {name}: ") == 1
    assert told.count("validation at step") == 3


def test_a_read_only_directory_stops_nothing(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o555)
    stream = io.StringIO()
    with Monitor(run_dir, QUIET, stream) as monitor:
        monitor.train(train_record(1))
    may_write = (run_dir / "metrics.jsonl").exists()  # the superuser may
    assert may_write or stream.getvalue().count("Permission denied") == 2


def test_a_full_disk_leaves_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    stream = io.StringIO()
    with Monitor(tmp_path, QUIET, stream) as monitor:
        monitor.train(train_record(1))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
        try:
            monitor.train(train_record(2))
            monitor.train(train_record(3))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        monitor.train(train_record(4))  # there is room again
    assert [record["step"] for record in read_metrics(tmp_path)] == [1, 4]
    assert stream.getvalue().count("warning: metrics.jsonl: ") == 1


def test_a_closed_terminal_stops_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = open(writing, "w")
    with Monitor(tmp_path, QUIET, stream) as monitor:
        monitor.say("to nobody")
        monitor.train(train_record(1))
    assert len(read_metrics(tmp_path)) == 1
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_attempt_tells_a_missing_package_once(tmp_path: Path) -> None:
    def draw() -> None:
        raise MissingExtraError("matplotlib", "plots", "drawing learning curves")

    stream = io.StringIO()
    with Monitor(tmp_path, QUIET, stream) as monitor:
        assert not monitor.attempt("curves", draw)
        assert not monitor.attempt("curves", draw)
        assert monitor.attempt("curves", lambda: None)
    assert stream.getvalue().count('pip install "transformer-mt[plots]"') == 1


def test_tensorboard_has_the_same_numbers(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with Monitor(tmp_path, LoggingConfig(), io.StringIO()) as monitor:
        for step in (10, 20):
            monitor.train(train_record(step, loss=float(step)))
        monitor.validation(validation_record(20), [])
    with Monitor(tmp_path, LoggingConfig(), io.StringIO()) as monitor:  # resumed from step 10
        monitor.truncate_after(10)
        monitor.train(train_record(20, loss=7.0))
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(10, 10.0), (20, 7.0)]
    assert "validation/bleu" in events.Tags()["scalars"] and "validation/best" not in events.Tags()["scalars"]


def test_without_tensorboard_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    stream = io.StringIO()
    with Monitor(tmp_path, LoggingConfig(), stream) as monitor:
        monitor.train(train_record(10))
    assert "tensorboard" not in stream.getvalue().lower() and not (tmp_path / "tensorboard").exists()


def test_time_left_follows_the_fraction_since_the_slow_first_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(monitor_module.time, "monotonic", lambda: now[0])
    clock = Clock()
    assert clock.left() is None
    for step in range(1, 11):
        now[0] += 100
        clock.tick(0.4 + step / 100)  # resumed before half-way
    assert clock.left() is None
    now[0] += 60
    clock.tick(0.6)
    assert clock.left() == pytest.approx(240)
    now[0] += 240
    clock.tick(1.0)
    assert clock.left() == 0


@pytest.mark.parametrize("error", [Interrupted("SIGTERM: saved step 7"), DataError("train.fr: has changed")])
def test_the_log_holds_what_ended_the_training(error: Exception, tmp_path: Path) -> None:
    with suppress(type(error)), Monitor(tmp_path, QUIET, io.StringIO()):
        raise error
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert log.endswith(f"the training stopped: {type(error).__name__}: {error}\n")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (11_554, "3:12:34"), (270_000, "3 d 03 h")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert monitor_module._duration(seconds) == text
