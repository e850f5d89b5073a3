"""Careless sources: the same ones for a seed, never another line, a digit or an address touched."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer_mt.evaluation.noise import KINDS, spoilt

KIND = {kind.name: kind for kind in KINDS}
LINES = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=60)
WORDS = st.lists(
    st.sampled_from('the weather costs 3,50 € at 12:30 on https://a.b/c {name} really! (yes) "no"'.split())
)


@pytest.mark.parametrize("name", KIND)
@given(line=LINES, seed=st.integers(0, 3), number=st.integers(0, 10**6))
def test_any_line_stays_one_line_and_is_always_spoilt_alike(name: str, line: str, seed: int, number: int) -> None:
    found = spoilt(KIND[name], line, seed, number)
    assert found == spoilt(KIND[name], line, seed, number)
    assert found.count("\n") == found.count("\r") == 0
    assert bool(found.strip()) == bool(line.strip())


@pytest.mark.parametrize("name", KIND)
@given(words=WORDS, number=st.integers(1, 9))
def test_digits_stay_as_they_are(name: str, words: list[str], number: int) -> None:
    line = " ".join(words)
    assert re.findall(r"\d+", spoilt(KIND[name], line, 1, number)) == re.findall(r"\d+", line)


@given(words=WORDS, seed=st.integers(0, 99))
def test_typos_leave_numbers_addresses_and_placeholders(words: list[str], seed: int) -> None:
    found = spoilt(KIND["typos"], " ".join(words), seed, 1).split()
    assert len(found) == len(words)
    for before, after in zip(words, found, strict=True):
        if not re.fullmatch(r"[a-z]{4,}!?", before):
            assert after == before
        else:
            assert after[0] == before[0] and abs(len(after) - len(before)) <= 1


def test_typos_fall_on_a_tenth_of_the_words_by_the_seed_and_the_line() -> None:
    line = " ".join(["children"] * 50)
    found = {spoilt(KIND["typos"], line, seed, number) for seed in range(3) for number in range(3)}
    assert len(found) == 9
    for text in found:
        assert 0 < sum(word != "children" for word in text.split()) <= 5
    assert spoilt(KIND["typos"], "A red cat", 1, 1) == "A red cat"  # of short words none is left to guess


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("lower case", "The UN, in Rome.", "the un, in rome."),
        ("upper case", "The UN, in Rome.", "THE UN, IN ROME."),
        ("title case", "don't go (now) 3rd", "Don't Go (now) 3rd"),
        ("straight quotes", "“Don’t,” «\u00a0he\u00a0» said", '"Don\'t," "he" said'),
        ("curly quotes", '"Don\'t," he said', "“Don’t,” he said"),
        ("guillemets", 'He said "yes" and “no”', "He said « yes » and « no »"),
        ("doubled spaces", "a b  c", "a  b  c"),
        ("no-break spaces", "a b c", "a\u00a0b\u00a0c"),
        ("space before marks", "Yes, at 3:30. Why?", "Yes , at 3:30 . Why ?"),
        ("no space before marks", "Oui\u00a0! Non ; 3 .5", "Oui! Non; 3 .5"),
        ("no final mark", "Why?!", "Why"),
        ("no final mark", "Wait ...", "Wait"),
        ("no final mark", "...", "..."),
        ("no final mark", "3.5", "3.5"),
    ],
)
def test_each_kind_does_what_its_name_says(name: str, line: str, expected: str) -> None:
    assert spoilt(KIND[name], line, 1, 1) == expected


def test_kinds_have_names_of_their_own() -> None:
    assert len(KIND) == len(KINDS)


def test_another_generator_elsewhere_changes_nothing() -> None:
    line = "the weather is really beautiful today and tomorrow"
    first = spoilt(KIND["typos"], line, 1, 7)
    random.seed(99)
    random.random()
    assert spoilt(KIND["typos"], line, 1, 7) == first
