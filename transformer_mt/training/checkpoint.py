"""Where a stopped training goes on from: complete, hashed directories, the newest sound one wins.

checkpoints/step-00001000/
    manifest.json           size and SHA-256 of every other file
    state.json              the position of the training, plain numbers and strings
    config.yaml             the configuration it was made with
    model.safetensors       the weights
    average.safetensors     their moving average, when training.ema_decay is set
    optimizer.safetensors   the optimizer's state
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from transformer_mt import __version__
from transformer_mt.config.schema import Config
from transformer_mt.errors import BundleError, DataError, TrainingError
from transformer_mt.files import atomic_directory, free_bytes, read_json, verify_manifest, write_json, write_manifest
from transformer_mt.tensors import load_tensors, save_tensors

FORMAT_VERSION = 1
PREFIX = "step-"


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
    meter: dict[str, float] | None = None
    """Counts since the last line of the log."""
    scaler: dict[str, float] | None = None
    """State of the fp16 gradient scaler."""
    data: dict[str, str] | None = None
    """What each source of training pairs was, by name, see `PreparedCorpus.identity`."""
    tokenizers: dict[str, str] | None = None
    """SHA-256 of each tokenizer, see `TokenizerPair.files`."""
    finished: bool = False
    """Whether the training has come to its end, by a limit or by early stopping."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that a training goes on from."""

    progress: Progress
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    average: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(directory: Path, checkpoint: Checkpoint, config_yaml: str, keep_last: int) -> Path:
    """Write a checkpoint below `directory` and delete all but the newest `keep_last`.

    Raises TrainingError naming the bytes that are needed and missing when the disk is too full; what was
    there stays whole.
    """
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
        (temporary / "config.yaml").write_text(config_yaml, encoding="utf-8")
        about = {"format_version": FORMAT_VERSION, "written_by": f"transformer_mt {__version__}"}
        write_json(temporary / "state.json", {**about, **asdict(checkpoint.progress)})
        write_manifest(temporary)
    for old in list_checkpoints(directory)[:-keep_last]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def check_space_for_run(directory: Path, num_parameters: int, config: Config) -> int:
    """Bytes that the checkpoints and the bundle of a training take at most.

    Raises TrainingError when they are not free where `directory` is; what it holds already counts as free.
    """
    copies = 3 + (config.training.ema_decay > 0)  # weights, two moments, moving average
    needed = 4 * num_parameters * (copies * (config.checkpoint.keep_last + 1) + 2)
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
    return sorted(found, key=lambda path: int(path.name.removeprefix(PREFIX)))


def load_newest(directory: Path, report: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint below `directory` that is sound, or None when there is none at all.

    A damaged one is reported and the one before it taken. Raises BundleError when all are damaged, and
    TrainingError when the newest was written by a newer version.
    """
    paths = list_checkpoints(directory)
    for path in reversed(paths):
        try:
            return load_checkpoint(path)
        except BundleError as error:
            report(f"checkpoint {path.name} cannot be used: {error}; trying the one before it")
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
    verify_manifest(path)
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
        state = dict(read_json(path))
        version, writer = int(state.pop("format_version", 1)), state.pop("written_by", "a newer version")
        if version > FORMAT_VERSION:
            raise TrainingError(
                f"{path.parent}: format {version} was written by {writer}, this is transformer_mt {__version__}, "
                f"which reads up to format {FORMAT_VERSION}; update transformer_mt"
            )
        return Progress(**state)
    except (DataError, TypeError, ValueError) as error:
        raise BundleError(f"{path}: is not the state of a training ({error})") from None


def sweep(directory: Path) -> None:
    """Delete what killed writes left behind."""
    for stray in directory.glob(f".{PREFIX}*.tmp-*"):
        shutil.rmtree(stray, ignore_errors=True)
