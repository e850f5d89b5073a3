"""Loops: found as they are defined, searched for again, and flagged where that is no better."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer_mt.bundle import load_bundle
from transformer_mt.decoding.repetition import NO_REPEAT_NGRAM, repeats_itself, times_in_a_row
from transformer_mt.decoding.search import Hypothesis, Sampling
from transformer_mt.decoding.searcher import Segment
from transformer_mt.decoding.translator import Translator

TOKENS = st.lists(st.integers(0, 2), max_size=14) | st.tuples(
    st.lists(st.integers(0, 2), max_size=3), st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(0, 6)
).map(lambda parts: parts[0] + parts[1] * parts[2] + parts[0])


def counted(tokens: list[int]) -> int:
    """The definition: of all n-grams at all places, how often each comes in a row from there on."""
    most = 0
    for start in range(len(tokens)):
        for size in range(1, len(tokens) - start + 1):
            ngram, times = tokens[start : start + size], 0
            while tokens[start + times * size :][:size] == ngram:
                times += 1
            most = max(most, times)
    return most


@given(TOKENS)
def test_the_longest_row_of_an_ngram_is_that_of_its_definition(tokens: list[int]) -> None:
    assert times_in_a_row(tokens) == counted(tokens)


@given(TOKENS, TOKENS)
def test_a_loop_is_four_in_a_row_and_more_than_twice_as_many_as_in_the_source(
    tokens: list[int], src: list[int]
) -> None:
    assert repeats_itself(tokens, src) == (counted(tokens) >= 4 and counted(tokens) > 2 * counted(src))


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_loop_is_searched_again_and_the_second_taken_if_it_is_better(
    tiny_run: Path, beam_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(load_bundle(tiny_run).config.decoding, beam_size=beam_size, precision="fp32")
    translator = Translator.load(tiny_run, threads=1, settings=settings)
    lines = [f"{first}{second}" for first in "aeqzxZQ7%ß" for second in "bcdfoqÄ+ é"]
    guarded = list(translator.stream(lines))
    without = replace(settings, no_repeat_ngram=NO_REPEAT_NGRAM)
    seconds = list(Translator.load(tiny_run, threads=1, settings=without).stream(lines))
    monkeypatch.setattr("transformer_mt.decoding.searcher.repeats_itself", lambda *_: False)
    firsts = list(translator.stream(lines))
    loops = ["repeated" in one.flags for one in firsts]
    assert any(loops)
    for is_loop, one, first, second in zip(loops, guarded, firsts, seconds, strict=True):
        assert "split" not in one.flags
        assert one.text == (second.text if is_loop else first.text)
        assert ("repeated" in one.flags) == (is_loop and "repeated" in second.flags)


LOOP = [5, 6] * 4


@pytest.mark.parametrize(
    ("second", "was_cut", "is_cut", "is_better"),
    [
        ([5, 6, 7], False, False, True),
        ([5, 6, 7], True, True, True),
        ([5, 6, 7], True, False, True),
        ([5, 6, 7], False, True, False),  # it did not come to an end
        ([7, 7, 7, 7], False, False, False),  # a loop as well
        ([], True, False, False),  # nothing is said
    ],
)
def test_the_second_try_is_taken_by_its_rule(
    tiny_run: Path, second: list[int], was_cut: bool, is_cut: bool, is_better: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher = Translator.load(tiny_run, threads=1).searcher
    tries = {None: Hypothesis(LOOP, -1.0, -0.1, was_cut), NO_REPEAT_NGRAM: Hypothesis(second, -9.0, -3.0, is_cut)}
    monkeypatch.setattr(searcher, "_search", lambda segments, n, sampling, size: [[tries[size]] for _ in segments])
    ((best,),) = searcher.search([Segment([9, 8, 3])])
    assert best == (tries[NO_REPEAT_NGRAM] if is_better else tries[None])
    ((drawn,),) = searcher.search([Segment([9, 8, 3])], sampling=Sampling())
    ((said,),) = searcher.search([Segment([9, 9, 9, 9, 3])])  # as often as the source itself does
    assert drawn == said == tries[None]
