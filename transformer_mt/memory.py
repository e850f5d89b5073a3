"""How this process takes memory: in large pages, kept from one training step to the next; looks for garbage; and runs
out of memory."""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_LACKING = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""What PyTorch, its libraries and the driver of a card say when there is too little memory."""
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_NEVER = 2**31 - 1


def keep_memory() -> None:
    """Let freed memory stay with the process, and large tensors lie in large pages; does nothing off Linux.

    A training step frees and takes hundreds of large tensors. By default each goes back to the system and comes
    again as 4-kB pages filled with zeros, which costs an eighth of the step of a small model. PyTorch reads its
    setting at its first tensor: call this before torch is imported. What the user has set in the environment stays.
    """
    if not sys.platform.startswith("linux"):
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries than glibc may lack it
    if mallopt is not None:
        for parameter, value, variable in (
            (_M_TRIM_THRESHOLD, _NEVER, "MALLOC_TRIM_THRESHOLD_"),
            (_M_MMAP_MAX, 0, "MALLOC_MMAP_MAX_"),
        ):
            if variable not in os.environ:
                mallopt(parameter, value)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Do not look for cycles of dead objects: among many small live ones that takes longer than the work on them.

    What is in no cycle is freed as ever.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, of any library, says that memory was not enough: that of the host or of a card."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _LACKING)
    )
