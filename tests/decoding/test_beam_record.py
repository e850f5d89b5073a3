"""What is told of a search is what it did, and telling it changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from transformer_mt.bundle import load_bundle
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID
from transformer_mt.decoding.beam_record import BeamRecord
from transformer_mt.decoding.inspection import source_segment
from transformer_mt.decoding.translator import Translator

SENTENCES = ["the old dog likes the", "a cat and small", "house now now now"]


@pytest.fixture(scope="module", params=[(1, False), (4, False), (4, True)], ids=["greedy", "beam", "shortlist"])
def translator(tiny_run: Path, request: pytest.FixtureRequest) -> Translator:
    bundle = load_bundle(tiny_run)
    beam_size, shortlist = request.param
    settings = replace(bundle.config.decoding, precision="fp32", beam_size=beam_size, shortlist=shortlist)
    return Translator.from_bundles([bundle], torch.device("cpu"), settings)


@pytest.mark.parametrize("text", SENTENCES)
def test_an_observed_search_finds_the_same(translator: Translator, text: str) -> None:
    segment, record = source_segment(translator, text), BeamRecord()
    assert translator.searcher.observed(record).search([segment]) == translator.searcher.search([segment])
    assert record.searches and not BeamRecord().searches


@pytest.mark.parametrize("text", SENTENCES)
def test_every_hypothesis_has_its_probability_and_fate(translator: Translator, text: str) -> None:
    """The oracle: probabilities of whole hypotheses by the model, and each step's best sorted out anew."""
    segment, record = source_segment(translator, text), BeamRecord()
    found = translator.searcher.observed(record).search([segment])[0][0]
    search = record.search_for((*found.tokens, EOS_ID))
    beam_size, live = translator.settings.beam_size, {(): 0.0}
    for step in search:
        assert len(step) <= 2 * beam_size
        assert [one.log_prob for one in step] == sorted((one.log_prob for one in step), reverse=True)
        assert {one.tokens[:-1] for one in step} <= live.keys()
        for one in step:
            assert one.log_prob == pytest.approx(log_prob_of(translator, segment.ids, one.tokens), abs=1e-3)
        going = [one for one in step if one.tokens[-1] != EOS_ID]
        assert [one.fate == "kept" for one in going] == [place < beam_size for place in range(len(going))]
        for place, one in enumerate(step):
            if one.tokens[-1] == EOS_ID:
                assert one.fate == ("ended" if place < beam_size else "dropped")
        live = {one.tokens: one.log_prob for one in step if one.fate == "kept"}
    ended = {one.tokens: one.log_prob / len(one.tokens) ** translator.settings.length_penalty
             for step in search for one in step if one.fate == "ended"}  # fmt: skip
    assert max(ended, key=lambda tokens: ended[tokens]) == (*found.tokens, EOS_ID)
    assert max(ended.values()) == pytest.approx(found.score)


def log_prob_of(translator: Translator, src: list[int], tokens: tuple[int, ...]) -> float:
    model, tgt = translator.searcher.models[0], torch.tensor([tokens])
    with torch.inference_mode():
        logits = model(torch.tensor([src]), torch.tensor([[BOS_ID, *tokens[:-1]]]))
    logits = logits.double()
    if (narrowing := translator.searcher.narrowing) is not None:
        narrowed = narrowing.of(torch.tensor([src]))
        allowed = narrowed.ids[narrowed.bias[0, 0] == 0]
        logits += torch.full_like(logits, -torch.inf).index_fill(-1, allowed, 0.0)
    return logits.log_softmax(dim=-1).gather(-1, tgt.unsqueeze(-1)).sum().item()
