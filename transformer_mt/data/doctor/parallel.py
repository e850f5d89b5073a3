"""Whether two lines translate each other, and stretches of a corpus in which they do not.

What the lexicon's evidence, lengths, final marks and numbers are worth is learnt by logistic regression, from pairs as
they stand and the same sources with translations of others. Stretches are found by cumulative sums (Page 1954).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transformer_mt.data.doctor.blocks import Lines, Words
from transformer_mt.data.doctor.characters import DIGIT, LETTER, SPACE
from transformer_mt.data.doctor.lexicon import Lexicon

Floats = npt.NDArray[np.float64]

_SHARE_TO_WEIGH = 0.2
"""Share of the sample that the lexicon does not see, and the regression does."""
_MOST_TO_WEIGH = 8000
_NUM_STEPS = 20
_MOST_ODDS = 6.0
"""One pair says no more than this, as a log-odds: a single free translation is no stretch."""
ALARM = 14.0
"""Log-odds from which on a stretch is told of; as many lines of true translations in its midst end it."""


class ParallelModel:
    """Log-odds that pairs of lines translate each other."""

    def __init__(self, src: Sequence[str], tgt: Sequence[str]) -> None:
        """Learn from pairs in random order."""
        held = min(int(_SHARE_TO_WEIGH * len(src)), _MOST_TO_WEIGH)
        sides = [Words.joined([lines.words for lines in Lines.blocks_of(side[held:])]) for side in (src, tgt)]
        self._lexicon = Lexicon(*sides)
        ratios = [(len(right) + 1) / (len(left) + 1) for left, right in zip(src, tgt, strict=True)]
        self._length_ratio = float(np.median(np.log(ratios)))  # target to source, in characters
        others = [*tgt[1:held], tgt[0]]
        true, false = (self._features(Lines.of(src[:held]), Lines.of(side)) for side in (tgt[:held], others))
        self._weights = _regression(true, false)
        self.share = float(np.mean(true @ self._weights > 0)) if held else 0.0
        """Of pairs that the lexicon has not seen, those that look like translations."""

    def log_odds(self, src: Lines, tgt: Lines) -> Floats:
        """(N,): above zero for pairs that look like translations."""
        return np.clip(self._features(src, tgt) @ self._weights, -_MOST_ODDS, _MOST_ODDS)

    def _features(self, src: Lines, tgt: Lines) -> Floats:
        """(N, 6)"""
        evidence, count = self._lexicon.evidence(src.words, tgt.words)
        ratio = np.abs(np.log((tgt.lengths + 1) / (src.lengths + 1)) - self._length_ratio)
        digits = _digits(src) != _digits(tgt)
        marks = _final_marks(src) != _final_marks(tgt)
        return np.stack([np.ones(len(ratio)), evidence, count, np.minimum(ratio, 1.0), marks, digits], axis=1)


def _digits(lines: Lines) -> Floats:
    """(N,): a number for the digits of each line, whose order and grouping languages change."""
    return np.add.reduceat(np.where(lines.kinds & DIGIT, lines.codes, 0).astype(np.float64) ** 2, lines.starts)


def _final_marks(lines: Lines) -> npt.NDArray[np.uint32]:
    """(N,): the code point of each line's last character when it is a mark, else 0."""
    last = np.maximum(lines.starts + lines.lengths - 1, 0)
    return np.where(lines.kinds[last] & (LETTER | DIGIT | SPACE), 0, lines.codes[last])


def _regression(true: Floats, false: Floats) -> Floats:
    """Weights of the features by Newton's method, with a little shrinkage so that they stay finite."""
    features = np.concatenate([true, false])
    labels = np.repeat([1.0, 0.0], [len(true), len(false)])
    weights = np.zeros(features.shape[1])
    for _ in range(_NUM_STEPS):
        probs = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        gradient = features.T @ (labels - probs) - weights
        curvature = (features * (probs * (1 - probs))[:, None]).T @ features + np.eye(len(weights))
        weights = weights + np.linalg.solve(curvature, gradient)
    return weights


class Stretch(NamedTuple):
    """Consecutive pairs that do not translate each other, by their places; `last` belongs to it."""

    first: int
    last: int


class StretchFinder:
    """Takes the log-odds of all pairs in their order and tells where they are against it for long."""

    def __init__(self) -> None:
        self.found: list[Stretch] = []
        self._place = 0  # of the next pair
        self._sum = self._peak = 0.0
        self._first = self._last = 0
        self._after: list[float] = []  # log-odds since the peak

    def see(self, log_odds: Sequence[float]) -> None:
        """Take in the next pairs."""
        waiting = list(reversed(log_odds))
        while waiting:
            against = -waiting.pop()
            if self._sum <= 0.0 and against <= 0.0:
                self._place += 1
                continue
            if self._sum <= 0.0:
                self._first, self._peak = self._place, 0.0
            self._sum += against
            self._place += 1
            if self._sum > self._peak:
                self._peak, self._last = self._sum, self._place - 1
                self._after.clear()
            else:
                self._after.append(-against)
            if self._sum <= max(0.0, self._peak - ALARM):
                waiting.extend(reversed(self._close()))

    def finish(self) -> None:
        """There are no more pairs."""
        while self._sum > 0.0:
            self.see(self._close())

    def _close(self) -> list[float]:
        """End the stretch at its peak; returns the log-odds after it, which are to be seen again."""
        after, self._after = self._after, []
        if self._peak < ALARM:
            after = []
        else:
            self.found.append(Stretch(self._first, self._last))
            self._place = self._last + 1
        self._sum = self._peak = 0.0
        return after
