"""`transformer-mt doctor`: everything that it can find is planted once, and found."""

import json
import os
import resource
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from transformer_mt.cli.main import main
from transformer_mt.machine import arithmetic, examination, packages
from transformer_mt.machine import limits as of_system
from transformer_mt.machine.examination import Section, examine
from transformer_mt.machine.limits import Limits
from transformer_mt.native import build

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def limits(tmp_path: Path) -> Limits:
    """A system of plenty, which a test may spoil."""
    found = Limits(tmp_path / "proc", tmp_path / "cgroup", tmp_path / "shm")
    for path in (found.proc / "self", found.cgroups / "job", found.shared_memory):
        path.mkdir(parents=True)
    (found.proc / "meminfo").write_text("MemTotal: 64000000 kB\nMemAvailable:   32000000 kB\n")
    (found.proc / "self" / "cgroup").write_text("0::/job\n")
    return found


def told(section: Section, must_be_fixed: bool) -> str:
    """The only thing that is found."""
    (finding,) = section.findings
    assert finding.must_be_fixed is must_be_fixed, finding
    assert "\n" not in finding.text
    return finding.text


def test_the_command_says_what_there_is_and_is_fast(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "transformer_mt", "doctor", str(tmp_path), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    said = json.loads(done.stdout)
    assert said["ready"] is (done.returncode == 0)
    assert said["facts"]["packages"]["torch"] == torch.__version__
    assert said["facts"]["processor"]["threads"] == len(os.sched_getaffinity(0))
    assert said["facts"]["transformer_mt"]["python"].startswith(".".join(map(str, sys.version_info[:3])))


def test_a_sound_machine_is_ready(limits: Limits, tmp_path: Path) -> None:
    assert not [one for section in examine(tmp_path, limits) for one in section.findings if one.must_be_fixed]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_limit_of_the_shell_is_told_and_the_exit_code_is_2(options: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "transformer_mt", "doctor", str(tmp_path), *options],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10**7, 10**7)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "no file may be longer than 10 MB" in done.stdout and "ulimit -f unlimited" in done.stdout


def test_a_directory_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(tmp_path / "none")]) == 2
    out = capsys.readouterr().out
    assert f"To be fixed:\n  disk: {tmp_path / 'none'}: no such directory; make it or name another one" in out
    (tmp_path / "file").touch()
    assert "no such directory" in told(examination._disk(tmp_path / "file"), True)


def test_a_full_disk_and_one_that_cannot_be_written_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        context.setattr(of_system, "free_bytes", lambda path: 10**8 if path == tmp_path else 10**12)
        assert "100 MB free, 500 MB are needed at least; make room" in told(examination._disk(tmp_path), True)
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # root may write everywhere
    assert "cannot be written to" in told(examination._disk(tmp_path), True)


def test_little_memory_is_told(limits: Limits) -> None:
    (limits.proc / "meminfo").write_text("MemTotal: 64000000 kB\nMemAvailable:   200000 kB\n")
    assert "205 MB of memory, of which a training needs 1.0 GB" in told(examination._memory(limits), True)


@pytest.mark.parametrize("version", [1, 2])
def test_the_limits_of_a_container_are_told(limits: Limits, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_system, "processors", lambda: 64)
    if version == 2:
        (limits.cgroups / "job" / "memory.max").write_text("max\n")
        (limits.cgroups / "memory.max").write_text("500000000\n")  # of what the job is in
        (limits.cgroups / "job" / "cpu.max").write_text("250000 100000\n")
    else:
        (limits.proc / "self" / "cgroup").write_text("4:memory:/job\n3:cpu,cpuacct:/job\n")
        for controller in ("memory", "cpu,cpuacct"):
            (limits.cgroups / controller / "job").mkdir(parents=True)
        (limits.cgroups / "memory" / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
        (limits.cgroups / "memory" / "job" / "memory.limit_in_bytes").write_text("500000000\n")
        for name, value in (("quota", 250000), ("period", 100000)):
            (limits.cgroups / "cpu,cpuacct" / "job" / f"cpu.cfs_{name}_us").write_text(f"{value}\n")
    assert "the limit of this container or job is 500 MB" in told(examination._memory(limits), True)
    text = told(examination._processor(limits), False)
    assert "64 threads would share the time of 2.5 processors; set training.threads and --threads to 2" in text


def test_few_open_files_are_told(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (32 if kind == resource.RLIMIT_NOFILE else -1, -1))
    assert "32 files may be open, 64 are needed; run: ulimit -n 1024" in told(examination._limits(limits), True)


def test_packages_that_are_missing_or_old_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "torch<3,>=2.10", "numpy>=1.26", "tqdm>=4.66", "matplotlib>=3.8; extra == 'plots'", "pytest; extra == 'test'",
        'flask (>=3) ; (sys_platform == "linux") and extra == "serve"',
    ]  # fmt: skip
    there = {"torch": "2.9.1+cpu", "numpy": "2.4.6", "matplotlib": "3.11.2"}

    def version(name: str) -> str:
        if name not in there:
            raise metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    monkeypatch.setattr(metadata, "version", version)
    section = examination._packages()
    assert told(section, True) == 'missing or too old; run: pip install "torch<3,>=2.10" "tqdm>=4.66"'
    assert section.facts == {
        "torch": "2.9.1+cpu", "numpy": "2.4.6", "tqdm": "missing", "extra plots": "installed",
        "extra serve": 'not installed; pip install "transformer-mt[serve]"',
    }  # fmt: skip


def test_a_program_that_is_not_installed_looks_at_no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "DISTRIBUTION", "transformer-mt-that-is-not-there")
    assert "without being installed" in told(examination._packages(), False)


@pytest.mark.parametrize(
    ("version", "versions", "is_enough"),
    [("2.10", ">=2.9", True), ("2.9", ">=2.10", False), ("3.0", "<3,>=2.10", False), ("2.13.0+cpu", "<3,>=2.10", True),
     ("1.0", "", True), ("0.2.3", ">=0.2.3", True), ("0.2.3rc1", ">=0.2.4", False)],
)  # fmt: skip
def test_versions_are_compared_as_numbers(version: str, versions: str, is_enough: bool) -> None:
    assert packages.is_enough(version, versions) is is_enough


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "torch: is not installed; run: pip install"),
        (OSError("libcudart.so.12: cannot open\nmore"), "cannot be loaded (libcudart.so.12: cannot open); run: pip"),
    ],
)
def test_a_torch_that_does_not_load_is_told_with_the_rest(
    error: Exception, text: str, limits: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(examination, "import_module", fail)
    sections = examine(tmp_path, limits)
    assert text in told(sections[-1], True)
    assert [section.name for section in sections] == [
        "transformer_mt",
        "packages",
        "memory",
        "disk",
        "limits",
        "libraries",
    ]


def test_without_torch_the_command_answers_all_the_same(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from transformer_mt.cli.main import main\n"
        "sys.exit(main(['doctor', sys.argv[1]]))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "  libraries: torch: is not installed; run: pip install transformer-mt" in done.stdout


def test_an_untried_python_and_a_narrow_locale_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        context.setattr(examination, "NEWEST_PYTHON", (3, 9))
        assert "was not tried; 3.9 is the newest that was" in told(examination._program(), False)
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    assert "set PYTHONUTF8=1" in told(examination._program(), False)


@pytest.mark.parametrize(("cuda", "text"), [(None, "a build for the CPU"), ("12.8", "older than CUDA 12.8 needs")])
def test_a_card_that_torch_does_not_see_is_told(
    cuda: str | None, text: str, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    (limits.proc / "driver" / "nvidia").mkdir(parents=True)
    (limits.proc / "driver" / "nvidia" / "version").write_text("NVRM version: ...")
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert text in told(arithmetic.devices(limits), False)


def test_cards_are_named_and_need_shared_memory(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(name="NVIDIA H200", total_memory=150e9, major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: card)
    monkeypatch.setattr(of_system, "free_bytes", lambda path: 10**7)
    section = arithmetic.devices(limits)
    assert section.facts["cuda:1"] == "NVIDIA H200, 150 GB, 9.0"
    assert "10 MB free, which several cards need more of; docker: --shm-size=1g" in told(section, False)


def test_a_precision_that_is_slower_than_it_should_be_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "resolve_precision", lambda wanted, device: "bf16")
    monkeypatch.setattr(arithmetic, "_rate", lambda device, kind: 50.0 if kind == torch.bfloat16 else 100.0)
    section = arithmetic.precision()
    assert "training.precision: fp32" in told(section, False)
    assert section.facts["products in bf16"] == "50 GFLOP/s, measured"


def no_compiler(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder))


def broken_compiler(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "cc").write_text("#!/bin/sh\necho 'loops.h:1: error: no such instruction' >&2\nexit 1\n")
    (folder / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("plant", "text"),
    [(no_compiler, "no C compiler (cc)"), (broken_compiler, "cannot be compiled: loops.h:1: error: no such instr")],
)
def test_loops_that_are_not_there_are_told(
    plant: Callable[..., None], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(build.SWITCH, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plant(monkeypatch, tmp_path)
    section = arithmetic.loops()
    assert text in told(section, False) and section.facts["loops"] == "none"


def test_loops_that_are_switched_off_are_a_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(build.SWITCH, "0")
    section: Any = arithmetic.loops()
    assert section.facts["loops"] == "off, by TRANSFORMER_MT_NATIVE=0" and not section.findings
