"""Placeables leave a line and come back: all of them, in their order, where attention says, as they were spaced."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer_mt.data.tokenizer import escape
from transformer_mt.decoding.masking import Masked, _best_slot
from transformer_mt.decoding.placeables import placeables
from transformer_mt.decoding.word_alignment import ESCAPED_UNIT, UNIT, Link


def straight(masked: Masked) -> list[Link]:
    return [(number, number) for number in range(len(UNIT.findall(masked.text)))]


LINES = [
    "{0} is here", "here is {0}", "here is {0}.", "a {0}, b", "({0})", "a ({0}) b", "<b>red</b> car",
    "a <b>red car</b>.", "<p>A <i>very</i> red car</p>", "see http://a.b/c.", "%s: %d!", "%s of %s", "{0}", "{0} {1}",
    "{0}{1}", "x {0}{1} y", "mail me@x.org, now", "a <br/> b", "l'{0} est", "«{0}» est",
]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_what_is_translated_as_itself_comes_back_as_it_was(line: str) -> None:
    masked = Masked(line, placeables(line))
    assert not placeables(masked.text)
    words = range(len(line.split()))
    assert masked.put_back(masked.text, straight(masked)) == (line, [(word, word) for word in words])


WORDS = st.sampled_from(["red", "l'eau", "Two", "é", "(", ")", ",", ".", "?", "“", "▁", "\ue581", "\ue581a", "日本"])
MARKUP = st.sampled_from(
    ["{0}", "%s", "<b>", "</b>", "<i>", "</i>", "<br/>", "http://a.b/1", "me@x.org", "$A", "7", "2nd"]
)
BLANKS = st.sampled_from(["", " ", "\u00a0", "  ", "\u2028"])


@given(
    st.lists(st.tuples(WORDS | MARKUP, BLANKS), max_size=9), st.lists(st.tuples(WORDS, BLANKS), max_size=7), st.data()
)
def test_all_come_back_in_order_and_nothing_else_changes(
    parts: list[tuple[str, str]], said: list[tuple[str, str]], data: st.DataObject
) -> None:
    line, translation = ("".join(text + blank for text, blank in some) for some in (parts, said))
    translation = " ".join(translation.split())
    masked = Masked(line, placeables(line))
    sources = st.integers(-1, len(UNIT.findall(masked.text)) - 1)
    drawn = data.draw(st.lists(sources, min_size=(n := len(UNIT.findall(translation))), max_size=n))
    links = [(src, tgt) for tgt, src in enumerate(drawn) if src >= 0]
    begin = data.draw(st.integers(0, 3))
    text, word_links = masked.put_back(translation, links, begin)
    pattern = ".*?".join(re.escape(one.text) for one in masked.placeables)
    assert re.search(pattern, text, re.DOTALL)
    rest = text
    for one in masked.placeables:
        rest = rest.replace(one.text, " ", 1)
    assert "".join(rest.split()) == "".join(translation.split())
    assert "\u2028" not in text
    assert all(0 <= src < len(line.split()) and 0 <= tgt < len(text.split()) for src, tgt in word_links)
    kept = [match.end() for match in UNIT.finditer(translation)][:begin]
    assert not masked.placeables or not kept or text.startswith(translation[: kept[-1]])


@given(st.lists(st.integers(-1, 4), max_size=6), st.integers(0, 5))
def test_a_slot_parts_what_comes_before_from_what_comes_behind(sources: list[int], slot: int) -> None:
    def wrong(place: int) -> int:
        before, behind = sources[:place], sources[place:]
        return sum(src >= slot for src in before) + sum(0 <= src < slot for src in behind)

    found = _best_slot(sources, slot)
    assert wrong(found) == min(map(wrong, range(len(sources) + 1)))


@given(st.text(st.sampled_from("ab'’-. \u2581\ue58101é"), max_size=20))
def test_escaped_texts_have_the_same_units(text: str) -> None:
    assert len(ESCAPED_UNIT.findall(escape(text))) == len(UNIT.findall(text))


@pytest.mark.parametrize(
    ("line", "translation", "order", "expected"),
    [
        ("a <b>red</b> car", "une voiture rouge", [0, 2, 1], "une voiture <b>rouge</b>"),
        ("a <b>red</b> car.", "une voiture rouge.", [0, 2, 1, 3], "une voiture <b>rouge</b>."),
        ("a <b>red car</b> here", "une voiture rouge ici", [0, 2, 1, 3], "une <b>voiture rouge</b> ici"),
        ("a red {0} car", "une voiture rouge", [0, 2, 1], "une {0} voiture rouge"),
        ("is it {0}?", "est-ce lui ?", [0, 1, 2], "est-ce lui {0} ?"),
        ("the man {0}", "l'homme.", [1, 1], "l'homme. {0}"),
        ("the man {0}.", "l'homme.", [1, 0], "l'homme {0}."),
        ("%s has %d cars", "les voitures", [0, 1], "%s les %d voitures"),
        ("is <b>it</b>?", "est-ce lui ?", [0, 1, 2], "est-ce <b>lui</b> ?"),
    ],
)
def test_they_come_where_attention_says(line: str, translation: str, order: list[int], expected: str) -> None:
    masked = Masked(line, placeables(line))
    links = [(src, tgt) for tgt, src in enumerate(order)]
    assert masked.put_back(translation, links)[0] == expected


def test_tags_that_do_not_match_are_put_back_one_by_one() -> None:
    for tags in product(["<a>", "</a>", "<b>", "</b>", "<a/>"], repeat=3):
        line = f"x {tags[0]}y{tags[1]} z {tags[2]}"
        masked = Masked(line, placeables(line))
        text, _ = masked.put_back(masked.text, straight(masked))
        assert [one.text for one in placeables(text)] == list(tags)
