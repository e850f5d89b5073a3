"""Dropout keeps what it promises, in every float type."""

import pytest
import torch

from transformer_mt.model.dropout import Dropout, drop

N = 400_003  # not a multiple of the four units that share a random number


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_mean_and_variance_are_those_of_dropout(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(5)
    y = Dropout(p)(torch.ones(N, dtype=dtype)).double()
    deviation = (p / (1 - p) / N) ** 0.5  # of the mean
    assert abs((y != 0).double().mean() - (1 - p)) < 5 * deviation
    rounding = torch.finfo(dtype).eps / 2  # of 1 / (1 - p) in the result
    assert abs(y.mean() - 1) < 5 * deviation + rounding
    assert y.var() == pytest.approx(p / (1 - p), rel=0.03 + 2 * rounding)


def test_units_are_dropped_independently_of_their_neighbours() -> None:
    torch.manual_seed(5)
    kept = (drop(torch.ones(N), 0.5) != 0).double() - 0.5
    for distance in range(1, 9):
        assert abs((kept[distance:] * kept[:-distance]).mean()) < 5 * 0.25 / N**0.5


def test_gradient_is_the_mask() -> None:
    x = torch.randn(33, 7, dtype=torch.float64, requires_grad=True)
    y = drop(x, 0.4)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(y, x * gradient)
    assert len(gradient.unique()) == 2


def test_adding_to_a_residual_equals_dropping_then_adding() -> None:
    layer = Dropout(0.3)
    residual, x = (torch.randn(5, 9, dtype=torch.float64, requires_grad=True) for _ in range(2))
    torch.manual_seed(11)
    joined = layer.add(residual, x)
    torch.manual_seed(11)
    separate = residual + layer(x)
    torch.testing.assert_close(joined, separate)
    weight = torch.randn_like(x)
    for ours, theirs in zip(
        torch.autograd.grad((joined * weight).sum(), (residual, x)),
        torch.autograd.grad((separate * weight).sum(), (residual, x)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_evaluation_and_probability_zero_change_nothing() -> None:
    x = torch.randn(4, 5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert torch.equal(Dropout(0.5).eval().add(x, x), x + x)


def test_the_seed_decides_the_mask() -> None:
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(drop(torch.ones(1000), 0.5))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
