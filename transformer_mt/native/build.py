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
from pathlib import Path

_SOURCES = ("kernels.c", "loops.h")
_FLAGS = ("-O3", "-march=native", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-std=gnu11")
_SWITCH = "TRANSFORMER_MT_NATIVE"
_LOG = logging.getLogger(__name__)


@functools.cache
def library() -> ctypes.CDLL | None:
    """The loops of kernels.c; None without a compiler, or where the environment has TRANSFORMER_MT_NATIVE=0."""
    if os.environ.get(_SWITCH) == "0" or (compiler := shutil.which("cc")) is None:
        return None
    try:
        return ctypes.CDLL(str(_built(compiler)))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # RuntimeError: nobody has a home
        _LOG.info("decoding does without compiled loops: %s", error)
        return None


def _built(compiler: str) -> Path:
    """The shared library in the user's cache, which one run of the compiler fills for each kind of processor."""
    folder = Path(__file__).parent
    known = [(folder / name).read_bytes() for name in _SOURCES]
    known += [" ".join((compiler, *_FLAGS)).encode(), _processor().encode()]
    path = _cache() / f"kernels-{hashlib.sha256(b''.join(known)).hexdigest()[:16]}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as work:
            made = Path(work) / path.name
            words = [compiler, *_FLAGS, "-shared", "-fPIC", "-o", str(made), str(folder / _SOURCES[0]), "-lm"]
            subprocess.run(words, check=True, capture_output=True, timeout=120)
            os.replace(made, path)  # whole or not at all, also with several processes
    return path


def _cache() -> Path:
    """A folder that only this user can write to: what lies there is run."""
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transformer_mt"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{path} can be written by others")
    return path


def _processor() -> str:
    """What tells processors apart for which the compiler would make different programs."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        return "".join(line for line in lines if line.startswith(("flags", "Features", "model name")))
    except OSError:
        return platform.machine() + platform.processor()
