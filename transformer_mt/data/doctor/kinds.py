"""The kinds of defects that a pair can have, and what is done about each."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Literal, NamedTuple

from transformer_mt.errors import DataError

Action = Literal["leave out", "mend"]


class Kind(IntEnum):
    """A kind of defect; the value is its bit among the flags of a pair."""

    BLANK = 0
    MISALIGNED = 1
    SWAPPED = 2
    COPIED = 3
    WRONG_LANGUAGE = 4
    RATIO = 5
    TOO_LONG = 6
    GARBLED = 7
    LEAK = 8
    DUPLICATE = 9
    NEAR_DUPLICATE = 10
    ENTITY = 11
    CONTROL = 12
    UNICODE_FORM = 13
    LOOK_ALIKE = 14
    ODD_SPACE = 15
    SPACING = 16

    @property
    def label(self) -> str:
        """Its name in reports and on the command line."""
        return self.name.lower()


class About(NamedTuple):
    """What is said of a kind."""

    title: str
    action: Action
    advice: str


ABOUT: dict[Kind, About] = {
    Kind.BLANK: About("blank on a side", "leave out", "many of them mean that the files are not aligned"),
    Kind.MISALIGNED: About(
        "in a stretch whose sides do not belong together", "leave out", "align these documents again"
    ),
    Kind.SWAPPED: About("source and target exchanged", "mend", "exchanged back"),
    Kind.COPIED: About("the same text on both sides", "leave out", "teaches the model to copy instead of translating"),
    Kind.WRONG_LANGUAGE: About("a side is in another language", "leave out", ""),
    Kind.RATIO: About("one side far too long for the other", "leave out", "cut off, or more than the translation"),
    Kind.TOO_LONG: About("far longer than the other lines", "leave out", "no sentence; split it if it is good text"),
    Kind.GARBLED: About(
        "letters lost in a wrong encoding (Ã©, \N{REPLACEMENT CHARACTER})", "leave out", "convert the original again"
    ),
    Kind.LEAK: About("also in validation or test", "leave out", "scores would be too good"),
    Kind.DUPLICATE: About("the same pair again", "leave out", "the first one stays"),
    Kind.NEAR_DUPLICATE: About(
        "nearly the same pair again", "leave out", "other case, marks, accents or a word; the first one stays"
    ),
    Kind.ENTITY: About("HTML entities", "mend", "&amp; becomes &"),
    Kind.CONTROL: About("control or invisible characters", "mend", "removed"),
    Kind.UNICODE_FORM: About(
        "letters in an unusual Unicode form", "mend", "composed (NFC); ligatures and wide letters spelt out"
    ),
    Kind.LOOK_ALIKE: About(
        "Cyrillic or Greek letters in Latin words", "mend", "replaced by the letters they look like"
    ),
    Kind.ODD_SPACE: About("space before ? ! ; : against the custom of this side", "mend", "as most lines have it"),
    Kind.SPACING: About(
        "blanks doubled, at the ends, or of another kind before ? ! ; : than most", "mend", "as most lines have it"
    ),
}

STYLE = frozenset({Kind.SPACING})
"""Kinds that are no defects: many a good corpus has them."""
TARGET = 32
"""The flags of a pair are 64 bits: those of the source or of the pair as a whole, and from here on the target's."""


def bit(kind: Kind) -> int:
    """The flag of `kind` for the source, or for the pair as a whole."""
    return 1 << kind


def left_out(kept: frozenset[Kind] = frozenset()) -> int:
    """All flags for which a pair is left out, those of `kept` kinds excepted."""
    low = sum(bit(kind) for kind, about in ABOUT.items() if about.action == "leave out" and kind not in kept)
    return low | low << TARGET


def kinds_of(labels: Iterable[str]) -> frozenset[Kind]:
    """The kinds with these labels; raises DataError naming what there is for one that is none."""
    known = {kind.label: kind for kind in Kind}
    for label in labels:
        if label not in known:
            raise DataError(f"{label}: no kind of defect; the kinds are: {', '.join(known)}")
    return frozenset(known[label] for label in labels)


def sides_of(flags: int, kind: Kind) -> list[str]:
    """Which sides of a pair have the flag: "src" stands for the pair as a whole too."""
    return [side for side, shift in (("src", 0), ("tgt", TARGET)) if flags >> shift & bit(kind)]
