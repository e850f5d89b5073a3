"""Attention: the textbook example, both routes, masks and windows."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from transformer_mt.config.schema import ModelConfig
from transformer_mt.model.attention import CrossAttention, attend, attend_by_products, window_mask
from transformer_mt.model.dropout import keep_mask
from transformer_mt.model.transformer import Transformer

ROUTES = (attend, attend_by_products)


def random_heads(length: int, memory_length: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(3)
    return [torch.randn(2, 3, n, 4, dtype=dtype, requires_grad=True) for n in (length, memory_length, memory_length)]


def gradients(route: Any, heads: list[Tensor], mask: Tensor | None, is_causal: bool = False) -> tuple[Tensor, ...]:
    context = route(*heads, mask, is_causal)
    return (context, *torch.autograd.grad(context.square().sum(), heads))


@pytest.mark.parametrize("route", ROUTES)
def test_three_word_example_has_the_known_attention_rows(route: Any) -> None:
    q = torch.tensor([[1.0, 1, 1], [0, 1, 1], [0, 0, 1]])[None, None]
    identity = torch.eye(3)[None, None]
    expected = torch.tensor([[0.3333, 0.3333, 0.3333], [0.2192, 0.3904, 0.3904], [0.2645, 0.2645, 0.4711]])
    torch.testing.assert_close(route(q, identity, identity)[0, 0], expected, atol=5e-5, rtol=0)


@pytest.mark.parametrize("kind", ["all", "causal", "padding", "window"])
def test_products_equal_the_fused_kernel_with_gradients(kind: str) -> None:
    heads = random_heads(5, 5)
    masks = {
        "padding": torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)[:, None, None],
        "window": window_mask(5, 1, torch.device("cpu")),
    }
    for ours, theirs in zip(
        gradients(attend_by_products, heads, masks.get(kind), kind == "causal"),
        gradients(attend, heads, masks.get(kind), kind == "causal"),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-9)


def test_attention_equals_its_formula_one_query_at_a_time() -> None:
    q, k, v = (head.detach() for head in random_heads(4, 6))
    context = attend(q, k, v)
    for b, h, t in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(4)).tolist():
        weights = [math.exp(q[b, h, t] @ k[b, h, s] / math.sqrt(4)) for s in range(6)]
        expected = sum(weight / sum(weights) * v[b, h, s] for s, weight in enumerate(weights))
        torch.testing.assert_close(context[b, h, t], expected)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_query_that_sees_nothing_has_no_nan_forward_or_backward(route: Any, dtype: torch.dtype) -> None:
    heads = random_heads(4, 4, dtype)
    mask = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    mask[0, :, 2] = False
    assert all(tensor.isfinite().all() for tensor in gradients(route, heads, mask))


def test_bf16_training_on_the_cpu_agrees_with_float32() -> None:
    heads = [head.detach().bfloat16().requires_grad_() for head in random_heads(7, 7)]
    wide = [head.detach().float().requires_grad_() for head in heads]
    for ours, exact in zip(gradients(attend, heads, None, True), gradients(attend, wide, None, True), strict=True):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.float(), exact, atol=0.05, rtol=0.05)


def test_window_mask_is_the_band_within_the_window() -> None:
    mask = window_mask(6, 2, torch.device("cpu"))
    assert mask.tolist() == [[abs(i - j) <= 2 for j in range(6)] for i in range(6)]


@pytest.mark.parametrize("route", ROUTES)
def test_attention_dropout_keeps_the_mean(route: Any) -> None:
    q, k, v = (head.detach() for head in random_heads(3, 8))
    torch.manual_seed(1)
    mean = torch.stack([route(q, k, v, None, False, 0.3) for _ in range(4000)]).mean(dim=0)
    torch.testing.assert_close(mean, route(q, k, v), atol=0.06, rtol=0)


def test_the_gradient_under_dropout_is_that_of_the_same_mask() -> None:
    torch.manual_seed(1)
    q, k, v = (torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    upstream = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    torch.manual_seed(7)
    attend_by_products(q, k, v, is_causal=True, dropout=0.4).backward(upstream)
    found = [x.grad for x in (q, k, v)]
    for x in (q, k, v):
        x.grad = None
    torch.manual_seed(7)
    scale, kept = keep_mask(torch.empty(6, 5, 5, dtype=torch.float64), 0.4)
    assert 0 < kept.mean() < 1
    scores = (q @ k.mT / 2).masked_fill(torch.ones(5, 5, dtype=torch.bool).triu(1), -1e9)
    (scores.softmax(-1) * kept.view(2, 3, 5, 5) * scale @ v).backward(upstream)
    torch.testing.assert_close(found, [x.grad for x in (q, k, v)])


@pytest.mark.parametrize("norm_order", ["pre", "post"])
def test_cross_attention_weights_are_those_that_forward_attends_by(norm_order: str) -> None:
    torch.manual_seed(1)
    config = ModelConfig(
        d_model=32, num_heads=4, d_ff=48, num_encoder_layers=2, num_decoder_layers=3, norm_order=norm_order
    )
    model = Transformer(config, 20, 20).eval()
    src, tgt = torch.randint(1, 20, (3, 7)), torch.randint(1, 20, (3, 5))
    src[0, 4:] = tgt[1, 3:] = 0
    seen = []
    for layer in model.decoder.layers:
        attention = layer.cross_attention

        def record(module: CrossAttention, inputs: tuple[Any, ...], output: Tensor) -> None:
            seen.append((module, inputs, output))

        attention.register_forward_hook(record)
    memory, mask = model.encode(src), model.source_mask(src)
    model.decode(tgt, memory, mask)
    weights = model.cross_attention(tgt, memory, mask)
    assert weights.shape == (3, 3, 4, 5, 7)
    assert weights[:, 0, ..., 4:].abs().max() == 0
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 3, 4, 5))
    for (module, (_, rows, packed, memory_rows), output), own in zip(seen[:3], weights, strict=True):
        _, values = memory_rows.split(module.kv_proj(packed), 2, 4).unbind()
        torch.testing.assert_close(module.out_proj(rows.join(own @ values)), output)
