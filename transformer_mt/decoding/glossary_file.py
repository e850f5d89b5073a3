"""The file of a glossary, which is read before a model is."""

from pathlib import Path

from transformer_mt.errors import DataError
from transformer_mt.files import read_lines

NUM_SHOWN = 3
"""Lines with a fault that are told; the others are counted."""


def read_glossary(path: Path) -> list[tuple[str, str]]:
    """Read a file with a source term, a tab and its translation on each line; blank lines are left out.

    Raises DataError naming the first lines that are something else, or that say two things of one term.
    """
    entries: dict[str, tuple[int, str]] = {}
    problems = []
    for number, line in enumerate(read_lines(path), start=1):
        fields = [field.strip() for field in line.split("\t")]
        if not line.strip():
            continue
        if len(fields) != 2 or not all(fields):
            problems.append(f"{path}:{number}: needs a source term, a tab and its translation, got {line[:80]!r}")
            continue
        first, translation = entries.setdefault(folded(fields[0]), (number, fields[1]))
        if translation != fields[1]:
            problems.append(f"{path}:{number}: {fields[0]!r} has another translation on line {first}")
    if len(problems) > NUM_SHOWN:
        problems[NUM_SHOWN:] = [f"{path}: {len(problems) - NUM_SHOWN:,} more lines have a fault"]
    if problems or not entries:
        raise DataError("\n".join(problems) or f"{path}: there are no terms in it")
    return [(src, tgt) for src, (_, tgt) in entries.items()]


def folded(text: str) -> str:
    """A term without what does not tell it from others: case and the width of blanks."""
    return " ".join(text.lower().split())
