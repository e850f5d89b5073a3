"""Trainings in bad surroundings: damaged files, full disks, signals, clocks, limits; nothing that was saved is lost.

The numbers are those of the list in tests/test_bad_input_rows.py.
"""

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.shop import Shop, at_step, the_error
from transformer_mt.cli.main import main
from transformer_mt.training import dry_run, monitor
from transformer_mt.training.checkpoint import CheckpointWriter
from transformer_mt.training.session import Session
from transformer_mt.training.trainer import Trainer
from transformer_mt.training.validation import Validator

EVERY = "checkpoint.every_steps=1"
MORE = "training.max_steps=4"


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "one-bit": flip_a_bit,
    "missing": Path.unlink,
}


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
def test_row_47_a_damaged_newest_checkpoint_gives_way_to_the_one_before(shop: Shop, name: str) -> None:
    shop.train(EVERY)
    newest = shop.run / "checkpoints" / "step-00000003"
    sound = (newest / name).read_bytes()
    for damage, do in DAMAGES.items():
        if (damage, name) == ("one-bit", "manifest.json"):
            continue  # a bit of one of its hashes, which then fit no file; or of its blanks, which changes nothing
        do(newest / name)
        told = shop.train(EVERY, "training.max_steps=2")
        assert f"checkpoint step-00000003 cannot be used: {newest}" in told, damage
        assert "step-00000002 is sound; 1 updates made after it have to be made again" in told
        (newest / name).write_bytes(sound)
    assert shop.steps() == [1, 2, 3]


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        pytest.param(errno.ENOSPC, "disk full.*; make room", id="row-59"),
        pytest.param(errno.EDQUOT, "disk full.*; make room", id="row-61-quota"),
        pytest.param(errno.EIO, "cannot be written .Input/output error", id="row-61-io"),
        pytest.param(errno.ESTALE, "cannot be written .Stale file handle", id="row-61-nfs"),
    ],
)
def test_a_disk_that_fails_while_saving_leaves_what_was_saved_before(
    shop: Shop, number: int, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    def fail_from_now_on() -> None:
        while not (shop.run / "checkpoints" / "step-00000001").is_dir():  # which is written beside the training
            time.sleep(0.01)
        time.sleep(0.2)
        context.setattr(os, "fsync", fail)

    with monkeypatch.context() as context:
        at_step(context, 2, fail_from_now_on)
        told = shop.refused(EVERY)
    assert re.search(wanted, told)
    assert shop.steps() == [1]
    assert not [path for path in shop.folder.rglob("*") if ".tmp-" in path.name]
    assert "going on from step 1" in shop.train(EVERY)


def test_row_61_nothing_is_renamed_from_another_directory(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed: list[tuple[Path, Path]] = []
    for name in ("rename", "replace"):
        before = getattr(os, name)

        def note(old: str, new: str, before: Callable[[str, str], None] = before) -> None:
            renamed.append((Path(old).parent, Path(new).parent))
            before(old, new)

        monkeypatch.setattr(os, name, note)
    shop.train(EVERY)
    assert len(renamed) > 5 and all(old == new for old, new in renamed)


def test_row_60_a_full_disk_for_the_log_stops_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(monitor, "_append", fail)
    told = shop.train("logging.every_steps=1")
    for name in ("log.txt", "metrics.jsonl"):
        assert told.count(f"warning: {name}: cannot be written (No space left on device) (the training goes on)") == 1
    assert shop.steps() == [3]


def test_row_63_a_lock_that_nobody_holds_any_more_stops_nothing(shop: Shop) -> None:
    shop.train("training.max_steps=1")
    (shop.run / ".lock").write_text("process 4194304 on another-machine\n")
    assert "going on from step 1" in shop.train()


def test_row_64_checkpoints_are_ordered_by_step_and_never_by_time(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        at_step(context, 2, lambda: context.setattr(time, "time", lambda: 0.0))  # the clock jumps back to 1970
        shop.train(EVERY, "checkpoint.keep_last=2", "training.max_minutes=5")
    assert shop.steps() == [2, 3]
    os.utime(shop.run / "checkpoints" / "step-00000003", (0, 0))
    assert "going on from step 3" in shop.train(EVERY, "checkpoint.keep_last=2", MORE)
    assert shop.steps() == [3, 4]


def terminate(times: int = 1) -> None:
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGTERM)


PHASES: dict[str, tuple[object, str, int]] = {
    "the-first-batch": (Trainer, "train_step", 1),
    "validating": (Validator, "validate", 1),
    "saving": (CheckpointWriter, "begin", 1),
    "twice": (Session, "_log", 2),
}


@pytest.mark.parametrize("phase", PHASES)
def test_row_66_sigterm_saves_once_wherever_it_comes(shop: Shop, phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, times = PHASES[phase]
    settings = ("logging.every_steps=1", "evaluation.every_steps=1", "evaluation.max_lines=2", "training.max_steps=2")
    act = getattr(owner, name)

    def interrupted(*args: Any) -> object:
        terminate(times)
        return act(*args)

    with monkeypatch.context() as context:
        context.setattr(owner, name, interrupted)
        every = (EVERY,) if phase == "saving" else ()
        told = shop.train(*settings, *every, code=130)
    assert told.count("saved step 1") == 1 and "Traceback" not in told
    assert shop.steps() == [1]
    assert "going on from step 1" in shop.train(*settings)


def test_row_67_a_batch_that_memory_does_not_hold_is_named_by_the_dry_run(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(dry_run, "batch_loss", fail)
    told = the_error(shop.train(options=("--dry-run",), code=2))
    assert "training.batch_size: 512 tokens do not fit in memory (16 pairs of 32 tokens were tried); lower it" in told


def test_row_69_a_port_that_is_taken_is_one_line(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {**os.environ, "RANK": "0", "WORLD_SIZE": "2", **where}
        command = [sys.executable, "-m", "transformer_mt", "train", str(shop.config)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert f"MASTER_PORT {port}: the processes cannot meet there" in the_error(done.stderr.splitlines()[-1] + "\n")
    assert "start them with torchrun" in done.stderr


def test_row_71_few_open_files_are_enough(shop: Shop, tiny_run: Path) -> None:
    program = f"'{sys.executable}' -m transformer_mt"
    train = f"{program} train '{shop.config}' --set training.max_steps=1"
    translate = f"{program} translate '{tiny_run}' '{shop.folder}/test.en' -o '{shop.folder}/out' --workers 2"
    done = subprocess.run(["bash", "-c", f"ulimit -n 64; {train} && {translate}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert shop.steps() == [1] and (shop.folder / "out").read_text().count("\n") == 30


def test_row_72_all_of_it_works_without_a_network(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError(f"asked the network: {args}")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    shop.train("logging.tensorboard=true", "training.max_steps=2")
    for words in (["translate", str(shop.run), str(shop.folder / "test.en")], ["evaluate", str(shop.run)]):
        assert main([*words, "--threads", "1"]) == 0
    assert main(["verify", str(shop.run)]) == 0
