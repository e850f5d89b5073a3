"""Label-smoothed cross-entropy of an output matrix, summed over target tokens.

Axes: N rows of hidden states, D d_model, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

from transformer_mt.data.batching import Batch
from transformer_mt.device import autocast
from transformer_mt.model.linear import ROW_BLOCK, autocast_dtype
from transformer_mt.model.transformer import Transformer
from transformer_mt.tensors import moved

LOGITS_AT_A_TIME = 1 << 26
"""More logits than this (128 MB in bf16) are never held at once, however large batch and vocabulary are."""
CHUNK_ELEMENTS = 1 << 19
"""Logits taken to float32 at a time: 2 MB, which stays in a core's cache; a larger vocabulary takes fewer rows."""


def batch_loss(
    model: Transformer, batch: Batch, precision: str, smoothing: float, divisor: float = 1.0
) -> tuple[Tensor, Tensor]:
    """`smoothed_cross_entropy` of `model` on a batch, which may lie on the host while the model is on a card."""
    output = model.output_proj
    targets = moved(batch.tgt_out[batch.tgt_out != model.pad_id], output.weight.device)
    with autocast(output.weight.device, precision):
        hidden = model.hidden_rows(batch.src, batch.tgt_in)  # (N, D)
        return smoothed_cross_entropy(hidden, output.weight, targets, smoothing, divisor, output.bias)


def smoothed_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    smoothing: float,
    divisor: float = 1.0,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Objective and plain negative log-likelihood of targets (M,) under logits hidden weight^T + bias, summed.

    hidden (N, D) may have more rows than there are targets; the rest of them counts for nothing. weight is (V, D),
    bias (V,). Both results are float32. The objective comes divided by `divisor`, which costs nothing here and a pass
    over the logits later.

    The target distribution gives 1 - smoothing to the right token and spreads the rest evenly over the
    whole vocabulary (Szegedy et al. 2016, section 7). Only the objective carries a gradient, and only once: it is
    computed at once, a part of the rows after the other, so that no more logits than these are ever in memory.
    """
    hidden = hidden.to(autocast_dtype(hidden.device.type) or hidden.dtype)
    trained = any(x is not None and x.requires_grad for x in (hidden, weight, bias))
    wants_gradient = torch.is_grad_enabled() and trained
    return _Loss.apply(hidden, weight, bias, targets, (smoothing, divisor), wants_gradient)  # type: ignore[no-any-return]


class _Loss(torch.autograd.Function):
    """All gradients are made in the forward pass, where the logits are."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        terms: tuple[float, float],
        wants_gradient: bool,
    ) -> tuple[Tensor, Tensor]:
        smoothing, divisor = terms
        ctx.later = 1.0
        if hidden.dtype == torch.float16:  # small gradients would be lost before the scaler makes them larger
            ctx.later, divisor = divisor, 1.0
        narrow, num_rows = weight.to(hidden.dtype), _rows_at_a_time(len(weight))
        objective, loss = (torch.zeros((), dtype=torch.float32, device=hidden.device) for _ in range(2))
        grad_hidden, grad_weight, grad_bias = torch.empty_like(hidden) if wants_gradient else None, None, None
        for start in range(0, len(hidden), num_rows):
            part = hidden[start : start + num_rows]
            logits = part @ narrow.mT if bias is None else torch.addmm(bias.to(part.dtype), part, narrow.mT)
            _to_gradient(logits, targets[start : start + num_rows], (smoothing, divisor), (objective, loss))
            if grad_hidden is not None:
                torch.mm(logits, narrow, out=grad_hidden[start : start + num_rows])
                grad_weight = _sum_of(grad_weight, logits.mT @ part, weight.dtype)
                if bias is not None:
                    grad_bias = _sum_of(grad_bias, logits.sum(0, dtype=torch.float32), bias.dtype)
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        ctx.mark_non_differentiable(loss)
        return objective.div_(divisor * ctx.later), loss

    @staticmethod
    def backward(ctx: Any, grad_objective: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        factor = grad_objective / ctx.later
        is_one = factor.device.type == "cpu" and float(factor) == 1.0  # a card is not waited for
        grads = (grad if grad is None or is_one else grad.mul_(factor) for grad in ctx.saved_tensors)
        return *grads, None, None, None


def _sum_of(before: Tensor | None, part: Tensor, dtype: torch.dtype) -> Tensor:
    return part.to(dtype) if before is None else before.add_(part)


def _rows_at_a_time(vocab_size: int) -> int:
    return max(ROW_BLOCK, LOGITS_AT_A_TIME // vocab_size // ROW_BLOCK * ROW_BLOCK)


def _to_gradient(logits: Tensor, targets: Tensor, terms: tuple[float, float], sums: tuple[Tensor, Tensor]) -> None:
    """Turn logits (N, V) into their gradient in place, a chunk at a time: one pass, no copy.

    `terms` are label smoothing and divisor; to `sums`, objective (not divided) and loss are added.
    """
    (smoothing, divisor), (objective, loss) = terms, sums
    vocab_size = logits.shape[1]
    rows = max(1, CHUNK_ELEMENTS // vocab_size)
    logits[len(targets) :] = 0.0
    for part, target in zip(logits[: len(targets)].split(rows), targets.unsqueeze(1).split(rows), strict=True):
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
