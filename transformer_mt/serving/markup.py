"""HTML to be translated: the text of each paragraph in one piece, and every tag, attribute and comment as it was.

Tags inside a sentence (`<b>`, `<a href=...>`) are given to the translator as short stand-ins, which it leaves out and
puts back by attention, in their order: what was well nested stays so. All other tags end a piece of text. Reading
takes time in proportion to the length, whatever the text is.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape, unescape
from typing import Literal

Kind = Literal["text", "open", "close", "single"]

_INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite data del dfn em font i img ins label mark q s small span strike strong sub sup "
    "time tt u wbr".split()
)
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_KEPT_INLINE = frozenset("code kbd math samp svg var".split())
_KEPT = _KEPT_INLINE | frozenset("pre script style template textarea".split())
"""Not translated."""
_RAW = frozenset("script style textarea".split())
"""In which nothing is a tag but their own end."""
_NAME = re.compile(r"</?([A-Za-z][^\s/>]*)")
_TAG_STOP = re.compile(r""">|=[ \t\r\n\f]*["']""")
_NOT_TRANSLATED = re.compile(r"""translate\s*=\s*["']?no\b|class\s*=\s*(?:"[^"]*|'[^']*|)\bnotranslate\b""", re.I)
_BLANK = " \t\r\n\f"
_BLANKS = re.compile(rf"[{_BLANK}]+")
_MARK = "\ue000"
"""For private use: nobody writes it, and a text that has it loses it."""
_STAND_IN = re.compile(rf"</?t\d+ {_MARK}/?>")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Kind
    raw: str
    name: str = ""
    is_inline: bool = True
    """Whether a sentence may go on behind it."""


class Html:
    """A text in HTML; see `texts.Text`."""

    def __init__(self, html: str) -> None:
        self._parts: list[str | _Piece] = []
        self.lines: list[str] = []
        run: list[_Token] = []
        for token in _with_kept_ones(list(_tokens(html))):
            if token.is_inline:
                run.append(token)
            else:
                self._add(run)
                self._parts.append(token.raw)
                run = []
        self._add(run)

    def _add(self, run: list[_Token]) -> None:
        """Take in a run of text and inline tags."""
        first, last = _edges(run)
        self._parts += [token.raw for token in run[:first]]
        piece = _Piece(run[first:last])
        if any(character.isalpha() for character in piece.line):
            self.lines.append(piece.line)
            self._parts.append(piece)
        else:
            self._parts.append(piece.raw)
        self._parts += [token.raw for token in run[last:]]

    def joined(self, translations: Sequence[str]) -> str:
        """The text with a translation in place of each line."""
        answers = iter(translations)
        return "".join(part if isinstance(part, str) else part.translated(next(answers)) for part in self._parts)


class _Piece:
    """Text with tags in it that is translated at once, as the line `line`, which has no blanks at its ends."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self.raw = "".join(token.raw for token in tokens)
        self._tags = [token.raw for token in tokens if token.kind != "text"]
        self._stand_ins = _stand_ins([token for token in tokens if token.kind != "text"])
        names = iter(self._stand_ins)
        texts = (
            next(names) if token.kind != "text" else unescape(token.raw).replace(_MARK, "\ufffd") for token in tokens
        )
        self.line = _BLANKS.sub(" ", "".join(texts)).strip(" ")
        self._before = self.raw[: len(self.raw) - len(self.raw.lstrip(_BLANK))]
        self._behind = self.raw[len(self.raw.rstrip(_BLANK)) :]

    def translated(self, translation: str) -> str:
        """The HTML of a translation of the line."""
        texts = _STAND_IN.split(translation)
        tags: Sequence[str] = self._tags
        if _STAND_IN.findall(translation) != self._stand_ins:  # a model may say anything
            texts, tags = ["".join(texts)], ["".join(self._tags)]
            texts += [""] * len(tags)
        written = [escape(text, quote=False) for text in texts]
        with_tags = "".join(text + tag for text, tag in zip(written, [*tags, ""], strict=True))
        return f"{self._before}{with_tags}{self._behind}"


def _stand_ins(tags: Sequence[_Token]) -> list[str]:
    """A short tag for each; those of a pair have one name."""
    found = []
    open_ones: dict[str, list[int]] = {}
    for number, tag in enumerate(tags):
        if tag.kind == "single":
            found.append(f"<t{number} {_MARK}/>")
        elif tag.kind == "open":
            open_ones.setdefault(tag.name, []).append(number)
            found.append(f"<t{number} {_MARK}>")
        else:
            numbers = open_ones.get(tag.name)
            found.append(f"</t{numbers.pop() if numbers else number} {_MARK}>")
    return found


def _edges(run: Sequence[_Token]) -> tuple[int, int]:
    """What of a run is text with tags inside: all without blanks, single tags and whole pairs at its ends."""
    partners = _partners(run)
    first, last = 0, len(run)
    while first < last:
        if _can_stay_out(run, partners, first):
            first += 1
        elif _can_stay_out(run, partners, last - 1):
            last -= 1
        elif partners.get(first) == last - 1:
            first, last = first + 1, last - 1
        else:
            break
    return first, last


def _can_stay_out(run: Sequence[_Token], partners: dict[int, int], place: int) -> bool:
    token = run[place]
    if token.kind == "text":
        return not token.raw.strip()
    return token.kind == "single" or place not in partners


def _partners(tokens: Sequence[_Token]) -> dict[int, int]:
    """The place of the closing tag for each opening one that has one, and the other way round."""
    found: dict[int, int] = {}
    open_ones: dict[str, list[int]] = {}
    for place, token in enumerate(tokens):
        if token.kind == "open":
            open_ones.setdefault(token.name, []).append(place)
        elif token.kind == "close" and (places := open_ones.get(token.name)):
            opening = places.pop()
            found[opening], found[place] = place, opening
    return found


def _with_kept_ones(tokens: Sequence[_Token]) -> Iterator[_Token]:
    """The tokens, with each element that is not to be translated as one single tag."""
    partners = _partners(tokens)
    place = 0
    while place < len(tokens):
        token = tokens[place]
        end = partners.get(place, place)
        if end > place and (token.name in _KEPT or _NOT_TRANSLATED.search(token.raw)):
            raw = "".join(one.raw for one in tokens[place : end + 1])
            yield _Token("single", raw, is_inline=token.is_inline)
            place = end
        else:
            yield token
        place += 1


def _tokens(html: str) -> Iterator[_Token]:
    """Text and tags, comments and the like, which together are `html`."""
    begin = place = 0
    while (start := html.find("<", place)) >= 0:
        end = _markup_end(html, start)
        if end == start:
            place = start + 1
            continue
        if start > begin:
            yield _Token("text", html[begin:start])
        token = _tag(html[start:end])
        yield token
        if token.kind == "open" and token.name in _RAW:
            closing = re.compile(rf"</{token.name}(?=[\s/>])", re.I).search(html, end)
            raw_end = closing.start() if closing else len(html)
            if raw_end > end:
                yield _Token("single", html[end:raw_end], is_inline=False)
            end = raw_end
        begin = place = end
    if begin < len(html):
        yield _Token("text", html[begin:])


def _markup_end(html: str, start: int) -> int:
    """The place behind the markup that begins at `start`; `start` where that is only a "<"."""
    if html.startswith("<!--", start):
        end = html.find("-->", start + 2)
        return len(html) if end < 0 else end + 3
    if html.startswith(("<!", "<?"), start):
        end = html.find(">", start)
        return len(html) if end < 0 else end + 1
    if not _NAME.match(html, start):
        return start
    place = start
    while stop := _TAG_STOP.search(html, place):
        if stop.group() == ">":
            return stop.end()
        quoted_end = html.find(stop.group()[-1], stop.end())
        if quoted_end < 0:
            break
        place = quoted_end + 1
    return len(html)  # as browsers have it, a tag without an end goes to the end of the file


def _tag(raw: str) -> _Token:
    match = _NAME.match(raw)
    if match is None:  # a comment, or what stands before the document
        return _Token("single", raw, is_inline=raw.startswith("<!--"))
    name = match[1].lower()
    is_inline = name in _INLINE or name in _KEPT_INLINE
    if raw.startswith("</"):
        return _Token("close", raw, name, is_inline)
    is_single = name in _VOID or (raw.endswith("/>") and name not in _RAW)
    return _Token("single" if is_single else "open", raw, name, is_inline)
