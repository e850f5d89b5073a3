"""What models make of a translation that is given: its probability token by token, and where they look meanwhile.

Axes: B sentences, S source length, T target length, D d_model, V vocabulary.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from transformer_mt.model.transformer import Transformer

_SENTENCES_AT_ONCE = 16
"""Whose logits are made together, so that the vocabulary does not rule memory."""


def token_log_probs(models: Sequence[Transformer], src: Tensor, tgt: Tensor) -> list[list[float]]:
    """For each sentence the log-probabilities of tgt (B, T + 1), from bos to eos, given src (B, S); bos has none.

    Of several models, the logarithm of the mean of their probabilities.
    """
    hidden = [_hidden(model, src, tgt[:, :-1]) for model in models]
    found: list[list[float]] = []
    for start in range(0, len(src), _SENTENCES_AT_ONCE):
        part = slice(start, start + _SENTENCES_AT_ONCE)
        wanted = tgt[part, 1:].unsqueeze(-1)
        every = [_log_softmax(*one) for one in zip(models, (states[part] for states in hidden), strict=True)]
        log_probs = mean_of_probabilities([one.gather(-1, wanted) for one in every]).squeeze(-1).tolist()
        lengths = (tgt[part, 1:] != models[0].pad_id).sum(dim=1).tolist()
        found += [row[:length] for row, length in zip(log_probs, lengths, strict=True)]
    return found


def mean_of_probabilities(log_probs: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean of what these are the logarithms of."""
    return torch.stack(list(log_probs)).logsumexp(dim=0) - math.log(len(log_probs))


def cross_attention(model: Transformer, src: Tensor, tgt_in: Tensor) -> Tensor:
    """The weights (B, T, S) of src (B, S) when the token after each of tgt_in (B, T) is said, in float32.

    The mean over all heads of all layers: which single layer is best depends on the model, and the mean is near it.
    """
    weights = model.cross_attention(tgt_in, model.encode(src), model.source_mask(src))
    return weights.float().mean(dim=(0, 2))


def _hidden(model: Transformer, src: Tensor, tgt_in: Tensor) -> Tensor:
    return model.decode(tgt_in, model.encode(src), model.source_mask(src))


def _log_softmax(model: Transformer, hidden: Tensor) -> Tensor:
    return F.log_softmax(model.project(hidden), dim=-1, dtype=torch.float32)
