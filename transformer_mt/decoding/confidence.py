"""What a translator's confidence is worth: learnt from pairs, and examined on others."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from transformer_mt.data.pairs import Pair
from transformer_mt.decoding.translation import Translation
from transformer_mt.errors import DataError
from transformer_mt.evaluation.calibration import (
    Calibration,
    Judged,
    Reliability,
    examine,
    learn_calibration,
)
from transformer_mt.evaluation.word_match import words_in_reference

LEAST_WORDS = 50
"""That confidence is learnt from when somebody asks for it; a training takes what its validation pairs have."""


def judged(translations: Sequence[Translation], references: Sequence[str]) -> list[Judged]:
    """The words of translations with the probability of each, judged by references of the lines."""
    rows = zip(translations, references, strict=True)
    return [Judged(one.word_probs, words_in_reference(one.text, reference)) for one, reference in rows]


def calibrate(translations: Sequence[Translation], pairs: Sequence[Pair]) -> Calibration:
    """What confidence in translations like these is worth; raises DataError where there are too few words to say."""
    found = learn_calibration(judged(translations, [pair.tgt for pair in pairs]))
    if found is None or found.num_words < LEAST_WORDS:
        count = found.num_words if found else 0
        raise DataError(
            f"confidence cannot be learnt from {count} translated words; take a few hundred pairs, so that there are "
            f"{LEAST_WORDS} words at the very least"
        )
    return found


@dataclass(frozen=True, slots=True)
class ConfidenceReport:
    """How well confidence is calibrated on held-out pairs, beside the model's own probabilities."""

    words: Reliability
    lines: Reliability
    own_words: Reliability
    """Of the probabilities that the model gives words, as they are."""
    own_lines: Reliability
    """Of their mean in each line."""

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        of_all = {"words": self.words, "lines": self.lines, "own_words": self.own_words, "own_lines": self.own_lines}
        return {name: one.to_json() for name, one in of_all.items()}


def examine_confidence(
    calibration: Calibration, translations: Sequence[Translation], pairs: Sequence[Pair]
) -> ConfidenceReport:
    """Compare confidence with what references have; raises DataError where no translation has a word."""
    lines = [line for line in judged(translations, [pair.tgt for pair in pairs]) if line.probs]
    if not lines:
        raise DataError("there is no confidence to examine: no translation of these pairs has a word")
    of_words = [calibration.of_words(line.probs) for line in lines]
    of_lines = [calibration.of_line(confidences) or 0.0 for confidences in of_words]
    is_right = [float(right) for line in lines for right in line.is_right]
    shares = [sum(line.is_right) / len(line.is_right) for line in lines]
    return ConfidenceReport(
        examine([*chain(*of_words)], is_right),
        examine(of_lines, shares),
        examine([prob for line in lines for prob in line.probs], is_right),
        examine([sum(line.probs) / len(line.probs) for line in lines], shares),
    )
