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

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., in) to (..., out)."""
        num_rows = x.numel() // x.shape[-1]
        missing = -num_rows % ROW_BLOCK
        if missing == 0 or num_rows < ROW_BLOCK or not _shapes_are_compiled(x):
            return super().forward(x)
        rows = F.pad(x.reshape(num_rows, -1), (0, 0, 0, missing))
        return super().forward(rows)[:num_rows].view(*x.shape[:-1], -1)


def _shapes_are_compiled(x: Tensor) -> bool:
    if x.device.type != "cpu":
        return False
    return x.dtype == torch.bfloat16 or (
        torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )
