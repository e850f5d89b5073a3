"""The compiled loops as functions of tensors.

Axes: B sentences, K hypotheses of each, H heads, E width of a head, S keys, V vocabulary.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from transformer_mt.native.build import library

_LANES = 16
_TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def are_usable(x: Tensor) -> bool:
    """Whether the functions below can take x: numbers on the CPU, of which no gradient is wanted."""
    return x.device.type == "cpu" and x.dtype in _TYPES and not torch.is_grad_enabled() and library() is not None


def can_attend(x: Tensor, width: int) -> bool:
    """Whether `attend` can take what is made of x for heads of `width`."""
    return width % _LANES == 0 and are_usable(x)


def attend(q: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    """Attention of q (B, K, H, E) to keys and values (B, H, S, E) where bias (B, 1, 1 or K, S) is 0: (B, K, H * E).

    Raises ValueError when they do not go together. A query that sees no key gives zeros.
    """
    batch, num_hypotheses, num_heads, width = q.shape
    length = keys.shape[2]
    if keys.shape != (batch, num_heads, length, width) or values.shape != keys.shape or values.dtype != q.dtype:
        raise ValueError(f"queries {tuple(q.shape)} do not go with keys {tuple(keys.shape)}, {tuple(values.shape)}")
    row = q.stride(1) if num_hypotheses > 1 else q.stride(0)
    if q.stride()[2:] != (width, 1) or (batch > 1 and q.stride(0) != num_hypotheses * row):
        q, row = q.contiguous(), num_heads * width
    if keys.stride() != values.stride() or keys.stride(3) != 1:
        keys, values = keys.contiguous(), values.contiguous()
    out = q.new_empty(batch, num_hypotheses, num_heads * width)
    of_bias: Sequence[int | None] = (None, 0, 0)
    if bias is not None:
        bias = bias.to(q.dtype).expand(batch, 1, num_hypotheses, length)
        bias = bias if bias.stride(3) == 1 else bias.contiguous()
        of_bias = (bias.data_ptr(), bias.stride(0), bias.stride(2))
    done = _function("attend", q.dtype, "pipp iii pii iiiii p")(
        q.data_ptr(), row, keys.data_ptr(), values.data_ptr(), *keys.stride()[:3], *of_bias,
        batch, num_hypotheses, num_heads, width, length, out.data_ptr(),
    )  # fmt: skip
    if not done:
        raise MemoryError("attention: no memory")
    return out


def log_softmax(logits: Tensor) -> Tensor:
    """Float32 log-softmax of logits (..., V)."""
    logits = logits.contiguous()
    out = torch.empty_like(logits, dtype=torch.float32)
    size = logits.shape[-1]
    _function("log_softmax", logits.dtype, "piip")(logits.data_ptr(), logits.numel() // size, size, out.data_ptr())
    return out


def best_continuations(scores: Tensor, log_probs: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The `count` largest sums scores[b, k] + log_probs[b, k, v], best first, with k and v, each (B, count)."""
    scores, log_probs = scores.float().contiguous(), log_probs.float().contiguous()
    best = scores.new_empty(len(scores), count)
    parents = torch.empty(len(scores), count, dtype=torch.int64)
    tokens = torch.empty_like(parents)
    _function("best_continuations", None, "pp iiii ppp")(
        scores.data_ptr(), log_probs.data_ptr(), *log_probs.shape, count,
        best.data_ptr(), parents.data_ptr(), tokens.data_ptr(),
    )  # fmt: skip
    return best, parents, tokens


@functools.cache
def _function(name: str, dtype: torch.dtype | None, arguments: str) -> Callable[..., Any]:
    """A function of the library; `arguments` has p for each pointer and i for each integer."""
    function = getattr(library(), name if dtype is None else f"{name}_{_TYPES[dtype]}")
    kinds = {"p": ctypes.c_void_p, "i": ctypes.c_int64}
    function.argtypes = [kinds[letter] for letter in arguments.replace(" ", "")]
    return function  # type: ignore[no-any-return]
