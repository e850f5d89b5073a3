"""Reading lines and writing files: the one home of line ends, atomic writes, hashes and free space."""

import codecs
import ctypes
import errno
import gzip
import hashlib
import io
import json
import os
import secrets
import shutil
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import IO, Any

from transformer_mt.errors import DataError, TransformerMTError

UTF8_BOM = b"\xef\xbb\xbf"
_BLOCK_BYTES = 1 << 20


def check_readable_file(path: Path) -> None:
    """Raise a DataError that says why `path` is no regular file that can be read and read again."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{path}: is a directory, a file is needed")
    if not stat.S_ISREG(mode):
        raise DataError(f"{path}: is a pipe or device; it is read more than once, so write it to a file first")
    if not os.access(path, os.R_OK):
        raise DataError(f"{path}: cannot be read (permission denied)")


def read_lines(path: Path, encoding: str | None = None) -> Iterator[str]:
    r"""Yield the lines of `path` without their line end, which is "\n" or "\r\n" and nothing else.

    U+2028, \x0b, \x0c and \x85 stay inside the line, so that counts agree with `wc -l`. A byte order
    mark at the start is dropped; a name in .gz is decompressed. Raises DataError naming file, line and byte of
    the first byte that is not valid in `encoding`; without one it is UTF-8, and the user can set no other.
    """
    check_readable_file(path)
    _check_encoding(path, encoding or "utf-8")
    blocks = _wide_blocks if _is_wide(encoding or "utf-8") else _text_blocks
    try:
        for text in blocks(path, encoding):
            lines = text.split("\n")
            if not lines[-1]:
                lines.pop()
            if "\r" in text:
                lines = [line.removesuffix("\r") for line in lines]
            yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is no whole gzip file ({error}); copy or download it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, decompressing it when its name ends in .gz."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _text_blocks(path: Path, encoding: str | None) -> Iterator[str]:
    """Whole lines, about a megabyte at a time: decoding and splitting them together is several times faster."""
    lines_before = 0
    with open_bytes(path) as file:
        while block := file.read(_BLOCK_BYTES) + file.readline():
            if lines_before == 0:
                block = block.removeprefix(UTF8_BOM)
            try:
                text = block.decode(encoding or "utf-8")
            except UnicodeDecodeError as error:
                can_set = encoding is not None
                raise DataError(_encoding_problem(path, lines_before, block, error, can_set)) from None
            yield text
            lines_before += block.count(b"\n")


def _wide_blocks(path: Path, encoding: str | None) -> Iterator[str]:
    """As `_text_blocks` for UTF-16 and UTF-32, in which the byte 0x0A is no line end."""
    number = 0
    with open_bytes(path) as file:
        lines = io.TextIOWrapper(file, encoding, newline="\n")
        try:
            for number, line in enumerate(lines, start=1):
                yield line.removeprefix("\ufeff") if number == 1 else line
        except UnicodeError as error:
            raise DataError(f"{path}: is not valid {encoding} after line {number} ({error})") from None


def _is_wide(encoding: str) -> bool:
    return codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))


def _check_encoding(path: Path, encoding: str) -> None:
    try:
        "a".encode(encoding)
    except (LookupError, ValueError):
        raise DataError(f"{path}: encoding {encoding!r} is not known; examples: utf-8, latin-1, cp1252") from None


def _encoding_problem(path: Path, lines_before: int, block: bytes, error: UnicodeDecodeError, can_set: bool) -> str:
    start = block.rfind(b"\n", 0, error.start) + 1
    number = lines_before + block.count(b"\n", 0, error.start) + 1
    raw = block[start:].partition(b"\n")[0]
    place = f"{path}:{number}: byte {error.start - start + 1} (0x{block[error.start]:02x})"
    if number == 1 and raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        guess = "utf-16"
    elif b"\x00" in raw:
        nuls = [raw[side::2].count(0) for side in (0, 1)]
        if 10 * min(nuls) > max(nuls):  # every other byte of most text in UTF-16
            return f"{place} is not valid {error.encoding}, and there are NUL bytes beside it; it is no text file"
        guess = "utf-16-le" if raw[1:2] == b"\x00" else "utf-16-be"
    else:
        guess = "cp1252" if any(0x80 <= byte <= 0x9F for byte in raw) else "latin-1"
    mending = f"set `encoding: {guess}` for this source, or convert the file" if can_set else "convert the file"
    return f"{place} is not valid {error.encoding}; it looks like {guess}: {mending} to UTF-8"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Point(IntEnum):
    """The moments of a durable write, in order: at each of them a test can let it fail."""

    OPENED = 1
    WRITTEN = 2
    SYNCED = 3
    RENAMED = 4
    DURABLE = 5
    REMOVING = 6
    """What was there before, or is not kept any longer, has lost its name and is about to be deleted."""


at_point: Callable[[Point, Path], None] = lambda point, path: None  # noqa: E731
"""Called at each point with the file or directory that is being written; tests put something else here."""


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Write `path` so that it is either the old file or the whole new one, whatever happens.

    The bytes go to a file beside it, are synced to disk, and take the name in one rename. Raises
    TransformerMTError when the disk is full, with the previous file untouched.
    """
    with _committed(path) as temporary, temporary.open("wb") as file:
        at_point(Point.OPENED, temporary)
        yield file


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Fill a temporary directory that becomes `path` when the block ends well, as a file does in `atomic_file`."""
    with _committed(path) as temporary:
        temporary.mkdir()
        at_point(Point.OPENED, temporary)
        yield temporary


def copy_by_links(source: Path, target: Path) -> None:
    """Fill the empty directory `target` with what is in `source`: the same files, where the system can link them.

    So neither may be written to afterwards, only replaced.
    """

    def link(one: str, other: str) -> None:
        try:
            os.link(one, other, follow_symlinks=False)
        except OSError:
            shutil.copy2(one, other, follow_symlinks=False)

    shutil.copytree(source, target, symlinks=True, copy_function=link, dirs_exist_ok=True)


@contextmanager
def _committed(path: Path) -> Iterator[Path]:
    """A name beside `path` for what is written; it takes the name `path`, durably, when the block ends well.

    The one place where something gets its final name. Raises TransformerMTError for what the system refuses.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        at_point(Point.WRITTEN, temporary)
        _sync_all(temporary)
        at_point(Point.SYNCED, temporary)
        if temporary.is_dir() and path.exists():
            _exchange(temporary, path)
        else:
            os.replace(temporary, path)
        at_point(Point.RENAMED, path)
        sync_directory(path.parent)
        at_point(Point.DURABLE, path)
    except OSError as error:
        raise write_problem(path, error) from error
    finally:
        _discard(temporary)


@contextmanager
def scratch_directory(path: Path) -> Iterator[Path]:
    """A directory beside `path`, gone when the block ends: what is made there needs the room that `path` does."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        yield temporary
    finally:
        _discard(temporary)


def remove_directory(path: Path) -> None:
    """Delete the directory `path`, which is whole or gone, whatever happens; what cannot be deleted stays."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    with suppress(OSError):
        os.rename(path, temporary)
        _discard(temporary)


def sweep(directory: Path) -> None:
    """Delete what processes that have ended left behind in `directory` while they wrote or deleted."""
    for stray in directory.glob(".*.tmp-*"):
        process = stray.name.rpartition(".tmp-")[2].partition("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            _discard(stray)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return process != os.getpid()


def _discard(temporary: Path) -> None:
    """Delete what has no name of its own, as far as the system lets us; `sweep` does the rest."""
    with suppress(OSError):
        if temporary.is_dir():
            at_point(Point.REMOVING, temporary)
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def _sync_all(path: Path) -> None:
    """Make a file, or all of a directory, durable."""
    inside = sorted(path.rglob("*")) if path.is_dir() else []
    for one in (*inside, path):
        if one.is_dir():
            sync_directory(one)
        else:
            with one.open("rb") as file:
                os.fsync(file.fileno())


def _exchange(temporary: Path, path: Path) -> None:
    """Let two directories swap their names at once; where the system cannot, there is no `path` for a moment."""
    if not _swap_names(os.fsencode(temporary), os.fsencode(path)):
        aside = temporary.with_name(temporary.name + ".old")
        os.rename(path, aside)
        os.rename(temporary, path)
        _discard(aside)


def _swap_names(one: bytes, other: bytes) -> bool:
    """Whether the system has exchanged two names: Linux by renameat2(2), macOS by renamex_np(2)."""
    libc = ctypes.CDLL(None)
    here, exchange = -100, 2  # AT_FDCWD; RENAME_EXCHANGE, which is RENAME_SWAP on macOS
    if hasattr(libc, "renameat2"):
        return bool(libc.renameat2(here, one, here, other, exchange) == 0)
    return hasattr(libc, "renamex_np") and bool(libc.renamex_np(one, other, exchange) == 0)


_PLENTY = 100e6
"""Free bytes of a disk that is not full, whatever the system says of a file on it."""


def write_problem(path: Path, error: OSError) -> TransformerMTError:
    """The error that says in the user's terms why `path` could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = free_bytes(path.parent)
        found = f"disk full, {free / 1e6:.0f} MB free" if free < _PLENTY else "disk full, or over its quota"
        return TransformerMTError(f"{path}: {found}; make room and run the same command again")
    return TransformerMTError(f"{path}: cannot be written ({error.strerror or error}); name another place")


def check_directory(path: Path) -> None:
    """Raise a TransformerMTError where no files could be written into the directory `path`, which need not exist."""
    try:
        place = next(one for one in (path, *path.absolute().parents) if one.exists())
        if not place.is_dir():
            raise TransformerMTError(f"{place}: is a file, a directory is needed; name another place")
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise write_problem(path, error) from error


def sync_directory(path: Path) -> None:
    """Make the names in `path` durable: without it a rename may be lost with the power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic_file(path) as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n")


MAX_JSON_BYTES = 1 << 21
"""Of what we write of ourselves as JSON, which is a few kilobytes; empty lists take 32 times as much memory."""


def read_json(path: Path, most_bytes: int = MAX_JSON_BYTES) -> Any:
    """Read JSON; raises DataError naming the file when it is missing, malformed or far too long."""
    return parse_json(read_small_text(path, most_bytes), str(path))


def parse_json(text: str, name: str) -> Any:
    """The value that `text` is the JSON of; raises DataError, which calls it `name`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # a ValueError also for a number of too many digits
        raise DataError(f"{name}: is not valid JSON ({error})") from None


def read_small_text(path: Path, most_bytes: int = MAX_JSON_BYTES) -> str:
    """The text of a file of JSON; raises DataError when it is longer than such files are."""
    check_readable_file(path)
    with path.open("rb") as file:
        raw = file.read(most_bytes + 1)
    if len(raw) > most_bytes:
        raise DataError(f"{path}: has more than {most_bytes:,} bytes, which no such file has")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not valid UTF-8 ({error})") from None


def free_bytes(path: Path) -> int:
    """Bytes that can still be written where `path` is, or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
