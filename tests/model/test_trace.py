"""A trace tells what the model does: it is the same computation, for every architecture."""

from collections.abc import Callable

import pytest
import torch

from tests.model.test_transformer import each_variant
from transformer_mt.model.attention import attend
from transformer_mt.model.transformer import Transformer

MakeModel = Callable[..., Transformer]
SRC, TGT_IN = torch.tensor([5, 9, 4, 11, 7, 3]), torch.tensor([2, 8, 15, 4])


@each_variant
def test_a_trace_ends_where_decode_does(make_model: MakeModel, variant: dict[str, object]) -> None:
    model = make_model(**variant)
    trace = model.trace(SRC, TGT_IN)
    memory = model.encode(SRC[None])
    hidden = model.decode(TGT_IN[None], memory, model.source_mask(SRC[None]))
    torch.testing.assert_close(trace.hidden, hidden[0])
    torch.testing.assert_close(model.encoder.norm(trace.src_states[-1]), memory[0])
    torch.testing.assert_close(trace.src_states[0], model.src_embedding(SRC, torch.arange(6), 6))
    assert trace.tgt_states.shape == (4, 4, 16)


@each_variant
def test_weights_sum_to_one_and_look_only_where_they_may(make_model: MakeModel, variant: dict[str, object]) -> None:
    trace = make_model(**variant).trace(SRC, TGT_IN)
    for weights, shape in (
        (trace.encoder_attention, (2, 2, 6, 6)),
        (trace.decoder_attention, (3, 2, 4, 4)),
        (trace.memory_attention, (3, 2, 4, 6)),
    ):
        assert weights.dtype == torch.float32 and weights.shape == shape
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(shape[:-1]))
    assert (trace.decoder_attention.triu(1) == 0).all()
    if window := variant.get("attention_window"):
        far = (torch.arange(6)[:, None] - torch.arange(6)).abs() > window
        assert (trace.encoder_attention[..., far] == 0).all() and (trace.decoder_attention[:, :, 3, 0] == 0).all()


@each_variant
def test_weights_make_what_attention_gives(
    make_model: MakeModel, variant: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values summed up by the weights are what `attend`, which all blocks call, gave in the same computation."""
    calls = []

    def spy(q, k, v, *rest, **others):  # type: ignore[no-untyped-def]
        calls.append((v, attend(q, k, v, *rest, **others)))
        return calls[-1][1]

    monkeypatch.setattr("transformer_mt.model.attention.attend", spy)
    monkeypatch.setattr("transformer_mt.native.kernels.can_attend", lambda *_: False)
    trace = make_model(**variant).trace(SRC, TGT_IN)
    encoder, decoder = calls[:2], calls[2:]
    for found, weights in (
        (encoder, trace.encoder_attention),
        (decoder[::2], trace.decoder_attention),
        (decoder[1::2], trace.memory_attention),
    ):
        for (values, context), of_layer in zip(found, weights, strict=True):
            torch.testing.assert_close(of_layer @ values[0, :, : of_layer.shape[-1]], context[0])
