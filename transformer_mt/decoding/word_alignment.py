"""Which word of the source each word of a translation comes from, as attention has it."""

import re
from bisect import bisect_right
from collections.abc import Sequence

from torch import Tensor

from transformer_mt.data.tokenizer import ESCAPE

Link = tuple[int, int]
"""Number of a source word and of a target word, from 0."""
WORD = re.compile(r"\S+")
"""What is counted as a word: all between blanks, escaped or not."""
_UNIT = r"\w+(?:['’-]\w+)*['’]?"
UNIT = re.compile(rf"{_UNIT}|[^\w\s]")
"""A word or a punctuation mark of a text."""
ESCAPED_UNIT = re.compile(rf"{_UNIT}|{ESCAPE}.|[^\w\s]")
"""The same of an escaped text, see `data.tokenizer.escape`: there are as many, in the same order."""


def word_of_each_piece(text: str, ends: Sequence[int], start: int = 0, words: re.Pattern[str] = WORD) -> list[int]:
    """The number of the word of `text` that each piece belongs to; -1 where there is none.

    `ends` are the places, counted from `start`, of the pieces' last characters. A blank belongs to the next word.
    """
    spans = [match.span() for match in words.finditer(text)]
    starts = [begin for begin, _ in spans]
    found = []
    for end in ends:
        word = bisect_right(starts, start + end) - 1
        if word < 0 or start + end >= spans[word][1]:
            word += 1
        found.append(word if word < len(spans) else -1)
    return found


def word_links(weights: Tensor, src_words: Sequence[int], tgt_words: Sequence[int]) -> list[Link]:
    """For each target word the source word that its pieces attend to most, given weights (T, S) of pieces.

    The weights of the pieces of a word are added up; pieces whose word is -1 count for none.
    """
    totals: dict[int, dict[int, float]] = {}
    for row, tgt_word in zip(weights.tolist(), tgt_words, strict=True):
        if tgt_word >= 0:
            found = totals.setdefault(tgt_word, {})
            for weight, src_word in zip(row, src_words, strict=True):
                if src_word >= 0:
                    found[src_word] = found.get(src_word, 0.0) + weight
    return sorted((max(found, key=lambda word: found[word]), tgt) for tgt, found in totals.items() if found)


def pharaoh(links: Sequence[Link]) -> str:
    """Links as `0-0 1-2 ...`, source first."""
    return " ".join(f"{src}-{tgt}" for src, tgt in links)
