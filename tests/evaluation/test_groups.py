"""Groups of lines and words are what counting by hand gives, and each line is in one."""

import random
from collections import Counter

import pytest
from sacrebleu.metrics import CHRF

from tests.evaluation.test_scores import perturbed, random_lines
from transformer_mt.evaluation.changes import changed_lines, differing, scored_lines, shares
from transformer_mt.evaluation.groups import FREQUENCIES, LENGTHS, Frequencies, Lines, break_down, word_counts
from transformer_mt.evaluation.scores import bleu_and_chrf, corpus_bleu, sentence_chrf


@pytest.fixture(scope="module")
def lines() -> Lines:
    rng = random.Random(4)
    references = [" ".join(random_lines(rng, rng.randint(1, 8))) for _ in range(60)]
    sources = [f"{line.upper()} ." for line in references]
    return Lines(sources, references, perturbed(references, rng), perturbed(references, rng))


def test_groups_by_length_are_corpora_of_their_own(lines: Lines) -> None:
    found = break_down(lines).by_length
    assert sum(group.lines for group in found) == 60 and len(found) > 3
    low = -1.0
    for high, name in LENGTHS:
        members = [number for number, source in enumerate(lines.sources) if low < len(source.split()) <= high]
        low = high
        group = next((group for group in found if group.name == name), None)
        assert (group is None) == (not members)
        if group is not None:
            assert group.lines == len(members)
            hyps, refs = ([side[number] for number in members] for side in (lines.hypotheses, lines.references))
            assert group.bleu == corpus_bleu(hyps, [[reference] for reference in refs]).score
            assert group.chrf == CHRF().corpus_score(hyps, [refs]).score
            others = [lines.others[number] for number in members]  # type: ignore[index]
            assert (group.other_bleu, group.other_chrf) == bleu_and_chrf(others, refs)


def test_the_rarest_word_decides(lines: Lines) -> None:
    counts = Counter({"le": 1000, "la": 50, "chat": 3, "chien": 1, "mange": 20, "dort": 2000, "et": 4, "avec": 99})
    found = break_down(lines, Frequencies(counts, "a text")).by_rarest_word
    expected: Counter[str] = Counter()
    for reference in lines.references:
        rarest = min(counts[word] for word in reference.split())
        expected[next(name for most, name in FREQUENCIES if rarest <= most)] += 1
    assert {group.name: group.lines for group in found} == expected


def test_words_are_found_as_often_as_the_translation_has_them() -> None:
    lines = Lines(["x"] * 2, ["le chat, le chien", "un chat"], ["Le chat le le", "chat chat chat"])
    found = break_down(lines, Frequencies({"le": 1000, "chat": 5, "chien": 1}, "a text")).by_frequency
    assert {group.name: (group.words, group.found) for group in found} == {
        "never": (1, 0.0),  # un
        "once": (1, 0.0),  # chien
        "5–19 times": (2, 1.0),  # chat twice, once in each line
        "1,000 times or more": (2, 1.0),
    }
    assert all(group.other_found is None for group in found)


def test_without_a_text_words_are_counted_in_the_references() -> None:
    found = break_down(Lines(["a b"] * 2, ["Chat noir", "chat gris !"], ["chat noir", "chat"]))
    assert found.counted_in == "the references"
    assert [(group.name, group.words) for group in found.by_frequency] == [("once", 2), ("2–4 times", 2)]
    assert word_counts(["L'été, l'ÉTÉ"]) == {"l": 2, "été": 2}


def test_blank_lines_have_a_length_and_no_rarest_word() -> None:
    found = break_down(Lines(["", "a"], ["", "un"], ["", "un"], ["x", "un"]))
    assert sum(group.lines for group in found.by_length) == 2
    assert sum(group.lines for group in found.by_rarest_word) == 1


def test_lines_that_changed_are_ordered_by_what_they_gained(lines: Lines) -> None:
    changed = changed_lines(lines)
    assert lines.others is not None
    differing_numbers = {number for number in range(60) if lines.hypotheses[number] != lines.others[number]}
    assert {line.number - 1 for line in changed} == differing_numbers
    gains = [line.gain for line in changed]
    assert gains == sorted(gains, reverse=True)
    for line in changed:
        ours, theirs = lines.hypotheses[line.number - 1], lines.others[line.number - 1]
        reference = lines.references[line.number - 1]
        assert line.gain == sentence_chrf(ours, reference) - sentence_chrf(theirs, reference)
    better, worse, equal = shares(changed)
    assert better + worse + equal == len(changed) and better == sum(gain > 0 for gain in gains)


def test_lines_are_ordered_by_their_score(lines: Lines) -> None:
    scored = scored_lines(lines)
    assert sorted(line.number for line in scored) == list(range(1, 61))
    assert scored[0].chrf == max(map(sentence_chrf, lines.hypotheses, lines.references))
    assert scored[-1].chrf == min(line.chrf for line in scored)


@pytest.mark.parametrize(
    ("text", "other", "marked"),
    [
        ("a b c", "a b c", ""),
        ("a x c", "a b c", "x"),
        ("a c", "a b c", "‸"),
        ("b a c", "a c", "b"),
        ("", "a", "‸"),
        ("a b", "", "a b"),
        ("a " * 500 + "z", "a " * 500, "z"),
    ],
)
def test_words_that_are_not_at_their_place_are_marked(text: str, other: str, marked: str) -> None:
    found = differing(text, other)
    assert [word for word, _ in found if word] == text.split()
    assert " ".join(word or "‸" for word, differs in found if differs) == marked
