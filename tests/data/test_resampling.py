"""Training text in other pieces: the same text, drawn by its place in the training and by nothing else."""

import math
from collections import Counter

import numpy as np
import pytest
import sentencepiece

from transformer_mt.config.schema import TokenizerConfig
from transformer_mt.data.pairs import Pair
from transformer_mt.data.prepared import Row
from transformer_mt.data.resampling import Resampler
from transformer_mt.data.synthetic.corpus import synthesize
from transformer_mt.data.tokenizer import TokenizerPair, train_tokenizers
from transformer_mt.data.vocabulary import EOS_ID, UNK_ID

TEXTS = ["the small cat sleeps in the garden", "two <s> dogs \u2581 and \u2047 a caf\u00e9 \U0001f600", "a", ""]
"""With a blank's own sign, the name of a special id, and characters that only bytes can write."""


WORDS = [f"{a}{b}{c}" for a in ("ca", "do", "bi", "fo") for b in ("t", "g", "rd", "x") for c in ("", "s", "ling")]


def trained(model_type: str, **settings: object) -> TokenizerPair:
    pairs = [Pair(number, *pair) for number, pair in enumerate(synthesize(1, 500, 1, 1).train, start=1)]
    config = TokenizerConfig(model_type=model_type, vocab_size=500, **settings)  # type: ignore[arg-type]
    return train_tokenizers(config, lambda: iter(pairs), lambda text: None)


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def tokenizers(request: pytest.FixtureRequest) -> TokenizerPair:
    return trained(request.param)


def rows_of(tokenizers: TokenizerPair, texts: list[str]) -> list[Row]:
    sides = [side.encode(texts, add_eos=True) for side in (tokenizers.src, tokenizers.tgt)]
    return [(np.array(src, np.int32), np.array(tgt, np.int32)) for src, tgt in zip(*sides, strict=True)]


def as_lists(rows: list[Row]) -> list[list[list[int]]]:
    return [[list(map(int, side)) for side in row] for row in rows]


def test_other_pieces_are_the_same_text(tokenizers: TokenizerPair) -> None:
    rows = rows_of(tokenizers, TEXTS + WORDS)
    texts = tokenizers.src.decode([src[:-1] for src, _ in rows])
    resampler, cuts = Resampler(tokenizers, 0.3, 100), set()
    for position in range(20):
        drawn = resampler.resample(rows, 1, 0, position)
        for side in (0, 1):
            assert tokenizers.src.decode([row[side][:-1] for row in drawn]) == texts
        assert all(row[side][-1] == EOS_ID and row[side].dtype == np.int32 for row in drawn for side in (0, 1))
        cuts.add(tuple(map(int, drawn[0][0])))
    assert len(cuts) > 5


def test_what_is_drawn_depends_on_its_place_alone(tokenizers: TokenizerPair) -> None:
    rows = rows_of(tokenizers, TEXTS + WORDS)
    resampler = Resampler(tokenizers, 0.3, 100)
    first = as_lists(resampler.resample(rows, 1, 0, 7))
    for other in [(1, 0, 8), (1, 1, 7), (2, 0, 7)]:
        assert as_lists(resampler.resample(rows, *other)) != first
    assert as_lists(Resampler(tokenizers, 0.3, 100).resample(rows, 1, 0, 7)) == first
    assert any(src != tgt for src, tgt in first)  # the sides do not draw alike


def test_a_unigram_model_draws_by_the_power_of_the_probability() -> None:
    """Against all ways to cut a word, found by brute force, with the model's own log-probabilities."""
    tokenizers = trained("unigram", byte_fallback=False)
    model, word, alpha = sentencepiece.SentencePieceProcessor(model_proto=tokenizers.src.proto), "birdling", 0.5
    scores = {model.id_to_piece(i): model.get_score(i) for i in range(4, model.get_piece_size())}

    def cuts(text: str) -> list[tuple[tuple[str, ...], float]]:
        if not text:
            return [((), 0.0)]
        return [
            ((text[:end], *rest), scores[text[:end]] + score)
            for end in range(1, len(text) + 1)
            if text[:end] in scores
            for rest, score in cuts(text[end:])
        ]

    ways = {pieces: math.exp(alpha * score) for pieces, score in cuts("\u2581" + word)}
    assert len(ways) >= 8
    count = 20_000
    rows = Resampler(tokenizers, alpha, 100).resample(rows_of(tokenizers, [word]) * count, 3)
    drawn = Counter(tuple(model.id_to_piece(src[:-1].tolist())) for src, _ in rows)
    assert set(drawn) <= set(ways)
    for pieces, weight in ways.items():
        share = weight / sum(ways.values())
        assert abs(drawn[pieces] / count - share) < 5 * math.sqrt(share / count), pieces


@pytest.mark.parametrize(("model_type", "amount"), [("unigram", 1000.0), ("bpe", 0.0)])
def test_where_chance_has_no_say_text_is_cut_as_sentencepiece_does(model_type: str, amount: float) -> None:
    tokenizers = trained(model_type)
    texts = [side for pair in synthesize(2, 300, 1, 1).train for side in pair] + TEXTS
    rows = rows_of(tokenizers, texts)
    assert as_lists(Resampler(tokenizers, amount, 100).resample(rows, 1)) == as_lists(rows)


def test_bpe_without_any_merge_is_characters() -> None:
    tokenizers = trained("bpe")
    (row,) = Resampler(tokenizers, 1.0, 100).resample(rows_of(tokenizers, ["the garden"]), 1)
    assert tokenizers.src.pieces(row[0][:-1].tolist()) == list("\u2581the\u2581garden")


def test_rows_that_would_be_too_long_and_what_has_no_text_stay(tokenizers: TokenizerPair) -> None:
    rows = rows_of(tokenizers, WORDS)
    longest = max(len(src) for src, _ in rows)
    drawn = Resampler(tokenizers, 0.5, longest).resample(rows, 5)
    assert max(len(side) for row in drawn for side in row) <= longest
    bare = trained("unigram", byte_fallback=False)
    unknown = rows_of(bare, ["cat \U0001f600 garden"])
    assert all(UNK_ID in side for row in Resampler(bare, 0.1, 100).resample(unknown, 1) for side in row)
