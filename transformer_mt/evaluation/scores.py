"""How good translations are: BLEU, chrF and TER by sacreBLEU, comparable with what others publish.

Scores are on plain (detokenised, cased) text. The one exception is called `lc_tok` wherever it appears:
BLEU on lower-cased, tokenised text, which exists only to compare with papers that report it.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.ter import TERScore
from sacremoses import MosesTokenizer

from transformer_mt.errors import DataError
from transformer_mt.files import atomic_file

HYPOTHESES_NAME = "hyp.txt"
REFERENCES_NAME = "ref.txt"
PRINTED_DIGITS = 6

# What some program or other takes for the end of a line: `str.splitlines` for all of these, `wc -l` for "\n".
_LINE_ENDS = re.compile("[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")

_CHRF = CHRF()


@dataclass(frozen=True, slots=True)
class Score:
    """One figure with the signature that says how it was computed.

    `low` and `high` bound the 95 % bootstrap interval as sacreBLEU gives it (mean -/+ half its width), or are
    None when no resampling was asked for.
    """

    score: float
    signature: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """All scores of one set of translations; higher is better, for `ter` lower is."""

    bleu: Score
    chrf: Score
    ter: Score
    lc_tok_bleu: Score

    def to_json(self) -> dict[str, dict[str, Any]]:
        """A plain dictionary: for each score its `score`, `signature`, `low` and `high`."""
        return asdict(self)


def corpus_scores(
    hypotheses: Sequence[str], references: Sequence[str], tgt_lang: str, bootstrap_samples: int = 0
) -> Scores:
    """Score line i of `hypotheses` against line i of `references`, text in the language `tgt_lang`.

    `bootstrap_samples` above 1 adds confidence intervals. Blank lines are scored like all others. Raises
    DataError when the numbers of lines differ or there are none.
    """
    _check_counts(hypotheses, references)
    hyps, refs = single_lines(hypotheses), [single_lines(references)]
    lc_tok = LcTok(tgt_lang)
    return Scores(
        bleu=_score(plain_bleu(), hyps, refs, bootstrap_samples),
        chrf=_score(CHRF(), hyps, refs, bootstrap_samples),
        ter=_score(_Ter(), hyps, refs, bootstrap_samples),
        lc_tok_bleu=lc_tok.bleu(hyps, refs[0], bootstrap_samples),
    )


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]], bootstrap_samples: int = 0) -> Score:
    """The BLEU of `corpus_scores` alone, where each line has one or several references.

    Lines may have different numbers of references. Raises DataError when the numbers of lines differ, there
    are none, or a line has no reference.
    """
    _check_counts(hypotheses, references)
    for number, line in enumerate(references, start=1):
        if isinstance(line, str):
            raise TypeError("references: each line needs a sequence of strings, got a string")
        if not line:
            raise DataError(f"references: line {number} has none; leave the line out on both sides or give it one")
    # sacreBLEU wants the k-th reference of all lines together and None (not "", which is a reference) where
    # a line has fewer.
    streams = [list(stream) for stream in zip_longest(*map(single_lines, references))]
    return _score(plain_bleu(), single_lines(hypotheses), streams, bootstrap_samples)


def bleu_and_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> tuple[float, float]:
    """These two of `corpus_scores` alone."""
    _check_counts(hypotheses, references)
    hyps, refs = single_lines(hypotheses), [single_lines(references)]
    return float(plain_bleu().corpus_score(hyps, refs).score), float(CHRF().corpus_score(hyps, refs).score)


class LcTok:
    """BLEU on lower-cased, Moses-tokenised text: the scale of older papers, above BLEU on plain text."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self._tokenizer = MosesTokenizer(lang)

    def tokenize(self, line: str) -> str:
        """Lower-case `line`, then cut it into tokens with one blank between them."""
        return self._tokenizer.tokenize(line.lower(), return_str=True, escape=False)

    def bleu(self, hypotheses: Sequence[str], references: Sequence[str], bootstrap_samples: int) -> Score:
        """BLEU of the tokenised lines, whose signature names the tokenisation."""
        metric = BLEU(tokenize="none", force=True)
        hyps, refs = [self.tokenize(line) for line in hypotheses], [self.tokenize(line) for line in references]
        name = f"lc-tok.moses.{self.lang}.sacremoses-{version('sacremoses')}"
        return _score(metric, hyps, [refs], bootstrap_samples, signature={"case": "lc", "tok": name})


def sentence_chrf(hypothesis: str, reference: str) -> float:
    """chrF of one sentence, 0 to 100, as sacreBLEU has it."""
    return float(_CHRF.sentence_score(hypothesis, [reference]).score)


def write_scored_files(directory: Path, hypotheses: Sequence[str], references: Sequence[str]) -> None:
    r"""Write hyp.txt and ref.txt, which the command of `sacrebleu_command` scores to the same digits.

    Lines end at "\n". What other programs take for a line end (U+2028 and its like) becomes a blank, so that
    all count the same lines; `corpus_scores` scores these same lines.
    """
    _check_counts(hypotheses, references)
    write_lines(directory / HYPOTHESES_NAME, hypotheses)
    write_lines(directory / REFERENCES_NAME, references)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write lines as they are scored."""
    with atomic_file(path) as file:
        file.writelines(f"{line}\n".encode() for line in single_lines(lines))


def sacrebleu_command(directory: Path, bootstrap_samples: int = 0) -> str:
    """The shell command that gives BLEU, chrF and TER of the files of `write_scored_files`, to six decimals."""
    reference, hypothesis = (shlex.quote(str(directory / name)) for name in (REFERENCES_NAME, HYPOTHESES_NAME))
    command = f"sacrebleu {reference} -i {hypothesis} -m bleu chrf ter -w {PRINTED_DIGITS}"
    return f"{command} --confidence --confidence-n {bootstrap_samples}" if bootstrap_samples > 1 else command


class _Ter(TER):
    """sacreBLEU's TER, whose bootstrap otherwise fails when the references of a resample are all blank."""

    def _compute_score_from_stats(self, stats: Any) -> TERScore:
        result = super()._compute_score_from_stats(stats)
        if isinstance(stats, np.ndarray):  # a resample: without reference words its score is no NumPy number
            result.score = np.float32(result.score)
        return result


def plain_bleu() -> BLEU:
    """The BLEU that everything here is scored with, on plain text."""
    return BLEU(tokenize="13a", force=True)  # force: no warning on stderr about text that looks tokenised


def _score(
    metric: Metric,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    bootstrap_samples: int,
    signature: dict[str, str] | None = None,
) -> Score:
    """One score; `references` holds streams (the k-th reference of all lines), `signature` replaces entries of it."""
    result = metric.corpus_score(hypotheses, references, n_bootstrap=max(1, bootstrap_samples))
    description = metric.get_signature()
    for key, value in (signature or {}).items():
        description.update(key, value)
    if bootstrap_samples < 2:
        return Score(float(result.score), str(description))
    mean, half = float(result._mean), float(result._ci)  # sacreBLEU gives them only as rounded text otherwise
    return Score(float(result.score), str(description), low=mean - half, high=mean + half)


def single_lines(lines: Sequence[str]) -> list[str]:
    """The lines as they are scored: what some program takes for a line end is a blank."""
    return [_LINE_ENDS.sub(" ", line) for line in lines]


def _check_counts(hypotheses: Sequence[Any], references: Sequence[Any]) -> None:
    """sacreBLEU scores the first lines of both when there are not equally many, and fails when there are none."""
    if len(hypotheses) != len(references):
        raise DataError(
            f"{len(hypotheses)} translations but {len(references)} references; scores need one for each line"
        )
    if not hypotheses:
        raise DataError("there are no lines to score; give a test set with at least one sentence pair")
