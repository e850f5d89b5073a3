"""The doctor looks at all sources of a configuration."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from transformer_mt.config.data_schema import DataConfig
from transformer_mt.data.doctor.examination import Examination, HeldOutKeys
from transformer_mt.data.doctor.kinds import STYLE, TARGET, Kind, bit, sides_of
from transformer_mt.data.doctor.knowledge import SAMPLE_SIZE, Knowledge, learn
from transformer_mt.data.doctor.sources import Role, Source, configured_sources
from transformer_mt.data.pairs import Pair
from transformer_mt.data.suspicion import EvenSample
from transformer_mt.errors import DataError
from transformer_mt.memory import without_garbage_collection

ROLES: tuple[Role, ...] = ("test", "validation", "train")
"""In this order: what is in the test must not be in validation, and neither in training."""
_ROWS_AT_A_TIME = 1 << 20


class Place(NamedTuple):
    """A line of a source."""

    source: Source
    line: int


class Finding(NamedTuple):
    """A pair with defects."""

    place: Place
    pair: Pair
    flags: int
    repeats: Place | None
    """The pair that it repeats."""

    @property
    def kinds(self) -> list[Kind]:
        """Its defects."""
        return [kind for kind in Kind if sides_of(self.flags, kind)]


@dataclass(frozen=True)
class Diagnosis:
    """All that was found."""

    knowledge: Knowledge
    examinations: dict[Role, Examination]

    @property
    def sources(self) -> list[Source]:
        """All sources, those of the training first."""
        return [source for role in reversed(ROLES) for source in self.examinations[role].sources]

    def findings(self, role: Role) -> Iterator[Finding]:
        """The pairs of a role that have defects, in order; the sources are read once more."""
        found = self.examinations[role]
        row = 0
        for source in found.sources:
            for block in source.read_again():
                flags = found.flags[row : row + len(block)]
                for index in np.flatnonzero(flags).tolist():
                    pair, first = block[index], int(found.firsts[row + index])
                    repeats = None if first < 0 else self.place(role, first)
                    yield Finding(Place(source, pair.line), pair, int(flags[index]), repeats)
                row += len(block)

    def place(self, role: Role, row: int) -> Place:
        """Where the pair with a number among those of its role stands."""
        found = self.examinations[role]
        line = int(found.lines[row])
        for source in found.sources:
            if row < source.num_pairs:
                return Place(source, line)
            row -= source.num_pairs
        raise IndexError(row)

    def counts(self, role: Role) -> Counter[Kind]:
        """How many pairs of a role have each kind of defect."""
        flags = self.examinations[role].flags
        counts: Counter[Kind] = Counter()
        for start in range(0, len(flags), _ROWS_AT_A_TIME):
            part = flags[start : start + _ROWS_AT_A_TIME]
            for kind in Kind:
                counts[kind] += int(np.count_nonzero(part & np.uint64(bit(kind) | bit(kind) << TARGET)))
        return +counts

    def num_defective(self, role: Role) -> int:
        """How many pairs of a role have a defect, matters of style aside."""
        defects = sum(bit(kind) for kind in Kind if kind not in STYLE)
        flags = self.examinations[role].flags
        return sum(
            int(np.count_nonzero(flags[start : start + _ROWS_AT_A_TIME] & np.uint64(defects | defects << TARGET)))
            for start in range(0, len(flags), _ROWS_AT_A_TIME)
        )


@contextmanager
def diagnose(data: DataConfig, scratch: Path | None = None) -> Iterator[Diagnosis]:
    """Examine all sources of `data`; what is found lies in a temporary directory (in `scratch`) as long as it is used.

    Raises DataError for what cannot be read at all: a missing file, bytes that are no text.
    """
    sources = configured_sources(data)
    if not sources:
        raise DataError("data: names no source of sentence pairs")
    with without_garbage_collection(), TemporaryDirectory(prefix="transformer-mt-", dir=scratch) as directory:
        knowledge = learn(_sample(sources), (data.src_lang, data.tgt_lang))
        held_out = HeldOutKeys()
        yield Diagnosis(
            knowledge,
            {
                role: Examination(
                    [source for source in sources if source.role == role], knowledge, held_out, Path(directory, role)
                )
                for role in ROLES
            },
        )


def _sample(sources: Sequence[Source]) -> list[Pair]:
    """Pairs to learn from, of all sources: validation and test may be of another kind than the training."""
    sample: list[Pair] = []
    for source in sources:
        own = EvenSample(SAMPLE_SIZE // sum(other.role == source.role for other in sources))
        for pairs in source.first_read():
            own.see(pairs)
        end = None if source.unequal is None else source.unequal.line
        sample += [pair for pair in own.pairs if end is None or pair.line < end]  # what is shifted teaches nothing
    return sample
