"""Writes the training pairs without their defects to new files, with a list of what was done."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

from transformer_mt.config.data_schema import DataConfig, SourceConfig
from transformer_mt.data.doctor.diagnosis import Diagnosis
from transformer_mt.data.doctor.kinds import ABOUT, Kind, bit, left_out, sides_of
from transformer_mt.data.doctor.sources import Source
from transformer_mt.data.doctor.surface import mend_line
from transformer_mt.data.pairs import Pair

CHANGES_FILE = "changes.jsonl"


class Cleaned(NamedTuple):
    """What was written."""

    train: tuple[SourceConfig, ...]
    """The new sources."""
    num_kept: int
    num_mended: int
    left_out: Counter[str]
    """Pairs left out, by the first reason for it."""


class _Cleaner:
    def __init__(self, diagnosis: Diagnosis, kept: frozenset[Kind], changes: IO[str]) -> None:
        self.found = diagnosis.examinations["train"]
        self.diagnosis = diagnosis
        self.kept = kept
        self.changes = changes
        self.left_out: Counter[str] = Counter()
        self.num_kept = self.num_mended = 0
        self._leaving = left_out(kept)
        self._row = 0

    def pairs(self, source: Source) -> Iterator[tuple[str, str]]:
        """The pairs of one source that stay, mended."""
        number = 0
        for block in source.read_again():
            flags = self.found.flags[self._row : self._row + len(block)].tolist()
            for index, (pair, own) in enumerate(zip(block, flags, strict=True)):
                if own & self._leaving:
                    self._leave_out(source, pair, own, self._row + index)
                    continue
                number += 1
                src, tgt = self._mended(pair, own) if own else (pair.src, pair.tgt)
                if (src, tgt) != (pair.src, pair.tgt):
                    self._tell_mended(source, pair, own, (src, tgt), number)
                yield src, tgt
            self._row += len(block)
        self.num_kept += number
        self._tell_unread(source)

    def _mended(self, pair: Pair, flags: int) -> tuple[str, str]:
        sides = (pair.src, pair.tgt)
        if flags & bit(Kind.SWAPPED) and Kind.SWAPPED not in self.kept:
            sides = (pair.tgt, pair.src)
        customs = self.diagnosis.knowledge.spacing
        src, tgt = (mend_line(line, c.usual, self.kept)[0] for line, c in zip(sides, customs, strict=True))
        return src, tgt

    def _leave_out(self, source: Source, pair: Pair, flags: int, row: int) -> None:
        reasons = [kind for kind in Kind if ABOUT[kind].action == "leave out" and sides_of(flags & self._leaving, kind)]
        self.left_out[reasons[0].label] += 1
        entry: dict[str, Any] = {"source": source.name, "line": pair.line, "did": "left out"}
        entry |= {"because": [kind.label for kind in reasons], "src": pair.src, "tgt": pair.tgt}
        if (first := int(self.found.firsts[row])) >= 0:
            place = self.diagnosis.place("train", first)
            entry["repeats"] = {"source": place.source.name, "line": place.line}
        self._tell(entry)

    def _tell_mended(self, source: Source, pair: Pair, flags: int, sides: tuple[str, str], number: int) -> None:
        kinds = [kind.label for kind in Kind if kind not in self.kept and sides_of(flags, kind)]
        self.num_mended += 1
        entry = {"source": source.name, "line": pair.line, "did": "mended", "because": kinds, "new_line": number}
        self._tell(entry | {"src": [pair.src, sides[0]], "tgt": [pair.tgt, sides[1]]})

    def _tell_unread(self, source: Source) -> None:
        for bad in source.bad:
            self.left_out["unreadable"] += 1
            entry = {"source": source.name, "line": bad.line, "did": "left out", "because": ["unreadable"]}
            self._tell(entry | {"problem": bad.problem})
        if source.unequal is not None:
            lines = sorted(source.unequal.counts)
            self.left_out["unpaired"] += lines[1] - lines[0]
            entry = {"source": source.name, "lines": [lines[0] + 1, lines[1]], "did": "left out"}
            self._tell(entry | {"because": ["unpaired"]})

    def _tell(self, entry: dict[str, Any]) -> None:
        self.changes.write(json.dumps(entry, ensure_ascii=False) + "\n")


def write_clean(
    diagnosis: Diagnosis, data: DataConfig, kept: frozenset[Kind], directory: Path, future: Path
) -> Cleaned:
    """Write the training pairs as aligned text files into `directory`, which will be called `future`.

    Pairs are left out or mended for all kinds of defects but those `kept`; changes.jsonl tells of each. Validation and
    test stay as they are: scores on other ones could not be compared.
    """
    sources = diagnosis.examinations["train"].sources
    train = []
    with (directory / CHANGES_FILE).open("w", encoding="utf-8", newline="\n") as changes:
        cleaner = _Cleaner(diagnosis, kept, changes)
        for number, source in enumerate(sources, start=1):
            stem = "train" if len(sources) == 1 else f"train-{number}"
            names = [f"{stem}.{code}" for code in (data.src_lang, data.tgt_lang)]
            with ExitStack() as stack:
                files = [
                    stack.enter_context((directory / name).open("w", encoding="utf-8", newline="\n")) for name in names
                ]
                for sides in cleaner.pairs(source):
                    for file, line in zip(files, sides, strict=True):
                        file.write(line + "\n")
            src, tgt = (str(future / name) for name in names)
            train.append(SourceConfig(src=src, tgt=tgt, weight=source.config.weight))
    return Cleaned(tuple(train), cleaner.num_kept, cleaner.num_mended, cleaner.left_out)
