"""What every character is, as tables by code point, for work on whole blocks of text at once."""

import unicodedata
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

NUM_CODES = 0x20000
"""Code points from here on (rare Chinese characters, above all) are taken for the first of them."""

LETTER, DIGIT, MARK_ABOVE, SPACE, ALONE, INVISIBLE = (1 << bit for bit in range(6))
"""Bits of a character's class. MARK_ABOVE: combining. ALONE: a word of its own, as Chinese characters are."""
CONTROL, NOT_NFC, AMPERSAND, PUNCTUATION, CONFUSABLE, GARBLED = (1 << bit for bit in range(6, 12))
"""NOT_NFC: may differ after normalisation. PUNCTUATION: `? ! ; :`. CONFUSABLE: looks like a Latin letter. GARBLED: what
wrong encodings make of others."""

FINAL_MARKS = "?!;:"
PLAIN_SPACE, NO_BREAK_SPACE, NARROW_SPACE = " ", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"

LOOK_ALIKES = dict(
    zip(
        "АВЕКМНОРСТХаеорсухіјѕІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",
        "ABEKMHOPCTXaeopcyxijsIJSABEZHIKMNOPTYXo",
        strict=True,
    )
)
"""Cyrillic and Greek letters that look like Latin ones."""

_SCRIPTS = (
    "LATIN GREEK CYRILLIC ARMENIAN HEBREW ARABIC DEVANAGARI BENGALI TAMIL THAI GEORGIAN HANGUL ETHIOPIC HIRAGANA "
    "KATAKANA CJK"
).split()
NUM_SCRIPTS = len(_SCRIPTS) + 2
"""0 is for what is no letter, the last for all other scripts."""
_ALONE = ("HIRAGANA", "KATAKANA", "CJK", "THAI")
_INVISIBLE = "\N{SOFT HYPHEN}\N{ZERO WIDTH SPACE}\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}\N{WORD JOINER}\ufeff"
"""Characters that cannot be seen; joiners are not among them, which emoji and some scripts need."""


class Tables(NamedTuple):
    """Arrays by code point (NUM_CODES + 1,)."""

    kind: npt.NDArray[np.uint16]
    """The bits of its class."""
    script: npt.NDArray[np.uint8]
    lower: npt.NDArray[np.uint32]
    """In lower case; 32 for what is no letter."""
    folded: npt.NDArray[np.uint64]
    """In lower case and without accent."""


@lru_cache(maxsize=1)
def tables() -> Tables:
    """The tables, made in a fifth of a second when they are first needed."""
    kind, script = np.zeros(NUM_CODES + 1, np.uint16), np.zeros(NUM_CODES + 1, np.uint8)
    lower, folded = np.full(NUM_CODES + 1, 32, np.uint32), np.zeros(NUM_CODES + 1, np.uint64)
    for code in range(NUM_CODES + 1):
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Cn" or 0x3400 <= code <= 0x9FFF or 0xAC00 <= code <= 0xD7A3:
            continue
        kind[code] = _kind(character, category)
        if category[0] in "LN":
            folded[code] = ord(_fold(character))
        if category[0] == "L":
            lower[code] = ord(character.lower()[0])
            script[code] = _script(unicodedata.name(character, ""))
    for first, last, number, bits in (
        (0x3400, 0x9FFF, "CJK", LETTER | ALONE),
        (0xAC00, 0xD7A3, "HANGUL", LETTER),
        (NUM_CODES, NUM_CODES, "CJK", LETTER | ALONE),
    ):
        codes = slice(first, last + 1)
        kind[codes], script[codes] = bits, 1 + _SCRIPTS.index(number)
        lower[codes] = folded[codes] = np.arange(first, last + 1)
    return Tables(kind, script, lower, folded)


def _kind(character: str, category: str) -> int:
    kind = 0
    if category[0] == "L":
        kind = LETTER | (ALONE if unicodedata.name(character, "").startswith(_ALONE) else 0)
    elif category[0] == "N":
        kind = DIGIT
    elif category[0] == "M":
        kind = MARK_ABOVE | NOT_NFC
    if character.isspace():
        kind |= SPACE
    if is_control(character):
        kind |= CONTROL | (INVISIBLE if character in _INVISIBLE else 0)
    if has_odd_form(character) or unicodedata.normalize("NFC", character) != character:
        kind |= NOT_NFC
    for characters, own in (
        (LOOK_ALIKES, CONFUSABLE),
        ("&", AMPERSAND),
        (FINAL_MARKS, PUNCTUATION),
        ("\ufffdÃÂ€", GARBLED),
    ):
        kind |= own if character in characters else 0
    return kind


def is_control(character: str) -> bool:
    """Whether a sentence should not hold it: control, private, invisible or replacement characters."""
    is_odd_mark = character in _INVISIBLE or "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    if character == "\n":  # the end of a line
        return False
    return is_odd_mark or character in "\ufffd\u2028\u2029" or unicodedata.category(character) in ("Cc", "Co", "Cs")


def has_odd_form(character: str) -> bool:
    """Whether it is a ligature (ﬁ) or a wide letter of another letter's stead."""
    return "\ufb00" <= character <= "\ufb06" or "\uff01" <= character <= "\uff5e"


def _fold(character: str) -> str:
    base = unicodedata.normalize("NFKD", character.lower())[0]
    return base if base.isalnum() else character


def _script(name: str) -> int:
    first = name.partition(" ")[0]
    return 1 + (_SCRIPTS.index(first) if first in _SCRIPTS else len(_SCRIPTS))
