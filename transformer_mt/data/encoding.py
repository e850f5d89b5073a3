"""Blocks of pairs to blocks of ids, and the reasons for which a pair is left out."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transformer_mt.data.pairs import Pair
from transformer_mt.data.tokenizer import TokenizerPair
from transformer_mt.world import ALONE, World

PAIRS_AT_A_TIME = 8192
NUM_THREADS = min(8, os.cpu_count() or 1)
"""SentencePiece works in these, outside of Python's lock, while pairs are read and written; more would only wait."""

BLANK = "blank"
TOO_LONG = "too_long"
LEAK = "leak"
BAD = "bad"
REASONS = (BLANK, TOO_LONG, LEAK, BAD)
"""Why a pair is left out."""


class HeldOut(NamedTuple):
    """The sentences of validation and test, without blanks at their ends."""

    src: frozenset[str]
    tgt: frozenset[str]

    def holds(self, pair: Pair) -> bool:
        """Whether either side of `pair` is among them."""
        return pair.src.strip() in self.src or pair.tgt.strip() in self.tgt


NOTHING_HELD_OUT = HeldOut(frozenset(), frozenset())


class Skipped(NamedTuple):
    """A pair left out, with its lengths in pieces, eos included."""

    line: int
    reason: str
    src_length: int
    tgt_length: int


@dataclass(frozen=True)
class Block:
    """Consecutive pairs of one source. `kept` gives the places of those whose ids are in `src` and `tgt`, with eos."""

    pairs: list[Pair]
    kept: Sequence[int]
    src: list[list[int]]
    tgt: list[list[int]]
    skipped: list[Skipped]
    num_leaks: int

    def not_blank(self) -> list[Pair]:
        """The pairs that have text on both sides."""
        if not self.skipped:
            return self.pairs
        return [pair for pair in self.pairs if pair.src.strip() and pair.tgt.strip()]


@dataclass(frozen=True)
class PairEncoder:
    """Turns pairs into ids. Pairs that occur in `held_out` are counted, and left out if `drop_leaks`.

    The processes of `world` share the work; the main one gets what comes out.
    """

    tokenizers: TokenizerPair
    max_length: int
    held_out: HeldOut = NOTHING_HELD_OUT
    drop_leaks: bool = False
    world: World = ALONE

    def blocks(self, pairs: Iterable[Pair]) -> Iterator[Block]:
        """Encode `pairs`, some thousand at a time and some blocks ahead of what was taken; collective."""
        for block in self._encoded(self._own_share(pairs)):
            yield from filter(None, self.world.gather_to_main(block))

    def _own_share(self, pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
        """The pairs of this process in each round; none in a last round that was not enough for all."""
        stream = iter(pairs)
        while any(blocks := [list(islice(stream, PAIRS_AT_A_TIME)) for _ in range(self.world.size)]):
            yield blocks[self.world.rank]

    def _encoded(self, shares: Iterable[list[Pair]]) -> Iterator[Block | None]:
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            waiting: deque[tuple[list[Pair], Future[list[list[int]]], Future[list[list[int]]]]] = deque()
            for pairs in shares:
                src = pool.submit(self.tokenizers.src.encode, [pair.src for pair in pairs], add_eos=True)
                tgt = pool.submit(self.tokenizers.tgt.encode, [pair.tgt for pair in pairs], add_eos=True)
                waiting.append((pairs, src, tgt))
                if len(waiting) > NUM_THREADS:
                    pairs, src, tgt = waiting.popleft()
                    yield self._block(pairs, src.result(), tgt.result())
            for pairs, src, tgt in waiting:
                yield self._block(pairs, src.result(), tgt.result())

    def _block(self, pairs: list[Pair], src: list[list[int]], tgt: list[list[int]]) -> Block | None:
        if not pairs:
            return None
        src_lengths, tgt_lengths = _count(map(len, src)), _count(map(len, tgt))
        too_long = np.maximum(src_lengths, tgt_lengths) > self.max_length
        blank = np.minimum(src_lengths, tgt_lengths) < 2
        blank |= _count(pair.src.isspace() or pair.tgt.isspace() for pair in pairs) > 0
        leaks = np.zeros(len(pairs), bool)
        if any(self.held_out):
            leaks = _count(map(self.held_out.holds, pairs)) > 0
        left_out = blank | too_long | (leaks if self.drop_leaks else False)
        if not left_out.any():
            return Block(pairs, range(len(pairs)), src, tgt, [], int(leaks.sum()))
        kept = np.flatnonzero(~left_out).tolist()
        skipped = [
            Skipped(
                pairs[index].line,
                BLANK if blank[index] else TOO_LONG if too_long[index] else LEAK,
                int(src_lengths[index]),
                int(tgt_lengths[index]),
            )
            for index in np.flatnonzero(left_out).tolist()
        ]
        kept_src, kept_tgt = [src[index] for index in kept], [tgt[index] for index in kept]
        return Block(pairs, kept, kept_src, kept_tgt, skipped, int(leaks.sum()))


def _count(values: Iterable[int]) -> "npt.NDArray[np.int32]":
    return np.fromiter(values, np.int32)
