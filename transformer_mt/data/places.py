"""Where prepared pairs came from: a pair's number back to the file and line that it was read from."""

import json
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from transformer_mt.config.schema import DataConfig
from transformer_mt.data.corpus import read_noted_pairs
from transformer_mt.data.encoding import BAD
from transformer_mt.data.pairs import ReadingNotes
from transformer_mt.data.prepared import PreparedCorpus


class Place(NamedTuple):
    """A line of a source of pairs, counted from 1."""

    source: str
    line: int


def find_places(corpus: PreparedCorpus, data: DataConfig, indices: Collection[int]) -> dict[int, Place]:
    """The places of the training pairs at `indices`; reads the sources again, as far as the last of them.

    Raises DataError for what cannot be read any more.
    """
    found: dict[int, Place] = {}
    wanted, first = set(indices), 0
    names = [record.name for record in corpus.records]
    left_out = _left_out(corpus)
    for name, source, counts in zip(names, data.train, corpus.report["sources"], strict=True):
        last = max((index for index in wanted if index < first + counts["kept"]), default=-1)
        skipped = Counter({line: count // names.count(name) for line, count in left_out.get(name, Counter()).items()})
        index = first
        for pair in read_noted_pairs(source, data, ReadingNotes(name, data.skip_bad_lines)):
            if index > last:
                break
            if skipped[pair.line]:
                skipped[pair.line] -= 1
                continue
            if index in wanted:
                found[index] = Place(name, pair.line)
            index += 1
        first += counts["kept"]
    return found


def _left_out(corpus: PreparedCorpus) -> dict[str, Counter[int]]:
    """How many pairs of each line of each source were read but not kept."""
    left_out: dict[str, Counter[int]] = {}
    with corpus.skipped_path.open(encoding="utf-8") as file:
        for entry in map(json.loads, file):
            if entry["reason"] != BAD:
                left_out.setdefault(entry["source"], Counter())[entry["line"]] += 1
    return left_out
