"""Label-smoothed cross-entropy, summed over target tokens.

Axes: N target positions, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 19
"""Logits taken to float32 at a time: 2 MB, which stays in a core's cache; a larger vocabulary takes fewer rows."""


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Turns the logits into their gradient in place, a chunk of rows at a time: one pass, no copy."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float, divisor: float) -> tuple[Tensor, Tensor]:
        vocab_size = logits.shape[1]
        ctx.later = 1.0
        if logits.dtype == torch.float16:  # small gradients would be lost before the scaler makes them larger
            ctx.later, divisor = divisor, 1.0
        grads, rows = logits.detach(), max(1, CHUNK_ELEMENTS // vocab_size)
        grads[len(targets) :] = 0.0
        objective, loss = (torch.zeros((), dtype=torch.float32, device=logits.device) for _ in range(2))
        for part, target in zip(grads[: len(targets)].split(rows), targets.unsqueeze(1).split(rows), strict=True):
            scores = part.to(torch.promote_types(part.dtype, torch.float32), copy=True)
            right, mean = scores.gather(1, target), scores.mean(dim=1, keepdim=True)
            peak = scores.amax(dim=1, keepdim=True)
            total = scores.sub_(peak).exp_().sum(dim=1, keepdim=True)
            normalizer = total.log() + peak
            loss += (normalizer - right).sum()
            objective += (normalizer - (1.0 - smoothing) * right - smoothing * mean).sum()
            # softmax minus the target distribution
            scores.div_(total.mul_(divisor)).sub_(smoothing / vocab_size / divisor)
            scores.scatter_add_(1, target, scores.new_full(target.shape, (smoothing - 1.0) / divisor))
            part.copy_(scores)
        ctx.save_for_backward(grads)
        ctx.mark_non_differentiable(loss)
        return objective.div_(divisor * ctx.later), loss

    @staticmethod
    def backward(ctx: Any, grad_objective: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        (grads,) = ctx.saved_tensors
        factor = grad_objective / ctx.later
        is_one = factor.device.type == "cpu" and float(factor) == 1.0  # a card is not waited for
        return grads if is_one else grads.mul_(factor), None, None, None


def smoothed_cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float, divisor: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Objective and plain negative log-likelihood of targets (N,) under logits (N, V), both summed, in float32.

    The objective comes divided by `divisor`, which costs nothing here and a pass over the logits later.

    Logits may have more rows than there are targets; the rest of them counts for nothing.
    The target distribution gives 1 - smoothing to the right token and spreads the rest evenly over the
    whole vocabulary (Szegedy et al. 2016, section 7). Only the objective carries a gradient, and only once.
    **The logits are used up**: their memory holds the gradient afterwards.
    """
    return _SmoothedCrossEntropy.apply(logits, targets, smoothing, divisor)  # type: ignore[no-any-return]
