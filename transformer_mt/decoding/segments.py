"""Long lines cut at sentence ends, so that no input is longer than what the model was trained on."""

import re
from collections.abc import Callable, Iterator

SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*\s+")
CLAUSE_END = re.compile(r"[,;:，；：、]\s+")
BLANK = re.compile(r"\s+")
LONGEST_WORD = 200
"""Characters of one unbroken run that may be tokenised together; more are cut, wherever that is."""


def segments(line: str, limit: int, count_pieces: Callable[[str], int]) -> list[str]:
    """Cut `line` into segments of at most `limit` pieces each, as few as a greedy packing finds.

    It is cut after sentences if that is enough, where it is not after clauses, then between words, and
    last of all inside of words. A line within the limit is one segment, unchanged.
    """
    if count_pieces(line) <= limit:
        return [line]
    return list(_pack(_short_units(line, limit, count_pieces), limit))


def _short_units(text: str, limit: int, count_pieces: Callable[[str], int]) -> Iterator[tuple[str, int]]:
    """Parts of `text` in order, with their pieces: the largest units that keep to the limit."""
    for boundary in (SENTENCE_END, CLAUSE_END, BLANK):
        parts = _split_after(text, boundary)
        if len(parts) > 1:
            for part in parts:
                size = count_pieces(part)
                if size <= limit:
                    yield part, size
                else:
                    yield from _short_units(part, limit, count_pieces)
            return
    width = max(1, min(LONGEST_WORD, limit // 4))  # a character is at most four byte pieces
    for start in range(0, len(text), width):
        part = text[start : start + width]
        yield part, count_pieces(part)


def _split_after(text: str, boundary: re.Pattern[str]) -> list[str]:
    ends = [match.end() for match in boundary.finditer(text)]
    cuts = [0, *(end for end in ends if end < len(text)), len(text)]
    return [text[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]


def _pack(units: Iterator[tuple[str, int]], limit: int) -> Iterator[str]:
    """Join neighbouring units while they keep to the limit together."""
    packed, size = "", 0
    for text, pieces in units:
        if packed and size + pieces > limit:
            yield packed
            packed, size = "", 0
        packed, size = packed + text, size + pieces
    if packed:
        yield packed
