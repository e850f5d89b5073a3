"""Confidence that means something: of all words said with 0.8, eight in ten stand in a reference translation.

A model's own probabilities are too high or too low, by an amount that depends on the model. What they are worth is
learnt from translations whose references are known, by isotonic regression (Zadrozny and Elkan 2002) on groups of like
scores; how well that went is measured by the expected calibration error (Guo et al. 2017).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NUM_BINS = 15
"""Of a reliability table, as in Guo et al. 2017."""
_MOST_GROUPS, _LEAST_IN_GROUP = 30, 20
"""Points of a curve; scores that one of them is learnt from."""
_DIGITS = 6
"""After the point, of what is kept."""
_MOST_POINTS = 1000
"""Of a curve that comes from anywhere."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A probability for each score: straight between its points, level before and behind them; it never falls."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def of(self, scores: Sequence[float]) -> list[float]:
        """The probability of each score."""
        return [float(one) for one in np.interp(scores, self.scores, self.probabilities)]


class Judged(NamedTuple):
    """The words of one translation: the probability that the model gave each, and whether the reference has it."""

    probs: Sequence[float]
    is_right: Sequence[bool]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the probabilities of a model's words are worth."""

    words: Curve
    """From the probability that the model gives a word to the probability that a reference has it."""
    lines: Curve
    """From the mean confidence of the words of a line to the share of them that a reference has."""
    num_words: int
    num_lines: int
    """What it was learnt from."""

    def of_words(self, probs: Sequence[float]) -> list[float]:
        """The confidence of each word of a line, given the probability that the model gave it."""
        return self.words.of(probs)

    def of_line(self, confidences: Sequence[float]) -> float | None:
        """The confidence of a line, given that of its words; None where there are none."""
        return self.lines.of([float(np.mean(confidences))])[0] if confidences else None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, of which `from_json` makes it again."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Any) -> "Calibration":
        """Raises ValueError where it is not what `to_json` gives."""
        names = ("words", "lines", "num_words", "num_lines")
        if not isinstance(found, dict) or set(found) != set(names):
            raise ValueError(f"must have {', '.join(names)} and nothing else")
        if any(type(found[name]) is not int or found[name] < 0 for name in names[2:]):
            raise ValueError("num_words and num_lines must be whole numbers, 0 or above")
        return cls(_curve(found["words"]), _curve(found["lines"]), found["num_words"], found["num_lines"])


def _curve(found: Any) -> Curve:
    if not isinstance(found, dict) or set(found) != {"scores", "probabilities"}:
        raise ValueError("a curve must have scores and probabilities and nothing else")
    scores, probs = found["scores"], found["probabilities"]
    if not all(isinstance(one, list) and 1 <= len(one) <= _MOST_POINTS for one in (scores, probs)):
        raise ValueError(f"a curve must have 1 to {_MOST_POINTS} points")
    if len(scores) != len(probs) or not all(type(one) in (int, float) and 0 <= one <= 1 for one in (*scores, *probs)):
        raise ValueError("a curve needs as many scores as probabilities, all from 0 to 1")
    rises, falls = np.diff(scores) > 0, np.diff(probs) < 0
    if not rises.all() or falls.any():
        raise ValueError("the scores of a curve must rise, and its probabilities not fall")
    return Curve(tuple(map(float, scores)), tuple(map(float, probs)))


def learn_calibration(lines: Sequence[Judged]) -> Calibration | None:
    """What the probabilities of `lines` are worth; None where there are no words."""
    lines = [line for line in lines if line.probs]
    if not lines:
        return None
    probs = np.array([prob for line in lines for prob in line.probs])
    words = fit_curve(probs, np.array([right for line in lines for right in line.is_right], float))
    means = np.array([np.mean(words.of(line.probs)) for line in lines])
    shares = np.array([np.mean(line.is_right) for line in lines])
    return Calibration(words, fit_curve(means, shares), len(probs), len(lines))


def fit_curve(scores: Floats, targets: Floats) -> Curve:
    """The curve that never falls and is nearest to `targets` (N,) from 0 to 1, given `scores` (N,), by least squares.

    Neighbouring scores are put into groups of the same size first: of each the mean score is kept, and the mean target,
    drawn towards that of all by one observation. One right and one wrong are added to all, so that no probability is 0
    or 1 for want of data.
    """
    order = np.argsort(scores, kind="stable")
    num_groups = int(np.clip(len(scores) // _LEAST_IN_GROUP, 1, _MOST_GROUPS))
    groups = np.array_split(order, num_groups)
    mean = float(targets.sum() + 1) / (len(targets) + 2)  # Laplace
    places = np.array([scores[group].mean() for group in groups]).round(_DIGITS)
    levels = np.array([(targets[group].sum() + mean) / (len(group) + 1) for group in groups])
    sizes = np.array([float(len(group)) for group in groups])
    levels = isotonic(levels, sizes).round(_DIGITS)
    kept = np.unique(places, return_index=True)[1]  # many scores may be the same
    last = [*(kept[1:] - 1), len(places) - 1]
    levels = np.array(
        [np.average(levels[a : b + 1], weights=sizes[a : b + 1]) for a, b in zip(kept, last, strict=True)]
    )
    return Curve(tuple(places[kept].tolist()), tuple(levels.round(_DIGITS).tolist()))


def isotonic(values: Floats, weights: Floats) -> Floats:
    """The values (N,) that never fall and are nearest to `values` by weighted least squares.

    Neighbours that fall are pooled until none do (Ayer et al. 1955).
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, number of values
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (a, of_a, num_a), (b, of_b, num_b) = pools[-2:]
            pools[-2:] = [((a * of_a + b * of_b) / (of_a + of_b), of_a + of_b, num_a + num_b)]
    return np.repeat([mean for mean, _, _ in pools], [count for *_, count in pools])


class Bin(NamedTuple):
    """What was said with a confidence from `low` to `high`."""

    low: float
    high: float
    size: int
    confidence: float
    """The mean."""
    right: float
    """The share that was right."""


def reliability(confidences: Floats, targets: Floats, edges: Floats | None = None) -> list[Bin]:
    """What `confidences` (N,) of things that came out as `targets` (N,) were worth, in bins; empty ones are left out.

    A bin has its lower edge, and the last one its upper edge too. Without `edges`, NUM_BINS of equal width.
    """
    edges = np.linspace(0, 1, NUM_BINS + 1) if edges is None else edges
    places = np.clip(np.searchsorted(edges, confidences, side="right") - 1, 0, len(edges) - 2)
    found = []
    for number, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        inside = places == number
        if inside.any():
            means = float(confidences[inside].mean()), float(targets[inside].mean())
            found.append(Bin(low, high, int(inside.sum()), *means))
    return found


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: by how much confidence and share of right ones differ, on average."""
    return sum(one.size * abs(one.confidence - one.right) for one in bins) / sum(one.size for one in bins)


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well some confidences are calibrated."""

    error: float
    """Expected calibration error, bins of equal width."""
    error_of_equal_bins: float
    """The same over bins that hold equally many."""
    brier: float
    """Mean squared difference between confidence and outcome (Brier 1950): also says whether right ones stand out."""
    bins: tuple[Bin, ...]
    """Of equal width."""

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {**asdict(self), "bins": [one._asdict() for one in self.bins]}


def examine(confidences: Sequence[float], targets: Sequence[float]) -> Reliability:
    """How well `confidences` fit `targets`, of which there is at least one."""
    said, came = np.array(confidences, float), np.array(targets, float)
    bins = reliability(said, came)
    equal = reliability(said, came, np.quantile(said, np.linspace(0, 1, NUM_BINS + 1)))
    return Reliability(
        calibration_error(bins), calibration_error(equal), float(((said - came) ** 2).mean()), tuple(bins)
    )
