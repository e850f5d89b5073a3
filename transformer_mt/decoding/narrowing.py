"""A vocabulary of the tokens that a batch may say, in place of all of them.

Axes: B sentences, S source length, V vocabulary, n tokens that some sentence of the batch may say.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from transformer_mt.data.shortlist import Shortlist
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID

_SIZE_STEP = 512
"""Sizes are multiples of it, so that they recur: fast products are made for each."""


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Tokens by their places; what a sentence may say does not depend on those beside it."""

    ids: Tensor
    """(n,): the token at each place."""
    bias: Tensor
    """(B, 1, n): 0 for what a sentence may say, -inf for what only others may; added to logits."""
    bos_place: int
    eos_place: int

    def select(self, rows: Tensor) -> "Narrowed":
        """That of the sentences at `rows`."""
        return Narrowed(self.ids, self.bias[rows], self.bos_place, self.eos_place)


class Narrowing:
    """A shortlist, ready to narrow the vocabulary of batches."""

    def __init__(self, shortlist: Shortlist, num_targets: int, device: torch.device) -> None:
        self.likely = torch.from_numpy(shortlist.likely).long().to(device)
        self.always = torch.from_numpy(shortlist.always).long().to(device)
        self.num_targets = num_targets

    def of(self, src: Tensor) -> Narrowed:
        """The vocabulary of a batch src (B, S)."""
        own = self.likely[src].flatten(1)  # (B, S * likely)
        is_said = torch.zeros(self.num_targets, dtype=torch.bool, device=src.device)
        is_said[own.flatten()] = is_said[self.always] = True
        is_said[BOS_ID] = True  # which hypotheses begin with
        ids = is_said.nonzero().squeeze(1)
        place = is_said.cumsum(0) - 1  # (V,)
        spare = -len(ids) % _SIZE_STEP
        bias = torch.full((len(src), len(ids) + spare), -torch.inf, device=src.device)
        bias.scatter_(1, place[own], 0.0)
        bias[:, place[self.always]] = 0.0
        ids = F.pad(ids, (0, spare), value=EOS_ID)
        return Narrowed(ids, bias.unsqueeze(1), int(place[BOS_ID]), int(place[EOS_ID]))
