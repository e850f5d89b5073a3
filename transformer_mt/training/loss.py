"""Label-smoothed cross-entropy, summed over target tokens.

Axes: N target positions, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 22
"""Logits taken to float32 at a time: 16 MB, which stays near the cache and lets the vocabulary grow."""


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Keeps the logits in their own precision and one float32 number a row; all else is made again in chunks."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        rows = max(1, CHUNK_ELEMENTS // logits.shape[1])
        normalizers, smooth, right = [], [], []
        for chunk, target in zip(logits.split(rows), targets.split(rows), strict=True):
            scores = chunk.float()
            normalizer = scores.logsumexp(dim=1)
            normalizers.append(normalizer)
            right.append(normalizer - scores.gather(1, target.unsqueeze(1)).squeeze(1))
            smooth.append(normalizer - scores.mean(dim=1))
        nll = torch.cat(right).sum()
        ctx.save_for_backward(logits, targets, torch.cat(normalizers))
        ctx.smoothing, ctx.rows = smoothing, rows
        ctx.mark_non_differentiable(nll)
        return (1.0 - smoothing) * nll + smoothing * torch.cat(smooth).sum(), nll.detach()

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        logits, targets, normalizers = ctx.saved_tensors
        grads = torch.empty_like(logits)
        step, vocab_size = ctx.rows, logits.shape[1]
        for start in range(0, len(logits), step):
            part = slice(start, start + step)
            probs = (logits[part].float() - normalizers[part].unsqueeze(1)).exp_()
            probs.sub_(ctx.smoothing / vocab_size)
            probs.scatter_add_(1, targets[part].unsqueeze(1), probs.new_full((len(probs), 1), ctx.smoothing - 1.0))
            grads[part] = probs.mul_(grad_loss)
        return grads, None, None


def smoothed_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Loss and plain negative log-likelihood of targets (N,) under logits (N, V), both summed, in float32.

    The target distribution gives 1 - smoothing to the right token and spreads the rest evenly over the
    whole vocabulary (Szegedy et al. 2016, section 7). Only the loss carries a gradient.
    """
    if len(targets) == 0:
        return logits.sum().float(), logits.new_zeros((), dtype=torch.float32)
    return _SmoothedCrossEntropy.apply(logits, targets, smoothing)
