"""Which lines two translators differ in, and by how much each is better or worse."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from transformer_mt.evaluation.groups import Lines
from transformer_mt.evaluation.scores import sentence_chrf

LONGEST_COMPARED = 400
"""Words of a text that are compared one by one; comparing takes the square of it."""


@dataclass(frozen=True, slots=True)
class ScoredLine:
    """A line with its translation and the chrF of it."""

    number: int
    """Counted from 1."""
    source: str
    reference: str
    hypothesis: str
    chrf: float


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """A line that two systems translate differently."""

    number: int
    """Counted from 1."""
    source: str
    reference: str
    hypothesis: str
    other: str
    chrf: float
    other_chrf: float

    @property
    def gain(self) -> float:
        """By how much the chrF is above the other's."""
        return self.chrf - self.other_chrf


def scored_lines(lines: Lines) -> list[ScoredLine]:
    """All lines, the best first; equally good ones in their order."""
    scored = [
        ScoredLine(number, source, reference, hypothesis, sentence_chrf(hypothesis, reference))
        for number, (source, reference, hypothesis) in enumerate(
            zip(lines.sources, lines.references, lines.hypotheses, strict=True), start=1
        )
    ]
    return sorted(scored, key=lambda line: -line.chrf)


def changed_lines(lines: Lines) -> list[ChangedLine]:
    """The lines that the two systems translate differently, the largest gain first, the largest loss last."""
    assert lines.others is not None
    rows = zip(lines.sources, lines.references, lines.hypotheses, lines.others, strict=True)
    changed = [
        ChangedLine(number, *row, sentence_chrf(row[2], row[1]), sentence_chrf(row[3], row[1]))
        for number, row in enumerate(rows, start=1)
        if row[2] != row[3]
    ]
    return sorted(changed, key=lambda line: -line.gain)


def differing(text: str, other: str) -> list[tuple[str, bool]]:
    """The words of `text`, blanks between them, each with whether it is not at its place in `other`.

    An empty word stands where `other` has words and `text` has none.
    """
    ours, theirs = text.split(), other.split()
    if max(len(ours), len(theirs)) > LONGEST_COMPARED:
        known = set(theirs)
        return [(word, word not in known) for word in ours]
    found: list[tuple[str, bool]] = []
    for kind, start, end, _, _ in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        found += [(word, kind != "equal") for word in ours[start:end]] or [("", True)]
    return found


def shares(lines: Sequence[ChangedLine]) -> tuple[int, int, int]:
    """How many of the changed lines are better, worse, and equally good."""
    better, worse = sum(line.gain > 0 for line in lines), sum(line.gain < 0 for line in lines)
    return better, worse, len(lines) - better - worse
