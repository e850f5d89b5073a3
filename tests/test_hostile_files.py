"""Hostile and broken files: nothing in them is executed, no process dies of them, each is refused in a clear line."""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import SOUND, Payload, make_all

REPOSITORY = Path(__file__).resolve().parent.parent
MOST_MB = 200
MOST_SECONDS = 8
"""Of processor time. None takes 2 on an idle machine; what grows with a number in a file takes minutes."""

Outcomes = dict[str, dict[str, Any]]


def read_all(folder: Path, sound: Path, listing: list[tuple[str, Path]]) -> Outcomes:
    """What came of reading each file, by reader and name."""
    path = folder / "listing.json"
    path.write_text(json.dumps([(reader, str(path)) for reader, path in listing]))
    command = [sys.executable, "-m", "tests.read_hostile", str(sound), str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(listing)
    return {f"{reader}/{path.name}": row for (reader, path), row in zip(listing, rows, strict=True)}


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that is there when something was executed."""
    return tmp_path_factory.mktemp("canary") / "executed"


@pytest.fixture(scope="module")
def outcomes(tiny_run: Path, canary: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    folder = tmp_path_factory.mktemp("hostile")
    return read_all(folder, tiny_run, make_all(folder, tiny_run, canary))


def test_there_are_many_of_each_kind(outcomes: Outcomes) -> None:
    for reader, least in (("bundle", 60), ("checkpoint", 20), ("tokenizer", 20), ("config", 20)):
        assert sum(name.startswith(f"{reader}/") for name in outcomes) >= least


def test_nothing_is_executed(outcomes: Outcomes, canary: Path) -> None:
    assert {name: row["events"] for name, row in outcomes.items() if row.get("events")} == {}
    assert not canary.exists()


def test_no_process_dies_and_each_file_is_refused_with_its_name(outcomes: Outcomes) -> None:
    assert {name: row["signal"] for name, row in outcomes.items() if row["signal"]} == {}
    assert {
        name: row for name, row in outcomes.items() if not row["is_ours"] or row["path"] not in row["message"]
    } == {}


def test_each_file_is_refused_in_one_line_or_a_line_for_each_problem_of_a_configuration(outcomes: Outcomes) -> None:
    for name, row in outcomes.items():
        lines = row["message"].split("\n")
        assert len(lines) == 1 or row["error"] == "ConfigError" and len(lines) <= 101, (name, row)
        assert all(line.startswith(row["path"]) and len(line) - len(row["path"]) < 400 for line in lines), (name, row)


def test_reading_takes_neither_memory_nor_time(outcomes: Outcomes) -> None:
    greedy = {name: row for name, row in outcomes.items() if row["mb"] >= MOST_MB or row["cpu_seconds"] >= MOST_SECONDS}
    assert greedy == {}


def test_sound_files_are_read_and_what_is_watched_for_would_be_seen(
    tiny_run: Path, tmp_path: Path, canary: Path
) -> None:
    (tmp_path / "sound.model").write_bytes(SOUND)
    (tmp_path / "pickle").write_bytes(pickle.dumps(Payload(canary)))
    checkpoint = sorted((tiny_run / "checkpoints").iterdir())[-1]
    listing = [
        ("bundle", tiny_run / "bundle"), ("checkpoint", checkpoint), ("config", tiny_run / "config.yaml"),
        ("tokenizer", tmp_path / "sound.model"), ("unpickle", tmp_path / "pickle"), ("abort", tmp_path),
        ("take-memory", tmp_path),
    ]  # fmt: skip
    *sound, unpickled, aborted, fat = read_all(tmp_path, tiny_run, listing).values()
    assert [(row["signal"], row["error"], row["events"]) for row in sound] == [(0, None, [])] * 4
    assert canary.exists() and "pickle.find_class" in unpickled["events"]
    canary.unlink()
    assert aborted["signal"] == 6 and fat["mb"] > MOST_MB
