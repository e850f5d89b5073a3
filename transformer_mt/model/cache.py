"""What a decoder remembers of the tokens so far, so that a step computes the newest one only.

Axes: L layers, B sentences, K hypotheses of each, H heads, T_max positions there is room for, t positions
filled, E width of a head.
"""

import torch
from torch import Tensor

_FIRST_ROOM = 16


class DecoderCache:
    """Self-attention keys and values of every layer, in one buffer (2, L, B, K, H, T_max, E) that doubles when full.

    The buffer is made by the first `write`. `window` is the attention window: older positions stay in the
    buffer but are not given out.
    """

    def __init__(self, num_layers: int, window: int | None = None) -> None:
        self.num_layers = num_layers
        self.window = window
        self.buffer: Tensor | None = None

    def write(self, layer: int, position: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store k, v (B, K, H, E) of `position`; returns the layer's keys and values that it sees, (B, K, H, t, E)."""
        buffer = self._with_room_for(position, k)
        buffer[0, layer, ..., position, :] = k
        buffer[1, layer, ..., position, :] = v
        first = 0 if self.window is None else max(0, position - self.window)
        seen = buffer[:, layer, ..., first : position + 1, :]
        return seen[0], seen[1]

    def reorder(self, parents: Tensor) -> None:
        """Let hypothesis k of sentence b go on from parents[b, k]; parents (B, K') may change their number."""
        if self.buffer is None or (self.buffer.shape[3] == 1 and parents.shape[1] == 1):
            return  # nothing written, or each has one parent only
        num_sentences, num_hypotheses = self.buffer.shape[2:4]
        first = torch.arange(0, num_sentences * num_hypotheses, num_hypotheses, device=parents.device)
        rows = (first.unsqueeze(-1) + parents).flatten()  # (B * K')
        self.buffer = self.buffer.flatten(2, 3).index_select(2, rows).unflatten(2, tuple(parents.shape))

    def select(self, rows: Tensor) -> None:
        """Keep the sentences `rows` (B',) only, in that order."""
        if self.buffer is not None:
            self.buffer = self.buffer.index_select(2, rows)

    def _with_room_for(self, position: int, like: Tensor) -> Tensor:
        """The buffer, made or doubled where `position` does not fit, for keys (B, K, H, E) like these."""
        if self.buffer is None:
            room = max(_FIRST_ROOM, position + 1)
            *rows, width = like.shape
            self.buffer = like.new_empty(2, self.num_layers, *rows, room, width)
        elif position >= self.buffer.shape[-2]:
            self.buffer = torch.cat([self.buffer, torch.empty_like(self.buffer)], dim=-2)
        return self.buffer
