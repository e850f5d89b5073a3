r"""What a translation has to keep as it is: numbers, URLs, e-mail addresses, placeholders and tags.

Translators call these placeables. All but numbers have to come as often as in the source, to the letter, and no others;
`%s` and its kind and tags, which programs read one after the other, in the order of the source as well. Numbers have to
have the same value: "1,000.5" may become "1 000,5", "1.000,5" or "1000.5", and not "1005"; more of them may come, as a
translation may write "two" as "2". A minus is part of a number, and so is a percent sign, which may become words.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_TRIGGER = re.compile(r"[\d{%$<@/]")
"""In all placeables but `www.`; most lines have none, and are not looked at closer."""
_LETTER = r"[A-Za-z_\u00c0-\u024f]"
_BLANK_OR_APOSTROPHE = r"[ \u00a0\u2009\u202f'’]"
_NUMBER = rf"(?:\d{{1,3}}(?:{_BLANK_OR_APOSTROPHE}\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*)"
_NUMBERS = rf"{_NUMBER}(?:{_LETTER}|\d)*"
_MINUS = "-\u2212"
_SIGN = rf"(?<![^\s(\[{{«“\"=<>:;,/|*+$€£])(?<!\d[ \u00a0\u2009\u202f])[{_MINUS}](?=\d)"
"""Not between words, nor in ranges and dates."""
_PERCENT_SIGN = r"(?<=\d)(?:%(?!\w)|[ \u00a0\u2009\u202f]%(?![\w(%+#-]|\.\d))"
"""Not of `%s` and its kind."""
_MARKUP = (
    r"(?i:https?|ftp)://[^\s<>\"]*[^\s<>\"'’”».,;:!?)\]}]",
    r"(?i:www)\.[^\s<>\"]*[^\s<>\"'’”».,;:!?)\]}]",
    r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    r"</?[A-Za-z][\w:.-]*(?:[ \t][^<>\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]*)?/?>",
    r"\$?\{\{? ?[^\s{}]* ?\}?\}",
    r"(?<!\d)%(?:\(\w+\)|\d+\$)?[-+#0]*\d*(?:\.\d+)?(?:hh?|ll?|[qjztL])?[diouxXeEfFgGcrsa@%]",
    r"\$[A-Za-z_]\w*",
)
_PLACEABLE = re.compile(
    rf"(?P<markup>{'|'.join(_MARKUP)})"
    rf"|(?:{_SIGN})?(?<!{_LETTER})(?:{_LETTER}+-)?{_LETTER}*{_NUMBERS}(?:[:/-]{_NUMBERS})*(?:{_PERCENT_SIGN})?"
)
_PERCENT = re.compile(r"(?<=%)|[ \u00a0\u2009\u202f]?(?:%|per ?cent\b|pour ?cent\b)")
_EACH_NUMBER = re.compile(_NUMBER)
_SEPARATORS = re.compile(r"\D")


@dataclass(frozen=True, slots=True)
class Placeable:
    """Something to be kept, and its place in the line; numbers come with their whole word, as `2nd` and `10:30`."""

    text: str
    start: int
    is_number: bool

    @property
    def end(self) -> int:
        """The place after it."""
        return self.start + len(self.text)

    @property
    def is_tag(self) -> bool:
        """Whether it is a tag of HTML or XML."""
        return not self.is_number and self.text[0] == "<"

    @property
    def keeps_order(self) -> bool:
        """Whether it has to stay before or behind others of its kind."""
        return not self.is_number and self.text[0] in "%<" and not self.text.startswith("%(")


def placeables(text: str) -> list[Placeable]:
    """All that are in `text`, in order; what they hold themselves, as the numbers of a URL, does not count."""
    if not _TRIGGER.search(text) and "www." not in text.lower():
        return []
    return [Placeable(m.group(), m.start(), m["markup"] is None) for m in _PLACEABLE.finditer(text)]


def lost(wanted: Sequence[Placeable], text: str) -> list[Placeable]:
    """Those of `wanted`, all placeables of a source, that its translation `text` does not keep."""
    said = placeables(text)
    before, after = (Counter(one.text for one in some if not one.is_number) for some in (wanted, said))
    in_order = [one.text for one in wanted if one.keeps_order] == [one.text for one in said if one.keeps_order]
    numbers = _Numbers(_said_values(said, text))
    missing = []
    for one in wanted:
        if one.is_number:
            is_kept = all(map(numbers.take, _values(one.text)))
        else:
            is_kept = before[one.text] == after[one.text] and (in_order or not one.keeps_order)
        if not is_kept:
            missing.append(one)
    return missing


def is_changed(source: str, text: str) -> bool:
    """Whether the translation `text` of `source` does not keep its placeables, or has others than numbers."""
    wanted = placeables(source)
    known = {one.text for one in wanted}
    return bool(wanted and lost(wanted, text)) or any(
        not one.is_number and one.text not in known for one in placeables(text)
    )


def _said_values(said: Sequence[Placeable], text: str) -> list[frozenset[str]]:
    """What the numbers of `text` may mean; percentages come first, and are numbers as well."""
    percentages, others = [], []
    for one in said:
        if one.is_number:
            *before, last = _values(one.text.removesuffix("%"))
            others += before
            if _PERCENT.match(text, one.end):
                percentages.append(last | {f"{value}%" for value in last})
            else:
                others.append(last)
    return [*percentages, *others]


def _values(text: str) -> Iterator[frozenset[str]]:
    """For each number in `text` what it may mean: "1,000" is 1000 or 1.000, "3.14.15" is none of these."""
    for match in _EACH_NUMBER.finditer(text):
        digits = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in match.group())
        groups, separators = _SEPARATORS.split(digits), _SEPARATORS.findall(digits)
        found = []
        if _are_thousands(groups, separators):
            found.append("".join(groups))
        if separators and separators[-1] in ".," and separators[-1] not in separators[:-1]:
            if _are_thousands(groups[:-1], separators[:-1]):
                found.append(f"{''.join(groups[:-1])}.{groups[-1]}")
        sign = "-" if match.start() == 1 and text[0] in _MINUS else ""
        unit = "%" if text[match.end() :].strip() == "%" else ""
        yield frozenset(f"{sign}{value}{unit}" for value in found or [".".join(groups)])


def _are_thousands(groups: Sequence[str], separators: Sequence[str]) -> bool:
    if not separators:
        return True
    return len(set(separators)) == 1 and len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])


class _Numbers:
    """What the numbers of a translation may mean; each answers one number of the source, the last ones first."""

    def __init__(self, values: Iterable[frozenset[str]]) -> None:
        self._places: dict[str, list[int]] = {}
        for place, value in enumerate(values):
            for meaning in value:
                self._places.setdefault(meaning, []).append(place)
        self._taken: set[int] = set()

    def take(self, value: frozenset[str]) -> bool:
        """Whether one that is left may mean the same; it is taken away."""
        for meaning in sorted(value):
            places = self._places.get(meaning, [])
            while places:
                place = places.pop()
                if place not in self._taken:
                    self._taken.add(place)
                    return True
        return False
