"""Weights & Biases and MLflow are told what metrics.jsonl is, and nothing that they do reaches the training."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.shop import Shop
from tests.training.test_session import assert_same_result
from transformer_mt.config.schema import Config, LoggingConfig
from transformer_mt.errors import MissingExtraError
from transformer_mt.training import logger_process
from transformer_mt.training import loggers as loggers_module
from transformer_mt.training.loggers import State, configured_loggers, end_all, start_loggers

FAKE = """
import json, os, time

def note(*what):
    with open({calls!r}, "a") as file:
        file.write(json.dumps(what) + "\\n")

class Settings:
    def __init__(self, **settings): pass

class Run:
    url = "https://host.invalid/run"
    dir = "somewhere/files"
    def __init__(self, run_id): self.id = run_id or "new"
    def log(self, values, step):
        note("log", step, values)
        {at_log}
    def finish(self, exit_code):
        note("finish", exit_code)
        {at_end}

def init(project, id, resume, name, dir, config, settings):
    note("init", project, id, resume, name, config["training"]["seed"])
    {at_start}
    return Run(id)
"""
FOREVER = "time.sleep(1000)"


class Fake:
    """A package `wandb` that does what a test says; it must not be imported here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls_path = folder / "calls.jsonl"

    def write(self, at_start: str = "pass", at_log: str = "pass", at_end: str = "pass") -> None:
        acts = {"at_start": at_start, "at_log": at_log, "at_end": at_end}
        (self.folder / "wandb.py").write_text(FAKE.format(calls=str(self.calls_path), **acts))
        self.calls_path.write_text("")

    def calls(self) -> list[list[Any]]:
        return [json.loads(line) for line in self.calls_path.read_text().splitlines()]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    made = Fake(folder)
    made.write()
    yield made
    assert "wandb" not in sys.modules


def config(**logging: Any) -> Config:
    return replace(Config(), logging=LoggingConfig(**logging))


def record(step: int, kind: str = "train") -> dict[str, Any]:
    return {"kind": kind, "step": step, "values": {"loss": 1.0 / (1 + step), "lr": 1e-3}}


def use(run_dir: Path, messages: list[dict[str, Any]], state: State = "finished", **logging: Any) -> list[str]:
    """Send messages to what is configured, and end it; returns what was said."""
    said: list[str] = []
    run_dir.mkdir(exist_ok=True)
    started = start_loggers(config(**logging), run_dir, said.append)
    for message in messages:
        for logger in started:
            logger.send(message)
    end_all(started, state, said.append)
    return said


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def test_all_records_arrive_in_order_and_the_end_is_told(fake: Fake, tmp_path: Path) -> None:
    steps = [*range(500)]
    said = use(tmp_path / "run", [record(step) for step in steps], wandb="mine")
    calls = fake.calls()
    assert calls[0] == ["init", "mine", None, "allow", "run", 1]
    assert calls[1:-1] == [["log", s, {"train/loss": 1 / (1 + s), "train/lr": 1e-3}] for s in steps]
    assert calls[-1] == ["finish", 0]
    assert said == ["wandb: run new, https://host.invalid/run"]


@pytest.mark.parametrize(("state", "code"), [("stopped", 1), ("failed", 1)])
def test_another_end_is_told_as_such_and_the_run_is_gone_on_with(
    fake: Fake, tmp_path: Path, state: State, code: int
) -> None:
    use(tmp_path / "run", [], state, wandb="mine")
    assert fake.calls()[-1] == ["finish", code]
    use(tmp_path / "run", [], wandb="mine")
    use(tmp_path / "run", [], wandb="other")
    assert [call[2] for call in fake.calls() if call[0] == "init"] == [None, "new", None]


FAULTS = {
    "raises at the start": ({"at_start": "raise ValueError('no key')"}, "cannot be used: no key"),
    "leaves at the start": ({"at_start": "raise SystemExit('no login')"}, "cannot be used: no login"),
    "raises at each record": ({"at_log": "raise OSError('no network')"}, "a record was not taken: no network"),
    "raises at the end": ({"at_end": "raise KeyError('end')"}, "could not be ended: 'end'"),
    "dies": ({"at_log": "os._exit(3)"}, "its process ended with 3"),
    "is killed": ({"at_log": "os.kill(os.getpid(), 9)"}, "its process ended with -9"),
    "hangs at the start": ({"at_start": FOREVER}, "did not get done in 1 s and was ended"),
    "hangs at a record": ({"at_log": FOREVER}, "did not get done in 1 s and was ended"),
    "hangs at the end": ({"at_end": FOREVER}, "did not get done in 1 s and was ended"),
    "is slow": ({"at_log": "time.sleep(0.4)"}, "did not get done in 1 s and was ended"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_it_does_it_is_told_once_and_over_in_time(
    fake: Fake, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loggers_module, "SECONDS_TO_END", {"finished": 1.0})
    acts, told = FAULTS[fault]
    fake.write(**acts)
    started = time.monotonic()
    said = use(tmp_path / "run", [record(step) for step in range(20)], wandb="mine")
    assert time.monotonic() - started < 4
    assert sum(told in text for text in said) == 1, said


def test_one_that_takes_nothing_costs_neither_time_nor_memory_and_what_is_lost_is_counted(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loggers_module, "SECONDS_TO_END", {"finished": 0.2})
    fake.write(at_start=FOREVER)
    (logger,) = start_loggers(config(wandb="mine"), tmp_path, print)
    started = time.monotonic()
    for step in range(30_000):
        logger.send(record(step))
    assert time.monotonic() - started < 5  # 0.4 s on a free machine
    assert len(logger._waiting) <= loggers_module.MOST_WAITING and logger.lost > 0
    said: list[str] = []
    end_all([logger], "finished", said.append)
    (lost,) = (text for text in said if "did not get through" in text)
    assert int(lost.split(": ")[2].split(" ")[0].replace(",", "")) > 15_000


def test_what_it_started_is_ended_with_it(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers_module, "SECONDS_TO_END", {"finished": 0.2})
    fake.write(at_start="note('child', __import__('subprocess').Popen(['sleep', '1000']).pid); time.sleep(1000)")
    (logger,) = start_loggers(config(wandb="mine"), tmp_path, print)
    wait_until(lambda: len(fake.calls()) == 2)
    end_all([logger], "finished", lambda text: None)
    state = Path(f"/proc/{fake.calls()[1][1]}/stat")
    wait_until(lambda: not state.exists() or state.read_text().split()[2] == "Z")


def test_what_a_package_prints_or_asks_does_not_reach_anybody(
    fake: Fake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.write(
        at_start="print('banner'); os.write(1, b'{'); os.write(2, b'noise'); note('read', os.read(0, 9).decode())"
    )
    said = use(tmp_path / "run", [record(1)], wandb="mine")
    assert said == ["wandb: run new, https://host.invalid/run"]
    assert ["read", ""] in fake.calls() and ["log", 1, {"train/loss": 0.5, "train/lr": 1e-3}] in fake.calls()
    assert capfd.readouterr() == ("", "")


def test_half_a_secret_is_not_told_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "abc123secret")
    room = logger_process._LONGEST_REASON - 6
    told = logger_process._reason(ValueError("-" * room + "abc123secret"))
    assert told == "-" * room + "***"


def test_no_secret_is_told(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "abc123secret")
    fake.write(at_start="raise ValueError('key ' + os.environ['WANDB_API_KEY'] + ' at https://me:word@host/x')")
    (text,) = use(tmp_path / "run", [], wandb="mine")
    assert "key *** at https://***@host/x" in text
    assert not any(b"abc123secret" in path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())


@pytest.mark.parametrize("hangs", [False, True])
def test_a_training_that_vanishes_leaves_no_process_behind(fake: Fake, tmp_path: Path, hangs: bool) -> None:
    if hangs:
        fake.write(at_start=FOREVER)
    program = (
        "import os, sys; from dataclasses import replace; from pathlib import Path\n"
        "from transformer_mt.config.schema import Config, LoggingConfig\n"
        "from transformer_mt.training import loggers\n"
        f"loggers.SECONDS_ALONE = {0.1 if hangs else 60.0}\n"
        "config = replace(Config(), logging=LoggingConfig(wandb='mine'))\n"
        "(one,) = loggers.start_loggers(config, Path(sys.argv[1]), print)\n"
        "print(one._process.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    if not hangs:
        wait_until(lambda: fake.calls()[-1:] == [["finish", 1]])
    state = Path(f"/proc/{int(done.stdout)}/stat")
    wait_until(lambda: not state.exists() or state.read_text().split()[2] == "Z")


@pytest.mark.parametrize("fault", [None, "raises at each record", "hangs at a record", "dies"])
def test_a_training_ends_with_the_same_bits(
    fake: Fake, shop: Shop, fault: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loggers_module, "SECONDS_TO_END", {"finished": 5.0 if fault is None else 0.5})
    shop.train("training.run_dir={folder}/plain", "training.max_steps=10")
    fake.write(**(FAULTS[fault][0] if fault else {}))
    told = shop.train("logging.wandb=mine", "training.max_steps=10")
    assert_same_result(shop.run, shop.folder / "plain")
    assert (FAULTS[fault][1].replace("1 s", "0 s") if fault else "wandb: run new") in told
    if fault is None:
        kept = [json.loads(line) for line in (shop.run / "metrics.jsonl").read_text().splitlines()]
        sent = {
            (kind, call[1]): call[2]
            for call in fake.calls()
            if call[0] == "log"
            for kind in {n.split("/")[0] for n in call[2]}
        }
        for one in kept:
            values = sent[one["kind"], one["step"]]
            assert values[f"{one['kind']}/epoch"] == one["epoch"]
        assert len(sent) == len(kept)


def test_a_missing_package_is_told_before_anything_is_made(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
        for options in ((), ("--dry-run",)):
            told = shop.refused(f"logging.{name}=mine", options=options)
            assert f'needs the package {name}; run: pip install "transformer-mt[{name}]"' in told
        assert not shop.run.exists()


def test_a_directory_called_like_a_package_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights & Biases leaves a directory `wandb` where it was used."""
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(MissingExtraError, match="wandb"):
        configured_loggers(LoggingConfig(wandb="mine"))


def test_without_being_asked_for_none_is_started(tmp_path: Path) -> None:
    assert start_loggers(Config(), tmp_path, print) == []


def test_where_no_process_can_be_started_that_is_said(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    (text,) = use(tmp_path, [], wandb="mine")
    assert "wandb: cannot be started (No such file or directory; the training goes on)" in text


# --- the real packages ---


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine such packages take their time to be imported."""
    monkeypatch.setattr(loggers_module, "SECONDS_TO_END", {"finished": 90.0, "stopped": 90.0})


def blocks_of(path: Path) -> Iterator[bytes]:
    """The messages of a file of Weights & Biases: 7 bytes, then a log as LevelDB has them."""
    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        size, kind = struct.unpack_from("<HB", data, place + 4)
        whole += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # full, or the last part
            yield whole
            whole = b""


@pytest.mark.usefixtures("patience")
def test_weights_and_biases_has_it_all_and_goes_on_in_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = pytest.importorskip("wandb.proto.wandb_internal_pb2", reason="Weights & Biases is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for start, state in ((0, "stopped"), (3, "finished")):
        (said,) = use(tmp_path / "run", [record(start + k) for k in range(3)], state, wandb="mine")  # type: ignore[arg-type]
        assert "wandb sync" in said
    found: dict[str, dict[int, float]] = {}
    for path in sorted((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")):
        for data in blocks_of(path):
            (one := messages.Record()).ParseFromString(data)
            if one.HasField("run"):
                run_id, seed = one.run.run_id, [c for c in one.run.config.update if c.key == "training"]
                assert json.loads(seed[0].value_json)["seed"] == 1
            if one.HasField("history"):
                items = {"".join(item.nested_key) or item.key: json.loads(item.value_json) for item in one.history.item}
                found.setdefault(run_id, {})[int(items["_step"])] = items["train/loss"]
    assert found == {run_id: {step: 1 / (1 + step) for step in range(6)}}


@pytest.mark.usefixtures("patience")
def test_mlflow_has_it_all_and_goes_on_in_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for start, state in ((0, "stopped"), (3, "finished")):
        said = use(tmp_path / "run", [record(start + k) for k in range(3)], state, mlflow="mine")  # type: ignore[arg-type]
        assert len(said) == 1 and "mlflow: run " in said[0], said
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED" and run.data.params["training.seed"] == "1"
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(one.step, one.value) for one in history] == [(step, 1 / (1 + step)) for step in range(6)]
