"""Measurements as rows: shown to people or programs, and taken from a process of their own."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any


def show(row: dict[str, Any], text: str, as_json: bool) -> None:
    """Print one measurement, as `text` or as a line of JSON."""
    print(json.dumps(row) if as_json else text, flush=True)


def row_of(command: Sequence[object], environment: Mapping[str, str]) -> dict[str, Any]:
    """The row that a command prints as its last line."""
    done = subprocess.run([str(word) for word in command], env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])
