"""What a decoder remembers of the tokens so far, so that a step computes the newest one only.

Axes: L layers, B sentences, K hypotheses of each, H heads, E width of a head, t positions filled, R entries there is
room for. K entries are written at each position, one by each hypothesis.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from transformer_mt.native import kernels
from transformer_mt.native.decoder import Entries

_FIRST_ROOM = 32
"""Positions. What is not written to takes no memory yet."""
_ROUND, _WORTH_LEAVING = 8, 0.7
"""Dead branches are looked for when so many positions are new, and left out where so small a share is alive."""

HIDDEN = -1e9
"""Added to the score of a key that may not be attended to: finite, so that a row without visible key has no NaN."""


def hiding_bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to the scores: 0 where `mask` is True, HIDDEN elsewhere."""
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, HIDDEN)


class Keys(NamedTuple):
    """What the K queries of each sentence attend to."""

    keys: Tensor
    """(B, H, S, E)."""
    values: Tensor
    """(B, H, S, E)."""
    bias: Tensor | None
    """(B, 1, 1 or K, S), 0 for a visible key and HIDDEN for others; None when all are visible."""


class DecoderCache:
    """Self-attention keys and values of every layer; each stays where it was written.

    The hypotheses of a sentence form a tree: each sees the entries of its ancestors, which `bias` tells. To reorder
    hypotheses is to reorder rows of the bias; keys and values are not copied for it. Now and then the entries that
    are nobody's any more are left out. Buffers are made by the first `write` and double when full. `window` is the
    attention window: older positions stay, but are not given out.
    """

    def __init__(self, num_layers: int, window: int | None = None) -> None:
        self.num_layers = num_layers
        self.window = window
        self.num_written = 0
        self.buffer: Tensor | None = None  # keys and values (2, L, B, H, R, E)
        self.bias: Tensor | None = None  # (B, 1, K, R)

    def write(self, layer: int, position: int, k: Tensor, v: Tensor) -> Keys:
        """Store k, v (B, K, H, E) of `position`, positions and layers coming in order; returns what the layer sees."""
        num_hypotheses = k.shape[1]
        if layer == 0:
            self.begin(k)
        assert self.buffer is not None and self.bias is not None
        buffer, bias, end = self.buffer, self.bias, self.num_written
        start = end - num_hypotheses
        buffer[0, layer, ..., start:end, :] = k.transpose(1, 2)
        buffer[1, layer, ..., start:end, :] = v.transpose(1, 2)
        first = 0 if self.window is None else max(0, position - self.window) * num_hypotheses
        keys, values = buffer[:, layer, ..., first:end, :]
        return Keys(keys, values, None if num_hypotheses == 1 else bias[..., first:end])

    def begin(self, like: Tensor) -> Entries:
        """Room for a new position of keys (B, K, H, E) like these; each hypothesis sees the entry that it writes."""
        num_hypotheses = like.shape[1]
        start, end = self.num_written, self.num_written + num_hypotheses
        buffer, bias = self._with_room_for(end, like)
        self.num_written = end
        if num_hypotheses == 1:
            return Entries(buffer, None, end)
        own = torch.eye(num_hypotheses, dtype=torch.bool, device=like.device)
        bias[..., start:end] = hiding_bias(own, bias.dtype)
        return Entries(buffer, bias, end)

    def reorder(self, parents: Tensor) -> None:
        """Let hypothesis k of sentence b go on from parents[b, k] (B, K)."""
        num_hypotheses = parents.shape[1]
        if self.bias is None or num_hypotheses == 1:
            return
        written = self.bias[..., : self.num_written]
        written.copy_(written.gather(2, parents[:, None, :, None].expand_as(written)))
        if self.window is None and self.num_written % (_ROUND * num_hypotheses) < num_hypotheses:
            self._leave_out_dead_branches()

    def _leave_out_dead_branches(self) -> None:
        """Keep the entries that some hypothesis sees; where sentences differ in their number, hidden ones fill up."""
        assert self.buffer is not None and self.bias is not None
        is_seen = (self.bias[..., : self.num_written] == 0).any(dim=2).squeeze(1)  # (B, entries)
        count = int(is_seen.sum(dim=1).max())
        if count > _WORTH_LEAVING * self.num_written:
            return
        entries = is_seen.byte().argsort(dim=1, descending=True, stable=True)[:, :count]
        heads = self.buffer.view(2 * self.num_layers, -1, *self.buffer.shape[-2:])  # (2 L, B * H, R, E)
        place = entries.repeat_interleave(self.buffer.shape[3], dim=0)  # (B * H, count)
        heads[:, :, :count] = heads[:, torch.arange(len(place), device=place.device).unsqueeze(1), place]
        self.bias[:, 0, :, :count] = self.bias[:, 0].gather(2, entries.unsqueeze(1).expand(-1, self.bias.shape[2], -1))
        self.num_written = count

    def select(self, rows: Tensor) -> None:
        """Keep the sentences `rows` (B',) only, in that order; those that keep their place are not copied."""
        if self.buffer is None or self.bias is None:
            return
        count, end = len(rows), self.num_written
        moved = (rows != torch.arange(count, device=rows.device)).nonzero().squeeze(1)
        if len(moved) > 0:
            self.buffer[:, :, moved, :, :end] = self.buffer[:, :, rows[moved], :, :end]
            self.bias[moved, ..., :end] = self.bias[rows[moved], ..., :end]
        self.buffer, self.bias = self.buffer[:, :, :count], self.bias[:count]

    def _with_room_for(self, end: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """The buffers, made or doubled where they have less than `end` entries, for keys (B, K, H, E) like these."""
        batch, num_hypotheses, heads, width = like.shape
        if self.buffer is None or self.bias is None:
            room, dtype = max(_FIRST_ROOM * (num_hypotheses + 1), end), attention_dtype(like, width)
            self.buffer = like.new_empty(2, self.num_layers, batch, heads, room, width, dtype=dtype)
            self.bias = like.new_full((batch, 1, num_hypotheses, room), HIDDEN, dtype=dtype)
        elif end > self.bias.shape[-1]:
            self.buffer = torch.cat([self.buffer, torch.empty_like(self.buffer)], dim=-2)
            self.bias = torch.cat([self.bias, torch.full_like(self.bias, HIDDEN)], dim=-1)
        return self.buffer, self.bias


def attention_dtype(x: Tensor, width: int) -> torch.dtype:
    """The type in which what is made of x is attended to, in heads of `width`.

    Where PyTorch does it on the CPU that is float32: its products in bf16 compile for each new length.
    """
    is_compiled = x.device.type == "cpu" and x.dtype == torch.bfloat16 and not kernels.can_attend(x, width)
    return torch.float32 if is_compiled else x.dtype
