"""Norms equal their formulas, with float32 inside."""

import pytest
import torch
from torch import Tensor

from transformer_mt.config.schema import ModelConfig
from transformer_mt.model.layers import build_norm


def formula(x: Tensor, weight: Tensor, kind: str) -> Tensor:
    if kind == "rms":
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * weight
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt() * weight + 0.5


@pytest.mark.parametrize("kind", ["rms", "layer"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_norm_equals_its_formula_with_gradient(kind: str, dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    norm = build_norm(ModelConfig(d_model=8, norm=kind))
    with torch.no_grad():
        for name, parameter in norm.named_parameters():
            parameter.copy_(torch.full((8,), 0.5) if name == "bias" else torch.rand(8) + 0.5)
    if dtype == torch.float64:
        norm.double()
    x = (torch.randn(5, 8) * 3 + 40).to(dtype).requires_grad_()  # far from 0: bf16 inside would be off by far
    exact = x.detach().double().requires_grad_()
    ours, theirs = norm(x), formula(exact, norm.weight.double(), kind)
    assert ours.dtype == dtype
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(ours.double(), theirs, atol=tolerance, rtol=tolerance)
    gradients = [torch.autograd.grad(y.square().sum(), source)[0] for y, source in ((ours, x), (theirs, exact))]
    torch.testing.assert_close(gradients[0].double(), gradients[1], atol=10 * tolerance, rtol=10 * tolerance)


@pytest.mark.parametrize("kind", ["rms", "layer"])
def test_bf16_is_only_the_rounding_of_a_float32_norm(kind: str) -> None:
    torch.manual_seed(2)
    norm = build_norm(ModelConfig(d_model=256, norm=kind))
    x = (torch.randn(40, 256) * 2 + 3).bfloat16()
    assert (norm(x) == norm(x.float()).bfloat16()).double().mean() > 0.99
