"""Whatever happens while something is written, the old is there or the new, whole: every failpoint with every fault.

A fault strikes at the n-th point that a write passes, for all n: the process is killed, the system refuses, or what was
written so far is cut short before the kill, as when the power goes.
"""

import errno
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from transformer_mt import files
from transformer_mt.bundle import CARD_FILE, load_bundle, save_bundle
from transformer_mt.config.schema import CheckpointConfig, Config
from transformer_mt.errors import BundleError, TransformerMTError
from transformer_mt.files import Point, sweep
from transformer_mt.manifest import write_manifest
from transformer_mt.training.checkpoint import Checkpoint, Progress, list_checkpoints, load_newest, save_checkpoint

Write = Callable[[Path], None]
Read = Callable[[Path], int]


def checkpoint(step: int, best: int = 1) -> Checkpoint:
    weights = {"a": torch.full((40,), float(step)), "b": torch.arange(9.0) * step}
    return Checkpoint(Progress(step=step, best_step=best), weights, {"a.exp_avg": torch.full((40,), step / 2)}, {})


CONFIG = replace(Config(), checkpoint=CheckpointConfig(every_steps=1, keep_last=2))


def save(directory: Path, step: int) -> None:
    save_checkpoint(directory / "checkpoints", checkpoint(step), CONFIG)


def newest(directory: Path) -> int:
    """The step of the newest checkpoint, which must be sound, as must be the two before it that are kept."""
    said: list[str] = []
    found = load_newest(directory / "checkpoints", said.append)
    assert found is not None and not said
    step = found.progress.step
    assert torch.equal(found.weights["b"], torch.arange(9.0) * step)
    steps = [int(path.name.removeprefix("step-")) for path in list_checkpoints(directory / "checkpoints")]
    assert steps[0] == 1 and steps[-2:] == [step - 1, step]  # the best, and the two newest
    return step


def save_new_bundle(directory: Path, run: Path, facts: dict[str, int]) -> None:
    bundle = load_bundle(run)
    bundle.facts.update(facts)
    save_bundle(directory / "bundle", bundle)


class Fault:
    """Strikes when the count of points passed reaches `at`; None counts only."""

    def __init__(self, kind: str, at: int | None = None) -> None:
        self.kind, self.at, self.passed = kind, at, 0

    def __call__(self, point: Point, path: Path) -> None:
        self.passed += 1
        if self.passed != self.at:
            return
        if self.kind in ("ENOSPC", "EIO"):
            number = getattr(errno, self.kind)
            raise OSError(number, os.strerror(number))
        if self.kind == "short write" and point == Point.WRITTEN and path.is_file():
            os.truncate(path, path.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)


def in_child(action: Callable[[], None]) -> int:
    """Do it in a process of its own; returns its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        except TransformerMTError:
            code = 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def strike_everywhere(
    folder: Path, write: Write, read: Read, old: int, new: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write into copies of `folder` with a fault at each point; what is read is `old` or `new`, then writing works."""
    counted = Fault("none")
    monkeypatch.setattr(files, "at_point", counted)
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    write(copy)
    assert read(copy) == new and counted.passed > 20
    seen = set()
    for at in range(1, counted.passed + 1):
        shutil.rmtree(copy)
        shutil.copytree(folder, copy)
        monkeypatch.setattr(files, "at_point", Fault(kind, at))
        code = in_child(lambda: write(copy))
        assert code in ((0, 2) if kind in ("ENOSPC", "EIO") else (-signal.SIGKILL,)), at
        found = read(copy)
        assert found in (old, new), at
        assert found == new or code != 0, at  # what was called written is there
        seen.add(found)
        monkeypatch.setattr(files, "at_point", lambda point, path: None)
        for directory in (copy, *copy.iterdir()):
            sweep(directory)
        assert not list(copy.rglob(".*")), at
        write(copy)  # the same again
        assert read(copy) == new, at
    assert seen == {old, new}


@pytest.mark.parametrize("kind", ["SIGKILL", "ENOSPC", "EIO", "short write"])
def test_a_checkpoint_is_written_or_not_and_the_others_stay(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    for step in (1, 3, 4, 5):
        save(folder, step)
    strike_everywhere(folder, lambda copy: save(copy, 6), newest, 5, 6, kind, monkeypatch)


@pytest.mark.parametrize("kind", ["SIGKILL", "EIO"])
def test_a_bundle_is_replaced_or_not_and_never_missing(
    kind: str, tmp_path: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    save_new_bundle(folder, tiny_run, {"step": 1})

    def read(copy: Path) -> int:
        return int(load_bundle(copy / "bundle").facts["step"])

    strike_everywhere(folder, lambda copy: save_new_bundle(copy, tiny_run, {"step": 2}), read, 1, 2, kind, monkeypatch)


def test_where_names_cannot_be_exchanged_a_directory_is_still_replaced(
    tmp_path: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_swap_names", lambda one, other: False)
    for step in (1, 2):
        save_new_bundle(tmp_path, tiny_run, {"step": step})
        assert load_bundle(tmp_path / "bundle").facts["step"] == step
    assert os.listdir(tmp_path) == ["bundle"]


def test_a_checkpoint_with_a_weight_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    spoilt = checkpoint(3)
    spoilt.weights["b"][3] = torch.nan
    with pytest.raises(TransformerMTError, match=r"weight b holds NaN or infinity at step 3; the last finite"):
        save_checkpoint(tmp_path / "checkpoints", spoilt, CONFIG)
    assert newest(tmp_path) == 2


def test_what_a_process_that_still_runs_is_writing_is_not_swept(tmp_path: Path) -> None:
    theirs, gone = tmp_path / f".a.tmp-{os.getppid()}-00", tmp_path / ".a.tmp-4194305-00"
    for path in (theirs, gone):
        path.mkdir()
    sweep(tmp_path)
    assert theirs.is_dir() and not gone.exists()


def damaged_copies(folder: Path, num_flips: int, num_cuts: int) -> Iterator[str]:
    """Flip a bit of a file in `folder`, or cut one off at a place drawn at random; it is mended before the next."""
    draws = random.Random(1)
    for number in range(num_flips + num_cuts):
        path = draws.choice(sorted(one for one in folder.rglob("*") if one.is_file()))
        whole = path.read_bytes()
        place = draws.randrange(len(whole))
        changed = bytearray(whole)
        changed[place] ^= 1 << draws.randrange(8)
        path.write_bytes(changed if number < num_flips else whole[:place])
        yield f"{path.name} at byte {place} of {len(whole)}"
        path.write_bytes(whole)


def test_each_of_200_flipped_bits_and_50_cut_files_of_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    damaged = tmp_path / "checkpoints" / "step-00000002"
    for what in damaged_copies(damaged, 200, 50):
        said: list[str] = []
        found = load_newest(tmp_path / "checkpoints", said.append)
        assert found is not None and found.progress.step == 1, what
        assert "step-00000002 cannot be used" in said[0], what
    assert load_newest(tmp_path / "checkpoints", said.append).progress.step == 2  # type: ignore[union-attr]


def test_each_of_200_flipped_bits_and_50_cut_files_of_a_bundle_is_noticed(tmp_path: Path, tiny_run: Path) -> None:
    shutil.copytree(tiny_run / "bundle", tmp_path / "bundle")
    (tmp_path / "bundle" / CARD_FILE).unlink()  # which its user may change
    write_manifest(tmp_path / "bundle")
    for what in damaged_copies(tmp_path / "bundle", 200, 50):
        with pytest.raises(BundleError):
            load_bundle(tmp_path / "bundle")
            pytest.fail(what)
    assert load_bundle(tmp_path / "bundle")
