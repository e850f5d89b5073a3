"""With `protect` all that has to be kept comes through, with a model that has never seen any of it."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_mt.bundle import load_bundle
from transformer_mt.decoding.characters import LINE_BREAKS
from transformer_mt.decoding.placeables import is_changed, lost, placeables
from transformer_mt.decoding.search import Sampling
from transformer_mt.decoding.terms import Glossary
from transformer_mt.decoding.translation import Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.evaluation.scores import corpus_bleu

PROTECT = Wishes(protect=True)
KINDS = [
    "{0}", "{name}", "%s", "%d", "%(name)s", "<b>", "</b>", "<br/>", "$HOME", "https://example.org/a?b=1", "a.b@c.org",
    "42", "1,000.5", "2nd",
]  # fmt: skip


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    settings = replace(load_bundle(tiny_run).config.decoding, precision="fp32", beam_size=2)
    return Translator.load(tiny_run, threads=1, settings=settings)


@pytest.fixture(scope="module")
def planted(tiny_run: Path) -> list[tuple[str, str, str]]:
    """200 lines with something planted into them, the lines without it, and the translations of these."""
    draw = random.Random(1)
    folder = tiny_run.parent
    pairs = zip(*((folder / f"val.{side}").read_text().splitlines() for side in ("en", "fr")), strict=True)
    rows = []
    for src, tgt in list(pairs) * 7:
        words = src.split()
        words.insert(draw.randint(0, len(words)), KINDS[len(rows) % len(KINDS)])
        rows.append((" ".join(words), src, tgt))
    return rows[:200]


def without(text: str) -> str:
    for one in reversed(placeables(text)):
        text = text[: one.start] + text[one.end :]
    return " ".join(text.split())


def test_200_planted_ones_come_through_and_what_is_around_them_is_translated_as_ever(
    translator: Translator, planted: list[tuple[str, str, str]]
) -> None:
    lines, clean, targets = map(list, zip(*planted, strict=True))
    answers = list(translator.stream(lines, PROTECT))
    assert [line for line, answer in zip(lines, answers, strict=True) if lost(placeables(line), answer.text)] == []
    assert not {flag for answer in answers for flag in answer.flags} & {"changed", "truncated", "empty"}
    around = corpus_bleu([without(answer.text) for answer in answers], [[target] for target in targets]).score
    alone = corpus_bleu(translator.translate(clean), [[target] for target in targets]).score
    assert around > alone - 5


def test_text_without_any_is_translated_as_without_protection(translator: Translator, tiny_run: Path) -> None:
    lines = [*(tiny_run.parent / "test.en").read_text().splitlines(), "", " ", "\u2028", "😀", "the cat. " * 30]
    assert list(translator.stream(lines, PROTECT)) == list(translator.stream(lines))


PIECES = st.sampled_from(
    [*KINDS, "the cat", "zq", "é", ".", ",", "(", ")", "“", "▁", "\u2028", "%", "{", "<", "\ud800"]
)
LINES = st.lists(st.tuples(PIECES | st.text(max_size=4), st.sampled_from(["", " ", "\u00a0"])), max_size=8).map(
    lambda parts: "".join(text + blank for text, blank in parts)
)


@settings(max_examples=30)
@given(st.lists(LINES, max_size=4), st.sampled_from([1, 2]), st.booleans(), st.booleans())
def test_all_come_through_whatever_the_line(
    translator: Translator, lines: list[str], n_best: int, draws: bool, links: bool
) -> None:
    wishes = Wishes(protect=True, n_best=n_best, sampling=Sampling() if draws else None, alignments=links)
    answers = list(translator.stream(lines, wishes))
    assert len(answers) == len(lines)
    for line, answer in zip(lines, answers, strict=True):
        wanted = placeables(line.replace("\ud800", "\ufffd"))
        for text in (answer.text, *(text for text, _ in answer.alternatives)):
            missing = {one.text for one in lost(wanted, text)}
            assert all(one.text in text for one in wanted if not one.is_number or one.text in missing)
            assert not LINE_BREAKS.search(text)
        assert all(tgt < len(answer.text.split()) and src < len(line.split()) for src, tgt in answer.links)
        assert not answer.alternatives or answer.alternatives[0] == (answer.text, answer.score)


def test_a_line_longer_than_the_model_takes_keeps_all(translator: Translator) -> None:
    url = "https://example.org/" + "a/b?c=d&" * 40 + "e"
    line = " ".join(f"the old dog {{{number}}} likes <b>the bird</b>." for number in range(30)) + f" see {url} and %s"
    (answer,) = translator.stream([line], Wishes(protect=True, alignments=True))
    assert lost(placeables(line), answer.text) == [] and url in answer.text
    assert "split" in answer.flags and "changed" not in answer.flags
    assert {tgt for _, tgt in answer.links} <= set(range(len(answer.text.split())))
    words = answer.text.split()
    assert (line.split().index("{7}"), words.index("{7}")) in answer.links


def test_without_protection_what_is_lost_is_flagged(
    translator: Translator, planted: list[tuple[str, str, str]]
) -> None:
    lines = [line for line, *_ in planted[:30]] + ["the cat", "the dog"]
    for line, answer in zip(lines, translator.stream(lines), strict=True):
        assert ("changed" in answer.flags) == is_changed(line, answer.text)
        assert "changed" in answer.flags or line in ("the cat", "the dog")


def test_protection_keeps_to_beginnings_and_to_terms(translator: Translator) -> None:
    lines, beginnings = ["{0} the cat sees %s", "{0}", "the cat <b>", "{1} the dog"], ["la maison", "le", "", "{1} un"]
    glossary = Glossary([("cat", "minou"), ("dog", "toutou")], translator.tokenizers.tgt)
    answers = list(translator.stream(lines, Wishes(protect=True, glossary=glossary), beginnings))
    for line, beginning, answer in zip(lines, beginnings, answers, strict=True):
        assert answer.text.startswith(beginning) and not lost(placeables(line), answer.text)
        assert "term" not in answer.flags and ("minou" in answer.text) == ("cat" in line)
    assert answers[1].text == "le {0}"
