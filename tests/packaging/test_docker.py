"""The Dockerfile, as far as it can be held without Docker: what it names exists, and its shell does what it says."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli", reason="Python 3.10 reads no TOML")

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FOLDER = REPOSITORY / "scripts" / "docker"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INSTRUCTIONS = {
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "ONBUILD", "RUN",
    "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip
STUB = '#!/bin/sh\necho "$(basename "$0") $*" >> "$CALLS"\n'


def steps() -> list[tuple[str, str]]:
    """Each instruction with its text, continued lines put together and comments left out."""
    lines = (FOLDER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if line.strip() and not line.startswith("#"))
    found = [line.partition(" ") for line in text.replace("\\\n", " ").splitlines()]
    return [(name, rest.strip()) for name, _, rest in found]


def texts(name: str) -> list[str]:
    return [text for step, text in steps() if step == name]


def test_every_instruction_is_one() -> None:
    assert {name for name, _ in steps()} <= INSTRUCTIONS
    assert steps()[0][0] in ("ARG", "FROM")


def test_the_user_has_no_rights_and_starts_the_program() -> None:
    order = [name for name, _ in steps()]
    assert texts("USER") == ["1000:1000"]
    assert order.index("USER") < order.index("ENTRYPOINT") and "RUN" not in order[order.index("USER") :]
    assert json.loads(texts("ENTRYPOINT")[0]) == [*PROJECT["scripts"]]
    assert json.loads(texts("CMD")[0]) == ["--help"]


def test_what_is_written_goes_to_the_volume_or_to_tmp() -> None:
    written = dict(word.split("=", 1) for text in texts("ENV") for word in shlex.split(text))
    for name in ("HOME", "XDG_CACHE_HOME", "HF_HOME", "MPLCONFIGDIR"):
        assert written[name].startswith(("/work", "/tmp"))
    assert texts("WORKDIR")[-1] == "/work" and written["PYTHONDONTWRITEBYTECODE"] == "1"


def test_versions_agree_with_the_project() -> None:
    (python,) = re.findall(r"PYTHON=(\S+)", " ".join(texts("ARG")))
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    assert "python:${PYTHON}-" in texts("FROM")[0]
    (extras,) = re.findall(r"'\.\[(.*?)\]'", " ".join(texts("RUN")))
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    assert re.search(r"^torch==", (REPOSITORY / "scripts" / "constraints.txt").read_text(), re.MULTILINE)


def test_what_is_copied_exists_is_not_ignored_and_makes_the_program(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the extra test has it")
    kept = {line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().split() if line.startswith("!")}
    for text in texts("COPY"):
        *sources, target = shlex.split(text)
        for source in sources:
            assert source in kept
            name = target.rstrip("/") + f"/{Path(source).name}" if target.endswith("/") else target
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).symlink_to(REPOSITORY / source)
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(words, cwd=tmp_path, capture_output=True, check=True, timeout=100)


@pytest.mark.parametrize(
    ("torch", "index"), [("cpu", "https://download.pytorch.org/whl/cpu"), ("cuda", "https://pypi.org/simple")]
)
def test_the_steps_install_the_torch_that_is_asked_for(torch: str, index: str, tmp_path: Path) -> None:
    code, calls = run_steps(tmp_path, torch)
    assert code == 0
    pips = [call for call in calls if call.startswith("pip install")]
    assert f"--index-url {index} torch" in pips[0]
    assert all("--constraint scripts/constraints.txt" in call for call in pips)
    assert calls[-3:] == ["transformer-mt --version", "mkdir -p /work", "chown 1000:1000 /work"]


def test_another_torch_is_refused_in_a_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, calls = run_steps(tmp_path, "rocm")
    assert code == 2 and not [call for call in calls if call.startswith("pip")]
    assert capfd.readouterr().err == "TORCH must be cpu or cuda, got rocm\n"


def run_steps(folder: Path, torch: str) -> tuple[int, list[str]]:
    """Run every RUN step with stand-ins for its programs; gives the exit code and what was called."""
    for name in ("apt-get", "pip", "transformer-mt", "rm", "mkdir", "chown"):
        (folder / name).write_text(STUB)
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "CALLS": str(folder / "calls"), "TORCH": torch}
    code = 0
    for text in texts("RUN"):
        code = code or subprocess.run(["sh", "-c", text], env={**os.environ, **environment}, check=False).returncode
    return code, (folder / "calls").read_text().splitlines()
