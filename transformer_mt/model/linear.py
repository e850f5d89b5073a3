"""Linear maps, and how they are computed in bf16 on the CPU: in few passes, on row counts that recur."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transformer_mt.native import kernels

ROW_BLOCK = 256
"""Rows are filled up to a multiple of this: a few per cent of work on zeros instead of a compilation."""


class Linear(nn.Linear):
    """`nn.Linear`, with an optional ReLU after it; in bf16 on the CPU it adds zero rows and cuts them off again.

    oneDNN generates code for each shape of a bf16 product, which takes 1.5 to 6 ms and ten times the
    product itself for the matrices of a small model. Batches differ in their number of tokens, so nearly
    every product of a training step would be a new one. Zero rows change neither result nor gradients.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, num_fused: int = 1) -> None:
        """`num_fused` projections of equal size lie one after the other in the weight."""
        super().__init__(in_features, out_features, bias)
        self.num_fused = num_fused

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """Map x (..., in) to (..., out); with `relu`, what is negative becomes 0."""
        if not shapes_are_compiled(x.device.type, x.dtype):
            return self._map(x, relu)
        rows = x.reshape(-1, x.shape[-1])
        missing = num_missing_rows(len(rows))
        padded = F.pad(rows, (0, 0, 0, missing)) if missing else rows
        if torch.is_grad_enabled() and _HAS_FUSED_MAP:
            mapped = _FusedMap.apply(padded, self.weight, self.bias, relu)
        else:
            mapped = self._map(padded, relu)
        return mapped[: len(rows)].view(*x.shape[:-1], self.out_features) if missing or x.dim() != 2 else mapped

    def rows(self, ids: Tensor) -> "PackedLinear":
        """The map to the outputs `ids` alone."""
        return PackedLinear(self.weight[ids], _at(self.bias, ids), self.weight.dtype)

    def _map(self, x: Tensor, relu: bool) -> Tensor:
        mapped = super().forward(x)
        return F.relu(mapped) if relu else mapped


class PackedLinear(nn.Module):
    """A `Linear` for decoding: its weights in the type that is computed in, laid out as the processor wants them."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.weight = weight.detach().to(dtype)
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.is_fused = dtype == torch.bfloat16 and self.weight.device.type == "cpu" and _HAS_FUSED_MAP
        if self.is_fused:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight, None)

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """As `Linear` does; the result has the type of the weights."""
        x = x.to(self.dtype)
        if self.is_fused:
            act = "relu" if relu else "none"
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, act, [], "")  # type: ignore[no-any-return]
        mapped = F.linear(x, self.weight, self.bias)
        return F.relu(mapped) if relu else mapped


class PackedOutput(PackedLinear):
    """A packed map of which some outputs can be had alone."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        super().__init__(weight, bias, dtype)
        self.unpacked = weight

    def rows(self, ids: Tensor) -> PackedLinear:
        """The map to the outputs `ids` alone."""
        return PackedLinear(self.unpacked[ids], _at(self.bias, ids), self.dtype)


class Int8Linear(nn.Module):
    """A `Linear` for decoding in int8 on the CPU, of bf16 to bf16; see `kernels.linear_int8`."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight = weight
        self.bias = bias
        self.packed = kernels.int8_weights(weight, bias)

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """As `Linear` does."""
        return kernels.linear_int8(x, self.packed, relu)

    def rows(self, ids: Tensor) -> "Int8Linear":
        """The map to the outputs `ids` alone."""
        return Int8Linear(self.weight[ids], _at(self.bias, ids))


def _at(bias: Tensor | None, ids: Tensor) -> Tensor | None:
    return None if bias is None else bias[ids]


class _FusedMap(torch.autograd.Function):
    """relu(x w^T + b) in bf16 on the CPU, in one pass over the result where `F.linear` and `F.relu` take three.

    The gradients of float32 weights are float32.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
        x, narrow = x.bfloat16(), weight.bfloat16()
        ctx.dtype, ctx.has_bias = weight.dtype, bias is not None
        narrow_bias = bias.bfloat16() if bias is not None else None
        out = torch.ops.mkldnn._linear_pointwise(x, narrow, narrow_bias, "relu" if relu else "none", [], "")
        ctx.save_for_backward(x, narrow, out if relu else None)
        return out  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight, out = ctx.saved_tensors
        if out is not None:
            grad = torch.ops.aten.threshold_backward(grad, out, 0)
        grad_x = grad @ weight if ctx.needs_input_grad[0] else None
        grad_weight = (grad.mT @ x).to(ctx.dtype) if ctx.needs_input_grad[1] else None
        grad_bias = _sum_of_rows(grad, ctx.dtype) if ctx.has_bias else None
        return grad_x, grad_weight, grad_bias, None


def _sum_of_rows(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The sum (D,) of rows x (N, D): in halves, which PyTorch shares out among threads better than the whole."""
    halves = x.unflatten(0, (2, -1)) if len(x) % 2 == 0 else x.unsqueeze(0)
    return halves.sum(1).sum(0, dtype=dtype)


_HAS_FUSED_MAP = (
    hasattr(torch.ops.mkldnn, "_linear_pointwise")
    and hasattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported")
    and torch.ops.mkldnn._is_mkldnn_bf16_supported()
)
"""Whether there is the product that PyTorch's own compiler puts into its programs; not all processors have it."""


def num_missing_rows(num_rows: int) -> int:
    """How many more rows make a product's shape one that recurs; few rows are left as they are."""
    return -num_rows % ROW_BLOCK if num_rows > ROW_BLOCK else 0


def shapes_are_compiled(device_type: str, dtype: torch.dtype) -> bool:
    """Whether products of weights of `dtype` run in bf16 on the CPU."""
    return device_type == "cpu" and torch.bfloat16 in (dtype, autocast_dtype("cpu"))


def autocast_dtype(device_type: str) -> torch.dtype | None:
    """The type in which products are computed now, where automatic mixed precision chooses it."""
    return torch.get_autocast_dtype(device_type) if torch.is_autocast_enabled(device_type) else None
