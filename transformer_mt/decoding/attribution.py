"""Which source piece each piece of a translation owes its probability to, by occlusion."""

from collections.abc import Sequence

import torch
from torch import Tensor

from transformer_mt.data.vocabulary import PAD_ID
from transformer_mt.decoding.searcher import Searcher, Segment


def occlusion(searcher: Searcher, src_ids: Sequence[int], tgt_ids: Sequence[int]) -> Tensor:
    """The log-probability (T, S) that each target piece loses when a source piece is hidden: float32.

    `src_ids` (S,) end with eos, `tgt_ids` (T - 1,) have none, though its loss is told as well. A piece is hidden by
    masking it from all attention, so that the others keep their places (occlusion, Zeiler and Fergus 2014; Li et al.
    2016 erase words alike). The source's eos is never hidden, for no row of attention may be empty: it has 0.
    """
    hidden = [[*src_ids[:place], PAD_ID, *src_ids[place + 1 :]] for place in range(len(src_ids) - 1)]
    whole, *without = searcher.token_log_probs([(Segment(ids), tgt_ids) for ids in (src_ids, *hidden)])
    lost = [torch.tensor(whole) - torch.tensor(row) for row in without]
    return torch.stack([*lost, torch.zeros(len(whole))], dim=1)
