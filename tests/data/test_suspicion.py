"""Copies, repetitions and swapped languages."""

import random
from pathlib import Path

import pytest

from transformer_mt.data.pairs import Pair
from transformer_mt.data.suspicion import SAMPLE_SIZE, EvenSample, SuspicionCounter, swapped_share


def real_pairs(shared_data: Path, name: str) -> list[Pair]:
    sides = [(shared_data / f"{name}.{code}").read_text(encoding="utf-8").split("\n")[:-1] for code in ("en", "fr")]
    return [Pair(line, src, tgt) for line, (src, tgt) in enumerate(zip(*sides, strict=True), start=1)]


def swap(pairs: list[Pair], share: float) -> list[Pair]:
    draw = random.Random(3)
    return [Pair(pair.line, pair.tgt, pair.src) if draw.random() < share else pair for pair in pairs]


@pytest.mark.parametrize("name", ["multi30k/val", "tatoeba/val", "tico19/dev"])
def test_swapped_share_is_near_the_truth(shared_data: Path, name: str) -> None:
    pairs = real_pairs(shared_data, name)[:600]
    assert swapped_share(pairs, "en", "fr") < 0.01
    for share in (0.1, 0.5, 1.0):
        assert abs(swapped_share(swap(pairs, share), "en", "fr") - share) < 0.06, share
    assert abs(swapped_share(swap(pairs, 0.2), "xx", "yy") - 0.2) < 0.06  # languages whose words are not known


def test_one_language_on_both_sides_is_not_swapped(shared_data: Path) -> None:
    lines = [pair.src for pair in real_pairs(shared_data, "tatoeba/val")]
    pairs = [Pair(line, src, tgt) for line, (src, tgt) in enumerate(zip(lines[:900], lines[900:1800], strict=True))]
    assert swapped_share(pairs, "xx", "yy") < 0.05


def test_copies_and_repetitions_are_counted_exactly() -> None:
    counter = SuspicionCounter("en", "fr")
    pairs = [Pair(number, f"a{number % 700}", f"a{number % 700}" if number % 4 == 0 else "b") for number in range(2800)]
    for start in range(0, len(pairs), 300):
        counter.see(pairs[start : start + 300])
    shares = counter.shares()
    assert shares["copies"] == 0.25
    assert shares["duplicates"] == 1 - len({(pair.src, pair.tgt) for pair in pairs}) / len(pairs)


@pytest.mark.parametrize("block", [1, 7, 997, 5000])
def test_sample_is_even_and_bounded_whatever_the_blocks(block: int) -> None:
    sample = EvenSample(SAMPLE_SIZE)
    pairs = [Pair(number, "x", "y") for number in range(5000)]
    for start in range(0, len(pairs), block):
        sample.see(pairs[start : start + block])
    lines = [pair.line for pair in sample.pairs]
    assert lines == list(range(0, 5000, lines[1]))
    assert SAMPLE_SIZE <= len(lines) <= 2 * SAMPLE_SIZE


def test_nothing_seen_has_no_shares() -> None:
    assert SuspicionCounter("en", "fr").shares() == {"copies": 0.0, "duplicates": 0.0, "swapped": 0.0}
