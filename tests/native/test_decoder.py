"""The decoder's layers in one call of C beside the same layers part by part."""

import itertools

import pytest
import torch
from torch import Tensor

from transformer_mt.config.schema import ModelConfig
from transformer_mt.decoding.step import ModelStep
from transformer_mt.model.packing import packed
from transformer_mt.model.transformer import Transformer
from transformer_mt.native import kernels
from transformer_mt.native.decoder import Entries

pytestmark = pytest.mark.skipif(kernels.int8_unit() == 0, reason="this processor has no fast int8 products")

VARIANTS = [
    dict(zip(("norm_order", "norm", "activation", "positions"), choice, strict=True))
    for choice in itertools.product(("pre", "post"), ("layer", "rms"), ("relu", "swiglu"), ("sinusoidal", "rotary"))
]


def make_model(**choices: object) -> Transformer:
    torch.manual_seed(1)
    sizes = {"d_model": 64, "num_heads": 2, "d_ff": 96, "num_encoder_layers": 1, "num_decoder_layers": 3}
    model = Transformer(ModelConfig(**{**sizes, **choices}), 50, 50)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "bias" in name:
                parameter += 0.2 * torch.randn_like(parameter)
    return model.eval()


def searched(model: Transformer, beam_size: int) -> Tensor:
    """The log-probabilities of some steps of five sentences, whose hypotheses change places and of which two leave."""
    torch.manual_seed(2)
    src = torch.randint(4, 50, (5, 9))
    src[2, 5:] = 0
    found = []
    with torch.inference_mode():
        step = ModelStep(model, src)
        for t in range(40):
            step.step(torch.randint(4, 50, (5, beam_size))[: 5 if t <= 6 else 3])
            found.append(step.log_probs(slice(None)).flatten())
            step.reorder(torch.randint(0, beam_size, (5, beam_size))[: 5 if t <= 6 else 3])
            if t == 6:
                step.select(torch.tensor([0, 3, 2]))
    return torch.cat(found)


@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(variant.values()))
def test_a_step_is_that_of_the_layers_part_by_part(variant: dict[str, str], beam_size: int) -> None:
    """To the bit, but for norms that round to the other side; turns and gates C rounds less often than PyTorch."""
    model = make_model(**variant)
    compiled, by_parts = packed(model, "int8"), packed(model, "int8")
    assert compiled.compiled is not None
    by_parts.compiled = None
    exact, whole, parts = (searched(one, beam_size) for one in (model, compiled, by_parts))
    if variant["activation"] == "relu" and variant["positions"] == "sinusoidal":
        assert (whole != parts).double().mean() < 0.02
    assert (whole - exact).abs().mean() < 1.1 * (parts - exact).abs().mean()


def test_models_that_c_does_not_have_are_stepped_part_by_part() -> None:
    for choices in ({"activation": "gelu"}, {"activation": "silu"}, {"attention_window": 3}, {"num_heads": 8}):
        assert packed(make_model(**choices), "int8").compiled is None
    assert packed(make_model(), "bf16").compiled is None


@pytest.mark.parametrize("wrong", ["width", "layers", "memory", "room", "bias", "type"])
def test_what_does_not_go_together_is_refused(wrong: str) -> None:
    decoder = packed(make_model(), "int8").compiled
    assert decoder is not None
    x, buffer = torch.zeros(2, 3, 64).bfloat16(), torch.zeros(2, 3, 2, 2, 8, 32).bfloat16()
    bias, count = torch.zeros(2, 1, 3, 8).bfloat16(), 6
    memory = [(torch.zeros(2, 2, 5, 32).bfloat16(), torch.zeros(2, 2, 5, 32).bfloat16(), None) for _ in range(3)]
    decoder.step(x, Entries(buffer, bias, count), memory)
    if wrong == "width":
        x = x[..., :32]
    elif wrong == "layers":
        memory = memory[:2]
    elif wrong == "memory":
        memory = [*memory[:2], (memory[2][0], memory[2][1][:, :, :4], None)]
    elif wrong == "room":
        count = 9
    elif wrong == "bias":
        bias = bias[..., :4]
    else:
        x = x.float()
    with pytest.raises(ValueError, match="do not go"):
        decoder.step(x, Entries(buffer, bias, count), memory)
