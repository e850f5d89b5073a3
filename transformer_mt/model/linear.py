"""Linear maps whose row counts recur, because the CPU's bf16 products are compiled for each shape anew."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROW_BLOCK = 256
"""Rows are filled up to a multiple of this: a few per cent of work on zeros instead of a compilation."""


class Linear(nn.Linear):
    """`nn.Linear`; in bf16 on the CPU it adds zero rows up to a multiple of ROW_BLOCK and cuts them off again.

    oneDNN generates code for each shape of a bf16 product, which takes 1.5 to 6 ms and ten times the
    product itself for the matrices of a small model. Batches differ in their number of tokens, so nearly
    every product of a training step would be a new one. Zero rows change neither result nor gradients.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, num_fused: int = 1) -> None:
        """`num_fused` projections of equal size lie one after the other in the weight."""
        super().__init__(in_features, out_features, bias)
        self.num_fused = num_fused

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., in) to (..., out)."""
        num_rows = x.numel() // x.shape[-1]
        missing = num_missing_rows(num_rows)
        if missing == 0 or not shapes_are_compiled(x.device.type, x.dtype):
            return super().forward(x)
        rows = F.pad(x.reshape(num_rows, -1), (0, 0, 0, missing))
        return super().forward(rows)[:num_rows].view(*x.shape[:-1], -1)


def num_missing_rows(num_rows: int) -> int:
    """How many more rows make a product's shape one that recurs; few rows are left as they are."""
    return -num_rows % ROW_BLOCK if num_rows > ROW_BLOCK else 0


def shapes_are_compiled(device_type: str, dtype: torch.dtype) -> bool:
    """Whether products of weights of `dtype` run in bf16 on the CPU."""
    return device_type == "cpu" and torch.bfloat16 in (dtype, autocast_dtype("cpu"))


def autocast_dtype(device_type: str) -> torch.dtype | None:
    """The type in which products are computed now, where automatic mixed precision chooses it."""
    return torch.get_autocast_dtype(device_type) if torch.is_autocast_enabled(device_type) else None
