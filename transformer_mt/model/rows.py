"""Sentences without their padding: the rows in which every layer computes, and the way into the heads and back.

Axes: B sentences, T their padded length, N rows, D d_model, P parts (queries, keys, values), H heads, E = D / H.
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from transformer_mt.model.linear import num_missing_rows, shapes_are_compiled
from transformer_mt.tensors import moved

_SENTENCE_BLOCK, _LENGTH_BLOCK = 16, 4
"""Where shapes are compiled, attention sees multiples of these; else nearly every batch would be a new shape."""


class Rows:
    """Where the tokens of padded sentences (B, T) lie in a matrix (N, ...) with one row for each token.

    The rows come in the order of the sentences. One spare row at least follows them, which stands for padding: its
    values are finite, it feeds nothing, and no gradient reaches it.
    """

    def __init__(self, real: Tensor, dtype: torch.dtype, device: torch.device | None = None) -> None:
        """`real` (B, T) is False at padding; `dtype` and `device` are those of the weights.

        `real` may lie on the host: then the rows are counted there, and no card is waited for.
        """
        self.device = device or real.device
        self.padded_shape = real.shape
        is_filled_up = shapes_are_compiled(self.device.type, dtype)
        if is_filled_up:
            real = F.pad(real, (0, -real.shape[1] % _LENGTH_BLOCK, 0, -real.shape[0] % _SENTENCE_BLOCK))
        self.num_sentences, self.length = real.shape
        taken = real.flatten().nonzero().squeeze(1)  # (tokens,)
        self.num_tokens = len(taken)
        self.num_rows = self.num_tokens + 1
        if is_filled_up:
            self.num_rows += num_missing_rows(self.num_rows)
        slots = F.pad(taken, (0, self.num_rows - self.num_tokens))
        places = torch.full((real.numel(),), self.num_rows - 1, device=real.device)
        places[taken] = torch.arange(self.num_tokens, device=real.device)
        self._real = real
        self.slots = moved(slots, self.device)  # (N,): place in (B * T) of each row
        self.places = moved(places, self.device)  # (B * T): row of each place
        self.positions = self.slots % self.length
        self.mask = moved(real, self.device)[:, None, None, :]
        self._moves: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    @functools.cached_property
    def lengths(self) -> Tensor:
        """How many tokens each sentence (B,) has, where the caller's mask lies."""
        return self._real.sum(dim=1)

    def take(self, ids: Tensor, pad_id: int) -> Tensor:
        """The rows' ids (N,) of padded ids (B, T); spare rows hold pad_id."""
        tokens = ids[self._real[: ids.shape[0], : ids.shape[1]]]
        return moved(F.pad(tokens, (0, self.num_rows - self.num_tokens), value=pad_id), self.device)

    def pack(self, x: Tensor) -> Tensor:
        """The rows (N, D) of padded vectors (B, T, D)."""
        x = F.pad(x, (0, 0, 0, self.length - x.shape[1], 0, self.num_sentences - x.shape[0]))
        return x.flatten(0, 1)[self.slots]

    def unpack(self, x: Tensor) -> Tensor:
        """Padded vectors (B, T, D) of the rows x (N, D); padding gets what the last spare row has."""
        padded = x[self.places].unflatten(0, (self.num_sentences, self.length))
        return padded[: self.padded_shape[0], : self.padded_shape[1]]

    def split(self, x: Tensor, num_parts: int, num_heads: int) -> Tensor:
        """The heads (P, B, H, T, E) of projected rows x (N, P * D)."""
        there, back = self._index(num_parts, num_heads)
        per_row = num_parts * num_heads
        heads = _Move.apply(x.view(self.num_rows * per_row, -1), there, back, self.num_tokens * per_row)
        return heads.view(num_parts, self.num_sentences, num_heads, self.length, -1)

    def join(self, heads: Tensor) -> Tensor:
        """The rows (N, D) of heads (B, H, T, E)."""
        num_heads = heads.shape[1]
        back, there = self._index(1, num_heads)
        rows = _Move.apply(heads.reshape(-1, heads.shape[-1]), there, back, None)
        return rows.view(self.num_rows, -1)

    def _index(self, num_parts: int, num_heads: int) -> tuple[Tensor, Tensor]:
        """For pieces of width E: which piece of the rows each piece of the heads is, and the other way round."""
        key = (num_parts, num_heads)
        if key not in self._moves:
            device, per_row = self.places.device, num_parts * num_heads
            part = torch.arange(num_parts, device=device)
            head = torch.arange(num_heads, device=device)
            places = self.places.view(self.num_sentences, 1, self.length) * per_row
            there = places + part.view(-1, 1, 1, 1) * num_heads + head.view(-1, 1)  # (P, B, H, T)
            first = self.slots // self.length * (num_heads * self.length) + self.positions  # (N,)
            back = first.view(-1, 1, 1) + part.view(-1, 1) * (len(self.places) * num_heads) + head * self.length
            self._moves[key] = there.flatten(), back.flatten()  # back is (N, P, H)
        return self._moves[key]


class _Move(torch.autograd.Function):
    """Rows of x by index; as no row is used twice, the gradient is moved back by the inverse index, nothing summed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, inverse: Tensor, num_used: int | None) -> Tensor:
        ctx.save_for_backward(inverse)
        ctx.num_used = num_used
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        (inverse,) = ctx.saved_tensors
        moved = grad.index_select(0, inverse)
        if ctx.num_used is not None:
            moved[ctx.num_used :] = 0.0  # spare rows stand for all padding, and padding has no gradient
        return moved, None, None, None
