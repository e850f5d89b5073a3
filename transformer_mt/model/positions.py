"""How the order of tokens is told to the model. Axes: T length, D d_model, H heads, E = D / H."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transformer_mt.errors import TransformerMTError


class Rotation(NamedTuple):
    """Cosines and sines, each (T, E / 2), by which rotary positions turn queries and keys."""

    cos: Tensor
    sin: Tensor


def sinusoids(positions: Tensor, d_model: int) -> Tensor:
    """The encodings (T, D) of Vaswani et al. 2017 for positions (T,): D/2 sines, then D/2 cosines.

    Frequency i of D/2 is 10000^(-2i / D). The paper interleaves the two; the order of the dimensions makes
    no difference to the model, and halves are the layout of tensor2tensor, fairseq and CTranslate2's models.
    """
    angles = _angles(positions, d_model)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def rotation(positions: Tensor, head_width: int) -> Rotation:
    """The turn of each of the positions (T,) for rotary positions (Su et al. 2021)."""
    angles = _angles(positions, head_width)
    return Rotation(angles.cos(), angles.sin())


def _angles(positions: Tensor, width: int) -> Tensor:
    wide = torch.float32 if positions.device.type == "mps" else torch.float64  # which mps does not have
    frequencies = 10000.0 ** (torch.arange(0, width, 2, device=positions.device, dtype=wide) / -width)
    return (positions.to(wide).unsqueeze(-1) * frequencies).float()  # (T, width / 2)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn x (..., T, E): dimension i and i + E/2 are the two coordinates that turn together."""
    return _Rotate.apply(x, rotation.cos.to(x.dtype), rotation.sin.to(x.dtype))  # type: ignore[no-any-return]


class _Rotate(torch.autograd.Function):
    """The gradient of a turn is the turn back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        cos, sin = ctx.saved_tensors
        return _turned(grad, cos, -sin), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    swapped = torch.cat([x[..., x.shape[-1] // 2 :], x[..., : x.shape[-1] // 2]], dim=-1)
    return torch.addcmul(x * torch.cat([cos, cos], dim=-1), swapped, torch.cat([-sin, sin], dim=-1))


_FIRST_ROWS = 4096
"""Of a table of sines: more are made when a sequence has them, whatever the configuration expects."""


class SinusoidalPositions(nn.Module):
    """Adds fixed sines and cosines; its table grows when a sequence is longer than expected."""

    table: Tensor

    def __init__(self, num_positions: int, d_model: int) -> None:
        super().__init__()
        self.register_buffer(
            "table", sinusoids(torch.arange(min(num_positions, _FIRST_ROWS)), d_model), persistent=False
        )

    def forward(self, x: Tensor, positions: Tensor, length: int) -> Tensor:
        """Add to x (..., D) the encodings of its positions (...), all below `length`."""
        table = self.table  # which another thread may make anew meanwhile
        if length > table.shape[0]:
            table = sinusoids(torch.arange(2 * length, device=table.device), table.shape[1]).to(table.dtype)
            self.table = table
        return x + table[positions]


class LearnedPositions(nn.Module):
    """Adds one trained vector for each position."""

    def __init__(self, num_positions: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_positions, d_model))

    def forward(self, x: Tensor, positions: Tensor, length: int) -> Tensor:
        """Add to x (..., D) the vectors of its positions (...), all below `length`; raises when there are too few."""
        if length > self.weight.shape[0]:
            raise TransformerMTError(
                f"model.max_positions: learned positions end at {self.weight.shape[0]}, but a sequence has {length} "
                "pieces; shorten it, or train with a larger max_positions"
            )
        return x + F.embedding(positions, self.weight)


class NoPositions(nn.Module):
    """Adds nothing: for rotary positions, which act inside the attention, and for none at all."""

    def forward(self, x: Tensor, positions: Tensor, length: int) -> Tensor:
        return x
