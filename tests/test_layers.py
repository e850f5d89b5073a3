"""The plan of the house holds: imports go downwards only, and commands start without the heavy packages."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "transformer_mt"
LAYERS = (
    {"version"},  # transformer_mt/__init__.py
    {"errors", "interrupts"},
    {"files", "memory", "style"},
    {"config", "manifest", "metrics", "native", "page", "tensors", "world"},
    {"card", "device", "data", "model", "evaluation"},
    {"bundle"},
    {"decoding"},
    {"training", "interop", "machine", "report", "serving"},
    {"cli"},
    {"__main__"},
)
LAYER_OF = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"torch", "datasets", "sentencepiece", "numpy", "sacrebleu", "matplotlib", "pandas", "pyarrow"}


def room_of(path: Path) -> str:
    """The first name below the package: `data` for data/corpus.py, `errors` for errors.py."""
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "version" if name == "__init__" else name


def imported_rooms(source: str) -> Iterator[tuple[int, str]]:
    """Line and room of every import from the package, those inside functions included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: import by the full name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == PACKAGE.name:
                room = rest.partition(".")[0]
                yield node.lineno, "version" if room in ("", "__version__") else room


def violations(room: str, source: str) -> list[str]:
    return [
        f"line {line}: {room} imports {imported}"
        for line, imported in imported_rooms(source)
        if imported != room and LAYER_OF[imported] >= LAYER_OF[room]
    ]


def test_every_room_has_a_layer() -> None:
    assert {room_of(path) for path in MODULES} <= LAYER_OF.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_layers_below(path: Path) -> None:
    assert violations(room_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("config", "from transformer_mt.data.corpus import read_pairs"),
        ("model", "import transformer_mt.data.vocabulary"),
        ("data", "def f():\n    from transformer_mt import training"),
        ("errors", "from transformer_mt.files import read_lines"),
    ],
)
def test_an_import_upwards_or_sideways_is_seen(room: str, source: str) -> None:
    assert len(violations(room, source)) == 1


def test_config_and_commands_are_imported_without_heavy_packages() -> None:
    rooms = [path for path in MODULES if room_of(path) in ("errors", "files", "config", "cli")]
    names = [".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__") for path in rooms]
    program = (
        "import importlib, json, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(json.loads(done.stdout))
