"""Dropout (Srivastava et al. 2014) whose masks are cheap to draw on the CPU."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 1 << 16
"""A mask compares 16 random bits per unit, so probabilities are rounded to multiples of 1 / 65,536."""


class Dropout(nn.Module):
    """Zero each unit with probability `p` while training, and scale the others by 1 / (1 - p)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of x (any shape); the identity when evaluating or when p is 0."""
        return drop(x, self.p if self.training else 0.0)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def drop(x: Tensor, p: float) -> Tensor:
    """Zero each unit of x with probability p and scale the rest to keep the mean; p = 0 gives x itself."""
    if p == 0.0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, p)
    return _Drop.apply(x, p)  # type: ignore[no-any-return]


class _Drop(torch.autograd.Function):
    """The gradient is the incoming one times the same mask and scale."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        num_dropped = round(p * _LEVELS)
        ctx.scale = _LEVELS / max(1, _LEVELS - num_dropped)  # of the probability that the mask really has
        kept = _kept_units(x, num_dropped)
        ctx.save_for_backward(kept)
        return (x * kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (kept,) = ctx.saved_tensors
        return (grad * kept).mul_(ctx.scale), None


def _kept_units(x: Tensor, num_dropped: int) -> Tensor:
    """A mask like x, 0 in num_dropped of 65,536 cases and else 1."""
    bits = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    lanes = bits.view(torch.int16)[: x.numel()].view(x.shape)
    return (lanes >= num_dropped - _LEVELS // 2).to(x.dtype)
