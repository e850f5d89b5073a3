"""Defects that a line shows by its characters alone, and the line without them."""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from transformer_mt.data.cleaning import clean_text
from transformer_mt.data.doctor.blocks import Lines
from transformer_mt.data.doctor.characters import (
    AMPERSAND,
    CONFUSABLE,
    CONTROL,
    GARBLED,
    LOOK_ALIKES,
    NARROW_SPACE,
    NO_BREAK_SPACE,
    NOT_NFC,
    PLAIN_SPACE,
    PUNCTUATION,
    SPACE,
    has_odd_form,
    is_control,
)
from transformer_mt.data.doctor.kinds import Kind, bit

_ENTITY = re.compile(r"&(?:#\d{2,7}|#[xX][0-9a-fA-F]{2,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_GARBLED = re.compile("\N{REPLACEMENT CHARACTER}|[ÃÂ][\x80-\xbf]|â€|Ã[Ÿ€‚„…†‡ˆ‰Š‹Œ‘’“”•–—˜™š›œ ]")
_WORD = re.compile(r"\w+")
_MARKS = re.compile(r"(?<=[^\s?!;:])(\s*)(?:[?!]+|[;:](?!\)))(?=[\s?!»”\"')\]]|$)")
_BLANKS = re.compile(r"\s{2,}")
_GOOD_SPACES = (PLAIN_SPACE, NO_BREAK_SPACE, NARROW_SPACE)
_BREAKING = re.compile(r"[\t\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")

_BELIEF = 100
_CLEAR = 0.8
"""Share of the marks from which on there is one."""
_TRIED = AMPERSAND | CONFUSABLE | CONTROL | GARBLED | NOT_NFC


@dataclass
class SpacingCustom:
    """What stands before `? ! ; :` in the lines of one side."""

    language: str
    """Its code. French has a space there, most others have none: this counts for as much as `_BELIEF` marks."""
    counts: Counter[str] = field(default_factory=Counter)
    """How often each kind of space stands there, "" for none."""

    def see(self, line: str) -> None:
        """Take in a line."""
        self.counts.update(_MARKS.findall(line))

    @property
    def usual(self) -> str | None:
        """The usual space, "" for none, or None where there is no custom."""
        none, total = self.counts[""], self.counts.total() + _BELIEF
        if self.language[:2].lower() != "fr":
            none += _BELIEF
        if none > _CLEAR * total:
            return ""
        if none > (1 - _CLEAR) * total:
            return None
        return max(_GOOD_SPACES, key=lambda space: self.counts[space])


def mend_lines(lines: Sequence[str], block: Lines, usual: str | None) -> tuple[list[str], npt.NDArray[np.uint64]]:
    """The lines without their defects, and the flags (N,) of these; `usual` is what stands before `? ! ; :`.

    `block` are the same lines as arrays.
    """
    spaces = block.kinds & SPACE > 0
    doubled = np.zeros(len(spaces), bool)
    doubled[1:] = spaces[1:] & spaces[:-1]  # a line feed is one too: blanks at the ends are seen
    doubled[:-1] |= doubled[1:]
    doubled[0] |= spaces[0]
    if usual is not None:
        doubled |= _oddly_spaced(block, usual)
    tried = (block.found & _TRIED > 0) | np.bitwise_or.reduceat(doubled, block.starts)
    mended, flags = list(lines), np.zeros(len(lines), np.uint64)
    for index in np.flatnonzero(tried).tolist():
        mended[index], flags[index] = mend_line(lines[index], usual)
    return mended, flags


def _oddly_spaced(block: Lines, usual: str) -> npt.NDArray[np.bool_]:
    """(C,): marks that may not be preceded by what is usual; most of a text's need no closer look."""
    found = np.zeros(len(block.codes), bool)
    is_mark = block.kinds & PUNCTUATION > 0
    if usual:
        found[1:] = is_mark[1:] & ~is_mark[:-1] & (block.codes[:-1] != ord(usual))
    else:
        found[1:] = is_mark[1:] & (block.kinds[:-1] & SPACE > 0)
    return found


def mend_line(line: str, usual: str | None, kept: frozenset[Kind] = frozenset()) -> tuple[str, int]:
    """A line without its defects, those of the `kept` kinds excepted, and the flags of what was found."""
    flags = bit(Kind.GARBLED) if _GARBLED.search(line) else 0
    for kind, mend in _MENDS.items():
        if (mended := mend(line)) != line:
            flags |= bit(kind)
            line = line if kind in kept else mended
    if usual is not None:
        mended, found = _spaced(line, usual, kept)
        line, flags = mended, flags | found
    if (mended := _BLANKS.sub(_widest, line.strip())) != line and mended:
        flags |= bit(Kind.SPACING)
        line = line if Kind.SPACING in kept else mended
    return line, flags


def place_of(line: str, kind: Kind, usual: str | None) -> int:
    """The place in `line` of its first defect of this kind; 0 where it has none that has a place."""
    if kind == Kind.GARBLED:
        found = _GARBLED.search(line)
        return found.start() if found else 0
    mended, flags = mend_line(line, usual, frozenset(Kind) - {kind})
    if not flags & bit(kind):
        return 0
    differ = (place for place, (old, new) in enumerate(zip(line, mended, strict=False)) if old != new)
    return next(differ, min(len(line), len(mended)))


def _without_entities(line: str) -> str:
    return _ENTITY.sub(lambda found: clean_text(html.unescape(found[0])), line)


def _without_controls(line: str) -> str:
    line = _BREAKING.sub(" ", line)
    return "".join(c for c in line if c == "\N{REPLACEMENT CHARACTER}" or not is_control(c))


def _composed(line: str) -> str:
    line = "".join(unicodedata.normalize("NFKC", c) if has_odd_form(c) else c for c in line)
    return unicodedata.normalize("NFC", line)


def _without_look_alikes(line: str) -> str:
    """Words of Latin letters and look-alikes become Latin; so do words of look-alikes alone in a line of Latin ones."""
    letters = [c for c in line if c.isalpha()]
    num_alike = sum(c in LOOK_ALIKES for c in letters)
    num_latin = sum(_is_latin(c) for c in letters)
    is_latin_line = num_latin > num_alike and num_latin + num_alike == len(letters)

    def mend(found: re.Match[str]) -> str:
        word = [c for c in found[0] if c.isalpha()]
        if not all(c in LOOK_ALIKES or _is_latin(c) for c in word):
            return found[0]
        if not is_latin_line and not any(map(_is_latin, word)):
            return found[0]
        return "".join(LOOK_ALIKES.get(c, c) for c in found[0])

    return _WORD.sub(mend, line)


def _is_latin(character: str) -> bool:
    return character < "\u0250" or "\u1e00" <= character <= "\u1eff"


def _spaced(line: str, usual: str, kept: frozenset[Kind]) -> tuple[str, int]:
    """The line with the usual space before each mark, and a flag where it had another."""
    flags = 0

    def mend(found: re.Match[str]) -> str:
        nonlocal flags
        if found[1] == usual:
            return found[0]
        kind = Kind.SPACING if found[1] in _GOOD_SPACES and usual != "" else Kind.ODD_SPACE
        flags |= bit(kind)
        return found[0] if kind in kept else usual + found[0][len(found[1]) :]

    return _MARKS.sub(mend, line), flags


def _widest(found: re.Match[str]) -> str:
    """One space for several: one that does not break where there is one."""
    return next((space for space in (NARROW_SPACE, NO_BREAK_SPACE) if space in found[0]), PLAIN_SPACE)


_MENDS: dict[Kind, Callable[[str], str]] = {
    Kind.ENTITY: _without_entities,
    Kind.CONTROL: _without_controls,
    Kind.UNICODE_FORM: _composed,
    Kind.LOOK_ALIKE: _without_look_alikes,
}
