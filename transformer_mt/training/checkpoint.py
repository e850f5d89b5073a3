"""Where a stopped training goes on from: complete, hashed directories, the newest sound one wins.

checkpoints/step-00001000/
    manifest.json           size and SHA-256 of every other file
    state.json              the position of the training, plain numbers and strings
    config.yaml             the configuration it was made with
    model.safetensors       the weights
    average.safetensors     their moving average, when training.ema_decay is set
    optimizer.safetensors   the optimizer's state
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from transformer_mt import __version__
from transformer_mt.config.loading import to_yaml
from transformer_mt.config.schema import Config
from transformer_mt.errors import BundleError, DataError, TrainingError
from transformer_mt.files import atomic_directory, free_bytes, read_json, remove_directory, write_json
from transformer_mt.manifest import verify_manifest, write_manifest
from transformer_mt.tensors import load_tensors, save_tensors

FORMAT_VERSION = 1
PREFIX = "step-"
_FILES = ("state.json", "config.yaml", "model.safetensors", "average.safetensors", "optimizer.safetensors")


@dataclass(slots=True)
class Progress:
    """The position of a training; all that is not tensors. Randomness needs no state: see `device.seed_everything`."""

    step: int = 0
    """Optimizer updates made."""
    epoch: int = 0
    """Passes over the training pairs completed."""
    position: int = 0
    """Batches of the current epoch already used."""
    seconds: float = 0.0
    """Time trained, validations included, over all sessions."""
    tokens: int = 0
    """Target tokens trained on."""
    best_score: float | None = None
    """Score of the best validation, larger is better (BLEU, or minus the loss)."""
    best_step: int | None = None
    """Its step."""
    validations_since_best: int = 0
    skipped_steps: int = 0
    """Updates left out because a gradient was not finite."""
    precision: str | None = None
    """What it is trained in since fp16 has failed."""
    most_positions: int | None = None
    """Batches of more positions are computed in pieces, since memory has not held one; see `GradientSum`."""
    meter: dict[str, float] | None = None
    """Counts since the last line of the log."""
    scaler: dict[str, float] | None = None
    """State of the fp16 gradient scaler."""
    data: dict[str, str] | None = None
    """What each source of training pairs was, by name, see `PreparedCorpus.identity`."""
    tokenizers: dict[str, str] | None = None
    """SHA-256 of each tokenizer, see `TokenizerPair.files`."""
    validation_due: bool = False
    """Whether a stop came before the validation of this step was done."""
    finished: bool = False
    """Whether the training has come to its end, by a limit or by early stopping."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that a training goes on from."""

    progress: Progress
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    average: dict[str, Tensor] = field(default_factory=dict)


class CheckpointWriter:
    """Writes checkpoints while the training goes on, one at a time."""

    def __init__(self, directory: Path, config: Config) -> None:
        self.directory = directory
        self.config = config
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[Path] | None = None
        self._rooms: dict[str, dict[str, Tensor]] = {}

    def begin(self, checkpoint: Checkpoint) -> None:
        """Take a copy of `checkpoint`, which may change then, and write it. Raises what the one before met with."""
        self.wait()
        parts = {name: getattr(checkpoint, name) for name in ("weights", "optimizer", "average")}
        copy = Checkpoint(deepcopy(checkpoint.progress), **{name: self._copied(name, parts[name]) for name in parts})
        self._pending = self._pool.submit(save_checkpoint, self.directory, copy, self.config)

    @property
    def is_writing(self) -> bool:
        """Whether a checkpoint is not on the disk yet."""
        return self._pending is not None and not self._pending.done()

    def check(self) -> None:
        """Raise what writing has met with, if it has ended."""
        if not self.is_writing:
            self.wait()

    def wait(self) -> None:
        """Return when all is written; raises what writing met with."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Let what is being written come to its end, whichever that is."""
        self._pool.shutdown()

    def _copied(self, part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors on the CPU, in the memory of the checkpoint before: taking new memory costs more than copying."""
        room = self._rooms.get(part, {})
        for name, tensor in tensors.items():
            if name not in room or room[name].shape != tensor.shape:
                room[name] = torch.empty_like(tensor, device="cpu", memory_format=torch.contiguous_format)
        self._rooms[part] = {name: room[name].copy_(tensor) for name in tensors for tensor in (tensors[name],)}
        return self._rooms[part]


def save_checkpoint(directory: Path, checkpoint: Checkpoint, config: Config) -> Path:
    """Write a checkpoint below `directory` and delete those that are not kept.

    It is kept, as are the checkpoint.keep_last - 1 newest before it that were due, and that of the best validation.

    Raises TrainingError when a weight is not finite, and, naming the bytes that are needed and missing, when the disk
    is too full; what was there stays whole.
    """
    for name, tensor in checkpoint.weights.items():
        if not torch.isfinite(tensor).all():
            raise TrainingError(
                f"training diverged: weight {name} holds NaN or infinity at step {checkpoint.progress.step}; the last "
                "finite checkpoint is kept; lower optimizer.lr and go on from it with --override-resume"
            )
    tensor_files = {
        "model.safetensors": checkpoint.weights,
        "optimizer.safetensors": checkpoint.optimizer,
        **({"average.safetensors": checkpoint.average} if checkpoint.average else {}),
    }
    needed = sum(t.numel() * t.element_size() for tensors in tensor_files.values() for t in tensors.values())
    check_free_space(directory, needed + (1 << 20))
    path = directory / f"{PREFIX}{checkpoint.progress.step:08d}"
    with atomic_directory(path) as temporary:
        for name, tensors in tensor_files.items():
            save_tensors(temporary / name, tensors)
        (temporary / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
        about = {"format_version": FORMAT_VERSION, "written_by": f"transformer_mt {__version__}"}
        write_json(temporary / "state.json", {**about, **asdict(checkpoint.progress)})
        write_manifest(temporary)
    older = [old for old in list_checkpoints(directory) if step_of(old) < checkpoint.progress.step]
    kept = due_checkpoints(older, config)[::-1][: config.checkpoint.keep_last - 1]
    for old in older:
        if old not in kept and step_of(old) != checkpoint.progress.best_step:
            remove_directory(old)
    return path


def due_checkpoints(paths: Sequence[Path], config: Config) -> list[Path]:
    """Those of `paths` that were due: not those which a stop left, so that a stopped training keeps the same ones."""
    return [path for path in paths if step_of(path) % config.checkpoint.every_steps == 0]


def check_space_for_run(directory: Path, num_parameters: int, config: Config) -> int:
    """Bytes that the checkpoints and the bundle of a training take at most.

    Raises TrainingError when they are not free where `directory` is; what it holds already counts as free.
    """
    copies = 3 + (config.training.ema_decay > 0)  # weights, two moments, moving average
    needed = (
        4 * num_parameters * (copies * (config.checkpoint.keep_last + 2) + 2)
    )  # those kept, the best, the one being written; bundles
    held = sum(path.stat().st_size for path in directory.rglob("*.safetensors")) if directory.is_dir() else 0
    check_free_space(directory, needed - held)
    return needed


def check_free_space(directory: Path, needed: int) -> None:
    """Raise TrainingError when fewer than `needed` bytes are free where `directory` is."""
    free = free_bytes(directory)
    if free < needed:
        raise TrainingError(
            f"{directory}: {needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB free; make room for "
            f"{(needed - free) / 1e6:.0f} MB, or lower checkpoint.keep_last, and run the same command again"
        )


def list_checkpoints(directory: Path) -> list[Path]:
    """The checkpoints below `directory`, oldest first by their step."""
    found = [p for p in directory.glob(f"{PREFIX}*") if p.is_dir() and p.name.removeprefix(PREFIX).isdigit()]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step that the name of a checkpoint tells."""
    return int(checkpoint.name.removeprefix(PREFIX))


def load_newest(directory: Path, report: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint below `directory` that is sound, or None when there is none at all.

    A damaged one is reported and the one before it taken. Raises BundleError when all are damaged, and
    TrainingError when the newest was written by a newer version.
    """
    paths = list_checkpoints(directory)
    for path in reversed(paths):
        try:
            checkpoint = load_checkpoint(path)
        except BundleError as error:
            report(f"checkpoint {path.name} cannot be used: {error}; trying the one before it")
            continue
        if lost := step_of(paths[-1]) - step_of(path):
            report(f"checkpoint {path.name} is sound; {lost:,} updates made after it have to be made again")
        return checkpoint
    if paths:
        raise BundleError(
            f"{directory}: none of the {len(paths)} checkpoints is whole, nothing was deleted; "
            "restore one of them, or start again in another training.run_dir"
        )
    return None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint.

    Raises BundleError naming what is missing, damaged or not finite, and TrainingError for one of a newer version.
    """
    verify_manifest(path, _FILES)
    if not (path / "optimizer.safetensors").is_file():
        raise BundleError(f"{path}: has no optimizer state; start a new training from it with --init-from")
    progress, average = _read_progress(path / "state.json"), path / "average.safetensors"
    weights = load_tensors(path / "model.safetensors")
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise BundleError(f"{path}: weight {name} holds NaN or infinity")
    optimizer = load_tensors(path / "optimizer.safetensors")
    return Checkpoint(progress, weights, optimizer, load_tensors(average) if average.is_file() else {})


def _read_progress(path: Path) -> Progress:
    try:
        state = read_json(path)
        if not isinstance(state, dict):
            raise ValueError("an object is needed")
        version, writer = int(state.pop("format_version", 1)), state.pop("written_by", "a newer version")
        if version > FORMAT_VERSION:
            raise TrainingError(
                f"{path.parent}: format {version} was written by {writer}, this is transformer_mt {__version__}, "
                f"which reads up to format {FORMAT_VERSION}; update transformer_mt"
            )
        progress = Progress(**state)
        if odd := [name for name, hint in get_type_hints(Progress).items() if not _is_a(hint, getattr(progress, name))]:
            raise ValueError(f"{odd[0]} cannot be {str(getattr(progress, odd[0]))[:40]!r}")
    except (DataError, TypeError, ValueError, OverflowError) as error:
        raise BundleError(f"{path}: is not the state of a training ({error})") from None
    return progress


def _is_a(hint: Any, value: object) -> bool:
    """Whether `value` is what a field of `Progress` may be; its whole numbers count something."""
    if isinstance(hint, UnionType):
        return any(_is_a(one, value) for one in get_args(hint))
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(_is_a(get_args(hint)[1], item) for item in value.values())
    if hint is int:
        return type(value) is int and value >= 0
    return type(value) in (int, float) if hint is float else type(value) is hint
