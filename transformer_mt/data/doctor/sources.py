"""The sources that a configuration names, as the doctor reads them: again and again, and past what is amiss."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import numpy as np

from transformer_mt.config.data_schema import DataConfig, SourceConfig
from transformer_mt.data.cleaning import without_breaks
from transformer_mt.data.corpus import read_noted_pairs, source_name
from transformer_mt.data.pairs import BadLine, Pair, ReadingNotes
from transformer_mt.data.readers import UnequalFiles

Role = Literal["train", "validation", "test"]

PAIRS_AT_A_TIME = 4096
CHARACTERS_AT_A_TIME = 1 << 18
"""Of one side: so many pairs of words of a block fit into a processor's cache."""


@dataclass
class Source:
    """One source, and what reading it showed."""

    role: Role
    config: SourceConfig
    data: DataConfig
    num_pairs: int = 0
    num_replaced: int = 0
    bad: list[BadLine] = field(default_factory=list)
    """Lines that could not be read."""
    unequal: UnequalFiles | None = None
    """What is wrong with the number of lines; the pairs are those of the lines that both files have."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return source_name(self.config)

    def first_read(self) -> Iterator[list[Pair]]:
        """All pairs in blocks; what is amiss is noted."""
        notes = ReadingNotes(self.name, sys.maxsize)
        for block in blocks_of(self._to_the_end(self._pairs(notes))):
            self.num_pairs += len(block)
            yield block
        self.bad, self.num_replaced = notes.bad, notes.num_replaced

    def _to_the_end(self, pairs: Iterator[Pair]) -> Iterator[Pair]:
        try:
            yield from pairs
        except UnequalFiles as problem:
            self.unequal = problem

    def read_again(self) -> Iterator[list[Pair]]:
        """The same pairs in blocks."""
        return blocks_of(islice(self._pairs(ReadingNotes(self.name, sys.maxsize)), self.num_pairs))

    def _pairs(self, notes: ReadingNotes) -> Iterator[Pair]:
        """NUL stays in them: it is a defect like other control characters."""
        return read_noted_pairs(self.config, self.data, notes, without_breaks)


def configured_sources(data: DataConfig) -> list[Source]:
    """The sources of a configuration, those of the training first."""
    named: dict[Role, tuple[SourceConfig, ...]] = {
        "train": data.train,
        "validation": data.validation,
        "test": data.test,
    }
    return [Source(role, config, data) for role, configs in named.items() for config in configs]


def blocks_of(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    """The pairs in blocks that are bounded in number and in characters, one pair at the least."""
    while block := list(islice(pairs, PAIRS_AT_A_TIME)):
        ends = np.cumsum([max(len(pair.src), len(pair.tgt)) for pair in block]) // CHARACTERS_AT_A_TIME
        cuts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(block)]
        for start, end in zip(cuts, cuts[1:], strict=False):
            yield block[start:end]
