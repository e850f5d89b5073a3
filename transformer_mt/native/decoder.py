"""A step of a decoder in int8 as one call of C, see decoder.h.

Axes: B sentences, K hypotheses of each, L layers, H heads, E width of a head, D = H * E, R entries there is room for,
S positions of the memory.
"""

import ctypes
import threading
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


Memory = Sequence[tuple[Tensor, Tensor, Tensor | None]]
"""Keys and values (B, H, S, E) of each layer, bf16, and the bias (B, 1, 1, S) that hides some of them in all layers; it
does not change from one step to the next."""


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
        self._threads = threading.local()  # of which each searches for sentences of its own
        self._function = getattr(library(), "step_decoder")  # noqa: B009
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._function.argtypes = [*4 * [pointer], number, number, pointer, number, number, pointer]

    def step(self, x: Tensor, entries: Entries, memory: Memory, turn: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """What the layers make of the newest tokens x (B, K, D), bf16.

        Queries and keys turn by the cosines and sines (1, E / 2), float32. Raises ValueError when these do not go
        together.
        """
        (batch, num_hypotheses, d_model), (buffer, bias, num_taken) = x.shape, entries
        num_layers, num_heads, width = len(self._kept), self._num_heads, d_model // self._num_heads
        room, of_past = buffer.shape[4], (2, num_layers, batch, num_heads, buffer.shape[4], width)
        if not (
            d_model == self._kept[0].maps[0].num_inputs
            and x.dtype == buffer.dtype == torch.bfloat16
            and buffer.shape == of_past
            and buffer.stride()[2:] == (num_heads * room * width, room * width, width, 1)
            and num_hypotheses <= num_taken <= room
            and (bias is None or (bias.shape[:3] == (batch, 1, num_hypotheses) and bias.shape[3] >= num_taken))
            and (bias is None or (bias.dtype == torch.bfloat16 and bias.stride(3) == 1))
        ):
            raise ValueError(f"hypotheses {tuple(x.shape)} do not go with a past {tuple(buffer.shape)}")
        cos, sin = turn or (None, None)
        step = _Step(
            num_layers, self._pre_norm, self._is_gated, int8_unit() == 2,
            batch, num_hypotheses, num_heads, width, self._width,
            buffer[0].data_ptr(), buffer[1].data_ptr(), room, buffer.stride(1), num_taken,
            None if cos is None else cos.data_ptr(), None if sin is None else sin.data_ptr(),
        )  # fmt: skip
        out = x.clone(memory_format=torch.contiguous_format)
        of_bias = (None, 0, 0) if bias is None else (bias.data_ptr(), bias.stride(0), bias.stride(2))
        of_memory = self._of_memory(memory, (batch, num_heads, width))
        if not self._function(ctypes.byref(step), self._layers, of_memory[0], *of_bias, *of_memory[1:], out.data_ptr()):
            raise MemoryError("a step of the decoder: no memory")
        return out

    def _of_memory(self, memory: Memory, sizes: tuple[int, int, int]) -> tuple[Any, int | None, int, int]:
        """Addresses of keys and values; address and step of the bias; S. Made once for the steps of one memory.

        `sizes` are B, H and E. Raises ValueError when the memory does not have them.
        """
        known = getattr(self._threads, "memory", None)
        if known is not None and known[0] is memory and known[1] == sizes:
            return known[2]  # type: ignore[no-any-return]
        (batch, num_heads, width), bias, length = sizes, memory[0][2], memory[0][0].shape[2]
        shape = (batch, num_heads, length, width)
        stored = [one for keys, values, _ in memory for one in (keys, values)]
        tensors = stored if bias is None else [*stored, bias]
        if not (
            len(memory) == len(self._kept)
            and all(one.shape == shape for one in stored)
            and all(one.dtype == torch.bfloat16 and one.stride(3) == 1 for one in tensors)
            and all(keys.stride() == values.stride() for keys, values, _ in memory)
            and (bias is None or bias.shape == (batch, 1, 1, length))
        ):
            raise ValueError(f"{len(self._kept)} layers do not go with this memory, or {shape} not with its keys")
        seen = (_MemoryKeys * len(memory))()
        for one, (keys, values, _) in zip(seen, memory, strict=True):
            one.keys, one.values = keys.data_ptr(), values.data_ptr()
            one.by_sentence, one.by_head, one.by_key = keys.stride()[:3]
        found = (seen, None if bias is None else bias.data_ptr(), 0 if bias is None else bias.stride(0), length)
        self._threads.memory = (memory, sizes, found)
        return found
