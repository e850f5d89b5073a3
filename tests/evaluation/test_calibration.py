"""Calibration against brute force: what it learns, and how its errors are counted."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from transformer_mt.evaluation.calibration import (
    NUM_BINS,
    Calibration,
    Judged,
    calibration_error,
    examine,
    fit_curve,
    isotonic,
    learn_calibration,
    reliability,
)
from transformer_mt.evaluation.word_match import words_in_reference

probabilities = st.floats(0, 1, allow_nan=False)
WORDS = ["le", "chat", "voit", "un", "chien", "rouge"]
sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12)


@given(st.lists(st.tuples(probabilities, st.integers(1, 9)), min_size=1, max_size=12))
def test_isotonic_values_are_those_of_the_min_max_formula(rows: list[tuple[float, int]]) -> None:
    """The i-th is the largest over j <= i of the smallest over k >= i of the mean from j to k (Barlow et al. 1972)."""
    values, weights = np.array([value for value, _ in rows]), np.array([float(weight) for _, weight in rows])

    def mean(j: int, k: int) -> float:
        return float(np.average(values[j : k + 1], weights=weights[j : k + 1]))

    n = range(len(rows))
    expected = [max(min(mean(j, k) for k in n if k >= i) for j in n if j <= i) for i in n]
    np.testing.assert_allclose(isotonic(values, weights), expected, atol=1e-12)


@given(st.lists(st.tuples(probabilities, st.booleans()), min_size=1, max_size=60))
def test_the_calibration_error_is_that_of_its_definition(rows: list[tuple[float, bool]]) -> None:
    total = 0.0
    for number in range(NUM_BINS):
        is_last = number == NUM_BINS - 1
        low, high = np.linspace(0, 1, NUM_BINS + 1)[number : number + 2]
        inside = [(said, came) for said, came in rows if low <= said < high or (is_last and said == high)]
        if inside:
            said, came = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            total += len(inside) / len(rows) * abs(said - came)
    said, came = (np.array(column, float) for column in zip(*rows, strict=True))
    assert calibration_error(reliability(said, came)) == pytest.approx(total, abs=1e-12)
    assert sum(one.size for one in reliability(said, came)) == len(rows)
    assert examine(said.tolist(), came.tolist()).brier == pytest.approx(np.mean((said - came) ** 2))


@given(st.lists(st.tuples(probabilities, st.booleans()), min_size=1, max_size=400))
def test_a_curve_never_falls_and_never_says_what_no_data_can(rows: list[tuple[float, bool]]) -> None:
    scores, targets = (np.array(column, float) for column in zip(*rows, strict=True))
    curve = fit_curve(scores, targets)
    assert all(a < b for a, b in zip(curve.scores, curve.scores[1:], strict=False))
    said = curve.of(np.linspace(0, 1, 101).tolist())
    assert all(a <= b for a, b in zip(said, said[1:], strict=False))
    assert 0 < said[0] and said[-1] < 1


def drawn(num_lines: int, seed: int) -> list[Judged]:
    """Lines of a model that says p where p ** 3 is true, and that is more often right in some lines than in others."""
    generator = np.random.default_rng(seed)
    lines = []
    for size in generator.integers(1, 20, num_lines):
        probs = generator.uniform(generator.uniform(0, 0.8), 1, size)
        lines.append(Judged(probs.tolist(), (generator.random(size) < probs**3).tolist()))
    return lines


def test_what_is_learnt_holds_for_lines_that_were_not_seen() -> None:
    calibration = learn_calibration(drawn(1000, seed=1))
    assert calibration is not None
    lines = drawn(4000, seed=2)
    own = examine([p for line in lines for p in line.probs], [float(r) for line in lines for r in line.is_right])
    of_words = [calibration.of_words(line.probs) for line in lines]
    words = examine([p for row in of_words for p in row], [float(r) for line in lines for r in line.is_right])
    of_lines = [calibration.of_line(row) or 0.0 for row in of_words]
    whole = examine(of_lines, [float(np.mean(line.is_right)) for line in lines])
    assert own.error > 0.2 and words.error < 0.02 and words.error_of_equal_bins < 0.02
    assert words.brier < own.brier and whole.error < 0.03
    np.testing.assert_allclose(calibration.words.of([0.3, 0.6, 0.9]), [0.3**3, 0.6**3, 0.9**3], atol=0.05)


def test_few_words_give_a_level_curve_and_none_no_curve() -> None:
    calibration = learn_calibration([Judged([0.9, 0.1], [False, True]), Judged([], [])])
    assert calibration is not None and (calibration.num_words, calibration.num_lines) == (2, 1)
    assert calibration.of_words([0.0, 0.5, 1.0]) == [0.5, 0.5, 0.5]
    assert calibration.of_line([]) is None
    assert learn_calibration([Judged([], [])]) is None


def test_it_comes_back_from_json() -> None:
    calibration = learn_calibration(drawn(100, seed=3))
    assert calibration is not None
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


@given(sentences, sentences)
def test_as_many_words_are_right_as_bleu_counts(translation: list[str], reference: list[str]) -> None:
    found = words_in_reference(" ".join(translation), " ".join(reference))
    score = BLEU(force=True).corpus_score([" ".join(translation)], [[" ".join(reference)]])
    assert sum(found) == score.counts[0]
    seen: Counter[str] = Counter()
    for word, is_right in zip(translation, found, strict=True):
        seen[word] += 1
        assert is_right == (seen[word] <= reference.count(word))  # the first ones count


def test_a_word_is_right_with_all_that_hangs_on_it() -> None:
    assert words_in_reference("Le chat, noir.", "Le chat noir .") == [True, False, True]
    assert words_in_reference("l'homme  dit\u00a0: «non»", "l'homme dit : non") == [True, True, True, False]
    assert words_in_reference("", "rien") == []
