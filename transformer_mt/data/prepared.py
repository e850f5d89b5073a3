"""Prepared sentence pairs: token ids in a memory-mapped Arrow file, read without copying the file into memory."""

import json
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from transformer_mt.data.fingerprint import SourceRecord
from transformer_mt.data.pairs import Pair
from transformer_mt.errors import DataError

PAIRS_FILE = "pairs.arrow"
REPORT_FILE = "report.json"
SKIPPED_FILE = "skipped.jsonl"

ROWS_BETWEEN_RELEASES = 256
"""Rows read from the mapped file before its pages are given back. They stay in the system's cache, but each row read
maps 64 kB around it, and a hundred batches would seem to take a gigabyte."""

Row = tuple["npt.NDArray[np.int32]", "npt.NDArray[np.int32]"]
"""Source and target ids, each with eos at the end and no bos."""


class TokenPairs(Protocol):
    """Pairs of token ids to make batches from."""

    src_lengths: "npt.NDArray[np.int32]"
    tgt_lengths: "npt.NDArray[np.int32]"
    weights: "npt.NDArray[np.float32] | None"

    def __len__(self) -> int: ...

    def rows(self, indices: Sequence[int]) -> list[Row]: ...


class PreparedCorpus:
    """The training pairs that were kept, in order.

    `src_lengths` and `tgt_lengths` count pieces with eos. `weights` is a weight for each pair, None when all are 1.
    `skipped` counts the pairs left out by reason; `skipped_path` lists them. RAM: 8 bytes a pair, 12 with weights.
    """

    def __init__(self, directory: Path, source_weights: Sequence[float], records: list[SourceRecord]) -> None:
        """Map the files that `prepare` wrote; raises DataError or OSError when they are damaged."""
        self.records = records
        self.fingerprint = directory.name
        self.skipped_path = directory / SKIPPED_FILE
        self.report = json.loads((directory / REPORT_FILE).read_text(encoding="utf-8"))
        self.skipped: dict[str, int] = self.report["skipped"]
        path = directory / PAIRS_FILE
        if path.stat().st_size != self.report["bytes"]:
            raise DataError(f"{path}: is damaged")
        columns, self._pages = _map_columns(path)
        self._num_read = 0
        self._src, self._tgt = _ListColumn(columns["src"]), _ListColumn(columns["tgt"])
        self.src_lengths, self.tgt_lengths = self._src.lengths(), self._tgt.lengths()
        if len(self.src_lengths) != self.report["kept"]:
            raise DataError(f"{path}: is damaged")
        self.weights: npt.NDArray[np.float32] | None = None
        if any(weight != 1.0 for weight in source_weights):
            table = np.asarray(source_weights, np.float32)
            self.weights = np.concatenate([table[chunk.to_numpy()] for chunk in columns["source"].chunks])
        self._release_pages()

    def __len__(self) -> int:
        return len(self.src_lengths)

    def rows(self, indices: Sequence[int]) -> list[Row]:
        """The ids of the pairs at `indices`, as views of the mapped file."""
        self._num_read += len(indices)
        if self._num_read > ROWS_BETWEEN_RELEASES:
            self._release_pages()
        return list(zip(self._src.rows(indices), self._tgt.rows(indices), strict=True))

    def _release_pages(self) -> None:
        """Give the mapped pages back to the system; they are mapped again where they are read again."""
        self._num_read = 0
        if hasattr(mmap, "MADV_DONTNEED"):
            self._pages.madvise(mmap.MADV_DONTNEED)

    @property
    def data_fingerprint(self) -> dict[str, dict[str, int | str]]:
        """For each source the number of its pairs that were kept, and a hash of its contents."""
        described: dict[str, dict[str, int | str]] = {}
        for record, counts in zip(self.records, self.report["sources"], strict=True):
            before = int(described[record.name]["pairs"]) if record.name in described else 0
            described[record.name] = {"pairs": before + counts["kept"], "sha256": record.sha256}
        return described

    @property
    def identity(self) -> dict[str, str]:
        """For each source, what decides whether a training on it can go on: its kept pairs and its contents."""
        return {
            name: f"{found['pairs']} pairs, SHA-256 {found['sha256']}" for name, found in self.data_fingerprint.items()
        }


class EvaluationCorpus:
    """Validation or test pairs, few enough for memory.

    `pairs` holds every line as it was read, to be translated and scored. The rest has the shape of
    `PreparedCorpus` and holds the pairs that a loss can be computed on; blank and over-long ones are not
    among them. `usable` gives the place in `pairs` of each of those.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        rows: Sequence[Row],
        usable: Sequence[int],
        records: list[SourceRecord],
    ) -> None:
        self.pairs = list(pairs)
        self.usable = list(usable)
        self._rows = list(rows)
        self.src_lengths = np.array([len(src) for src, _ in rows], np.int32)
        self.tgt_lengths = np.array([len(tgt) for _, tgt in rows], np.int32)
        self.weights: npt.NDArray[np.float32] | None = None
        self.records = records

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, indices: Sequence[int]) -> list[Row]:
        """The ids of the usable pairs at `indices`."""
        return [self._rows[index] for index in indices]


class _ListColumn:
    """A list<int32> column as NumPy views of its chunks."""

    def __init__(self, column) -> None:  # type: ignore[no-untyped-def]
        chunks = [chunk for chunk in column.chunks if len(chunk)]
        self._values = [chunk.values.to_numpy() for chunk in chunks]
        self._offsets = [chunk.offsets.to_numpy() for chunk in chunks]
        self._starts = np.cumsum([0, *map(len, chunks)])

    def lengths(self) -> "npt.NDArray[np.int32]":
        parts = [np.diff(offsets) for offsets in self._offsets]
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)

    def rows(self, indices: Sequence[int]) -> "list[npt.NDArray[np.int32]]":
        wanted = np.asarray(indices, np.int64)
        chunks = np.searchsorted(self._starts, wanted, side="right") - 1
        places = (wanted - self._starts[chunks]).tolist()
        rows = []
        for chunk, place in zip(chunks.tolist(), places, strict=True):
            offsets = self._offsets[chunk]
            rows.append(self._values[chunk][offsets[place] : offsets[place + 1]])
        return rows


def _map_columns(path: Path):  # type: ignore[no-untyped-def]
    """The table in the file, which lies in the mapping that comes with it."""
    import pyarrow as pa

    with path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return pa.ipc.open_stream(pa.py_buffer(pages)).read_all(), pages
