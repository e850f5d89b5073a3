"""Files that grow together line by line, take their names when they are whole, and outlive an interruption."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from transformer_mt.errors import TransformerMTError
from transformer_mt.files import read_json, sync_directory, write_json, write_problem

Identity = Callable[[], Mapping[str, Any]]
"""What has to be the same for the lines of two commands to belong together, as plain JSON."""


@dataclass(slots=True)
class Progress:
    """What has been written."""

    lines: int = 0
    flagged: int = 0
    """Lines with flags."""
    flags: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `asdict` would make a counter of pairs of the counter."""
        return {"lines": self.lines, "flagged": self.flagged, "flags": dict(self.flags)}


class LineFile:
    """A file that is written beside its name; a pipe or device is written to directly."""

    def __init__(self, path: Path, size: int | None) -> None:
        """Go on after `size` bytes of what was written before, or begin anew."""
        self.path = path.resolve()
        is_regular = not self.path.exists() or self.path.is_file()
        self.partial = self.path.with_name(f"{self.path.name}.partial") if is_regular else None
        with _told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = (self.partial or self.path).open("wb" if size is None else "r+b")
            if size is not None:
                self._file.truncate(size)
                self._file.seek(size)

    def write(self, line: str) -> None:
        """Add a line."""
        with _told(self.path):
            self._file.write(line.encode() + b"\n")

    def sync(self) -> int:
        """Bring all lines to the disk; returns the bytes there are."""
        with _told(self.path):
            self._file.flush()
            if self.partial is None:
                return 0
            os.fsync(self._file.fileno())
            return self._file.tell()

    def finish(self) -> None:
        """Take the name."""
        self.sync()
        self._file.close()
        if self.partial is not None:
            os.replace(self.partial, self.path)
            sync_directory(self.path.parent)

    def give_up(self, keep: bool) -> None:
        """Close, and remove what was written unless it is to be kept."""
        with suppress(OSError):  # a full disk, which was told of before
            self._file.close()
        if self.partial is not None and not keep:
            self.partial.unlink(missing_ok=True)


class LineFiles:
    """Line files that belong together: all take their names at the end, or none.

    With an `identity` what was there at the last `save` is kept when the work is interrupted, and gone on with when the
    same work is to be resumed.
    """

    def __init__(self, paths: Sequence[Path], identity: Identity | None, resume: bool) -> None:
        """Raises TransformerMTError when an interrupted work is there that is another, or is not to be resumed."""
        self.progress = Progress()
        self._make_identity = identity
        self._state = Path(f"{paths[0].resolve()}.partial.json") if paths and identity is not None else None
        sizes = self._resumed_sizes(resume)
        self.saved_lines = self.progress.lines
        """How many outlive an interruption."""
        self.files = [LineFile(path, sizes.get(str(path.resolve()))) for path in paths]

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """Made when it is first needed, as files are hashed for it, and once."""
        return dict(self._make_identity()) if self._make_identity is not None else {}

    def save(self) -> None:
        """Keep what is written so far from being lost by an interruption, where there is an identity."""
        if self._state is not None:
            sizes = {str(file.path): file.sync() for file in self.files}
            state = {"identity": self._identity, "progress": self.progress.to_json(), "bytes": sizes}
            self.saved_lines = self.progress.lines
            write_json(self._state, state)

    def __enter__(self) -> "LineFiles":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for file in self.files:
                file.give_up(keep=self._state is not None and self._state.exists())
            return
        for file in self.files:
            file.finish()
        if self._state is not None:
            self._state.unlink(missing_ok=True)

    def _resumed_sizes(self, resume: bool) -> dict[str, int]:
        """The bytes of each file that were saved; none where there is nothing to resume."""
        if self._state is None or not self._state.exists():
            return {}
        if not resume:
            raise TransformerMTError(
                f"{self._state}: an earlier command was interrupted; add --resume, or remove this file to begin anew"
            )
        state = read_json(self._state)
        different = [key for key, value in self._identity.items() if state["identity"].get(key) != value]
        if different:
            raise TransformerMTError(
                f"{self._state}: the interrupted command had another {', '.join(different)}; repeat that command with "
                "--resume, or remove this file to begin anew"
            )
        progress = state["progress"]
        self.progress = Progress(progress["lines"], progress["flagged"], Counter(progress["flags"]))
        return dict(state["bytes"])


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in the user's terms what went wrong with `path`."""
    try:
        yield
    except OSError as error:
        raise write_problem(path, error) from error
