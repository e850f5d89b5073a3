"""How probable a model finds each piece, and each word, that it says."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from re import Pattern

from transformer_mt.data.tokenizer import Tokenizer, escape
from transformer_mt.data.vocabulary import EOS_ID, SPECIAL_PIECES
from transformer_mt.decoding.translation import PieceScore, Translation
from transformer_mt.decoding.word_alignment import WORD, word_of_each_piece
from transformer_mt.evaluation.calibration import Calibration


def named(tokenizer: Tokenizer, ids: Sequence[int], log_probs: Sequence[float]) -> list[PieceScore]:
    """The pieces of `ids` and the end behind them, each with its log-probability."""
    return list(zip([*tokenizer.pieces(ids), SPECIAL_PIECES[EOS_ID]], log_probs, strict=True))


def word_probs(
    tokenizer: Tokenizer,
    ids: Sequence[Sequence[int]],
    log_probs: Sequence[Sequence[float]],
    patterns: Sequence[Pattern[str]],
) -> Iterator[list[float]]:
    """The probability of each word of the texts of `ids`, given the log-probability of each piece.

    It is the product of those of its pieces. What is a word is said by the pattern of each text, see `word_alignment`.
    """
    rows = zip(tokenizer.decode(ids), tokenizer.decoded_ends(ids), log_probs, patterns, strict=True)
    for text, ends, of_pieces, pattern in rows:
        escaped = escape(text)
        found = [0.0] * len(pattern.findall(escaped))
        for word, log_prob in zip(word_of_each_piece(escaped, ends, words=pattern), of_pieces, strict=False):
            if word >= 0:
                found[word] += log_prob
        yield [math.exp(min(total, 0.0)) for total in found]


def probs_with_placeables(text: str, words_of_units: Sequence[int], probs: Sequence[float]) -> list[float]:
    """The probability of each word of `text`, given those of its units; what was put back or prescribed is certain."""
    found = [1.0] * len(WORD.findall(text))
    for word, prob in zip(words_of_units, probs, strict=False):
        found[word] *= prob
    return found


def with_confidence(translation: Translation, probs: Sequence[float], calibration: Calibration | None) -> Translation:
    """The translation with the probabilities of its words, and what they are worth where that is known."""
    if calibration is None or not probs:
        return replace(translation, word_probs=tuple(probs))
    of_words = calibration.of_words(probs)
    return replace(
        translation,
        confidence=calibration.of_line(of_words),
        word_confidences=tuple(of_words),
        word_probs=tuple(probs),
    )
