"""What the system lets a process have: memory, processors, open files, room on disks. Nothing here needs torch."""

import os
import resource
import shutil
from pathlib import Path
from typing import NamedTuple

_UNLIMITED = 1 << 60
"""Limits of memory above this stand for none."""


class Memory(NamedTuple):
    """Bytes of main memory."""

    total: int | None
    available: int | None
    limit: int | None
    """Of the control group, as a container or a Slurm job has it; None where there is none."""


class Limits(NamedTuple):
    """Where the system is asked; tests ask elsewhere."""

    proc: Path = Path("/proc")
    cgroups: Path = Path("/sys/fs/cgroup")
    shared_memory: Path = Path("/dev/shm")


THIS_SYSTEM = Limits()


def memory(limits: Limits) -> Memory:
    """What there is, what is free, and what the control group allows."""
    known: dict[str, int] = {}
    for line in _text(limits.proc / "meminfo").splitlines():
        name, _, rest = line.partition(":")
        if rest.split() and rest.split()[0].isdigit():
            known[name] = int(rest.split()[0]) * 1024
    found = [limit for path in _groups(limits, "memory") if (limit := _memory_limit(path)) is not None]
    return Memory(known.get("MemTotal"), known.get("MemAvailable"), min(found, default=None))


def processors() -> int:
    """The processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_quota(limits: Limits) -> float | None:
    """How many processors' time the control group gives; None where it gives all."""
    found = []
    for path in _groups(limits, "cpu"):
        words = _text(path / "cpu.max").split()
        if not words:
            words = [_text(path / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]) > 0:
            found.append(int(words[0]) / int(words[1]))
    return min(found, default=None)


def open_files() -> int | None:
    """How many files a process may have open; None where any number."""
    return _limit(resource.RLIMIT_NOFILE)


def longest_file() -> int | None:
    """How many bytes a file may have; None where any number."""
    return _limit(resource.RLIMIT_FSIZE)


def _limit(kind: int) -> int | None:
    limit = resource.getrlimit(kind)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def free_bytes(path: Path) -> int | None:
    """Bytes free on the file system of `path`; None where there is none such."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _groups(limits: Limits, controller: str) -> list[Path]:
    """The directories of the control groups that this process is in, from the innermost to the root."""
    found = []
    for line in _text(limits.proc / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, inside = rest.partition(":")
        if controllers == "" or controller in controllers.split(","):
            root = limits.cgroups / controllers  # of version 2 there are none to be named
            path = root / inside.lstrip("/")
            found += [path, *(parent for parent in path.parents if parent.is_relative_to(root))]
    return found


def _memory_limit(group: Path) -> int | None:
    for name in ("memory.max", "memory.limit_in_bytes"):
        text = _text(group / name).strip()
        if text.isdigit() and int(text) < _UNLIMITED:
            return int(text)
    return None


def _text(path: Path) -> str:
    """The text of a file of the system; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
