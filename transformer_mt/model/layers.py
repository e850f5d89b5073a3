"""The layers of encoder and decoder. Axes: N rows (see `Rows`), B batch, K hypotheses of a sentence, T target
length, S source length, D d_model, F d_ff, H heads, E = D / H.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transformer_mt.config.schema import ModelConfig
from transformer_mt.model.attention import CrossAttention, Past, SelfAttention
from transformer_mt.model.cache import Keys
from transformer_mt.model.dropout import Dropout
from transformer_mt.model.linear import Linear
from transformer_mt.model.positions import Rotation
from transformer_mt.model.rows import Rows

NORM_EPSILON = 1e-5


class RMSNorm(nn.Module):
    """Divide by the root of the mean square and scale (Zhang and Sennrich 2019), in float32."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Tensor) -> Tensor:
        wide = x if x.dtype == torch.float64 else x.float()
        scale = wide.square().mean(dim=-1, keepdim=True).add(NORM_EPSILON).rsqrt()
        return (wide * scale * self.weight).to(x.dtype)


def build_norm(config: ModelConfig) -> nn.Module:
    """The normalisation of one block; PyTorch computes LayerNorm's statistics in float32 for any input."""
    return RMSNorm(config.d_model) if config.norm == "rms" else nn.LayerNorm(config.d_model, eps=NORM_EPSILON)


class FeedForward(nn.Module):
    """Two linear maps with a non-linearity between; swiglu (Shazeer 2020) is silu, multiplied by a third one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.activation = config.activation
        num_inputs = 2 if config.activation == "swiglu" else 1  # gate and value in one product
        self.in_proj = Linear(config.d_model, num_inputs * config.d_ff, num_fused=num_inputs)
        self.out_proj = Linear(config.d_ff, config.d_model)
        self.dropout = Dropout(config.activation_dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map each position of x (..., D) on its own."""
        return self.out_proj(self.dropout(self._activated(x)))  # type: ignore[no-any-return]

    def _activated(self, x: Tensor) -> Tensor:
        if self.activation == "relu":
            return self.in_proj(x, relu=True)  # type: ignore[no-any-return]
        x = self.in_proj(x)
        if self.activation == "gelu":
            return F.gelu(x)
        if self.activation == "silu":
            return F.silu(x)
        gate, value = x.chunk(2, dim=-1)
        return F.silu(gate) * value


class _Layer(nn.Module):
    """What both kinds of layers share: a residual around each block, normalised before or after."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pre_norm = config.norm_order == "pre"
        self.dropout = Dropout(config.dropout)
        self.self_attention = SelfAttention(config.d_model, config.num_heads, config.attention_dropout)
        self.self_attention_norm = build_norm(config)

    def residual(self, x: Tensor, norm: nn.Module, block: Callable[[Tensor], Tensor]) -> Tensor:
        """x + block(norm(x)) in pre-norm order, norm(x + block(x)) in post-norm order."""
        if self.pre_norm:
            return self.dropout.add(x, block(norm(x)))
        return norm(self.dropout.add(x, block(x)))  # type: ignore[no-any-return]

    def attend_self(self, x: Tensor, rows: Rows, mask: Tensor | None, rotation: Rotation | None) -> Tensor:
        """The first block, see `SelfAttention`."""
        return self.residual(x, self.self_attention_norm, lambda y: self.self_attention(y, rows, mask, rotation))

    def self_weights(self, x: Tensor, rows: Rows, mask: Tensor | None, rotation: Rotation | None) -> Tensor:
        """How the heads attend, (B, H, T, T), where `attend_self` is given the same."""
        return self.self_attention.weights(self.self_attention_norm(x) if self.pre_norm else x, rows, mask, rotation)


class EncoderLayer(_Layer):
    """Self-attention, then feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = build_norm(config)

    def forward(self, x: Tensor, rows: Rows, mask: Tensor, rotation: Rotation | None) -> Tensor:
        """Map x (N, D), attending where mask (B, 1, 1 or S, S) is True."""
        x = self.attend_self(x, rows, mask, rotation)
        return self.residual(x, self.feed_forward_norm, self.feed_forward)


class DecoderLayer(_Layer):
    """Causal self-attention, attention to the encoder's output, then feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.cross_attention = CrossAttention(config.d_model, config.num_heads, config.attention_dropout)
        self.cross_attention_norm = build_norm(config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = build_norm(config)

    def forward(
        self,
        x: Tensor,
        rows: Rows,
        memory: Tensor,
        memory_rows: Rows,
        self_mask: Tensor | None,
        rotation: Rotation | None,
    ) -> Tensor:
        """Map x (N, D), given memory (M, D); self_mask (T, T) stands in for plain causality when it is given."""
        return self.attend_memory(self.attend_self(x, rows, self_mask, rotation), rows, memory, memory_rows)

    def attend_memory(self, x: Tensor, rows: Rows, memory: Tensor, memory_rows: Rows) -> Tensor:
        """What follows the attention to itself."""
        x = self.residual(x, self.cross_attention_norm, lambda y: self.cross_attention(y, rows, memory, memory_rows))
        return self.residual(x, self.feed_forward_norm, self.feed_forward)

    def cross_weights(self, x: Tensor, rows: Rows, memory: Tensor, memory_rows: Rows) -> Tensor:
        """How the heads attend to the memory, (B, H, T, S), where `attend_memory` is given the same."""
        query = self.cross_attention_norm(x) if self.pre_norm else x
        return self.cross_attention.weights(query, rows, memory, memory_rows)

    def step(self, x: Tensor, past: Past, memory_keys: Keys) -> Tensor:
        """Map the newest position x (B, K, D) of the K hypotheses of each sentence.

        memory_keys are the `CrossAttention.memory_keys` of the sentences.
        """
        x = self.residual(x, self.self_attention_norm, lambda y: self.self_attention.step(y, past))
        x = self.residual(x, self.cross_attention_norm, lambda y: self.cross_attention.step(y, memory_keys))
        return self.residual(x, self.feed_forward_norm, self.feed_forward)
