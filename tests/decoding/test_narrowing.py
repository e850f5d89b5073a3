"""A vocabulary of what may be said: the same as forbidding the rest, and nothing of the neighbours."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from transformer_mt.bundle import load_bundle, save_bundle
from transformer_mt.cli.main import main
from transformer_mt.data.batching import pad_rows
from transformer_mt.data.shortlist import NUM_LIKELY, Shortlist
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID
from transformer_mt.decoding.narrowing import Narrowing
from transformer_mt.decoding.search import SearchSettings, beam_search
from transformer_mt.decoding.step import ModelStep
from transformer_mt.decoding.translator import Translator
from transformer_mt.errors import BundleError, TransformerMTError
from transformer_mt.model.transformer import Transformer


@pytest.fixture(scope="module")
def lines(tiny_run: Path) -> list[str]:
    return (tiny_run.parent / "test.en").read_text().splitlines()


def narrow_list(vocab_size: int) -> Shortlist:
    """Some made-up pieces for each source piece."""
    generator = np.random.default_rng(5)
    likely = generator.integers(4, vocab_size, (vocab_size, NUM_LIKELY)).astype(np.int32)
    likely[:, 6:] = EOS_ID
    return Shortlist(likely, np.array([EOS_ID, 300], np.int32))


class ForbiddingStep(ModelStep):
    """All of the vocabulary, with what no source piece becomes forbidden before the softmax: the oracle."""

    def __init__(self, model: Transformer, src: Tensor, shortlist: Shortlist) -> None:
        super().__init__(model, src)
        self.allowed = torch.full((len(src), model.output_proj.weight.shape[0]), -torch.inf)
        for row, ids in enumerate(src.tolist()):
            self.allowed[row, [*shortlist.always.tolist(), *shortlist.likely[ids].ravel().tolist()]] = 0.0

    def log_probs(self, sentences: slice) -> Tensor:
        logits = self.model.project(self.hidden[sentences]) + self.allowed[sentences].unsqueeze(1)
        return logits.log_softmax(-1)

    def select(self, rows: Tensor) -> None:
        super().select(rows)
        self.allowed = self.allowed[rows]


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_narrowed_search_is_the_search_with_all_other_tokens_forbidden(
    tiny_run: Path, lines: list[str], beam_size: int
) -> None:
    bundle = load_bundle(tiny_run)
    shortlist = narrow_list(bundle.tokenizers.tgt.vocab_size)
    src = torch.from_numpy(pad_rows([[*ids, EOS_ID] for ids in bundle.tokenizers.src.encode(lines)]))
    limits = (src != 0).sum(1) + 6
    settings = SearchSettings(beam_size=beam_size, length_penalty=1.0, bos_id=BOS_ID, eos_id=EOS_ID, n_best=beam_size)
    with torch.inference_mode():
        expected = beam_search(ForbiddingStep(bundle.model, src, shortlist), limits, settings)
        narrowed = Narrowing(shortlist, bundle.tokenizers.tgt.vocab_size, src.device).of(src)
        places = replace(settings, bos_id=narrowed.bos_place, eos_id=narrowed.eos_place)
        found = beam_search(ModelStep(bundle.model, src, narrowed), limits, places)
    ids = narrowed.ids.tolist()
    assert [[[ids[p] for p in one.tokens] for one in row] for row in found] == [
        [one.tokens for one in row] for row in expected
    ]
    for row, other in zip(found, expected, strict=True):
        assert [one.score for one in row] == pytest.approx([one.score for one in other], abs=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_list_of_everything_changes_nothing(tiny_run: Path, lines: list[str], precision: str) -> None:
    bundle = load_bundle(tiny_run)
    size = bundle.tokenizers.tgt.vocab_size
    everything = Shortlist(np.full((size, NUM_LIKELY), EOS_ID, np.int32), np.arange(3, size, dtype=np.int32))
    settings = replace(bundle.config.decoding, precision=precision)
    device = torch.device("cpu")
    plain = Translator.from_bundles([bundle], device, settings).translate(lines)
    narrowed = replace(bundle, shortlist=everything)
    assert Translator.from_bundles([narrowed], device, replace(settings, shortlist=True)).translate(lines) == plain


def test_what_a_training_learns_leaves_the_translations_as_they_were(tiny_run: Path, lines: list[str]) -> None:
    settings = load_bundle(tiny_run).config.decoding
    plain = Translator.load(tiny_run, threads=1, settings=settings).translate(lines)
    narrow = Translator.load(tiny_run, threads=1, settings=replace(settings, shortlist=True))
    assert narrow.searcher.narrowing is not None
    found = narrow.translate(lines)
    assert sum(map(str.__eq__, found, plain)) >= 0.9 * len(lines)
    assert [narrow.translate([line])[0] for line in lines] == found  # whoever is beside it


def test_a_bundle_without_a_list_says_so(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_bundle(tmp_path / "old", replace(load_bundle(tiny_run), shortlist=None))
    assert main(["translate", str(tmp_path / "old"), str(tiny_run.parent / "test.en"), "--shortlist"]) == 2
    assert "this bundle holds none" in capsys.readouterr().err
    with pytest.raises(TransformerMTError, match="holds none"):
        settings = replace(load_bundle(tiny_run).config.decoding, shortlist=True)
        Translator.load(tmp_path / "old", settings=settings)


def test_a_list_of_another_vocabulary_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    bundle = load_bundle(tiny_run)
    assert bundle.shortlist is not None
    for wrong in (
        replace(bundle.shortlist, likely=bundle.shortlist.likely[1:]),
        replace(bundle.shortlist, always=np.array([3, 10**6], np.int32)),
        replace(bundle.shortlist, always=np.array([-1], np.int32)),
    ):
        save_bundle(tmp_path / "wrong", replace(bundle, shortlist=wrong))
        with pytest.raises(BundleError, match="the tokenizer of this bundle"):
            load_bundle(tmp_path / "wrong")
