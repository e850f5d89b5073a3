"""The same sentence as careless people or programs write it: what a translator should not mind.

Each kind is a pure function of a line and of a generator that is seeded with `seed` and the number of the line, so
that the same line is always spoilt alike. Nothing here adds or drops a line, or touches a digit.
"""

import random
import re
from collections.abc import Callable
from typing import NamedTuple

TYPO_RATE = 0.1
"""Share of the words of a line that get a typo, at least one."""

_TYPED = re.compile(r"(?<!\S)[^\W\d_]{4,}(?=[.,;:!?…]*(?:\s|$))")
"""Words of letters alone, which no address, placeholder or number is part of."""
_WORD = re.compile(r"\S+")
_BLANK = re.compile(r"(?<=\S) (?=\S)")
_MARK = re.compile(r"(?<=\w)(?=[,;:!?.](?:\s|$))")
_SPACED_MARK = re.compile(r"(?<=\S)\s+(?=[,;:!?.…](?:\s|$))")
_FINAL_MARK = re.compile(r"\s*[.!?…]+\s*$")
_PAIR = re.compile(r'"([^"]*)"|“([^”]*)”|«\s*([^»]*?)\s*»')
_APOSTROPHES = str.maketrans("'", "’")
_STRAIGHT = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"'})

_NEIGHBOURS = {
    key: "".join(row[max(0, place - 1) : place] + row[place + 1 : place + 2])
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for place, key in enumerate(row)
}
"""Keys beside a key on the same row of a keyboard."""


class Kind(NamedTuple):
    """A way to spoil a line."""

    name: str
    meaning: str
    spoil: Callable[[str, random.Random], str]


def spoilt(kind: Kind, line: str, seed: int, number: int) -> str:
    """`line`, which has this number, as `kind` makes it; one of which nothing would be left stays."""
    result = kind.spoil(line, random.Random(f"{seed}:{number}"))
    return result if result.strip() else line


def typos(line: str, rng: random.Random) -> str:
    """Some words with two letters exchanged, one left out, doubled, or hit beside its key; first letters stay."""
    words = list(_TYPED.finditer(line))
    chosen = rng.sample(words, min(len(words), max(1, round(TYPO_RATE * len(line.split())))))
    for match in sorted(chosen, key=lambda match: -match.start()):
        line = line[: match.start()] + _typo(match[0], rng) + line[match.end() :]
    return line


def _typo(word: str, rng: random.Random) -> str:
    place, slip = rng.randrange(1, len(word) - 1), rng.randrange(4)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    if slip == 0 and letter != after[0]:
        return before + after[0] + letter + after[1:]
    if slip == 1:
        return before + after
    if slip == 2 and letter in _NEIGHBOURS:
        return before + rng.choice(_NEIGHBOURS[letter]) + after
    return before + letter + letter + after


def _title(line: str, _: random.Random) -> str:
    return _WORD.sub(lambda match: match[0][0].upper() + match[0][1:], line)


def _curly(line: str, _: random.Random) -> str:
    return _PAIR.sub(lambda match: f"“{_inside(match)}”", line).translate(_APOSTROPHES)


def _straight(line: str, _: random.Random) -> str:
    return _PAIR.sub(lambda match: f'"{_inside(match)}"', line).translate(_STRAIGHT)


def _guillemets(line: str, _: random.Random) -> str:
    return _PAIR.sub(lambda match: f"« {_inside(match)} »", line)


def _inside(match: re.Match[str]) -> str:
    return next(text for text in match.groups() if text is not None)


KINDS = (
    Kind("typos", "a tenth of the words mistyped", typos),
    Kind("lower case", "no capital letters", lambda line, _: line.lower()),
    Kind("upper case", "capital letters only", lambda line, _: line.upper()),
    Kind("title case", "A Capital Letter For Each Word", _title),
    Kind("straight quotes", '"..." and \'', _straight),
    Kind("curly quotes", "“...” and ’", _curly),
    Kind("guillemets", "« ... »", _guillemets),
    Kind("doubled spaces", "two between words", lambda line, _: _BLANK.sub("  ", line)),
    Kind("no-break spaces", "U+00A0 between words", lambda line, _: _BLANK.sub("\N{NO-BREAK SPACE}", line)),
    Kind("space before marks", "as in Yes !", lambda line, _: _MARK.sub(" ", line)),
    Kind("no space before marks", "as in Yes!", lambda line, _: _SPACED_MARK.sub("", line)),
    Kind("no final mark", "without the . ! or ? at the end", lambda line, _: _FINAL_MARK.sub("", line)),
)
