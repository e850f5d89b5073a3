"""Named tensors on disk, in safetensors: no pickle, nothing that can execute."""

import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from transformer_mt.errors import BundleError
from transformer_mt.files import atomic_file

MAX_HEADER_BYTES = 1 << 22
"""Of a safetensors file: names, types and places of some 30,000 tensors. Reading each takes time and memory."""
WEIGHT_TYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
"""What weights are kept in."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write `tensors` to `path`, atomically; shared or strided storage is written out plainly."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_file(path) as file:
        file.write(save(plain, metadata))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read what `save_tensors` wrote; raises BundleError naming the file when it is no such thing."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
        if len(start) == 8 and (size := struct.unpack("<Q", start)[0]) > MAX_HEADER_BYTES:
            raise ValueError(f"its header is said to have {size:,} bytes, {MAX_HEADER_BYTES:,} are read at most")
        return load_file(path)
    except FileNotFoundError:
        raise BundleError(f"{path}: is missing") from None
    except (SafetensorError, OSError, KeyError, ValueError, OverflowError, MemoryError) as error:
        raise BundleError(f"{path}: is not a whole safetensors file ({str(error).splitlines()[0][:120]})") from None


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; a copy from the host to a card does not wait for it."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def whole(tensor: Tensor) -> Tensor:
    """`tensor` itself, or, where processes hold parts of it, all of it on the CPU; collective in that case."""
    return tensor.full_tensor().cpu() if _is_parted(tensor) else tensor  # type: ignore[attr-defined, no-any-return]


def placed_like(target: Tensor, tensor: Tensor) -> Tensor:
    """`tensor`, which all processes have, where `target` is and parted as it is; collective if that is parted."""
    tensor = tensor.to(target.device)
    if not _is_parted(target):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, target.device_mesh, target.placements)  # type: ignore[attr-defined]


def _is_parted(tensor: Tensor) -> bool:
    return hasattr(tensor, "device_mesh")  # a DTensor, whose module takes long to import and is not everywhere


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], origin: Path | str) -> None:
    """Copy `tensors` into the weights of `model`.

    Raises BundleError that lists the first weights that are missing, unknown, of another shape or type, or not finite.
    """
    weights = dict(model.named_parameters())
    problems = [f"{name} is missing" for name in weights if name not in tensors]
    problems += [f"{name} is unknown" for name in tensors if name not in weights]
    for name in weights.keys() & tensors.keys():
        if weights[name].shape != tensors[name].shape:
            problems.append(f"{name} is {tuple(tensors[name].shape)} instead of {tuple(weights[name].shape)}")
        elif tensors[name].dtype not in WEIGHT_TYPES:
            problems.append(f"{name} is of type {str(tensors[name].dtype).removeprefix('torch.')}, which no weight is")
        elif not torch.isfinite(tensors[name]).all():
            problems.append(f"{name} holds NaN or infinity")
    if problems:
        rest = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        shown = "; ".join(problem[:200] for problem in sorted(problems)[:3])
        raise BundleError(f"{origin}: the weights do not fit this model: {shown}{rest}")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(placed_like(weight, tensors[name]))
