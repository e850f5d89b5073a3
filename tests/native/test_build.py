"""Compiling once, keeping the result to oneself, and doing without."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from transformer_mt.native import build

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "transformer_mt"


def fresh_library() -> object:
    return build._library.__wrapped__()


@needs_compiler
def test_it_is_compiled_once_and_kept(cache: Path) -> None:
    assert fresh_library() is not None
    (kept,) = cache.iterdir()
    made = kept.stat().st_mtime_ns
    assert fresh_library() is not None
    assert [path.name for path in cache.iterdir()] == [kept.name] and kept.stat().st_mtime_ns == made
    assert cache.stat().st_mode & 0o077 == 0


@needs_compiler
def test_a_cache_that_others_can_write_to_is_not_trusted(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    assert fresh_library() is None
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("compiler", ["exit 1", "exit 0"], ids=["one that fails", "one that writes nothing"])
def test_a_broken_compiler_is_done_without(
    compiler: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "cc").write_text(f"#!/bin/sh\n{compiler}\n")
    (folder / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    with caplog.at_level("WARNING"):
        assert fresh_library() is None
    assert len(caplog.messages) == 1 and "without compiled loops" in caplog.messages[0]
    assert list(cache.iterdir()) == []


@needs_compiler
def test_a_damaged_library_is_made_anew(cache: Path) -> None:
    kept = build._path(shutil.which("cc") or "")
    kept.write_bytes(b"no library")
    assert fresh_library() is not None
    assert kept.stat().st_size > 1000 and list(cache.iterdir()) == [kept]


@needs_compiler
@pytest.mark.parametrize("name,value", [("TRANSFORMER_MT_NATIVE", "0"), ("PATH", "/nowhere")])
def test_it_can_be_switched_off_and_needs_no_compiler(
    name: str, value: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert fresh_library() is None
    assert not cache.exists()


@needs_compiler
def test_several_processes_may_compile_at_once(cache: Path) -> None:
    program = "from transformer_mt.native.build import library; assert library() is not None"
    running = [subprocess.Popen([sys.executable, "-c", program], env=dict(os.environ)) for _ in range(3)]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    assert len(list(cache.iterdir())) == 1
