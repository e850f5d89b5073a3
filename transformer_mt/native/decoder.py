"""A step of a decoder in int8 as one call of C, see decoder.h.

Axes: B sentences, K hypotheses of each, L layers, H heads, E width of a head, D = H * E, R entries there is room for,
S positions of the memory.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from transformer_mt.native.build import library
from transformer_mt.native.kernels import Int8Weights, int8_unit


class Entries(NamedTuple):
    """The past of all layers, with those of this step in its last K entries, which are not written yet."""

    buffer: Tensor
    """Keys and values (2, L, B, H, R, E), bf16."""
    bias: Tensor | None
    """(B, 1, K, R), 0 for what a hypothesis sees; None where it sees all."""
    num_taken: int
    """Of the R."""


class LayerWeights(NamedTuple):
    """The weights of one layer."""

    maps: Sequence[Int8Weights]
    """Queries, keys and values of the self-attention; its output; queries and output of the cross-attention; into and
    out of the feed-forward block."""
    norms: Sequence[tuple[Tensor, Tensor | None]]
    """Float32 weight and bias of self-attention, cross-attention and feed-forward; an RMSNorm has no bias."""


def _structure(name: str, pointers: str, numbers: str = "") -> Any:
    """A C structure with 8 bytes for each of its members, pointers first."""
    fields = [(one, ctypes.c_void_p) for one in pointers.split()] + [(one, ctypes.c_int64) for one in numbers.split()]
    return type(name, (ctypes.Structure,), {"_fields_": fields})


_Map = _structure("_Map", "packed scales shifts bias", "inputs outputs")
_Norm = _structure("_Norm", "weight bias")
_MemoryKeys = _structure("_MemoryKeys", "keys values", "by_sentence by_head by_key")


class _Layer(ctypes.Structure):
    _fields_ = [("maps", _Map * 6), ("norms", _Norm * 3)]


class _Step(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in "num_layers pre_norm gated with_amx B K H E F".split()),
        *((name, ctypes.c_void_p) for name in ("keys", "values")),
        *((name, ctypes.c_int64) for name in ("R", "by_layer", "num_entries")),
        *((name, ctypes.c_void_p) for name in ("cos", "sin")),
    ]


class CompiledDecoder:
    """All layers of a decoder with ReLU, or with a gate by SiLU, on the CPU."""

    def __init__(self, layers: Sequence[LayerWeights], num_heads: int, pre_norm: bool) -> None:
        """All widths are multiples of 16; the feed-forward block is gated where its inner map gives twice F numbers."""
        self._kept = layers  # what C is given the addresses of
        self._layers = (_Layer * len(layers))()
        for made, layer in zip(self._layers, layers, strict=True):
            for place, (num_outputs, num_inputs, *tensors) in enumerate(layer.maps):
                made.maps[place] = _Map(*(tensor.data_ptr() for tensor in tensors), num_inputs, num_outputs)
            for place, (weight, bias) in enumerate(layer.norms):
                made.norms[place] = _Norm(weight.data_ptr(), None if bias is None else bias.data_ptr())
        into, out_of = layers[0].maps[4:]
        self._num_heads, self._pre_norm, self._width = num_heads, pre_norm, out_of.num_inputs
        self._is_gated = into.num_outputs == 2 * out_of.num_inputs
        self._function = getattr(library(), "step_decoder")  # noqa: B009
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._function.argtypes = [*4 * [pointer], number, number, pointer, number, number, pointer]

    def step(
        self,
        x: Tensor,
        entries: Entries,
        memory: Sequence[tuple[Tensor, Tensor]],
        memory_bias: Tensor | None,
        turn: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """What the layers make of the newest tokens x (B, K, D), bf16.

        memory has keys and values (B, H, S, E) of each layer, of which memory_bias (B, 1, 1, S) hides some; queries and
        keys turn by the cosines and sines (1, E / 2), float32. Raises ValueError when they do not go together.
        """
        self._check(x, entries, memory, memory_bias)
        (batch, num_hypotheses, d_model), (buffer, bias, num_taken) = x.shape, entries
        seen = (_MemoryKeys * len(memory))()
        for one, (keys, values) in zip(seen, memory, strict=True):
            one.keys, one.values = keys.data_ptr(), values.data_ptr()
            one.by_sentence, one.by_head, one.by_key = keys.stride()[:3]
        cos, sin = turn or (None, None)
        step = _Step(
            len(memory), self._pre_norm, self._is_gated, int8_unit() == 2,
            batch, num_hypotheses, self._num_heads, d_model // self._num_heads, self._width,
            buffer[0].data_ptr(), buffer[1].data_ptr(), buffer.shape[4], buffer.stride(1), num_taken,
            None if cos is None else cos.data_ptr(), None if sin is None else sin.data_ptr(),
        )  # fmt: skip
        out = x.clone(memory_format=torch.contiguous_format)
        of_bias = (None, 0, 0) if bias is None else (bias.data_ptr(), bias.stride(0), bias.stride(2))
        of_memory = (None, 0) if memory_bias is None else (memory_bias.data_ptr(), memory_bias.stride(0))
        length = memory[0][0].shape[2]
        if not self._function(ctypes.byref(step), self._layers, seen, *of_bias, *of_memory, length, out.data_ptr()):
            raise MemoryError("a step of the decoder: no memory")
        return out

    def _check(
        self, x: Tensor, entries: Entries, memory: Sequence[tuple[Tensor, Tensor]], memory_bias: Tensor | None
    ) -> None:
        batch, num_hypotheses, d_model = x.shape
        heads = (self._num_heads, d_model // self._num_heads)
        buffer, bias, num_taken = entries
        length = memory[0][0].shape[2]
        rest = [*(one for pair in memory for one in pair), *(one for one in (bias, memory_bias) if one is not None)]
        problems = (
            any(one.dtype != torch.bfloat16 or one.stride(-1) != 1 for one in (x, buffer, *rest)),
            d_model != self._kept[0].maps[0].num_inputs or len(memory) != len(self._kept),
            buffer.shape[:4] != (2, len(memory), batch, heads[0]) or buffer.shape[5] != heads[1],
            buffer.stride()[2:] != (heads[0] * buffer.shape[4] * heads[1], buffer.shape[4] * heads[1], heads[1], 1),
            not num_hypotheses <= num_taken <= buffer.shape[4],
            any(one.shape != (batch, heads[0], length, heads[1]) for pair in memory for one in pair),
            any(keys.stride() != values.stride() for keys, values in memory),
            bias is not None and (bias.shape[:3] != (batch, 1, num_hypotheses) or bias.shape[3] < num_taken),
            memory_bias is not None and memory_bias.shape != (batch, 1, 1, length),
        )
        if any(problems):
            raise ValueError(f"hypotheses {tuple(x.shape)} do not go with a past {tuple(buffer.shape)} and this memory")
