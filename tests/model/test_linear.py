"""Filling up rows is invisible: result and gradients are those of nn.Linear."""

import pytest
import torch

from transformer_mt.model.linear import ROW_BLOCK, Linear


@pytest.mark.parametrize("rows", [(3, 5), (7, 60), (2, 128), (1, 300)])
@pytest.mark.parametrize("bias", [True, False])
def test_filled_up_rows_change_nothing(rows: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(0)
    ours = Linear(8, 6, bias=bias)
    plain = torch.nn.Linear(8, 6, bias=bias)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(*rows, 8)
    upstream = torch.randn(*rows, 6)
    results = []
    for module in (ours, plain):
        source = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            out = module(source)
        out.backward(upstream.to(out.dtype))
        results.append([out, source.grad, *(parameter.grad for parameter in module.parameters())])
    for one, other in zip(*results, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)


def test_rows_seen_by_the_product_are_whole_blocks_in_bf16_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def record(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        seen.append(x.reshape(-1, x.shape[-1]).shape[0])
        return x @ weight.T + bias

    monkeypatch.setattr(torch.nn.functional, "linear", record)
    layer = Linear(4, 4)
    layer(torch.randn(ROW_BLOCK + 3, 4))
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(ROW_BLOCK + 3, 4))
        layer(torch.randn(5, 4))
    assert seen == [ROW_BLOCK + 3, 2 * ROW_BLOCK, 5]
