"""A model made ready for decoding: its linear maps in the type that is computed in."""

import copy
from typing import Any

import torch
from torch import nn

from transformer_mt.config.schema import Arithmetic
from transformer_mt.model.linear import Int8Linear, Linear, PackedLinear, PackedOutput
from transformer_mt.model.transformer import Embedding, Transformer
from transformer_mt.native import kernels
from transformer_mt.native.decoder import CompiledDecoder, LayerWeights

_BLOCK = 64
"""Numbers in bf16 that PyTorch computes together, one by one (and a bit differently) at the end."""


def packed(model: Transformer, precision: Arithmetic) -> Transformer:
    """`model` itself for fp32, else a copy that shares its weights, save those of linear maps.

    The residual stream and the linear maps are in bf16, statistics of norms, attention and scores in float32. In int8
    the products of linear maps are in int8, save those of a width that `kernels.can_pack` does not take.
    """
    if precision == "fp32":
        return model
    dtype = torch.bfloat16
    shared = {id(parameter): parameter for parameter in model.parameters()}
    ready = copy.deepcopy(model, shared)  # type: ignore[arg-type]  # the memo of what is not copied, by id
    for module in list(ready.modules()):
        if isinstance(module, Embedding):
            module.dtype = dtype
        for name, child in list(module.named_children()):
            if isinstance(child, Linear):
                setattr(module, name, _packed_map(child, precision, is_output=child is ready.output_proj))
            elif isinstance(child, nn.LayerNorm) and child.weight.is_cuda:  # whose kernel wants one type
                setattr(module, name, copy.deepcopy(child).to(dtype))
    if precision == "int8" and _can_compile(ready):
        layers = [_layer_weights(layer) for layer in ready.decoder.layers]
        ready.compiled = CompiledDecoder(layers, model.config.num_heads, model.config.norm_order == "pre")
    return ready


def _can_compile(model: Transformer) -> bool:
    """Whether C has all that the decoder's layers are made of."""
    config = model.config
    maps = [module for module in model.decoder.modules() if isinstance(module, (PackedLinear, Int8Linear))]
    has_widths = model.head_width % kernels.LANES == 0 and all(isinstance(module, Int8Linear) for module in maps)
    return has_widths and config.activation in ("relu", "swiglu") and config.attention_window is None


def _layer_weights(layer: Any) -> LayerWeights:
    itself, cross, feed_forward = layer.self_attention, layer.cross_attention, layer.feed_forward
    maps = (itself.qkv_proj, itself.out_proj, cross.q_proj, cross.out_proj, feed_forward.in_proj, feed_forward.out_proj)
    norms = (layer.self_attention_norm, layer.cross_attention_norm, layer.feed_forward_norm)
    return LayerWeights([one.packed for one in maps], [(norm.weight, getattr(norm, "bias", None)) for norm in norms])


def is_row_wise(model: Transformer) -> bool:
    """Whether `encode` and `step` compute each sentence and hypothesis without regard to the others, to the last bit.

    So does int8 with the compiled loops. PyTorch's products and attention sum in an order that depends on the shape of
    the batch; so would what it computes one by one at the end of a tensor, had that no whole blocks.
    """
    config = model.config
    has_blocks = config.activation == "relu" or config.d_ff % _BLOCK == 0
    attends_in_c = config.attention_window is None and model.head_width % kernels.LANES == 0
    maps = [module for module in model.modules() if isinstance(module, (nn.Linear, PackedLinear, Int8Linear))]
    return has_blocks and attends_in_c and all(isinstance(module, Int8Linear) for module in maps)


def _packed_map(linear: Linear, precision: Arithmetic, is_output: bool) -> nn.Module:
    if precision == "int8" and kernels.can_pack(linear.in_features):
        return Int8Linear(linear.weight, linear.bias)
    if is_output:
        return PackedOutput(linear.weight, linear.bias, torch.bfloat16)
    return PackedLinear(linear.weight, linear.bias, torch.bfloat16)
