"""What `pip install transformer-mt` gives: the wheel is built, installed where no checkout is seen, and used.

The fresh environment borrows the dependencies of this one, which take minutes to install; transformer_mt is its own.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from transformer_mt import __version__

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PACKAGE = REPOSITORY / "transformer_mt"
BARE = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
OTHERS = [f"3.{minor}" for minor in range(10, 14) if minor != sys.version_info.minor]


def build(source: Path, target: str, folder: Path) -> Path:
    """The wheel or sdist of `source`, made in `folder`."""
    pytest.importorskip("hatchling", reason="the extra test has it")
    words = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(words, cwd=source, env=BARE, capture_output=True, check=True, timeout=100)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(REPOSITORY, "wheel", tmp_path_factory.mktemp("wheel"))


class Installed:
    """A fresh environment of `python` with the wheel in it, used from a directory of its own."""

    def __init__(self, folder: Path, wheel: Path, python: str, borrowed: Sequence[str]) -> None:
        self.folder, self.bin = folder, folder / "venv" / "bin"
        subprocess.run([python, "-m", "venv", "--without-pip", str(folder / "venv")], env=BARE, check=True, timeout=100)
        self.site = Path(self.call([self.bin / "python", "-c", "import sysconfig as s; print(s.get_path('purelib'))"]))
        (self.site / "borrowed.pth").write_text("".join(f"{path}\n" for path in borrowed))
        pip = [sys.executable, "-m", "pip", "--python", self.bin / "python", "install", "--no-deps", "--no-index"]
        self.call([*pip, "--no-warn-script-location", wheel])

    def call(self, words: Sequence[object]) -> str:
        """What the command says; it must succeed."""
        done = subprocess.run(
            list(map(str, words)), cwd=self.folder, env=BARE, capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout.strip()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    borrowed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return Installed(tmp_path_factory.mktemp("fresh"), wheel, sys.executable, borrowed)


def find_python(version: str) -> str | None:
    """An interpreter of this version that runs: on PATH, or one of pyenv's, whose shims often do not."""
    root = Path(BARE.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [shutil.which(f"python{version}"), *map(str, root.glob(f"versions/{version}.*/bin/python{version}"))]
    for python in filter(None, found):
        if subprocess.run([python, "-c", "import venv"], env=BARE, capture_output=True, check=False).returncode == 0:
            return python
    return None


def test_the_wheel_holds_every_source_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "transformer_mt"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tracked.returncode:
        pytest.skip("no git, or no repository, to say which files there are")
    expected = {name for name in tracked.stdout.split() if (REPOSITORY / name).exists()}
    found = {name for name in names if name.startswith("transformer_mt/")}
    assert found == expected and "transformer_mt/py.typed" in found and "transformer_mt/native/int8.h" in found
    about = f"transformer_mt-{__version__}.dist-info"
    assert names - found == {
        f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }


def test_the_sdist_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build(REPOSITORY, "sdist", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert (source / "scripts" / "setup").is_file() and (source / "tests" / "conftest.py").is_file()
    again = build(source, "wheel", tmp_path / "again")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert {name: one.read(name) for name in one.namelist()} == {n: other.read(n) for n in other.namelist()}


def test_what_is_installed_is_what_runs(installed: Installed) -> None:
    where = installed.call([installed.bin / "python", "-c", "import transformer_mt; print(transformer_mt.__file__)"])
    assert Path(where) == installed.site / "transformer_mt" / "__init__.py"
    command = installed.bin / "transformer-mt"
    assert installed.call([command, "--version"]) == f"transformer-mt {__version__}"
    assert "usage: transformer-mt" in installed.call([command, "--help"])
    assert "usage: transformer-mt" in installed.call([installed.bin / "python", "-m", "transformer_mt", "--help"])


def test_the_installed_program_makes_its_corpus_and_translates(installed: Installed, tiny_run: Path) -> None:
    command = installed.bin / "transformer-mt"
    installed.call([command, "data", "synthesize", "corpus", "--train", 30, "--validation", 5, "--test", 5])
    assert len((installed.folder / "corpus" / "train.en").read_text(encoding="utf-8").splitlines()) == 30
    (installed.folder / "in.txt").write_text("the cat sees the dog\nthe red bird\n")
    assert installed.call([command, "translate", tiny_run, "in.txt"]).count("\n") == 1


def test_the_doctor_finds_packages_and_loops_of_the_installation(installed: Installed) -> None:
    said = json.loads(installed.call([installed.bin / "transformer-mt", "doctor", "--json"]))
    assert said["facts"]["transformer_mt"]["where"] == str(installed.site / "transformer_mt")
    assert said["facts"]["packages"]["torch"]
    if shutil.which("cc"):
        assert said["facts"]["loops in C"]["loops"] == "at hand"


@pytest.mark.parametrize("version", OTHERS)
def test_another_python_installs_it_reads_configurations_and_helps(version: str, wheel: Path, tmp_path: Path) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"there is no python{version} that runs; that sources keep to its grammar is another test")
    yaml = pytest.importorskip("yaml", reason="a dependency of transformer_mt")
    without_compiled = shutil.ignore_patterns("*.so", "__pycache__")  # which are for this Python
    shutil.copytree(Path(yaml.__file__).parent, tmp_path / "borrowed" / "yaml", ignore=without_compiled)
    other = Installed(tmp_path, wheel, python, [str(tmp_path / "borrowed")])
    command = other.bin / "transformer-mt"
    assert other.call([command, "--version"]) == f"transformer-mt {__version__}"
    assert "usage: transformer-mt train" in other.call([command, "train", "--help"])
    assert "complete -" in other.call([command, "completion", "bash"])
    assert "d_model: a whole number; default 512" in other.call([command, "config", "describe", "model"])
    assert "vocab_size: 4000" in other.call([command, "config", "show", REPOSITORY / "configs" / "quickstart.yaml"])
    other.call([other.bin / "python", "-m", "compileall", "-q", other.site / "transformer_mt"])


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_sources_keep_to_the_grammar_of_the_oldest_python(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))
