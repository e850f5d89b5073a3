"""A model made ready for decoding: its linear maps in the type that is computed in."""

import copy
from typing import Literal

import torch
from torch import nn

from transformer_mt.model.linear import Linear, PackedLinear, PackedOutput
from transformer_mt.model.transformer import Embedding, Transformer


def packed(model: Transformer, precision: Literal["fp32", "bf16"]) -> Transformer:
    """`model` itself for fp32, else a copy that shares its weights, save those of linear maps.

    The residual stream and the linear maps are in bf16, statistics of norms, attention and scores in float32.
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
            if child is ready.output_proj:
                setattr(module, name, PackedOutput(child.weight, dtype))
            elif isinstance(child, Linear):
                setattr(module, name, PackedLinear(child.weight, child.bias, dtype))
            elif isinstance(child, nn.LayerNorm) and child.weight.is_cuda:  # whose kernel wants one type
                setattr(module, name, copy.deepcopy(child).to(dtype))
    return ready
