"""metrics.jsonl, the numbers of a training: read as it should be, or as much of it as can be read."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from transformer_mt.errors import DataError
from transformer_mt.files import check_readable_file, read_lines

Record = dict[str, Any]

METRICS_NAME = "metrics.jsonl"
_MOST_BYTES = 1 << 28
_LARGEST = 1e15
"""Of a number that a training tells; what is larger comes from no training."""
_PLACE = ("step", "epoch", "minutes")
_NUMBERS = {"corpus": ("pairs",), "train": ("loss", "lr", "tokens_per_second"), "validation": ("loss", "bleu")}
"""What a record of each kind has beside its place; it may be null."""


class Salvaged(NamedTuple):
    """What could be read of a metrics.jsonl."""

    records: list[Record]
    left_out: list[tuple[int, str]]
    """Number and defect of each line that could not be used."""


def read_metrics(path: Path) -> list[Record]:
    """The records of a metrics.jsonl in their order, without a torn last line."""
    lines = list(read_lines(path))
    records: list[Record] = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise DataError(f"{path}:{number}: is not valid JSON ({error}); remove the line") from None
        records.append(record)
    return records


def salvage_metrics(path: Path) -> Salvaged:
    """The records that can be used, in order, whatever the file holds; numbers that are not finite are null.

    Raises DataError when it is missing, no file, or far too long.
    """
    check_readable_file(path)
    if path.stat().st_size > _MOST_BYTES:
        raise DataError(f"{path}: has more than {_MOST_BYTES:,} bytes, which no training tells")
    records: list[Record] = []
    left_out: list[tuple[int, str]] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                records.append(_sound(_parsed(line)))
            except ValueError as error:
                left_out.append((number, str(error)))
    return Salvaged(records, left_out)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # a ValueError also for a number of too many digits
        raise ValueError("is not valid JSON") from None


def _sound(record: Any) -> Record:
    """`record` with a place, and numbers that can be computed with; raises ValueError when it has none."""
    kind = record.get("kind") if isinstance(record, dict) else None
    if not isinstance(kind, str) or kind not in _NUMBERS:
        raise ValueError("is no record of a training")
    sound = {key: _finite(value) for key, value in record.items()}
    if any(not _is_number(sound.get(name)) or sound[name] < 0 for name in _PLACE) or not isinstance(sound["step"], int):
        raise ValueError("does not say step, epoch and minutes")
    for name in _NUMBERS[kind]:
        if name not in sound or not (sound[name] is None or _is_number(sound[name])):
            raise ValueError(f"does not say {name}")
    return sound


def _finite(value: Any) -> Any:
    return None if _is_number(value) and not abs(value) < _LARGEST else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
