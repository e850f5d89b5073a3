"""The compiled loops: built once for this machine with its C compiler, kept, loaded; None where that does not work."""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import stat
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from transformer_mt.errors import TransformerMTError
from transformer_mt.files import atomic_file

_HERE = Path(__file__).parent
_SOURCES = ("kernels.c", "loops.h", "int8.h", "decoder.h")
_FLAGS = ("-O3", "-march=native", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-std=gnu11")
SWITCH = "TRANSFORMER_MT_NATIVE"
"""In the environment as 0, it does without the loops."""
_PROBLEMS = (OSError, RuntimeError, TransformerMTError, subprocess.SubprocessError)
"""RuntimeError is that of a user without a home."""
_LOG = logging.getLogger(__name__)
_LOCK = threading.Lock()


def library() -> ctypes.CDLL | None:
    """The loops of kernels.c; None without a compiler, or where the environment has TRANSFORMER_MT_NATIVE=0.

    A compiler that is there and does not succeed is told of, once.
    """
    with _LOCK:
        return _library()


def problem() -> str | None:
    """Why there is a compiler and yet no library; compiles it if need be."""
    try:
        if os.environ.get(SWITCH) != "0" and (compiler := shutil.which("cc")) is not None:
            _loaded(compiler)
    except _PROBLEMS as error:
        return _told(error)
    return None


@functools.cache
def _library() -> ctypes.CDLL | None:
    if os.environ.get(SWITCH) == "0" or (compiler := shutil.which("cc")) is None:
        return None
    try:
        return _loaded(compiler)
    except _PROBLEMS as error:
        _LOG.warning("translating without compiled loops, which is slower: %s", _told(error))
        return None


def _loaded(compiler: str) -> ctypes.CDLL:
    path = _path(compiler)
    if path.exists():
        with suppress(OSError):  # damaged, or made where the C library is another
            return ctypes.CDLL(str(path))
    _build(compiler, path)
    return ctypes.CDLL(str(path))


def _told(error: BaseException) -> str:
    """The first error of the compiler, or what else went wrong."""
    said = error.stderr.decode(errors="replace") if isinstance(error, subprocess.CalledProcessError) else ""
    return next((line for line in said.splitlines() if "error" in line), str(error))


def _path(compiler: str) -> Path:
    """Where the library is kept for these sources, this compiler and this processor."""
    known = [(_HERE / name).read_bytes() for name in _SOURCES]
    found = os.stat(compiler)
    known += [repr((compiler, _FLAGS, found.st_size, found.st_mtime_ns, platform.libc_ver())).encode()]
    known += [_processor().encode()]
    return _cache() / f"kernels-{hashlib.sha256(b''.join(known)).hexdigest()[:16]}.so"


def _build(compiler: str, path: Path) -> None:
    """Compile into `path`, whole or not at all, whatever other processes do."""
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        made = Path(work) / path.name
        words = [compiler, *_FLAGS, "-shared", "-fPIC", "-o", str(made), str(_HERE / _SOURCES[0]), "-lm"]
        subprocess.run(words, check=True, capture_output=True, timeout=120)
        with atomic_file(path) as file:
            file.write(made.read_bytes())


def _cache() -> Path:
    """A folder that only this user can write to: what lies there is run."""
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transformer_mt"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{path} can be written by others")
    return path


def _processor() -> str:
    """What tells processors apart for which the compiler would make different programs; else the machine's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        told = "".join(line for line in lines if line.startswith(("flags", "Features", "model name")))
    except OSError:
        told = platform.node()
    return platform.machine() + told
