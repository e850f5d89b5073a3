"""Lines as arrays, some thousand at a time: their characters, and their words as hashes.

Legend: N lines, C characters of all of them, W words of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from transformer_mt.data.doctor.characters import ALONE, DIGIT, INVISIBLE, LETTER, MARK_ABOVE, NUM_CODES, tables

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

LINES_AT_A_TIME = 4096
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2 ** 64
_MIX = np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True)
class Lines:
    """Some lines; every line ends with a line feed here, so that none is empty."""

    codes: npt.NDArray[np.uint32]
    """(C,): code points, those of all lines one after another."""
    starts: Indices
    """(N,): where each line begins."""

    @classmethod
    def of(cls, lines: Sequence[str]) -> "Lines":
        """The arrays of `lines`, which hold no line feeds and no lone surrogates."""
        text = "\n".join(lines) + "\n"
        lengths = np.fromiter(map(len, lines), np.int64, len(lines)) + 1
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        return cls(np.minimum(codes, NUM_CODES), np.cumsum(lengths) - lengths)

    @classmethod
    def blocks_of(cls, lines: Sequence[str]) -> "list[Lines]":
        """The arrays of many lines, in blocks."""
        return [cls.of(lines[start : start + LINES_AT_A_TIME]) for start in range(0, len(lines), LINES_AT_A_TIME)]

    @cached_property
    def lengths(self) -> Indices:
        """(N,): characters of each line."""
        return np.diff(self.starts, append=len(self.codes)) - 1

    @cached_property
    def kinds(self) -> npt.NDArray[np.uint16]:
        """(C,): the class of each character."""
        return tables().kind[self.codes]

    @cached_property
    def found(self) -> npt.NDArray[np.uint16]:
        """(N,): the classes that occur in each line."""
        return np.bitwise_or.reduceat(self.kinds, self.starts)

    def sums(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(N,): for each line the sum of its characters' values (C,)."""
        return np.add.reduceat(values, self.starts)

    @cached_property
    def words(self) -> "Words":
        """The words of each line: runs of letters and digits, without case, accents and what cannot be seen."""
        codes, kinds, starts = self.codes, self.kinds, self.starts
        is_dropped = kinds & (MARK_ABOVE | INVISIBLE) > 0
        if is_dropped.any():
            starts = starts - np.concatenate([[0], np.cumsum(is_dropped)])[starts]
            codes, kinds = codes[~is_dropped], kinds[~is_dropped]
        is_part = kinds & (LETTER | DIGIT) > 0
        is_alone = kinds & ALONE > 0
        joins = is_part[1:] & is_part[:-1] & ~(is_alone[1:] | is_alone[:-1])  # with the character before
        is_first = is_part.copy()
        is_first[1:] &= ~joins
        is_last = is_part.copy()  # never true of the line feed at the end
        is_last[:-1] &= ~joins
        first, last = np.flatnonzero(is_first), np.flatnonzero(is_last)
        hashes, heads = _hashes_of_runs(tables().folded[codes], first, (last, np.minimum(last, first + _HEAD - 1)))
        has_digit = np.zeros(len(first), bool)
        if len(first):
            has_digit = np.bitwise_or.reduceat(kinds, first) & DIGIT > 0  # no digit is between words
        counts = np.add.reduceat(is_first, starts, dtype=np.int64)
        return Words(hashes, np.where(last - first >= _HEAD - 1, heads, 0), has_digit, counts)


_HEAD = 4


@dataclass(frozen=True)
class Words:
    """The words of some lines, in order."""

    hashes: Hashes
    """(W,): one for each word."""
    heads: Hashes
    """(W,): of its first four characters, 0 for shorter words: related words of two languages share it."""
    has_digit: npt.NDArray[np.bool_]
    counts: Indices
    """(N,): words of each line."""

    @cached_property
    def starts(self) -> Indices:
        """(N,): the first word of each line."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def places(self) -> Indices:
        """(W,): the place of each word in its line."""
        return np.arange(len(self.hashes)) - np.repeat(self.starts, self.counts)

    def sums(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        """(N,): for each line the sum of its words' values (W,)."""
        sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        return sums[self.starts + self.counts] - sums[self.starts]

    def first(self, num_lines: int) -> "Words":
        """The words of the first lines."""
        end = int(self.counts[:num_lines].sum())
        return Words(self.hashes[:end], self.heads[:end], self.has_digit[:end], self.counts[:num_lines])

    @classmethod
    def joined(cls, parts: "Sequence[Words]") -> "Words":
        """The words of several blocks of lines as those of one."""
        columns = zip(*((part.hashes, part.heads, part.has_digit, part.counts) for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))

    def keys(self) -> Hashes:
        """(N,): a hash of each line's words in their order; 0 for a line without words."""
        powers, _ = _powers(int(self.counts.max(initial=0)) + 1)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(self.hashes * powers[self.places], dtype=np.uint64)])
        return mixed(sums[self.starts + self.counts] - sums[self.starts])


def mixed(hashes: Hashes) -> Hashes:
    """Hashes whose bits all depend on all bits of the given ones; 0 stays 0."""
    hashes = (hashes ^ (hashes >> np.uint64(32))) * _MIX
    hashes = (hashes ^ (hashes >> np.uint64(32))) * _MIX
    return hashes ^ (hashes >> np.uint64(32))


def _hashes_of_runs(values: Hashes, first: Indices, lasts: Sequence[Indices]) -> list[Hashes]:
    """Hashes of the runs from `first` to each of `lasts`, wherever they stand: polynomials modulo 2 ** 64."""
    powers, inverses = _powers(len(values) + 1)
    terms = values * powers[: len(values)]
    sums = np.cumsum(terms, dtype=np.uint64)
    before, inverse = sums[first] - terms[first], inverses[first]
    return [mixed((sums[last] - before) * inverse) for last in lasts]


def _powers(count: int) -> tuple[Hashes, Hashes]:
    return _table_of_powers(1 << max(16, (count - 1).bit_length()))


@lru_cache(maxsize=4)
def _table_of_powers(count: int) -> tuple[Hashes, Hashes]:
    """The first powers of the base and of its inverse."""
    steps = np.full((2, count), 1, np.uint64)
    steps[0, 1:], steps[1, 1:] = _BASE, pow(_BASE, -1, 1 << 64)
    powers, inverses = np.cumprod(steps, axis=1, dtype=np.uint64)
    return powers, inverses
