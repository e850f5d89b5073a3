"""The processes that work together under `torchrun`, and what they tell each other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from transformer_mt.errors import DeviceError, ProcessLost
from transformer_mt.memory import is_out_of_memory

T = TypeVar("T")
TIME_TO_MEET = timedelta(seconds=60)
"""Processes that have not found each other by then give up."""
LONGEST_WORK = timedelta(hours=12)
"""One process may work so long while the others wait for it. (torchrun ends them all when one dies.)"""
LAUNCH = "torchrun --nproc-per-node N -m transformer_mt train CONFIG"


class World:
    """This process among those that work together; what is collective must be called by all of them."""

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0, local_size: int = 1) -> None:
        self.rank = rank
        self.size = size
        self.local_rank = local_rank
        """Its number among the processes of this machine, of which there are `local_size`."""
        self.local_size = local_size

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that prints and writes."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """The block of `count` things that this process does; blocks differ by one thing at most."""
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def wait(self) -> None:
        """Collective: return when all processes have come here."""
        self.gather(None)

    def gather(self, value: T) -> list[T]:
        """Collective: the values of all processes, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with others_may_be_lost(self):
            dist.all_gather_object(values, value)
        return values

    def gather_to_main(self, value: T) -> list[T]:
        """Collective: the values of all processes, by rank, in the main one; nothing in the others."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size if self.is_main else []
        with others_may_be_lost(self):
            dist.gather_object(value, values if self.is_main else None)
        return values

    def from_main(self, value: T) -> T:
        """Collective: the main process's value."""
        if self.size == 1:
            return value
        values = [value]
        with others_may_be_lost(self):
            dist.broadcast_object_list(values)
        return values[0]

    def sum(self, tensor: Tensor) -> Tensor:
        """Collective: the sum of the tensors of all processes, in place."""
        if self.size > 1:
            with others_may_be_lost(self):
                dist.all_reduce(tensor)
        return tensor

    def gather_tensors(self, tensor: Tensor) -> list[Tensor]:
        """Collective: the tensors of all processes, by rank; all of one shape."""
        if self.size == 1:
            return [tensor]
        tensors = [torch.empty_like(tensor) for _ in range(self.size)]
        with others_may_be_lost(self):
            dist.all_gather(tensors, tensor)
        return tensors


ALONE = World()


@contextmanager
def others_may_be_lost(world: World) -> Iterator[None]:
    """Turn the error of a collective call into ProcessLost."""
    try:
        yield
    except RuntimeError as error:
        if world.size == 1 or is_out_of_memory(error):
            raise
        reason = str(error).splitlines()[0][:200]
        raise ProcessLost(
            f"another process of this training has ended; see what it or the system says ({reason})"
        ) from error


@contextmanager
def joined_world(device_type: str) -> Iterator[World]:
    """The world that torchrun started this process in, or that of a single process.

    Raises DeviceError when torchrun's environment is incomplete, or the others do not come.
    """
    given = [name for name in ("RANK", "WORLD_SIZE") if name in os.environ]
    if not given or os.environ.get("WORLD_SIZE") == "1":
        yield ALONE
        return
    missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise DeviceError(f"{given[0]} is set but not {', '.join(missing)}; start with {LAUNCH}, or unset {given[0]}")
    local_rank, local_size = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    try:
        store, rank, size = next(iter(dist.rendezvous("env://", timeout=TIME_TO_MEET)))
        backend = "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo"
        store.set_timeout(LONGEST_WORK)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=LONGEST_WORK)
    except (RuntimeError, ValueError) as error:
        raise DeviceError(
            f"MASTER_ADDR {os.environ['MASTER_ADDR']}, MASTER_PORT {os.environ['MASTER_PORT']}: the processes cannot "
            f"meet there ({str(error).splitlines()[0][:200]}); start them with {LAUNCH}"
        ) from None
    try:
        yield World(rank, size, local_rank, local_size)
    finally:
        dist.destroy_process_group()
