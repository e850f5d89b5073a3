"""Blocks of pairs to blocks of ids, and the reasons for which a pair is left out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from transformer_mt.data.pairs import Pair
from transformer_mt.data.tokenizer import TokenizerPair

PAIRS_AT_A_TIME = 8192

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
    """Turns pairs into ids. Pairs that occur in `held_out` are counted, and left out if `drop_leaks`."""

    tokenizers: TokenizerPair
    max_length: int
    held_out: HeldOut = NOTHING_HELD_OUT
    drop_leaks: bool = False

    def blocks(self, pairs: Iterable[Pair]) -> Iterator[Block]:
        """Encode `pairs`, some thousand at a time."""
        stream = iter(pairs)
        while block := list(islice(stream, PAIRS_AT_A_TIME)):
            yield self._encode(block)

    def _encode(self, pairs: list[Pair]) -> Block:
        src = self.tokenizers.src.encode([pair.src for pair in pairs], add_eos=True)
        tgt = self.tokenizers.tgt.encode([pair.tgt for pair in pairs], add_eos=True)
        leaks = (
            {index for index, pair in enumerate(pairs) if self.held_out.holds(pair)} if any(self.held_out) else set()
        )
        limit = self.max_length
        skipped: dict[int, Skipped] = {}
        for index, (pair, left, right) in enumerate(zip(pairs, src, tgt, strict=True)):
            if len(left) < 2 or len(right) < 2 or pair.src.isspace() or pair.tgt.isspace():
                skipped[index] = Skipped(pair.line, BLANK, len(left), len(right))
            elif len(left) > limit or len(right) > limit:
                skipped[index] = Skipped(pair.line, TOO_LONG, len(left), len(right))
            elif self.drop_leaks and index in leaks:
                skipped[index] = Skipped(pair.line, LEAK, len(left), len(right))
        if not skipped:
            return Block(pairs, range(len(pairs)), src, tgt, [], len(leaks))
        kept = [index for index in range(len(pairs)) if index not in skipped]
        kept_src, kept_tgt = [src[index] for index in kept], [tgt[index] for index in kept]
        return Block(pairs, kept, kept_src, kept_tgt, list(skipped.values()), len(leaks))
