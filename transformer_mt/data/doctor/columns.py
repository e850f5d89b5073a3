"""Arrays that grow on disk, so that memory does not grow with the corpus."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from transformer_mt.files import write_problem

ROWS_AT_A_TIME = 1 << 20
ROWS_TO_SORT = 1 << 22
"""Rows that are sorted in memory together."""


class Column:
    """A file of rows of `width` numbers."""

    def __init__(self, path: Path, kind: type[np.generic], width: int = 1) -> None:
        self._path = path
        self._kind = np.dtype(kind)
        self._width = width
        self._file = path.open("wb")
        self.num_rows = 0

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add rows: (N,) or (N, width); raises TransformerMTError when the disk is full."""
        try:
            self._file.write(np.ascontiguousarray(values, self._kind).data)
        except OSError as error:
            raise write_problem(self._path, error) from error
        self.num_rows += len(values)

    def array(self) -> npt.NDArray[Any]:
        """The rows, (R,) or (R, width), in the file itself: what is changed there stays changed. No more are added."""
        self._file.close()
        shape = (self.num_rows,) if self._width == 1 else (self.num_rows, self._width)
        if not self.num_rows:
            return np.zeros(shape, self._kind)
        return np.asarray(np.memmap(self._path, self._kind, "r+", shape=shape))


def equal_together(keys: npt.NDArray[np.uint64]) -> Iterator[npt.NDArray[np.int64]]:
    """The numbers of all rows, in parts that fit into memory; rows of equal keys are in one part, in their order."""
    num_parts = np.uint64(1 + len(keys) // ROWS_TO_SORT)
    for part in range(int(num_parts)):
        yield np.concatenate(
            [
                start + np.flatnonzero(keys[start : start + ROWS_AT_A_TIME] % num_parts == part)
                for start in range(0, max(len(keys), 1), ROWS_AT_A_TIME)
            ]
        )
