"""A model made ready for decoding: its linear maps in the type that is computed in."""

import copy

import torch
from torch import nn

from transformer_mt.config.schema import Arithmetic
from transformer_mt.model.linear import Int8Linear, Linear, PackedLinear, PackedOutput
from transformer_mt.model.transformer import Embedding, Transformer
from transformer_mt.native import kernels


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
    return ready


def _packed_map(linear: Linear, precision: Arithmetic, is_output: bool) -> nn.Module:
    if precision == "int8" and kernels.can_pack(linear.in_features):
        return Int8Linear(linear.weight, linear.bias)
    if is_output:
        return PackedOutput(linear.weight, linear.bias, torch.bfloat16)
    return PackedLinear(linear.weight, linear.bias, torch.bfloat16)
