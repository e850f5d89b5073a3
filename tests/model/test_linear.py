"""How a linear map is computed in bf16 on the CPU is invisible: result and gradients are those of nn.Linear."""

import pytest
import torch
import torch.nn.functional as F

from transformer_mt.model import linear as linear_module
from transformer_mt.model.linear import ROW_BLOCK, Linear


@pytest.mark.parametrize("rows", [(3, 5), (7, 60), (2, 128), (1, 300), (256,)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("is_fused", [True, False])
def test_result_and_gradients_are_those_of_a_plain_linear_map(
    rows: tuple[int, ...], bias: bool, relu: bool, is_fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_fused and not linear_module._HAS_FUSED_MAP:
        pytest.skip("this build of PyTorch has no fused product")
    monkeypatch.setattr(linear_module, "_HAS_FUSED_MAP", is_fused)
    torch.manual_seed(0)
    ours = Linear(8, 6, bias=bias)
    x = torch.randn(*rows, 8)
    upstream = torch.randn(*rows, 6)
    results = []
    for is_ours in (True, False):
        source = x.clone().requires_grad_()
        ours.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            out = ours(source, relu=relu) if is_ours else F.linear(source, ours.weight, ours.bias)
        if relu and not is_ours:
            out = F.relu(out)
        out.backward(upstream.to(out.dtype))
        results.append([out, source.grad, *(parameter.grad for parameter in ours.parameters())])
    for one, other in zip(*results, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=2e-2, atol=0.1)


def test_rows_seen_by_the_product_are_whole_blocks_in_bf16_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def record(self: Linear, x: torch.Tensor, relu: bool) -> torch.Tensor:
        seen.append(x.reshape(-1, x.shape[-1]).shape[0])
        return x @ self.weight.T

    monkeypatch.setattr(linear_module, "_HAS_FUSED_MAP", False)
    monkeypatch.setattr(Linear, "_map", record)
    layer = Linear(4, 4)
    layer(torch.randn(ROW_BLOCK + 3, 4))
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(ROW_BLOCK + 3, 4))
        layer(torch.randn(5, 4))
    assert seen == [ROW_BLOCK + 3, 2 * ROW_BLOCK, 5]
