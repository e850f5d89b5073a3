"""The arithmetic of the search: what a machine is fast in, and which is chosen."""

from typing import Literal

import torch

from transformer_mt.config.schema import Arithmetic
from transformer_mt.device import has_fast_bf16, resolve_precision
from transformer_mt.errors import DeviceError
from transformer_mt.native import kernels


def precisions(device: torch.device) -> list[Arithmetic]:
    """Those worth choosing between on `device`, slowest first."""
    found: list[Arithmetic] = ["fp32"]
    if has_fast_bf16(device):
        found.append("bf16")
    if device.type == "cpu" and kernels.int8_unit() > 0:
        found.append("int8")
    return found


def decoding_precision(wanted: Literal["auto"] | Arithmetic, device: torch.device) -> Arithmetic:
    """`wanted`, or for auto the fastest; what each costs in BLEU is in docs/results.md.

    Raises DeviceError when `device` does not have it.
    """
    if wanted == "auto":
        return precisions(device)[-1]
    if wanted != "int8":
        resolve_precision(wanted, device)
    elif "int8" not in precisions(device):
        raise DeviceError(
            "precision int8 needs a CPU with AMX or AVX512-VNNI and the compiled loops, thus a C compiler; use auto"
        )
    return wanted
