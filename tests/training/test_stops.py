"""Stops where it hurts: in a validation, in the averaging at the end, in the tokenizer; and the proof of users."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests import tiny
from tests.training.stopped_in_validation import stop_and_wait
from tests.training.test_session import assert_same_result
from transformer_mt import files
from transformer_mt.cli.main import main
from transformer_mt.config.loading import load_config
from transformer_mt.decoding.step import CheckedStep
from transformer_mt.errors import TrainingError
from transformer_mt.files import sha256_of
from transformer_mt.training import resume_proof, validation
from transformer_mt.training.checkpoint import Checkpoint, CheckpointWriter, Progress, list_checkpoints, load_checkpoint
from transformer_mt.training.session import Session
from transformer_mt.training.validation import Validator

SETTINGS = (
    "training.max_steps=12", "checkpoint.every_steps=4", "evaluation.every_steps=4", "checkpoint.average_last=2",
    "evaluation.max_lines=4", "evaluation.metric=loss", "training.ema_decay=0.5", "logging.every_steps=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a training that was not stopped, in `whole`."""
    folder = tmp_path_factory.mktemp("stops")
    assert train(tiny.write_config(folder).parent, "whole") == 0
    return folder


def train(folder: Path, name: str) -> int:
    return tiny.train(folder / "tiny.yaml", [*SETTINGS, f"training.run_dir={folder / name}"])


def assert_same_translator(folder: Path, name: str) -> None:
    """The same checkpoints, metrics, and weights in the bundle."""
    assert_same_result(folder / "whole", folder / name)
    paths = [folder / run / "bundle" / "model.safetensors" for run in ("whole", name)]
    assert sha256_of(paths[0]) == sha256_of(paths[1])


def stop_in_validation(monkeypatch: pytest.MonkeyPatch, is_wanted: Callable[[int], bool]) -> None:
    """A signal comes while the validation searches whose number, from 1, is wanted; its search has no end then."""
    numbers = iter(range(1, 100))
    translate = Validator._translate

    def translate_or_wait(*args: object) -> object:
        if is_wanted(next(numbers)):
            monkeypatch.setattr(CheckedStep, "step", stop_and_wait)
        return translate(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Validator, "_translate", translate_or_wait)


def test_a_stop_while_a_validation_computes_the_loss_ends_it_before_the_next_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def batch_loss(*args: object) -> object:
        seen.append(args)
        os.kill(os.getpid(), signal.SIGTERM)
        return compute(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as context:
        compute = validation.batch_loss
        context.setattr(validation, "batch_loss", batch_loss)
        assert train(folder, "loss") == 130
    assert len(seen) == 1
    assert train(folder, "loss") == 0
    assert_same_translator(folder, "loss")


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_stop_in_a_validation_saves_at_once_and_the_validation_is_made_up_for(
    folder: Path, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third is that of the last update, the fourth that of the averaged weights."""
    name, started = f"validation-{number}", time.monotonic()
    with monkeypatch.context() as context:
        stop_in_validation(context, lambda count: count == number)
        assert train(folder, name) == 130
    assert time.monotonic() - started < 60
    assert f"SIGTERM: saved step {min(4 * number, 12)}" in capsys.readouterr().err
    assert train(folder, name) == 0
    assert_same_translator(folder, name)
    assert train(folder, name) == 0
    assert "is complete" in capsys.readouterr().err


def test_a_stop_in_the_averaging_after_an_early_end_does_not_train_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*SETTINGS[1:], "training.max_steps=1000", "evaluation.patience=1", "optimizer.lr=1e-9"]
    config, runs = folder / "tiny.yaml", [f"training.run_dir={folder / name}" for name in ("early", "early-stopped")]
    assert tiny.train(config, [*settings, runs[0]]) == 0
    last = [path.name for path in list_checkpoints(folder / "early" / "checkpoints")][-1]
    with monkeypatch.context() as context:
        stop_in_validation(context, lambda count: 4 * count > int(last.removeprefix("step-")))
        assert tiny.train(config, [*settings, runs[1]]) == 130
    assert tiny.train(config, [*settings, runs[1]]) == 0
    assert_same_result(folder / "early", folder / "early-stopped")


def test_a_stop_between_checkpoints_does_not_change_which_are_averaged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Session._watch

    def watch_and_stop(session: Session, stats: object) -> None:
        if session.trainer.progress.step == 11:
            os.kill(os.getpid(), signal.SIGINT)
        watch(session, stats)  # type: ignore[arg-type]

    with monkeypatch.context() as context:
        context.setattr(Session, "_watch", watch_and_stop)
        assert train(folder, "between") == 130
    assert list_checkpoints(folder / "between" / "checkpoints")[-1].name == "step-00000011"
    assert train(folder, "between") == 0
    assert_same_translator(folder, "between")
    names = [[path.name for path in list_checkpoints(folder / run / "checkpoints")] for run in ("whole", "between")]
    assert names[0] == names[1]


def test_the_proof_compares_every_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["verify-resume", str(folder / "tiny.yaml"), "--steps", "12", "--stops", "4"]
    assert main([*command, *(word for setting in SETTINGS for word in ("--set", setting))]) == 0
    printed = capsys.readouterr().out
    assert "12 updates, stopped" in printed and "every bit is the same" in printed and "DIFFERS" not in printed
    compared = {line.split()[2] for line in printed.splitlines() if line.startswith("same")}
    assert {"bundle/model.safetensors", "metrics,"} <= compared
    assert {Path(name).name for name in compared} >= {"average.safetensors", "optimizer.safetensors"}


def test_the_proof_tells_of_stops_that_were_not_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resume_proof._Rehearsal, "run_until", lambda *_: None)  # it ended before the signal
    command = ["verify-resume", str(folder / "tiny.yaml"), "--steps", "1", "--stops", "9"]
    assert main([*command, *(word for setting in SETTINGS for word in ("--set", setting))]) == 0
    assert "came to its end after 0 of 9 stops" in capsys.readouterr().err


def test_the_proof_notices_another_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = resume_proof._Rehearsal.run

    def run_with_a_change(self: resume_proof._Rehearsal) -> float:
        if self.run_directory.metrics.exists():  # it was stopped before
            lines = self.run_directory.metrics.read_text().splitlines()
            lines[0] = json.dumps({**json.loads(lines[0]), "loss": 1.0})
            self.run_directory.metrics.write_text("".join(f"{line}\n" for line in lines))
        return run(self)

    monkeypatch.setattr(resume_proof._Rehearsal, "run", run_with_a_change)
    monkeypatch.setattr(resume_proof, "_SHARE_OF_STARTS", 0)
    kept = tmp_path / "kept"
    command = ["verify-resume", str(folder / "tiny.yaml"), "--steps", "12", "--stops", "2", "--seed", "4"]
    assert main([*command, "--keep", str(kept)]) == 2
    printed = capsys.readouterr().out
    assert "1 of 6 results differ" in printed and "DIFFERS" in printed
    assert (kept / "stopped" / "run" / "bundle").is_dir()
    assert main([*command, "--keep", str(kept)]) == 2
    assert "name a new directory" in capsys.readouterr().err


def test_a_training_that_fails_ends_the_proof_with_its_own_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--set", "data.train=[]"]
    assert main(["verify-resume", str(folder / "tiny.yaml"), *settings]) == 2
    assert "the training ended with 2: data.train: there are no sentence pairs" in capsys.readouterr().err
    assert main(["verify-resume", str(folder / "tiny.yaml"), "--steps", "0"]) == 2
    assert "--steps: must be at least 1, got 0" in capsys.readouterr().err


WAITING = """\
import os, signal, threading, time
from transformer_mt.training.signals import interruptible, stop_requests
signal.signal(signal.SIGTERM, signal.default_int_handler)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
try:
    with stop_requests():
        interruptible(lambda: time.sleep(60))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_ends_what_computes_outside_of_python() -> None:
    started = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", WAITING], capture_output=True, text=True, timeout=55, check=False)
    assert ended.stdout == "interrupted\n" and ended.returncode == 130 and not ended.stderr
    assert time.monotonic() - started < 55


def writer(folder: Path) -> CheckpointWriter:
    config = load_config(folder / "tiny.yaml")
    return CheckpointWriter(folder / "written", replace(config, checkpoint=replace(config.checkpoint, every_steps=1)))


def test_what_is_being_written_does_not_change_with_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on = threading.Event()
    monkeypatch.setattr(files, "at_point", lambda point, path: may_go_on.wait(20))
    weights, writing = {"a": torch.zeros(5)}, writer(folder)
    writing.begin(Checkpoint(Progress(step=1), weights, {"a/step": torch.tensor(1.0)}))
    weights["a"] += 1
    may_go_on.set()
    writing.begin(Checkpoint(Progress(step=2), weights, {"a/step": torch.tensor(2.0)}))
    writing.wait()
    found = [load_checkpoint(path).weights["a"].tolist() for path in list_checkpoints(folder / "written")]
    assert found == [[0.0] * 5, [1.0] * 5]


def test_what_could_not_be_written_is_told_at_the_next_update(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = writer(folder)
    writing.begin(Checkpoint(Progress(step=9), {"a": torch.tensor([torch.nan])}, {}))
    deadline = time.monotonic() + 20
    with pytest.raises(TrainingError, match="weight a holds NaN"):
        while time.monotonic() < deadline:
            writing.check()
    writing.wait()  # it is told once
