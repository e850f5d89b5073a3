"""Line reading, atomic writes and hashes."""

import errno
import gzip
import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transformer_mt.errors import DataError, TransformerMTError
from transformer_mt.files import (
    atomic_directory,
    atomic_file,
    check_directory,
    check_readable_file,
    free_bytes,
    read_json,
    read_lines,
    sha256_of,
    write_json,
    write_problem,
)


def write(directory: Path, content: bytes, name: str = "text.txt") -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a", "\ufeffb"]),
        ("a\u2028b\x0bc\x0cd\x85e\n".encode(), ["a\u2028b\x0bc\x0cd\x85e"]),
        (b"a\rb\n", ["a\rb"]),
        (b"a\r\r\n", ["a\r"]),
    ],
)
def test_lines_end_at_newline_only(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    assert list(read_lines(write(tmp_path, content))) == lines


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="replace")))
def test_any_bytes_are_read_as_lines_or_refused_with_their_place(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content)
    try:
        lines = list(read_lines(path))
    except DataError as error:
        assert str(error).startswith(f"{path}:")
        with pytest.raises(UnicodeDecodeError):
            content.decode()
    else:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            assert lines == [line.removesuffix("\n").removesuffix("\r") for line in file]


def test_count_agrees_with_wc_over_block_borders(tmp_path: Path) -> None:
    lines = [f"ligne {number} \u2028 été" * (number % 50) for number in range(9000)]
    path = write(tmp_path, "".join(line + "\n" for line in lines).encode())
    assert path.stat().st_size > 3 << 20
    assert list(read_lines(path)) == lines
    counted = subprocess.run(["wc", "-l", str(path)], capture_output=True, text=True, check=True).stdout
    assert int(counted.split()[0]) == len(lines)


def test_wrong_encoding_is_named_with_line_and_byte(tmp_path: Path) -> None:
    first = "x" * 30 + "\n"
    path = write(tmp_path, (first * 50_000).encode() + "un été\n".encode("latin-1"))
    with pytest.raises(DataError) as caught:
        list(read_lines(path))
    assert f"{path}:50001: byte 4 (0xe9) is not valid utf-8" in str(caught.value)
    assert "latin-1" in str(caught.value)
    assert list(read_lines(path, "latin-1"))[-1] == "un été"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_guessed_and_then_read_with_its_blank_lines(tmp_path: Path, encoding: str) -> None:
    text = "un été\n\nĊdeux\r\ntrois\n"  # U+010A holds the byte 0x0A
    path = write(tmp_path, text.encode(encoding))
    with pytest.raises(DataError, match=f"set `encoding: {encoding}`"):
        list(read_lines(path, "utf-8"))
    with pytest.raises(DataError, match=f"it looks like {encoding}: convert the file to UTF-8"):
        list(read_lines(path))
    assert list(read_lines(path, encoding)) == ["un été", "", "Ċdeux", "trois"]
    path.write_bytes(("" if encoding == "utf-16" else "\ufeff").encode(encoding) + text.encode(encoding))
    assert list(read_lines(path, encoding))[0] == "un été"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=f"is not valid {encoding}"):
        list(read_lines(path, encoding))


def test_what_is_no_text_is_told_so(tmp_path: Path) -> None:
    path = write(tmp_path, b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\3\0>\0\xf0\x9d\0\n")
    for encoding in (None, "utf-8"):
        with pytest.raises(DataError, match="is no text file$"):
            list(read_lines(path, encoding))


def test_a_disk_with_room_is_not_called_full_without_a_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    for free, told in ((3_000_000, "disk full, 3 MB free; make room"), (10**10, "disk full, or over its quota; make")):
        monkeypatch.setattr("transformer_mt.files.free_bytes", lambda path, free=free: free)
        assert told in str(write_problem(tmp_path / "x", full))


def test_a_directory_that_cannot_be_written_into_is_told_before(tmp_path: Path) -> None:
    check_directory(tmp_path / "new" / "one")
    assert list(tmp_path.iterdir()) == []
    path = write(tmp_path, b"")
    for name, wanted in (
        (path, "text.txt: is a file, a directory is needed; name another place"),
        (path / "below", "text.txt: is a file, a directory is needed"),
        (tmp_path / ("x" * 300), "cannot be written .File name too long"),
        (Path("/proc/self/new"), "cannot be written .* name another place"),
    ):
        with pytest.raises(TransformerMTError, match=wanted):
            check_directory(name)


def test_unknown_encoding_is_refused(tmp_path: Path) -> None:
    for name in ("utf-9", "base64"):
        with pytest.raises(DataError, match=name):
            list(read_lines(write(tmp_path, b"a\n"), name))


def test_gzip_is_read_and_a_truncated_one_refused(tmp_path: Path) -> None:
    lines = [f"line {number} été" for number in range(1000)]
    packed = gzip.compress("".join(line + "\n" for line in lines).encode())
    assert list(read_lines(write(tmp_path, packed, "a.gz"))) == lines
    for damaged in (packed[:-20], packed[:500], b"not gzip\n", packed[:100] + b"\xff" * 50 + packed[150:]):
        with pytest.raises(DataError, match="is no whole gzip file"):
            list(read_lines(write(tmp_path, damaged, "b.gz")))


def test_what_is_no_readable_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, reason in (
        (tmp_path / "missing", "no such file"),
        (tmp_path, "is a directory"),
        (loop, "symbolic links"),
        (fifo, "pipe or device"),
        (Path("/dev/stdin"), "pipe or device|no such file|terminal|permission"),
    ):
        if path.name == "stdin" and path.exists() and path.is_file():
            continue
        with pytest.raises(DataError, match=reason):
            check_readable_file(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\n")
    path.chmod(0)
    with pytest.raises(DataError, match="permission denied"):
        check_readable_file(path)


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, b"old")
    with pytest.raises(RuntimeError), atomic_file(path) as file:
        file.write(b"new")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    with pytest.raises(TransformerMTError, match="disk full"), atomic_file(path) as file:
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == ["text.txt"]


def test_atomic_file_respects_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "a") as file:
            file.write(b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_directory_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    for content in ("one", "two"):
        with atomic_directory(target) as temporary:
            (temporary / "inner").mkdir()
            (temporary / "inner" / "file").write_text(content)
            assert not target.exists() or (target / "inner" / "file").read_text() == "one"
        assert (target / "inner" / "file").read_text() == content
    with pytest.raises(RuntimeError), atomic_directory(target) as temporary:
        (temporary / "half").write_text("three")
        raise RuntimeError
    assert (target / "inner" / "file").read_text() == "two"
    assert os.listdir(target.parent) == ["target"]


def test_hash_and_json_round_trip(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    assert sha256_of(write(tmp_path, content)) == hashlib.sha256(content).hexdigest()
    write_json(tmp_path / "v.json", {"été": [1, None, 2.5]})
    assert read_json(tmp_path / "v.json") == {"été": [1, None, 2.5]}
    for damaged in (b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(DataError, match="is not valid (JSON|UTF-8)"):
            read_json(write(tmp_path, damaged))
    assert free_bytes(tmp_path / "not" / "yet") > 0
