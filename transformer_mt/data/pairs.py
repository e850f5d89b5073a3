"""What every reader of sentence pairs yields, and the notes that it takes while reading."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from transformer_mt.errors import DataError

Report = Callable[[str], None]
"""Where lines for the user go."""


class Pair(NamedTuple):
    """A sentence and its translation, from `line` (counted from 1) of their source; each side is a single line."""

    line: int
    src: str
    tgt: str


class BadLine(NamedTuple):
    """A line that could not be read, and why."""

    line: int
    problem: str


@dataclass
class ReadingNotes:
    """What a reader noticed: bad lines passed over, at most `allowed_bad` of them, and characters replaced."""

    name: str
    allowed_bad: int = 0
    bad: list[BadLine] = field(default_factory=list)
    num_replaced: int = 0
    """Lines in which a NUL, a lone surrogate or a line break inside a sentence was replaced."""

    def pass_over(self, line: int, problem: str) -> None:
        """Note a bad line; raises DataError with its place when there are more than `allowed_bad`."""
        self.bad.append(BadLine(line, problem))
        if len(self.bad) > self.allowed_bad:
            first = self.bad[0]
            count = f"{len(self.bad)} bad lines, data.skip_bad_lines allows {self.allowed_bad}; the first: "
            raise DataError(
                f"{self.name}:{first.line}: {count if self.allowed_bad else ''}{first.problem}"
                + ("" if self.allowed_bad else "; mend it, or set data.skip_bad_lines to pass over some")
            )

    def summary(self) -> list[str]:
        """The notes as lines for the user; none when there was nothing to notice."""
        lines = [f"{self.name}:{bad.line}: passed over: {bad.problem}" for bad in self.bad]
        if self.num_replaced:
            lines.append(
                f"{self.name}: in {self.num_replaced} lines a NUL or broken character became U+FFFD, "
                "or a line break inside the sentence a blank"
            )
        return lines
