"""A model packed for decoding computes what the model computes, and leaves it as it was."""

from collections.abc import Callable

import pytest
import torch
from torch.nn.functional import pad

from transformer_mt.config.schema import Arithmetic
from transformer_mt.decoding.precision import precisions
from transformer_mt.decoding.step import ModelStep
from transformer_mt.device import side_by_side
from transformer_mt.model.linear import Linear, PackedLinear
from transformer_mt.model.packing import is_row_wise, packed
from transformer_mt.model.transformer import Transformer

MakeModel = Callable[..., Transformer]

SRC = torch.tensor([[5, 6, 7, 8, 9, 3], [7, 5, 3, 0, 0, 0]])
TOKENS = torch.tensor([[2, 2, 2], [2, 2, 2]])


def first_log_probs(model: Transformer) -> torch.Tensor:
    with torch.inference_mode():
        step = ModelStep(model, SRC)
        step.step(TOKENS)
        return step.log_probs(slice(None))


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
@pytest.mark.parametrize("norm_order", ["pre", "post"])
@pytest.mark.parametrize(("activation", "bias"), [("relu", False), ("silu", True), ("swiglu", False)])
@pytest.mark.parametrize("precision", precisions(torch.device("cpu"))[1:])
def test_in_few_bits_it_computes_the_same_to_its_precision(
    make_model: MakeModel, positions: str, norm_order: str, activation: str, bias: bool, precision: Arithmetic
) -> None:
    model = make_model(positions=positions, norm_order=norm_order, activation=activation, output_bias=bias).eval()
    if bias:
        torch.nn.init.normal_(model.output_proj.bias, std=3.0)  # which would be noticed if it were forgotten
    wide, narrow = first_log_probs(model), first_log_probs(packed(model, precision))
    assert narrow.dtype == torch.float32
    assert (narrow - wide).abs().max() < {"bf16": 0.1, "int8": 0.3}[precision]
    assert (narrow - wide).abs().max() > 0  # it was computed in it indeed


@pytest.mark.skipif("int8" not in precisions(torch.device("cpu")), reason="int8 is not fast here")
@pytest.mark.parametrize("activation", ["relu", "gelu", "swiglu"])
@pytest.mark.parametrize("choices", [("sinusoidal", "layer", "post"), ("rotary", "rms", "pre")])
def test_in_int8_no_bit_depends_on_the_other_sentences(
    make_model: MakeModel, activation: str, choices: tuple[str, str, str]
) -> None:
    settings = dict(zip(("positions", "norm", "norm_order"), choices, strict=True), activation=activation)
    model = packed(make_model(d_model=32, num_heads=2, d_ff=64, **settings).eval(), "int8")
    assert is_row_wise(model)
    alone = pad(SRC[:1], (0, 40))
    batch = torch.cat([alone, torch.randint(4, 10, (36, 46))])
    with torch.inference_mode():
        few, many = ModelStep(model, SRC[:1]), ModelStep(model, batch)
        few.step(torch.tensor([[2, 5]])), many.step(torch.tensor([[2, 5]]).expand(37, 2))
        assert torch.equal(few.log_probs(slice(None)), many.log_probs(slice(None))[:1])


def test_what_is_not_computed_row_by_row_in_c_is_not_said_to_be(make_model: MakeModel) -> None:
    model = make_model(d_model=32, num_heads=2, d_ff=64)
    assert not is_row_wise(model) and not is_row_wise(packed(model, "bf16"))
    for choices in ({"attention_window": 3}, {"num_heads": 4}, {"activation": "gelu", "d_ff": 48}):
        other = make_model(**{"d_model": 32, "num_heads": 2, "d_ff": 64, **choices})
        assert "int8" not in precisions(torch.device("cpu")) or not is_row_wise(packed(other, "int8"))


@pytest.mark.parametrize("precision", precisions(torch.device("cpu")))
def test_some_outputs_alone_are_those_of_all_with_their_bias(make_model: MakeModel, precision: Arithmetic) -> None:
    model = make_model(output_bias=True)
    torch.nn.init.normal_(model.output_proj.bias, std=3.0)
    ready, ids = packed(model, precision), torch.tensor([3, 17, 4, 3])
    hidden = torch.randn(2, 3, 16, dtype=torch.float32 if precision == "fp32" else torch.bfloat16)
    with torch.inference_mode():
        torch.testing.assert_close(ready.output_rows(ids)(hidden), ready.project(hidden)[..., ids])


def test_packing_shares_the_vectors_and_changes_nothing_of_the_model(make_model: MakeModel) -> None:
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ready = packed(model, "bf16")
    assert ready.src_embedding.tokens.weight is model.src_embedding.tokens.weight
    assert not any(isinstance(module, Linear) for module in ready.modules())
    assert not any(isinstance(module, PackedLinear) for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert packed(model, "fp32") is model


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_packed_map_is_the_plain_one_on_rounded_weights(bias: bool, relu: bool) -> None:
    torch.manual_seed(1)
    linear, x = Linear(48, 80, bias=bias), torch.randn(5, 3, 48).bfloat16()
    rounded = torch.nn.Linear(48, 80, bias=bias)
    rounded.load_state_dict({name: tensor.bfloat16().float() for name, tensor in linear.state_dict().items()})
    expected = rounded(x.float())
    expected = expected.relu() if relu else expected
    torch.testing.assert_close(
        PackedLinear(linear.weight, linear.bias, torch.bfloat16)(x, relu).float(), expected, atol=0.02, rtol=0.01
    )


def test_tasks_side_by_side_come_back_in_order_and_leave_the_threads_as_they_were() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with side_by_side(torch.device("cpu"), 9) as run:
            results = list(run(lambda number: (number, torch.get_num_threads()), range(9)))
        assert results == [(number, 1) for number in range(9)]
        assert torch.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError), side_by_side(torch.device("cpu"), 2) as run:
            list(run(lambda number: 1 // number, [0, 1]))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
