"""Reading lines and writing files: the one home of line ends, atomic writes, hashes and free space."""

import codecs
import errno
import gzip
import hashlib
import io
import json
import os
import secrets
import shutil
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from transformer_mt.errors import BundleError, DataError, TransformerMTError

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


def read_lines(path: Path, encoding: str = "utf-8") -> Iterator[str]:
    r"""Yield the lines of `path` without their line end, which is "\n" or "\r\n" and nothing else.

    U+2028, \x0b, \x0c and \x85 stay inside the line, so that counts agree with `wc -l`. A byte order
    mark at the start is dropped; a name in .gz is decompressed. Raises DataError naming file, line and byte of
    the first byte that is not valid in `encoding`.
    """
    check_readable_file(path)
    _check_encoding(path, encoding)
    blocks = _wide_blocks if _is_wide(encoding) else _text_blocks
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


def _text_blocks(path: Path, encoding: str) -> Iterator[str]:
    """Whole lines, about a megabyte at a time: decoding and splitting them together is several times faster."""
    lines_before = 0
    with open_bytes(path) as file:
        while block := file.read(_BLOCK_BYTES) + file.readline():
            if lines_before == 0:
                block = block.removeprefix(UTF8_BOM)
            try:
                text = block.decode(encoding)
            except UnicodeDecodeError as error:
                raise DataError(_encoding_problem(path, lines_before, block, error)) from None
            yield text
            lines_before += block.count(b"\n")


def _wide_blocks(path: Path, encoding: str) -> Iterator[str]:
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


def _encoding_problem(path: Path, lines_before: int, block: bytes, error: UnicodeDecodeError) -> str:
    start = block.rfind(b"\n", 0, error.start) + 1
    number = lines_before + block.count(b"\n", 0, error.start) + 1
    raw = block[start:].partition(b"\n")[0]
    if number == 1 and raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        guess = "utf-16"
    elif b"\x00" in raw:
        guess = "utf-16-le" if raw[1:2] == b"\x00" else "utf-16-be"
    else:
        guess = "cp1252" if any(0x80 <= byte <= 0x9F for byte in raw) else "latin-1"
    return (
        f"{path}:{number}: byte {error.start - start + 1} (0x{block[error.start]:02x}) is not valid {error.encoding}; "
        f"it looks like {guess}: set `encoding: {guess}` for this source, or convert the file to UTF-8"
    )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Write `path` so that it is either the old file or the whole new one, whatever happens.

    The bytes go to a file beside it, are synced to disk, and take the name in one rename. Raises
    TransformerMTError when the disk is full, with the previous file untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_directory(path.parent)
    except OSError as error:
        raise write_problem(path, error) from error
    finally:
        with suppress(OSError):  # gone when all went well, or never made
            temporary.unlink()


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Fill a temporary directory that becomes `path` in one rename when the block ends well.

    An existing `path` is replaced: it is moved aside first and removed after, so that a crash between
    leaves one of the two whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        temporary.mkdir()
        yield temporary
        for file in sorted(p for p in temporary.rglob("*") if p.is_file()):
            _sync(file)
        for folder in sorted(p for p in temporary.rglob("*") if p.is_dir()):
            sync_directory(folder)
        sync_directory(temporary)
        _swap_in(temporary, path)
        sync_directory(path.parent)
    except OSError as error:
        raise write_problem(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap_in(temporary: Path, path: Path) -> None:
    if not path.exists():
        os.rename(temporary, path)
        return
    aside = temporary.with_name(temporary.name + ".old")
    os.rename(path, aside)
    os.rename(temporary, path)
    shutil.rmtree(aside, ignore_errors=True)


def write_problem(path: Path, error: OSError) -> TransformerMTError:
    """The error that says in the user's terms why `path` could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = free_bytes(path.parent) / 1e6
        return TransformerMTError(f"{path}: disk full, {free:.0f} MB free; make room and run the same command again")
    return TransformerMTError(f"{path}: cannot be written ({error.strerror or error})")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


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


def read_json(path: Path) -> Any:
    """Read JSON; raises DataError naming the file when it is missing or malformed."""
    check_readable_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path}: is not valid JSON ({error})") from None


def free_bytes(path: Path) -> int:
    """Bytes that can still be written where `path` is, or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


MANIFEST = "manifest.json"


def write_manifest(directory: Path) -> None:
    """Write size and SHA-256 of every file below `directory` into its manifest.json."""
    files = sorted(p for p in directory.rglob("*") if p.is_file() and p != directory / MANIFEST)
    entries = {str(p.relative_to(directory)): {"bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in files}
    write_json(directory / MANIFEST, {"files": entries})


def verify_manifest(directory: Path) -> None:
    """Raise a BundleError that names the first file of `directory` that is missing or not as it was written."""
    if not directory.is_dir():
        raise BundleError(f"{directory}: no such directory")
    if not (directory / MANIFEST).is_file():
        raise BundleError(f"{directory}: has no {MANIFEST}; it is no bundle or checkpoint, or it is incomplete")
    try:
        entries = dict(read_json(directory / MANIFEST)["files"])
        expected = [(name, int(entry["bytes"]), str(entry["sha256"])) for name, entry in entries.items()]
    except (DataError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{directory / MANIFEST}: is damaged ({error})") from None
    for name, size, digest in expected:
        path = directory / name
        if not path.resolve().is_relative_to(directory.resolve()):
            raise BundleError(f"{directory / MANIFEST}: names {name}, which is outside of the directory")
        if not path.is_file():
            raise BundleError(f"{path}: is missing; copy the whole directory again")
        if path.stat().st_size != size:
            raise BundleError(f"{path}: is damaged ({path.stat().st_size} bytes instead of {size}); copy it again")
        if (found := sha256_of(path)) != digest:
            raise BundleError(f"{path}: is damaged (its SHA-256 is {found}, {MANIFEST} has {digest})")
