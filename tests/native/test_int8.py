"""Linear maps in int8 beside float64 on the same rounded numbers, on every unit that this processor has."""

import pytest
import torch
from torch import Tensor

from transformer_mt.model.linear import Int8Linear
from transformer_mt.native import kernels

pytestmark = pytest.mark.skipif(kernels.int8_unit() == 0, reason="this processor has no fast int8 products")

UNITS = range(1, kernels.int8_unit() + 1)


def rounded(x: Tensor) -> Tensor:
    """Each row to whole multiples of a 127th of its largest number, found in float32, as float64."""
    largest = x.float().abs().amax(-1, keepdim=True)
    whole = torch.where(largest > 0, (x.float() * (torch.tensor(127.0) / largest)).round(), 0.0)
    return whole.double() * (largest / 127).double()


def check(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool = False) -> None:
    expected = rounded(x) @ rounded(weight).T + (0 if bias is None else bias.double())
    expected = expected.relu() if relu else expected
    for unit in UNITS:
        found = kernels.linear_int8(x, kernels.int8_weights(weight, bias), relu, unit)
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.double(), expected, rtol=1 / 256, atol=1e-5)


@pytest.mark.parametrize("num_rows", [0, 1, 5, 16, 17, 32, 33, 75])
@pytest.mark.parametrize("num_inputs,num_outputs", [(16, 1), (48, 80), (64, 32), (256, 100), (1040, 33)])
def test_a_map_is_that_of_the_rounded_numbers(num_rows: int, num_inputs: int, num_outputs: int) -> None:
    torch.manual_seed(num_rows + num_inputs)
    x = torch.randn(num_rows, num_inputs).bfloat16()
    weight, bias = torch.randn(num_outputs, num_inputs), torch.randn(num_outputs)
    check(x, weight, bias, relu=False)
    check(x, weight, None, relu=True)


def test_more_outputs_than_one_chunk_of_the_cache_holds() -> None:
    torch.manual_seed(1)
    check(torch.randn(40, 512).bfloat16(), torch.randn(1100, 512), torch.randn(1100))


def test_rows_of_any_layout_and_size_of_numbers() -> None:
    torch.manual_seed(2)
    weight, bias = torch.randn(40, 64), torch.randn(40)
    x = torch.randn(6, 3, 192).bfloat16()
    weight[3] = 0
    x[0, 0] = 0
    x[1] *= 1e4
    x[2] *= 1e-4
    for part in (x.chunk(3, dim=-1)[1], x[..., ::3], x[:, 0, :64], x[0, 0, :64]):
        check(part, weight, bias)


def test_a_row_does_not_depend_on_those_beside_it() -> None:
    torch.manual_seed(3)
    x, weights = torch.randn(50, 64).bfloat16(), kernels.int8_weights(torch.randn(40, 64), None)
    for unit in UNITS:
        together = kernels.linear_int8(x, weights, unit=unit)
        assert all(
            torch.equal(kernels.linear_int8(x[i : i + 1], weights, unit=unit)[0], together[i]) for i in range(50)
        )
        assert torch.equal(together, kernels.linear_int8(x, weights, unit=UNITS[0]))  # the units agree in every bit


def test_what_does_not_go_together_is_refused() -> None:
    weights = kernels.int8_weights(torch.randn(40, 64), None)
    for wrong in (torch.randn(2, 48).bfloat16(), torch.randn(2, 64)):
        with pytest.raises(ValueError, match="does not go"):
            kernels.linear_int8(wrong, weights)
    assert not kernels.can_pack(40)


def test_some_outputs_of_a_map_are_those_of_the_whole() -> None:
    torch.manual_seed(4)
    linear, x = Int8Linear(torch.randn(90, 64)), torch.randn(3, 2, 64).bfloat16()
    ids = torch.tensor([80, 3, 3, 17])
    assert torch.equal(linear.rows(ids)(x), linear(x)[..., ids])
