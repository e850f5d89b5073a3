"""Two translators side by side: what differs, by how much, where, and whether that is more than chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformer_mt.evaluation.changes import ChangedLine, changed_lines, shares
from transformer_mt.evaluation.groups import Breakdown, Frequencies, Lines, break_down
from transformer_mt.evaluation.significance import Paired, paired_tests


@dataclass(frozen=True, slots=True)
class Comparison:
    """What tells two sets of translations of the same sources apart."""

    name: str
    """Of the other one, which is the baseline."""
    num_lines: int
    tests: Mapping[str, Paired]
    """By score: bleu, chrf."""
    breakdown: Breakdown
    changed: Sequence[ChangedLine]
    """The lines that differ, the largest gain first."""

    def to_json(self) -> dict[str, Any]:
        """The object that `evaluate --against` adds to results.json; the lines themselves are not in it."""
        better, worse, equal = shares(self.changed)
        counts = {"lines": len(self.changed), "better": better, "worse": worse, "equally_good": equal}
        tests = {name: test.to_json() for name, test in self.tests.items()}
        return {"name": self.name, **tests, "changed": counts, **self.breakdown.to_json()}


def compare(name: str, lines: Lines, bootstrap_samples: int, frequencies: Frequencies | None = None) -> Comparison:
    """Compare the hypotheses of `lines` with its others, which are called `name`."""
    assert lines.others is not None
    tests = paired_tests(lines.hypotheses, lines.others, lines.references, bootstrap_samples)
    return Comparison(name, len(lines.sources), tests, break_down(lines, frequencies), changed_lines(lines))
