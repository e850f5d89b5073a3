"""What is told of one sentence is what the model does to it: PyTorch's own attention and the translator are asked."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from transformer_mt.bundle import load_bundle
from transformer_mt.decoding.inspection import Inspection, inspect_translation
from transformer_mt.decoding.translation import Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.errors import DataError, TransformerMTError

SENTENCE = "the old dog likes bird"


@pytest.fixture(scope="module")
def load(tiny_run: Path) -> Callable[..., Translator]:
    bundle = load_bundle(tiny_run)

    def make(precision: str = "fp32", **changes: object) -> Translator:
        settings = replace(bundle.config.decoding, precision=precision, **changes)  # type: ignore[arg-type]
        return Translator.from_bundles([bundle], torch.device("cpu"), settings)

    return make


@pytest.fixture(scope="module")
def inspection(load: Callable[..., Translator]) -> Inspection:
    return inspect_translation(load(), SENTENCE)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("shortlist", [False, True])
def test_it_is_the_translation_of_the_translator(
    load: Callable[..., Translator], precision: str, shortlist: bool
) -> None:
    translator = load(precision, shortlist=shortlist)
    wishes = Wishes(token_scores=True, alignments=True)
    (answer,) = translator.stream([SENTENCE], wishes)
    found = inspect_translation(translator, SENTENCE)
    assert found.translation == answer.text
    assert found.links == answer.links
    assert found.tgt == tuple(piece for piece, _ in answer.tokens)
    assert found.log_probs.tolist() == pytest.approx([log_prob for _, log_prob in answer.tokens], abs=1e-5)


@pytest.mark.parametrize("tgt", ["le vieux chat", "rien à voir", ""])
def test_a_given_translation_has_the_probabilities_of_score(load: Callable[..., Translator], tgt: str) -> None:
    translator = load()
    (scored,) = translator.score([(SENTENCE, tgt)])
    found = inspect_translation(translator, SENTENCE, tgt)
    assert found.translation == tgt
    assert list(zip(found.tgt, found.log_probs.tolist(), strict=True)) == [
        (piece, pytest.approx(log_prob, abs=1e-5)) for piece, log_prob in scored.tokens
    ]


def test_alternatives_are_the_most_probable_pieces(load: Callable[..., Translator], inspection: Inspection) -> None:
    model = load().searcher.models[0]
    with torch.inference_mode():
        logits = model(torch.tensor([inspection.src_ids]), torch.tensor([[2, *inspection.tgt_ids[:-1]]]))
    every = logits[0].double().softmax(dim=-1)
    for place, alternatives in enumerate(inspection.alternatives):
        probabilities = [probability for _, probability in alternatives]
        assert len(alternatives) == 5 and probabilities == sorted(probabilities, reverse=True)
        assert probabilities == pytest.approx(every[place].sort(descending=True).values[:5].tolist(), abs=1e-5)
    assert [row[0][0] for row in inspection.alternatives] == list(inspection.tgt)  # of a model that is sure


def test_weights_are_those_of_torch_attention(load: Callable[..., Translator], inspection: Inspection) -> None:
    """The tiny model has one layer on each side, so what its attention gets can be made from its parts."""
    model, trace = load().searcher.models[0], inspection.trace
    encoder, decoder = model.encoder.layers[0], model.decoder.layers[0]
    with torch.inference_mode():
        src = torch.tensor([inspection.src_ids])
        tgt_in = torch.tensor([[2, *inspection.tgt_ids[:-1]]])
        x = encoder.self_attention_norm(model.src_embedding(src, torch.arange(src.shape[1]), src.shape[1]))
        y = model.tgt_embedding(tgt_in, torch.arange(tgt_in.shape[1]), tgt_in.shape[1])
        later = torch.ones(y.shape[1], y.shape[1], dtype=torch.bool).triu(1)
        _, of_encoder = torch_attention(encoder.self_attention, ["qkv_proj"], x, x, None)
        normed = decoder.self_attention_norm(y)
        change, of_decoder = torch_attention(decoder.self_attention, ["qkv_proj"], normed, normed, later)
        query, memory = decoder.cross_attention_norm(y + change), model.encode(src)
        _, of_memory = torch_attention(decoder.cross_attention, ["q_proj", "kv_proj"], query, memory, None)
    torch.testing.assert_close(trace.encoder_attention, of_encoder, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(trace.decoder_attention, of_decoder, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(trace.memory_attention, of_memory, atol=1e-5, rtol=1e-4)


def torch_attention(
    ours: nn.Module, inputs: list[str], query: Tensor, keys: Tensor, hidden: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What PyTorch's own attention with the weights of `ours` gives, and how it attends, (1, H, T, S)."""
    theirs = nn.MultiheadAttention(query.shape[-1], ours.num_heads, batch_first=True).eval()
    state = {f"in_proj_{kind}": torch.cat([getattr(getattr(ours, x), kind) for x in inputs]) for kind in KINDS}
    theirs.load_state_dict(state | {f"out_proj.{kind}": getattr(ours.out_proj, kind) for kind in KINDS})
    return theirs(query, keys, keys, attn_mask=hidden, average_attn_weights=False)  # type: ignore[no-any-return]


KINDS = ("weight", "bias")


def test_json_has_what_pages_draw(inspection: Inspection) -> None:
    found = inspection.as_json()
    assert json.loads(json.dumps(found)) == found
    num_src, num_tgt = len(inspection.src), len(inspection.tgt)
    assert list(found) == ["translation", "src", "tgt", "probabilities", "attention", "words"]
    assert found["src"][-1] == found["tgt"][-1] == "</s>"
    for name, shape in (("encoder", (num_src,) * 2), ("decoder", (num_tgt,) * 2), ("memory", (num_tgt, num_src))):
        weights = torch.tensor(found["attention"][name])
        assert weights.shape == (1, 2, *shape)
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]), atol=1e-3, rtol=0)
    assert found["probabilities"] == pytest.approx(inspection.log_probs.exp().tolist(), abs=5e-5)
    assert found["words"] == {
        "src": SENTENCE.split(), "tgt": inspection.translation.split(), "links": [[i, i] for i in range(5)]
    }  # fmt: skip


@pytest.mark.parametrize("text", ["l'été «à» 😀 x", "▁ a▁b \ue581", "a\x00b \ud800", "日本語 \ufb01n"])
def test_any_text_can_be_looked_at(load: Callable[..., Translator], text: str) -> None:
    translator = load()
    translator.max_source_pieces = 40  # else it would be translated in parts
    found = inspect_translation(translator, text)
    assert found.translation == translator.translate([text])[0]
    assert len(found.src_words) == len(text.split())
    json.dumps(found.as_json(), ensure_ascii=False).encode()
    assert all(source < len(found.src_words) and target < len(found.tgt_words) for source, target in found.links)


@pytest.mark.parametrize(("text", "problem"), [(" \n", "is blank"), ("the cat " * 60, "takes at most 7 in one")])
def test_what_cannot_be_looked_at_is_told(load: Callable[..., Translator], text: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        inspect_translation(load(), text)


def test_models_that_vote_are_refused(tiny_run: Path) -> None:
    with pytest.raises(TransformerMTError, match="one model"):
        inspect_translation(Translator.load(tiny_run, ensemble=[tiny_run]), SENTENCE)
