"""Placeables left out of a line while it is translated, and put back into its translation, byte for byte.

A model that has never seen `{0}` cannot be made to say it in a fitting place, and says nonsense around it. Without it
the line is like any other; where it belongs in the translation follows from attention, as browsers place tags.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from transformer_mt.decoding.placeables import Placeable
from transformer_mt.decoding.word_alignment import UNIT, WORD, Link

_OPENING = "([{«“‘\"'’-/"
_CLOSING = ")]}»”’\"',.;:!?…%-/"
_TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]*)")

_Item = tuple[int, bool, int]
"""What a text is put together of, in its order: the slot; whether it is a unit; the number of it or the placeable."""


class Masked:
    """A line without some of its placeables; a slot of a text is a place before, between or behind its units."""

    def __init__(self, line: str, placeables: Sequence[Placeable]) -> None:
        """`placeables` are some of those of the line, in order."""
        self.line = line
        self.placeables = placeables
        self.text, origins = _without(line, placeables) if placeables else (line, range(len(line)))
        self._units = [match.group() for match in UNIT.finditer(self.text)]
        self._starts = [origins[match.start()] for match in UNIT.finditer(self.text)]
        self._slots = [bisect_right(self._starts, one.start) for one in placeables]

    def put_back(self, translation: str, links: Sequence[Link], begin: int = 0) -> tuple[str, list[Link]]:
        """The translation of `text` with all placeables, in the order of the line, and the links of its words.

        `links` are those of the units (`word_alignment.UNIT`) of `text` and of the translation, in which nothing is put
        before slot `begin`.
        """
        text, starts = self._put_back(translation, links, begin)
        return text, self._word_links(text, links, starts)

    def words_of_units(self, translation: str, links: Sequence[Link], begin: int = 0) -> list[int]:
        """The number of the word, in what `put_back` gives, that each unit of the translation stands in."""
        text, starts = self._put_back(translation, links, begin)
        words = [match.start() for match in WORD.finditer(text)]
        return [bisect_right(words, place) - 1 for (is_unit, _), place in sorted(starts.items()) if is_unit]

    def _put_back(self, translation: str, links: Sequence[Link], begin: int) -> tuple[str, dict[tuple[bool, int], int]]:
        """The text of `put_back`, and where in it each unit of the translation and each placeable is."""
        spans = [match.span() for match in UNIT.finditer(translation)]
        slots = self._target_slots([translation[slice(*span)] for span in spans], links, begin)
        units: list[_Item] = [(number, True, number) for number in range(len(spans))]
        items = sorted([*units, *((slot, False, number) for number, slot in enumerate(slots))])
        shown = [translation[slice(*spans[n])] if is_unit else self.placeables[n].text for _, is_unit, n in items]
        blanks = ["", *self._blanks(translation, spans, items)][: len(items)]
        ends = list(accumulate(len(blank) + len(text) for blank, text in zip(blanks, shown, strict=True)))
        starts = {item[1:]: end - len(text) for item, end, text in zip(items, ends, shown, strict=True)}
        text = "".join(blank + one for blank, one in zip(blanks, shown, strict=True))
        return text, starts

    def _target_slots(self, units: Sequence[str], links: Sequence[Link], begin: int) -> list[int]:
        """The slot of the translation for each placeable, in their order."""
        sources = [-1] * len(units)
        for src, tgt in links:
            sources[tgt] = src
        if units and self._units and units[-1] in _CLOSING and self._units[-1] in _CLOSING:
            sources[-1] = len(self._units) - 1  # ends of sentences belong together, wherever attention is then
        slots = [_best_slot(sources, slot) for slot in self._slots]
        for first, last in _tag_pairs(self.placeables):
            inside = [tgt for tgt, src in enumerate(sources) if self._slots[first] <= src < self._slots[last]]
            if inside:
                slots[first], slots[last] = inside[0], inside[-1] + 1
        return list(accumulate(slots, max, initial=min(begin, len(units))))[1:]

    def _blanks(self, translation: str, spans: Sequence[tuple[int, int]], items: Sequence[_Item]) -> Iterator[str]:
        """What stands between neighbouring items."""
        for (slot, is_unit, number), (next_slot, next_is_unit, next_number) in pairwise(items):
            if not is_unit and not next_is_unit:
                between = self.line[self.placeables[number].end : self.placeables[next_number].start]
                yield " " if between else ""
                continue
            place = slot if next_is_unit and not is_unit else next_slot
            gap = translation[spans[place - 1][1] : spans[place][0]] if 0 < place < len(spans) else ""
            if is_unit and next_is_unit:
                yield gap
            elif is_unit:
                is_inside = place < len(spans) and not gap
                yield self._blank_before(next_number, translation[spans[number][1] - 1], gap, is_inside)
            else:
                yield self._blank_behind(number, translation[spans[next_number][0]], gap, place > 0 and not gap)

    def _blank_before(self, number: int, left: str, gap: str, is_inside: bool) -> str:
        """Between a unit that ends with `left` and a placeable, where there was `gap`; none as in the line."""
        one = self.placeables[number]
        before, behind = self.line[one.start - 1 : one.start], self.line[one.end : one.end + 1]
        is_closing = one.text.startswith("</")
        if _is_glued(one.text[0], before, left, is_closing):
            is_between_words = left.isalnum() and behind.strip() and not is_closing
            return gap if is_between_words else ""
        return gap or ("" if is_inside and left in _OPENING else " ")

    def _blank_behind(self, number: int, right: str, gap: str, is_inside: bool) -> str:
        one = self.placeables[number]
        is_opening = one.text[0] == "<" and not one.text.startswith("</") and not one.text.endswith("/>")
        if _is_glued(one.text[-1], self.line[one.end : one.end + 1], right, is_opening):
            return "" if right.isalnum() or is_opening else gap
        return gap or ("" if is_inside and right in _CLOSING else " ")

    def _word_links(self, text: str, links: Sequence[Link], starts: dict[tuple[bool, int], int]) -> list[Link]:
        """The links of the words of the line and of `text`, in which units and placeables are at `starts`."""
        src_words, tgt_words = ([match.start() for match in WORD.finditer(one)] for one in (self.line, text))
        places = [(one.start, starts[False, number]) for number, one in enumerate(self.placeables)]
        places += [(self._starts[src], starts[True, tgt]) for src, tgt in links]
        found: dict[int, int] = {}
        for src, tgt in places:
            found.setdefault(bisect_right(tgt_words, tgt) - 1, bisect_right(src_words, src) - 1)
        return sorted((src, tgt) for tgt, src in found.items())


def _without(line: str, placeables: Sequence[Placeable]) -> tuple[str, list[int]]:
    """The line without placeables and the blanks that were there for them, and the place of each character in it."""
    characters: list[str] = []
    origins: list[int] = []
    ends, starts = [0, *(one.end for one in placeables)], [*(one.start for one in placeables), len(line)]
    for start, end in zip(ends, starts, strict=True):
        rest = line[start:end]
        if not characters or characters[-1].isspace():
            rest = rest.lstrip()
        if characters and rest:
            while characters[-1].isspace() and rest[0] in _CLOSING:
                characters.pop(), origins.pop()
            if characters[-1].isalnum() and rest[0].isalnum():
                characters.append(" ")
                origins.append(start)
        characters += rest
        origins += range(end - len(rest), end)
    return "".join(characters), origins


def _best_slot(sources: Sequence[int], slot: int) -> int:
    """The slot of the translation that best parts what comes from before `slot` of the source from what does not.

    `sources` are the source units that those of the translation come from, -1 where that is not known. Of equally good
    slots that before the unit that comes next in the source is taken, or else that behind the one before.
    """
    signs = (0 if src < 0 else 1 if src >= slot else -1 for src in sources)
    wrong = list(accumulate(signs, initial=sum(0 <= src < slot for src in sources)))
    least = min(wrong)
    best = [place for place, count in enumerate(wrong) if count == least]
    before_next = (place for place in best if place < len(sources) and sources[place] == slot)
    behind_last = (place for place in best if place > 0 and sources[place - 1] == slot - 1)
    return next(before_next, next(behind_last, best[0]))


def _tag_pairs(placeables: Sequence[Placeable]) -> Iterator[tuple[int, int]]:
    """The numbers of opening tags, each with that of its closing one."""
    is_open: list[tuple[str, int]] = []
    for number, one in enumerate(placeables):
        tag = _TAG.match(one.text)
        if tag is None or one.text.endswith("/>"):
            continue
        if not tag[1]:
            is_open.append((tag[2], number))
            continue
        same = [place for place, (name, _) in enumerate(is_open) if name == tag[2]]
        if same:
            yield is_open[same[-1]][1], number
            del is_open[same[-1] :]


def _is_glued(edge: str, before: str, now: str, to_any: bool) -> bool:
    """Whether no blank parts a placeable with this `edge` from `now`, as none did from `before` in the line.

    Where one is not glued `to_any`, they have to be letters or digits, or the same character.
    """
    if not before.strip() or (edge.isalnum() and now.isalnum()):
        return False
    return to_any or before == now or (before.isalnum() and now.isalnum())
