"""Device, precision, threads and seeding: where tensors live and in which arithmetic they meet."""

import hashlib
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch

from transformer_mt.errors import DeviceError

Precision = Literal["fp32", "bf16", "fp16"]


def resolve_device(name: str, local_rank: int = 0) -> torch.device:
    """The device called `name` (auto, cpu, cuda, cuda:N, mps); DeviceError lists what there is when it is not there.

    Of several processes on one machine each takes the card of its `local_rank`.
    """
    available = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        available.append("mps")
    if name == "auto" and not torch.cuda.is_available():
        return torch.device("cpu")
    wanted = f"cuda:{local_rank}" if name in ("auto", "cuda") else name
    if wanted not in available:
        raise DeviceError(f"device {name} is not available here; choose one of {', '.join(available)}")
    return torch.device(wanted)


def hardware(device: torch.device) -> dict[str, str]:
    """The processor's name, the device, and the card's name where it is one."""
    card = {"card": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}
    return {"processor": processor_name(), "device": str(device), **card}


def processor_name() -> str:
    """What the processor calls itself, or else its family."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def resolve_precision(precision: str, device: torch.device) -> Precision:
    """The arithmetic to train in; auto is bf16 where the device computes in it natively, else fp32.

    Raises DeviceError for fp16 off CUDA and for bf16 on a card without it.
    """
    if precision == "auto":
        return "bf16" if has_fast_bf16(device) else "fp32"
    if precision == "fp16" and device.type != "cuda":
        raise DeviceError(f"training.precision: fp16 needs CUDA, this is {device.type}; use auto, bf16 or fp32")
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise DeviceError("training.precision: this card has no bf16; use auto, fp16 or fp32")
    return precision  # type: ignore[return-value]  # the schema admits these three only


def has_fast_bf16(device: torch.device) -> bool:
    """Whether matrix products in bf16 are faster than in fp32 here (CPU: AVX512-BF16 or AMX)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context in which the model's forward pass runs."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


def set_threads(threads: int | None, local_size: int = 1) -> int:
    """Use `threads` CPU threads (default: all cores, shared by `local_size` processes); returns their number."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = threads or max(1, cores // local_size)
    torch.set_num_threads(count)
    return count


@contextmanager
def side_by_side(device: torch.device, num_tasks: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """A `map` for `num_tasks` tasks that runs several at a time on the CPU, each on one of the threads torch has.

    Several small computations do not wait for each other, as the threads of one would after each operation.
    """
    num_threads = torch.get_num_threads()
    if device.type != "cpu" or min(num_tasks, num_threads) == 1:
        yield map
        return
    try:
        with ThreadPoolExecutor(num_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(num_threads)


def seed_everything(*parts: int | str) -> None:
    """Seed torch's generators from `parts`, for example (seed, step, micro-batch).

    Randomness belongs to a place in the training and not to its history: so a resumed run draws the
    same numbers as one that was never stopped, and no generator state has to be saved.
    """
    digest = hashlib.sha256(repr(parts).encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "little", signed=True))


def use_deterministic_kernels() -> None:
    """Let CUDA use only kernels that give the same bits each time; the CPU's do so always."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
