"""Hiding a piece of the source tells what the translation owes to it."""

import random
from importlib import import_module
from pathlib import Path

import pytest
import torch

from tests import tiny
from transformer_mt.config.schema import DecodingConfig, ModelConfig
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID
from transformer_mt.decoding.attribution import occlusion
from transformer_mt.decoding.searcher import Searcher
from transformer_mt.decoding.terms import TermRules
from transformer_mt.decoding.translator import Translator
from transformer_mt.model.transformer import Transformer

BENCHMARKS = Path(__file__).resolve().parent.parent.parent / "scripts" / "benchmarks"
NAMES = "Paul Emma Anna Luca Nora Hugo Iris Theo Lena Omar Ruth Sara Ivan Jade Kurt Mona".split()
SRC, TGT = [5, 9, 4, 11, 7, EOS_ID], [8, 15, 4]


def searcher(positions: str) -> Searcher:
    torch.manual_seed(3)
    sizes = {"d_model": 16, "num_heads": 2, "d_ff": 24, "num_encoder_layers": 2, "num_decoder_layers": 2}
    model = Transformer(ModelConfig(**sizes, positions=positions), 20, 20).eval()  # type: ignore[arg-type]
    return Searcher([model], DecodingConfig(precision="fp32"), TermRules([False] * 20, [False] * 20, EOS_ID))


def log_probs(searcher: Searcher, src: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits = searcher.models[0](torch.tensor([src]), torch.tensor([[BOS_ID, *TGT]]))
    return logits[0].log_softmax(dim=-1)[torch.arange(4), [*TGT, EOS_ID]]


def test_a_hidden_piece_is_as_good_as_absent_where_there_are_no_places() -> None:
    one = searcher("none")
    lost = occlusion(one, SRC, TGT)
    assert lost.shape == (4, 6) and (lost[:, -1] == 0).all()
    for place in range(5):
        without = log_probs(one, SRC[:place] + SRC[place + 1 :])
        torch.testing.assert_close(lost[:, place], log_probs(one, SRC) - without, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
def test_the_others_keep_their_places(positions: str) -> None:
    """Of a source of one piece again and again, hiding any is not the same as hiding the last."""
    one = searcher(positions)
    lost = occlusion(one, [6, 6, 6, EOS_ID], TGT)
    shorter = log_probs(one, [6, 6, EOS_ID])
    assert not torch.allclose(log_probs(one, [6, 6, 6, EOS_ID]) - lost[:, 1], shorter, atol=1e-4)


def test_a_planted_copied_word_ranks_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are translated one by one and names are copied; each name is planted in places of others."""
    config = tiny.write_config(tmp_path)
    generator = random.Random(2)
    for name in ("train", "val", "test"):
        sides = [(tmp_path / f"{name}.{side}").read_text().splitlines() for side in ("en", "fr")]
        for number, pair in enumerate(zip(*(map(str.split, side) for side in sides), strict=True)):
            place = generator.randrange(1, len(pair[0]))
            for side, words in zip(sides, pair, strict=True):
                side[number] = " ".join([*words[:place], NAMES[number % len(NAMES)], *words[place + 1 :]])
        for lines, side in zip(sides, ("en", "fr"), strict=True):
            (tmp_path / f"{name}.{side}").write_text("".join(f"{line}\n" for line in lines))
    assert tiny.train(config, (*tiny.WELL_TRAINED, "tokenizer.vocab_size=336", "training.max_steps=160")) == 0
    monkeypatch.syspath_prepend(BENCHMARKS)
    pairs = zip(*((tmp_path / f"val.{side}").read_text().splitlines() for side in ("en", "fr")), strict=True)
    row = import_module("attribution").measure(Translator.load(tmp_path / "run", threads=1), list(pairs))
    assert row["names"] >= 12 and row["copied"] >= 0.9 * row["sentences"] >= 20
    assert row["first"] >= 0.9 * row["pieces"] >= 20
