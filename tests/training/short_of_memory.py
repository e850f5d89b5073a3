"""The command on a machine where process 1 has little memory: `short_of_memory.py forward|backward train ...`."""

import os
import sys
from itertools import count
from typing import Any

import torch
from torch import Tensor

from transformer_mt.cli.main import main
from transformer_mt.training import distributed

ENOUGH_FOR = 600
"""Positions that its memory holds."""


class NoRoomForGradients(torch.autograd.Function):
    """The identity, whose gradient does not fit."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        raise torch.OutOfMemoryError("CUDA out of memory")


def limit(where: str) -> None:
    """Let large batches fail in process 1: in forward, or in backward after the first try went well."""
    compute, calls = distributed.batch_loss, count()

    def batch_loss(model: Any, batch: Any, *settings: Any) -> tuple[Tensor, Tensor]:
        too_large = os.environ.get("RANK") == "1" and batch.num_positions > ENOUGH_FOR
        if too_large and where == "forward":
            raise torch.OutOfMemoryError("CUDA out of memory")
        objective, loss = compute(model, batch, *settings)
        fails = too_large and where == "backward" and next(calls) > 0
        return (NoRoomForGradients.apply(objective) if fails else objective), loss

    distributed.batch_loss = batch_loss


if __name__ == "__main__":
    limit(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
