"""Is one translator really better than another? sacreBLEU's own paired tests, on the same lines.

Koehn 2004 (Statistical Significance Tests for Machine Translation Evaluation) has the bootstrap, Riezler and Maxwell
2005 (On Some Pitfalls in Automatic Evaluation and Significance Testing for MT) the approximate randomisation.
"""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sacrebleu.metrics import CHRF
from sacrebleu.significance import PairedTest, Result

from transformer_mt.errors import DataError
from transformer_mt.evaluation.scores import (
    HYPOTHESES_NAME,
    PRINTED_DIGITS,
    REFERENCES_NAME,
    plain_bleu,
    single_lines,
)

OTHER_NAME = "against.txt"
NUM_TRIALS = 10_000
"""Of the approximate randomisation, as sacreBLEU has them."""
CHANCE = 0.05
"""A difference with a smaller p is called significant."""


@dataclass(frozen=True, slots=True)
class Paired:
    """One score of two systems, and how likely so large a difference is by chance alone."""

    score: float
    other: float
    """Of the other system, which is the baseline."""
    mean: float
    half: float
    """Mean and half width of the 95 % interval of `score`, over the resamples of the bootstrap."""
    other_mean: float
    other_half: float
    p_bootstrap: float
    p_randomisation: float
    bootstrap_signature: str
    randomisation_signature: str

    @property
    def difference(self) -> float:
        """By how much the score is above the other's."""
        return self.score - self.other

    @property
    def is_significant(self) -> bool:
        """Whether both tests say so; sacreBLEU gives equal scores, too, the smallest p."""
        return self.difference != 0 and max(self.p_bootstrap, self.p_randomisation) < CHANCE

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {**asdict(self), "difference": self.difference, "significant": self.is_significant}


def paired_tests(
    hypotheses: Sequence[str], others: Sequence[str], references: Sequence[str], bootstrap_samples: int = 1000
) -> dict[str, Paired]:
    """Test `hypotheses` against `others`, the baseline, by BLEU and chrF: `{"bleu": ..., "chrf": ...}`.

    Figures and signatures are those of the commands of `paired_commands`. sacreBLEU's tests count a tie as no
    evidence for chance, so that the same text twice has the smallest p there is. Raises DataError when the numbers of
    lines differ or there are none.
    """
    if not len(hypotheses) == len(others) == len(references) or not references:
        raise DataError(
            f"{len(hypotheses)} translations, {len(others)} to compare them with and {len(references)} references; "
            "the tests need one of each for each line"
        )
    named: list[tuple[str, Sequence[str]]] = [("other", single_lines(others)), ("ours", single_lines(hypotheses))]
    (signatures, bootstrap), (ar_signatures, randomisation) = (
        PairedTest(named, {"bleu": plain_bleu(), "chrf": CHRF()}, [single_lines(references)], kind, samples)()
        for kind, samples in (("bs", bootstrap_samples), ("ar", NUM_TRIALS))
    )
    found = {}
    for name, key in (("bleu", "BLEU"), ("chrf", "chrF2")):
        other, ours = _results(bootstrap[key])
        found[name] = Paired(
            score=float(ours.score),
            other=float(other.score),
            mean=_number(ours.mean),
            half=_number(ours.ci),
            other_mean=_number(other.mean),
            other_half=_number(other.ci),
            p_bootstrap=_number(ours.p_value),
            p_randomisation=_number(_results(randomisation[key])[1].p_value),
            bootstrap_signature=str(signatures[key]),
            randomisation_signature=str(ar_signatures[key]),
        )
    return found


def _results(found: Sequence[str | Result]) -> list[Result]:
    return [result for result in found if isinstance(result, Result)]


def _number(value: float | None) -> float:
    """A figure that the tests always give, as a number of Python's."""
    assert value is not None
    return float(value)


def paired_commands(directory: Path, bootstrap_samples: int = 1000) -> list[str]:
    """The shell commands that print the same, on hyp.txt, ref.txt and against.txt in `directory`."""
    names = (REFERENCES_NAME, OTHER_NAME, HYPOTHESES_NAME)
    reference, other, ours = (shlex.quote(str(directory / name)) for name in names)
    command = f"sacrebleu {reference} -i {other} {ours} -m bleu chrf -f text -w {PRINTED_DIGITS}"
    return [
        f"{command} --paired-bs --paired-bs-n {bootstrap_samples}",
        f"{command} --paired-ar --paired-ar-n {NUM_TRIALS}",
    ]
