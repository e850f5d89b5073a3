"""The compiled loops as functions of tensors.

Axes: B sentences, K hypotheses of each, H heads, E width of a head, S keys, V vocabulary.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from transformer_mt.native.build import library

LANES = 16
"""Numbers that are computed together: widths are multiples of it."""
_DEPTH, _WIDTH = 64, 32
"""int8 weights are filled up to multiples of them, in inputs and outputs."""
_TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def are_usable(x: Tensor) -> bool:
    """Whether the functions below can take x: numbers on the CPU, of which no gradient is wanted."""
    return x.device.type == "cpu" and x.dtype in _TYPES and not torch.is_grad_enabled() and library() is not None


def can_attend(x: Tensor, width: int) -> bool:
    """Whether `attend` can take what is made of x for heads of `width`."""
    return width % LANES == 0 and are_usable(x)


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


def attend_within(qkv: Tensor, lengths: Tensor) -> Tensor:
    """Attention of each token to those of its own sentence: from queries, keys and values (N, 3, H, E) to (N, H * E).

    `lengths` (B,) are int64, of sentences whose tokens follow each other; rows after them become 0. Raises ValueError
    when there are more tokens than rows.
    """
    num_rows, _, num_heads, width = qkv.shape
    num_tokens = int(lengths.sum())
    if num_tokens > num_rows or int(lengths.min()) < 0:
        raise ValueError(f"{num_rows} rows have no room for sentences of {num_tokens} tokens")
    qkv, lengths = qkv.contiguous(), lengths.contiguous()
    out = qkv.new_empty(num_rows, num_heads * width)
    out[num_tokens:] = 0.0
    done = _function("attend_within", qkv.dtype, "pp iii p")(
        qkv.data_ptr(), lengths.data_ptr(), len(lengths), num_heads, width, out.data_ptr()
    )
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


class Int8Weights(NamedTuple):
    """The weights (N, K) of a linear map in int8; see int8.h."""

    num_outputs: int
    num_inputs: int
    packed: Tensor
    """Filled up to whole panels, as are the others."""
    scales: Tensor
    shifts: Tensor
    bias: Tensor


@functools.cache
def int8_unit() -> int:
    """What int8 products run on here: 0 nothing that is fast, 1 AVX512-VNNI, 2 AMX."""
    return int(_function("int8_unit", None, "")()) if library() is not None else 0


def can_pack(num_inputs: int) -> bool:
    """Whether maps of so many inputs can be computed in int8."""
    return num_inputs % LANES == 0 and int8_unit() > 0


def int8_weights(weight: Tensor, bias: Tensor | None) -> Int8Weights:
    """The float32 weight (N, K) and bias (N,) of a linear map, each row of the weight rounded to -127 to 127 of its
    largest number."""
    weight = weight.detach().float().contiguous()
    num_outputs, num_inputs = weight.shape
    width, depth = (size + -size % step for size, step in zip(weight.shape, (_WIDTH, _DEPTH), strict=True))
    packed = torch.empty(width * depth, dtype=torch.int8)
    scales, shifts, biases = torch.zeros(3, width)
    if bias is not None:
        biases[:num_outputs] = bias.detach()
    done = _function("pack_int8", None, "pii ppp")(
        weight.data_ptr(), num_outputs, num_inputs, packed.data_ptr(), scales.data_ptr(), shifts.data_ptr()
    )
    if not done:
        raise MemoryError("weights in int8: no memory")
    return Int8Weights(num_outputs, num_inputs, packed, scales, shifts, biases)


def linear_int8(x: Tensor, weights: Int8Weights, relu: bool = False, unit: int | None = None) -> Tensor:
    """The map of bf16 x (..., K) to (..., N); with `relu`, what is negative becomes 0.

    Each row of x is rounded to -127 to 127 of its largest number. Raises ValueError when x has another width.
    """
    if x.shape[-1] != weights.num_inputs or x.dtype != torch.bfloat16:
        raise ValueError(f"{x.dtype} of shape {tuple(x.shape)} does not go with {weights.num_inputs} inputs in bf16")
    rows = x.reshape(-1, weights.num_inputs)
    rows = rows if rows.stride(1) == 1 else rows.contiguous()
    out = x.new_empty(len(rows), weights.num_outputs)
    done = _function("linear_int8", None, "pi pppp iiiii p")(
        rows.data_ptr(), rows.stride(0), weights.packed.data_ptr(), weights.scales.data_ptr(),
        weights.shifts.data_ptr(), weights.bias.data_ptr(), relu, (unit or int8_unit()) == 2,
        len(rows), weights.num_inputs, weights.num_outputs, out.data_ptr(),
    )  # fmt: skip
    if not done:
        raise MemoryError("a product in int8: no memory")
    return out.view(*x.shape[:-1], weights.num_outputs)


@functools.cache
def _function(name: str, dtype: torch.dtype | None, arguments: str) -> Callable[..., Any]:
    """A function of the library; `arguments` has p for each pointer and i for each integer."""
    function = getattr(library(), name if dtype is None else f"{name}_{_TYPES[dtype]}")
    kinds = {"p": ctypes.c_void_p, "i": ctypes.c_int64}
    function.argtypes = [kinds[letter] for letter in arguments.replace(" ", "")]
    return function  # type: ignore[no-any-return]
