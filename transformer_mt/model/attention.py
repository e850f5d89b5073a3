"""Attention: the one function that attends, and the two blocks built on it.

Axes: B batch, H heads, T query length, S key length, D d_model, E = D / H. Masks: True = may attend.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transformer_mt.model.cache import HIDDEN, DecoderCache, Keys, attention_dtype, hiding_bias
from transformer_mt.model.dropout import keep_mask
from transformer_mt.model.linear import Linear
from transformer_mt.model.positions import Rotation, rotate
from transformer_mt.model.rows import Rows
from transformer_mt.native import kernels


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, is_causal: bool = False, dropout: float = 0.0
) -> Tensor:
    """Scaled dot-product attention from q (B, H, T, E) to k, v (B, H, S, E), giving (B, H, T, E).

    `mask`, True = may attend, broadcasts to (B, H, T, S); is_causal lets query i see keys up to i and
    excludes a mask. `dropout` is the probability of zeroing an attention weight.
    """
    if _products_are_faster(q):
        return attend_by_products(q, k, v, mask, is_causal, dropout)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal, dropout_p=dropout)


def _products_are_faster(q: Tensor) -> bool:
    """Whether plain matrix products beat PyTorch's fused attention: when training in bfloat16 on the CPU.

    There the backward of the fused kernel is slow: forward and backward together take 1.9 to 6.3 times as
    long as the products (lengths 256 to 16, heads of 64, one core). Without gradients, or in float32, the
    fused kernel is the faster one, by 1.2 to 1.9 times.
    """
    return q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.requires_grad


def attend_by_products(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, is_causal: bool = False, dropout: float = 0.0
) -> Tensor:
    """`attend` written out as matrix products.

    PyTorch's softmax computes in float32 inside and rounds its result, whatever the type of the scores.
    """
    return _AttendByProducts.apply(q, k, v, _bias(q, k, mask, is_causal), dropout)  # type: ignore[no-any-return]


def attend_cached(q: Tensor, seen: Keys) -> Tensor:
    """Attention of the newest position: from q (B, K, H, E) to S keys of the same sentence, giving (B, K, D)."""
    num_heads, width = q.shape[2:]
    if kernels.can_attend(q, width) and seen.keys.dtype == q.dtype:
        return kernels.attend(q, *seen)
    heads = q.transpose(1, 2).to(seen.keys.dtype, memory_format=torch.contiguous_format).flatten(0, 1)
    scores = _product(heads, seen.keys.mT.flatten(0, 1), width**-0.5).unflatten(0, (-1, num_heads))
    if seen.bias is not None:
        scores += seen.bias
    wide = torch.promote_types(scores.dtype, torch.float32)
    probs = torch.softmax(scores, dim=-1, dtype=wide).to(scores.dtype).flatten(0, 1)
    context = torch.bmm(probs, seen.values.flatten(0, 1)).unflatten(0, (-1, num_heads))  # (B, H, K, E)
    return context.transpose(1, 2).to(q.dtype, memory_format=torch.contiguous_format).flatten(2)


class _AttendByProducts(torch.autograd.Function):
    """drop(softmax(q k^T / sqrt(E) + bias)) v; its gradient is written out to pass over the scores less often."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, dropout: float) -> Tensor:
        ctx.shape = q.shape[:2]
        q, k, v = (x.flatten(0, 1) for x in (q, k, v))  # (B * H, T or S, E)
        scores = _product(q, k.mT, q.shape[-1] ** -0.5)
        if bias is not None:
            scores.unflatten(0, ctx.shape).add_(bias)
        probs = scores.softmax(dim=-1)  # (B * H, T, S)
        ctx.scale, kept = keep_mask(probs, dropout) if dropout else (1.0, None)
        ctx.save_for_backward(q, k, v, probs, kept)
        return _product(_dropped(probs, kept, ctx.scale), v).unflatten(0, ctx.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        q, k, v, probs, kept = ctx.saved_tensors
        grad = grad.flatten(0, 1)
        grad_v = _product(_dropped(probs, kept, ctx.scale).mT, grad)
        grad_probs = _dropped(_product(grad, v.mT), kept, ctx.scale)
        grad_scores = torch._softmax_backward_data(grad_probs, probs, -1, probs.dtype)
        grad_q, grad_k = (
            _product(scores, x, q.shape[-1] ** -0.5) for scores, x in ((grad_scores, k), (grad_scores.mT, q))
        )
        return *(x.unflatten(0, ctx.shape) for x in (grad_q, grad_k, grad_v)), None, None


def _product(a: Tensor, b: Tensor, scale: float = 1.0) -> Tensor:
    return torch.baddbmm(a.new_empty(()), a, b, beta=0, alpha=scale)


def _dropped(probs: Tensor, kept: Tensor | None, scale: float) -> Tensor:
    return probs if kept is None else probs.mul(kept).mul_(scale)


def _bias(q: Tensor, k: Tensor, mask: Tensor | None, is_causal: bool) -> Tensor | None:
    """What is added to the scores: 0 where a query may attend to a key, else a large negative number."""
    if is_causal:
        return q.new_full((q.shape[-2], k.shape[-2]), HIDDEN).triu(1)
    return None if mask is None else hiding_bias(mask, q.dtype)


def window_mask(length: int, window: int, device: torch.device) -> Tensor:
    """The mask (T, T) of local attention, |i - j| <= window."""
    positions = torch.arange(length, device=device)
    return (positions.unsqueeze(-1) - positions).abs() <= window


def attention_weights(q: Tensor, k: Tensor, mask: Tensor) -> Tensor:
    """The weights (B, H, T, S), in float32 or wider, by which `attend` sums up values; mask as there."""
    scores = q @ k.mT * q.shape[-1] ** -0.5
    wide = torch.promote_types(scores.dtype, torch.float32)
    return scores.masked_fill(~mask, -torch.inf).softmax(dim=-1, dtype=wide)


class Past(NamedTuple):
    """Where one decoder layer is in cached decoding."""

    cache: DecoderCache
    layer: int
    position: int
    rotation: Rotation | None


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself, its three projections fused into one product."""

    def __init__(self, d_model: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.qkv_proj = Linear(d_model, 3 * d_model, num_fused=3)
        self.out_proj = Linear(d_model, d_model)

    def forward(self, x: Tensor, rows: Rows, mask: Tensor | None, rotation: Rotation | None) -> Tensor:
        """Attend within the sentences of x (N, D) where mask, broadcast to (B, H, T, T), is True; None is causal."""
        qkv = self.qkv_proj(x)
        if mask is rows.mask and kernels.can_attend(qkv, qkv.shape[-1] // (3 * self.num_heads)):
            return self.out_proj(self._attend_within(qkv, rows, rotation))  # type: ignore[no-any-return]
        q, k, v = rows.split(qkv, 3, self.num_heads).unbind()  # each (B, H, T, E)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        context = attend(q, k, v, mask, mask is None, self.dropout if self.training else 0.0)
        return self.out_proj(rows.join(context))  # type: ignore[no-any-return]

    def weights(self, x: Tensor, rows: Rows, mask: Tensor | None, rotation: Rotation | None) -> Tensor:
        """The weights (B, H, T, T) by which `forward` attends, in float32 or wider."""
        q, k, _ = rows.split(self.qkv_proj(x), 3, self.num_heads).unbind()
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        causal = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
        return attention_weights(q, k, causal if mask is None else mask)

    def _attend_within(self, qkv: Tensor, rows: Rows, rotation: Rotation | None) -> Tensor:
        """What comes of projections (N, 3 * D) when all tokens of a sentence see each other, without any padding."""
        parts = qkv.unflatten(-1, (3, self.num_heads, -1))
        if rotation is not None:
            turns = (turn[rows.positions, None, None] for turn in rotation)  # (N, 1, 1, E / 2)
            parts = torch.cat([rotate(parts[:, :2], Rotation(*turns)), parts[:, 2:]], dim=1)
        return kernels.attend_within(parts, rows.lengths)

    def step(self, x: Tensor, past: Past) -> Tensor:
        """Attend from the newest position x (B, K, D) of K hypotheses of each sentence to what came before it."""
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)) for part in self.qkv_proj(x).chunk(3, dim=-1))
        if past.rotation is not None:
            q, k = rotate(q, past.rotation), rotate(k, past.rotation)
        seen = past.cache.write(past.layer, past.position, k, v)
        return self.out_proj(attend_cached(q, seen))  # type: ignore[no-any-return]


class CrossAttention(nn.Module):
    """Multi-head attention of a target sequence to the encoder's output."""

    def __init__(self, d_model: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.q_proj = Linear(d_model, d_model)
        self.kv_proj = Linear(d_model, 2 * d_model, num_fused=2)
        self.out_proj = Linear(d_model, d_model)

    def forward(self, x: Tensor, rows: Rows, memory: Tensor, memory_rows: Rows) -> Tensor:
        """Attend from x (N, D) to the rows of memory (M, D) of the same sentence."""
        q = rows.split(self.q_proj(x), 1, self.num_heads)[0]  # (B, H, T, E)
        k, v = memory_rows.split(self.kv_proj(memory), 2, self.num_heads).unbind()  # (B, H, S, E)
        context = attend(q, k, v, memory_rows.mask, dropout=self.dropout if self.training else 0.0)
        return self.out_proj(rows.join(context))  # type: ignore[no-any-return]

    def weights(self, x: Tensor, rows: Rows, memory: Tensor, memory_rows: Rows) -> Tensor:
        """The weights (B, H, T, S) by which `forward` attends, in float32 or wider."""
        q = rows.split(self.q_proj(x), 1, self.num_heads)[0]
        k, _ = memory_rows.split(self.kv_proj(memory), 2, self.num_heads).unbind()
        return attention_weights(q, k, memory_rows.mask)

    def step(self, x: Tensor, memory_keys: Keys) -> Tensor:
        """Attend from x (B, K, D) to the memory of the same sentence."""
        q = self.q_proj(x).unflatten(-1, (self.num_heads, -1))
        return self.out_proj(attend_cached(q, memory_keys))  # type: ignore[no-any-return]

    def memory_keys(self, memory: Tensor, bias: Tensor | None) -> Keys:
        """What `step` attends to, from memory (B, S, D); `bias` (B, 1, 1, S) hides its padding."""
        k, v = self.kv_proj(memory).unflatten(-1, (2, self.num_heads, -1)).unbind(2)  # (B, S, H, E)
        keys, values = k.transpose(1, 2), v.transpose(1, 2)
        if kernels.can_attend(k, k.shape[-1]):
            return Keys(keys, values, bias)
        dtype, layout = attention_dtype(k, k.shape[-1]), torch.contiguous_format
        keys = keys.mT.to(dtype, memory_format=layout).mT  # (B, H, E, S) in memory, as products like it
        return Keys(keys, values.to(dtype, memory_format=layout), bias)
