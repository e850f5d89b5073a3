"""What this machine has for training and translating, and what should be mended: sections of facts and findings.

Nothing here imports torch before it is known to be there.
"""

import os
import platform
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from transformer_mt import __version__
from transformer_mt.machine import limits as of_system
from transformer_mt.machine import packages
from transformer_mt.machine.limits import THIS_SYSTEM, Limits

NEWEST_PYTHON = (3, 13)
_LEAST_MEMORY, _LEAST_DISK, _LEAST_TEMPORARY = 10**9, 500 * 10**6, 50 * 10**6
_FEWEST_FILES = 64


class Finding(NamedTuple):
    """Something that is not as it should be, and what to do."""

    text: str
    must_be_fixed: bool


class Section(NamedTuple):
    """What was looked at together."""

    name: str
    facts: dict[str, Any]
    findings: list[Finding]


def examine(directory: Path, limits: Limits = THIS_SYSTEM) -> list[Section]:
    """Look at everything; runs will be kept in `directory`. Takes seconds, the first time some more for compiling."""
    found = [_program(), _packages(), _memory(limits), _disk(directory), _limits(limits)]
    problem = _problem_of_libraries()
    if problem is not None:
        return [*found, Section("libraries", {}, [Finding(problem, True)])]
    from transformer_mt.machine import arithmetic

    return [*found, _processor(limits), arithmetic.devices(limits), arithmetic.precision(), arithmetic.loops()]


def _program() -> Section:
    findings = []
    if sys.version_info[:2] > NEWEST_PYTHON:
        newest = ".".join(map(str, NEWEST_PYTHON))
        findings.append(
            Finding(f"Python {platform.python_version()} was not tried; {newest} is the newest that was", False)
        )
    if sys.getfilesystemencoding().lower().replace("-", "") != "utf8":
        findings.append(Finding("file names that are not ASCII cannot be used in this locale; set PYTHONUTF8=1", False))
    facts = {
        "version": __version__,
        "where": str(Path(__file__).resolve().parent.parent),
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
    }
    return Section("transformer_mt", facts, findings)


def _packages() -> Section:
    wanted = packages.wanted_packages()
    if wanted is None:
        return Section("packages", {}, [Finding("runs without being installed, so packages were not looked at", False)])
    facts: dict[str, Any] = {}
    missing: list[str] = []
    extras: dict[str, bool] = {}
    for one in wanted:
        version = packages.installed_version(one.name)
        is_there = version is not None and packages.is_enough(version, one.versions)
        if one.extra is not None:
            extras[one.extra] = extras.get(one.extra, True) and is_there
            continue
        facts[one.name] = version or "missing"
        if not is_there:
            missing.append(f'"{one.name}{one.versions}"')
    for extra, is_there in sorted(extras.items()):
        command = f'pip install "{packages.DISTRIBUTION}[{extra}]"'
        facts[f"extra {extra}"] = "installed" if is_there else f"not installed; {command}"
    text = f"missing or too old; run: pip install {' '.join(missing)}"
    return Section("packages", facts, [Finding(text, True)] if missing else [])


def _memory(limits: Limits) -> Section:
    memory = of_system.memory(limits)
    facts = {name: _size(value) for name, value in memory._asdict().items() if value is not None}
    findings = []
    least = min((value for value in memory if value is not None), default=None)
    if least is not None and least < _LEAST_MEMORY:
        text = f"{_size(least)} of memory, of which a training needs {_size(_LEAST_MEMORY)} or more; end other programs"
        if least == memory.limit:
            text = f"the limit of this container or job is {_size(least)}; raise it to {_size(_LEAST_MEMORY)} or more"
        findings.append(Finding(text, True))
    return Section("memory", facts, findings)


def _disk(directory: Path) -> Section:
    """The places that are written to: runs, and temporary files."""
    facts, findings = {}, []
    for name, path, least in (
        ("runs", directory, _LEAST_DISK),
        ("temporary files", Path(tempfile.gettempdir()), _LEAST_TEMPORARY),
    ):
        free = of_system.free_bytes(path) if path.is_dir() else None
        facts[name] = str(path) if free is None else f"{path}, {_size(free)} free"
        if free is None:
            findings.append(Finding(f"{path}: no such directory; make it or name another one", True))
        elif not os.access(path, os.W_OK):
            findings.append(Finding(f"{path}: cannot be written to; change its permissions or use another place", True))
        elif free < least:
            findings.append(Finding(f"{path}: {_size(free)} free, {_size(least)} are needed at least; make room", True))
    return Section("disk", facts, findings)


def _limits(limits: Limits) -> Section:
    files, longest = of_system.open_files(), of_system.longest_file()
    facts: dict[str, Any] = {"open files": "any number" if files is None else files}
    findings = []
    if files is not None and files < _FEWEST_FILES:
        findings.append(Finding(f"{files} files may be open, {_FEWEST_FILES} are needed; run: ulimit -n 1024", True))
    if longest is not None:
        facts["longest file"] = _size(longest)
        if longest < _LEAST_DISK:
            text = f"no file may be longer than {_size(longest)}, which checkpoints are; run: ulimit -f unlimited"
            findings.append(Finding(text, True))
    shared = of_system.free_bytes(limits.shared_memory)
    if shared is not None:
        facts["shared memory"] = f"{_size(shared)} free (several cards use it)"
    return Section("limits", facts, findings)


def _processor(limits: Limits) -> Section:
    from transformer_mt.device import processor_name

    count, quota = of_system.processors(), of_system.processor_quota(limits)
    facts: dict[str, Any] = {"name": processor_name(), "threads": count}
    findings = []
    if quota is not None:
        facts["quota"] = f"the time of {quota:g} processors"
        if quota < 0.9 * count:
            wanted = max(1, round(quota))
            shared = f"{count} threads would share the time of {quota:g} processors"
            findings.append(Finding(f"{shared}; set training.threads and --threads to {wanted}", False))
    if "OMP_NUM_THREADS" in os.environ:
        facts["OMP_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"]
    return Section("processor", facts, findings)


def _problem_of_libraries() -> str | None:
    """Why torch, and what is computed with it, cannot be loaded; None where it can."""
    for name in ("torch", "sentencepiece", "datasets"):
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            return f"{error.name}: is not installed; run: pip install {packages.DISTRIBUTION}"
        except Exception as error:  # whatever a broken installation raises
            why = (str(error).splitlines() or [type(error).__name__])[0][:200]
            return f"{name}: is installed but cannot be loaded ({why}); run: pip install --force-reinstall {name}"
    return None


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"
