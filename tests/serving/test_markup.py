"""HTML: tags, attributes and comments come through to the letter and in their order, text is translated, others not."""

import re
import time
from collections.abc import Callable, Sequence
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_mt.decoding.translation import Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.serving.markup import Html

TAG = re.compile(r"<!--.*?-->|</?[a-z][^>]*>", re.S)


def shouted(lines: Sequence[str]) -> list[str]:
    """A translator that keeps every tag, its case included, and shouts the rest."""
    return ["".join(part if part.startswith("<t") or part.startswith("</t") else part.upper()
                    for part in re.split(r"(</?t\d+ \ue000/?>)", line)) for line in lines]  # fmt: skip


def translated(html: str, translate: Callable[[Sequence[str]], list[str]] = shouted) -> str:
    text = Html(html)
    return text.joined(translate(text.lines))


@pytest.mark.parametrize(
    ("html", "lines", "expected"),
    [
        ("", [], ""),
        ("  \n", [], "  \n"),
        ("a &lt;b&gt; &amp; c", ["a <b> & c"], "A &lt;B&gt; &amp; C"),
        ("<p>a b</p><p>c</p>", ["a b", "c"], "<p>A B</p><p>C</p>"),
        ("<P CLASS=x>a<BR>b", ["a", "b"], "<P CLASS=x>A<BR>B"),
        (" <b>a</b>\n", ["a"], " <b>A</b>\n"),
        ("<i><b>a</b></i>", ["a"], "<i><b>A</b></i>"),
        ("a <b>c</b>", ["a <t0 \ue000>c</t0 \ue000>"], "A <b>C</b>"),
        ("<b>a</b> c", ["<t0 \ue000>a</t0 \ue000> c"], "<b>A</b> C"),
        ("a<img src='x>y'> b", ["a<t0 \ue000/> b"], "A<img src='x>y'> B"),
        ("a <code>x</code> b", ["a <t0 \ue000/> b"], "A <code>x</code> B"),
        ("a <span translate=no>b <i>c</i></span> d", ["a <t0 \ue000/> d"], "A <span translate=no>b <i>c</i></span> D"),
        ('<p class="x notranslate">b</p>c', ["c"], '<p class="x notranslate">b</p>C'),
        ("<script>if (a<b) c('</p>')</script>d", ["d"], "<script>if (a<b) c('</p>')</script>D"),
        ("<style>p > b {}</style>d", ["d"], "<style>p > b {}</style>D"),
        ("<pre>a\n  b</pre>", [], "<pre>a\n  b</pre>"),
        ("<!-- a --><!doctype html><?x?>b", ["b"], "<!-- a --><!doctype html><?x?>B"),
        ("1 < 2 and <3", ["1 < 2 and <3"], "1 &lt; 2 AND &lt;3"),
        ("12:30 &nbsp;&mdash;", [], "12:30 &nbsp;&mdash;"),
        ("<a title='a'", [], "<a title='a'"),
        ("a <b", ["a"], "A <b"),
        ("<p>a\n   b</p>", ["a b"], "<p>A B</p>"),
        ("&eacute;t&eacute;", ["été"], "ÉTÉ"),
        ("</b>a</i>", ["a"], "</b>A</i>"),
        ("a \ue000 b", ["a \ufffd b"], "A \ufffd B"),
    ],
)
def test_html_is_taken_apart_and_put_together(html: str, lines: list[str], expected: str) -> None:
    assert list(Html(html).lines) == lines
    assert translated(html) == expected


NAMES = st.sampled_from(["b", "i", "a", "p", "div", "code", "pre", "td", "x-y", "script", "em"])
ATTRIBUTES = st.sampled_from(["", ' href="a?b=1&c=<2>"', " title='it>s'", " translate=no", " disabled", ' class="e f"'])
TEXTS = st.sampled_from(
    ["the cat", "a", " ", "\n", "é & ü", "5 < 6", "!", "<3", "<t0>", "the dog sees. The bird", "\ue000"]
)


def element(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    parts = st.tuples(NAMES, ATTRIBUTES, st.lists(inner, max_size=3))
    return parts.map(lambda one: f"<{one[0]}{one[1]}>{''.join(one[2])}</{one[0]}>")


LEAVES = TEXTS.map(lambda text: escape(text, quote=False)) | st.sampled_from(["<br>", "<img alt='x'/>", "<!-- <b> -->"])
WELL_FORMED = st.lists(st.recursive(LEAVES, element, max_leaves=8), max_size=4).map("".join)


def skeleton(html: str) -> list[str]:
    """What a parser of others sees of it but text: tags with their attributes, comments, in order."""
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append(f"{self.get_starttag_text()}")

        def handle_endtag(self, tag: str) -> None:
            found.append(f"</{tag}>")

        def handle_comment(self, data: str) -> None:
            found.append(f"<!--{data}-->")

    reader = Reader()
    reader.feed(html)
    reader.close()
    return found


@given(WELL_FORMED)
def test_every_tag_comes_through_in_order(html: str) -> None:
    assert skeleton(translated(html)) == skeleton(html)
    assert translated(html, list) == translated(translated(html, list), list)


@given(WELL_FORMED, st.lists(st.text(max_size=9) | st.just("</t0 \ue000><t1 \ue000/>"), min_size=60, max_size=60))
def test_it_does_whatever_a_model_says(html: str, answers: list[str]) -> None:
    said = translated(html, lambda lines: answers[: len(lines)])
    assert [one for one in skeleton(said) if one[1] != "!"] == [one for one in skeleton(html) if one[1] != "!"]


@given(st.text("<>/ab!-='\" &;tp\n\ue000", max_size=60))
def test_any_text_is_read_and_nothing_is_lost(html: str) -> None:
    text = Html(html)
    assert bare(text.joined(text.lines)) == bare(html) or "<" in html


def bare(html: str) -> str:
    """The characters, whatever they are written as."""
    return re.sub(r"\s", "", unescape(html).replace("\ue000", "\ufffd"))


@pytest.mark.parametrize(
    "part", ["<a ", "<a '", '<a ">" ', "<code>", "<!--", "</b>", "<b>", "<script>", "&", "< ", '=" ']
)
def test_reading_takes_time_in_proportion_to_the_length(part: str) -> None:
    html = part * (100_000 // len(part))
    started = time.perf_counter()
    text = Html(html)
    text.joined(list(text.lines))
    assert time.perf_counter() - started < 2


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    return Translator.load(tiny_run, threads=1)


def test_tags_go_where_their_words_go(translator: Translator) -> None:
    def translate(lines: Sequence[str]) -> list[str]:
        return [one.text for one in translator.stream(lines, Wishes(markup=True))]

    for html, expected in (
        ("<p>the cat sees the <b>red</b> house</p>", "<p>le chat voit le <b>rouge</b> maison</p>"),
        ("the <a href=x>small <i>bird</i></a> eats", "le <a href=x>petit <i>oiseau</i></a> mange"),
        ("<b>the cat</b> sees<br>the dog", "<b>le chat</b> voit<br>le chien"),
        ("the cat <img src=a.png> eats", "le chat <img src=a.png> mange"),
    ):
        assert translated(html, translate) == expected


@settings(max_examples=25)
@given(st.lists(WELL_FORMED, max_size=3), st.booleans())
def test_every_tag_comes_through_a_real_translator(translator: Translator, htmls: list[str], protect: bool) -> None:
    wishes = Wishes(markup=True, protect=protect)
    for html in htmls:
        said = translated(html, lambda lines: [one.text for one in translator.stream(lines, wishes)])
        assert skeleton(said) == skeleton(html)


def test_lines_without_tags_are_translated_as_ever(translator: Translator, tiny_run: Path) -> None:
    lines = (tiny_run.parent / "test.en").read_text().splitlines()
    assert list(translator.stream(lines, Wishes(markup=True))) == list(translator.stream(lines))


def test_tags_stay_out_of_what_is_searched_again_for_something_else(translator: Translator) -> None:
    """Where a placeholder was lost, the line is translated again: as without the tags, which go where they went."""
    lines = ["the <b>red</b> cat {0} sees the small dog", "the {0} cat sees <i>the</i> old bird"]
    bare_lines = [re.sub("<.*?>", "", line) for line in lines]
    wishes = Wishes(markup=True, protect=True)
    with_tags = [one.text for one in translator.stream(lines, wishes)]
    assert [re.sub("<.*?>", "", text) for text in with_tags] == [
        one.text for one in translator.stream(bare_lines, Wishes(protect=True))
    ]
    assert [re.findall("<.*?>", text) for text in with_tags] == [["<b>", "</b>"], ["<i>", "</i>"]]
