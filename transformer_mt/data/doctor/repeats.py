"""Pairs that come again, exactly or nearly: by hashes of their words, and by MinHash (Broder 1997) for long ones.

Legend: N pairs, W words of all of them, K smallest hashes of a pair.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from transformer_mt.data.doctor.blocks import Hashes, Indices, Words, mixed
from transformer_mt.data.doctor.columns import Column, equal_together
from transformer_mt.data.doctor.kinds import Kind, bit

SIMILAR = 0.85
"""Share of common pairs of neighbouring words, of all that either has, from which on two pairs are nearly the same."""
MIN_WORDS, MAX_WORDS = 30, 400
"""Words of both sides together that a pair needs for one other word to count as nothing; more are not looked at."""
_NUM_BANDS, _PER_BAND = 8, 4
"""Two pairs are compared when the smallest hashes of a band agree: of those nearly the same, 97 % and more are."""
_LEAST_EQUAL = 21
"""Of all smallest hashes, those that must agree before the words of two pairs are compared: fewer are too unlikely."""
_NEIGHBOURS = 3
"""Pairs that agree in a band are each compared with as many before."""
_PAIRS_AT_A_TIME = 1 << 16
_ODD = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.random.default_rng(0).integers(0, 1 << 32, _NUM_BANDS * _PER_BAND, dtype=np.uint32) | np.uint32(1)


class RepeatFinder:
    """Takes in the words of all pairs, and tells at the end which of them are repetitions."""

    def __init__(self, directory: Path) -> None:
        """Keep what is needed in `directory`: 16 bytes a pair, and some 170 for a long one."""
        self._keys = Column(directory / "keys", np.uint64, 2)
        self._bands = Column(directory / "bands", np.uint64, _NUM_BANDS)
        self._rows = Column(directory / "rows", np.int64, 2)
        self._smallest = Column(directory / "smallest", np.uint8, len(_FACTORS))
        self._shingles = Column(directory / "shingles", np.uint16)

    def see(self, exact: Hashes, src: Words, tgt: Words) -> None:
        """Take in the next pairs, with a hash of each one's exact text (N,)."""
        sides = src.keys(), tgt.keys()
        keys = mixed(sides[0] * _ODD + sides[1])
        first_row = self._keys.num_rows
        self._keys.append(np.stack([np.where((sides[0] == 0) | (sides[1] == 0), exact, keys), exact], axis=1))
        total = src.counts + tgt.counts
        is_long = (src.counts > 0) & (tgt.counts > 0) & (total >= MIN_WORDS) & (total <= MAX_WORDS)
        if not is_long.any():
            return
        shingles, owners = zip(*(_shingles(words, is_long) for words in (src, tgt)), strict=True)
        lowest = np.minimum(*(_smallest(*side) for side in zip(shingles, owners, strict=True)))
        bands = lowest.reshape(len(lowest), _NUM_BANDS, _PER_BAND).astype(np.uint64)
        self._smallest.append((lowest & np.uint32(0xFF)).astype(np.uint8))
        powers = _ODD ** np.arange(_PER_BAND, dtype=np.uint64)
        self._bands.append(mixed((bands * powers).sum(axis=2, dtype=np.uint64)))
        order = np.argsort(np.concatenate(owners), kind="stable")
        start = self._shingles.num_rows
        self._shingles.append((np.concatenate(shingles)[order] >> np.uint64(48)).astype(np.uint16))
        ends = start + np.cumsum(total[is_long])
        self._rows.append(np.stack([first_row + np.flatnonzero(is_long), ends], axis=1))

    def mark(self, flags: npt.NDArray[np.uint64], firsts: Indices, left_out: int) -> None:
        """Flag repetitions, and put the number of the pair that each repeats into `firsts`.

        Pairs that have one of the flags `left_out` are no model for others.
        """
        keys = self._keys.array()
        for rows in equal_together(keys[:, 0]):
            _mark_equal(rows, np.asarray(keys[rows]), flags, firsts, left_out)
        self._mark_similar(flags, firsts, left_out)

    def _mark_similar(self, flags: npt.NDArray[np.uint64], firsts: Indices, left_out: int) -> None:
        bands, rows, shingles = self._bands.array(), self._rows.array(), self._shingles.array()
        smallest = self._smallest.array()
        for earlier, later in _agreeing(bands):
            is_new = flags[rows[later, 0]] & np.uint64(_REPEATS) == 0
            is_new &= flags[rows[earlier, 0]] & np.uint64(left_out) == 0
            earlier, later = earlier[is_new], later[is_new]
            is_close = np.count_nonzero(smallest[earlier] == smallest[later], axis=1) >= _LEAST_EQUAL
            for one, other in zip(earlier[is_close].tolist(), later[is_close].tolist(), strict=True):
                if _similarity(*(_set_of(shingles, rows, number) for number in (one, other))) >= SIMILAR:
                    flags[rows[other, 0]] |= np.uint64(bit(Kind.NEAR_DUPLICATE))
                    firsts[rows[other, 0]] = rows[one, 0]


_REPEATS = bit(Kind.DUPLICATE) | bit(Kind.NEAR_DUPLICATE)


def _shingles(words: Words, is_taken: npt.NDArray[np.bool_]) -> tuple[Hashes, Indices]:
    """Hashes of each word and the one before, of the lines taken, and the number of the line of each among these."""
    before = np.zeros_like(words.hashes)
    before[1:] = words.hashes[:-1]
    before[words.places == 0] = 0
    counts = words.counts[is_taken]
    taken = np.repeat(is_taken, words.counts)
    return mixed(words.hashes * _ODD + before + np.uint64(1))[taken], np.repeat(np.arange(len(counts)), counts)


def _smallest(shingles: Hashes, owners: Indices) -> npt.NDArray[np.uint32]:
    """(N, K): for each line the smallest of its hashes under K permutations."""
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    short = (shingles >> np.uint64(32)).astype(np.uint32)
    return np.stack([np.minimum.reduceat(short * factor, starts) for factor in _FACTORS], axis=1)


def _mark_equal(rows: Indices, keys: Hashes, flags: npt.NDArray[np.uint64], firsts: Indices, left_out: int) -> None:
    """Flag pairs of equal text, and those that have equal words with a pair of other text: keys (R, 2)."""
    is_bad = flags[rows] & np.uint64(left_out) > 0
    key, exact = keys[:, 0], keys[:, 1]
    order = np.lexsort((rows, is_bad, exact, key))
    starts = np.ones(len(order), bool)
    starts[1:] = (key[order][1:] != key[order][:-1]) | (exact[order][1:] != exact[order][:-1])
    _flag(rows[order], starts, Kind.DUPLICATE, flags, firsts)
    models = order[starts]
    order = models[np.lexsort((rows[models], is_bad[models], key[models]))]
    starts = np.ones(len(order), bool)
    starts[1:] = key[order][1:] != key[order][:-1]
    _flag(rows[order], starts, Kind.NEAR_DUPLICATE, flags, firsts)


def _flag(
    rows: Indices, starts: npt.NDArray[np.bool_], kind: Kind, flags: npt.NDArray[np.uint64], firsts: Indices
) -> None:
    """Flag all rows that are not the first of their group, which `starts` there."""
    first = rows[np.maximum.accumulate(np.where(starts, np.arange(len(rows)), 0))]
    flags[rows[~starts]] |= np.uint64(bit(kind))
    firsts[rows[~starts]] = first[~starts]


def _agreeing(bands: Hashes) -> Iterator[tuple[Indices, Indices]]:
    """Rows that agree in a band and are near each other there: the earlier ones and the later ones."""
    for band in range(_NUM_BANDS):
        for part in equal_together(bands[:, band]):
            yield from _neighbours(part, bands[part, band])


def _neighbours(part: Indices, keys: Hashes) -> Iterator[tuple[Indices, Indices]]:
    """Rows with equal keys that are near each other, the earlier ones and the later ones; some thousand at a time."""
    order = np.argsort(keys, kind="stable")
    for distance in range(1, _NEIGHBOURS + 1):
        is_equal = keys[order[distance:]] == keys[order[:-distance]]
        earlier, later = part[order[:-distance][is_equal]], part[order[distance:][is_equal]]
        for start in range(0, len(later), _PAIRS_AT_A_TIME):
            end = start + _PAIRS_AT_A_TIME
            yield earlier[start:end], later[start:end]


def _set_of(shingles: npt.NDArray[Any], rows: Indices, number: int) -> set[int]:
    start = int(rows[number - 1, 1]) if number else 0
    return set(shingles[start : rows[number, 1]].tolist())


def _similarity(one: set[int], other: set[int]) -> float:
    return len(one & other) / len(one | other)
