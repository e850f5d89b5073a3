"""What is known of a training, read from its run directory, whatever state that is in."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.config.loading import load_config
from transformer_mt.config.schema import Config
from transformer_mt.decoding.evaluate import configured_pairs, training_frequencies
from transformer_mt.decoding.translator import Translator
from transformer_mt.device import resolve_device, set_threads
from transformer_mt.errors import DataError, TransformerMTError
from transformer_mt.evaluation.changes import ScoredLine, scored_lines
from transformer_mt.evaluation.groups import Breakdown, Lines, break_down
from transformer_mt.evaluation.scores import Score, corpus_bleu
from transformer_mt.files import read_json, read_small_text
from transformer_mt.metrics import METRICS_NAME, Record, Salvaged, salvage_metrics

MOST_WARNINGS = 20
_FAILED = re.compile(r"the training stopped: (?!Interrupted|KeyboardInterrupt)")
"""A stop that was asked for is no failure."""
_END_OF_LOG = 1 << 20
"""Bytes of the log that are read."""


@dataclass(frozen=True, slots=True)
class Translated:
    """What the kept model makes of validation pairs."""

    num_pairs: int
    """All validation pairs there are; the first of them were translated."""
    beam_size: int
    bleu: Score
    lines: Sequence[ScoredLine]
    """The best first."""
    breakdown: Breakdown


@dataclass(frozen=True, slots=True)
class Run:
    """A training as it is on disk."""

    path: Path
    config: Config
    config_text: str
    metrics: Salvaged
    is_complete: bool
    warnings: Sequence[str]
    """Of the log, the last ones."""
    last_words: str
    """The last line of the log."""
    facts: Mapping[str, Any]
    """Of the bundle: what it knows of the training; may lack anything, and hold anything."""
    translated: Translated | None
    missing: Sequence[str]
    """What could not be read, and why."""

    def of_kind(self, kind: str) -> list[Record]:
        """The records of a kind, in order."""
        return [record for record in self.metrics.records if record["kind"] == kind]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much is translated for a report."""

    max_lines: int
    threads: int | None = None


def read_run(path: Path, wanted: Wanted, tell: Callable[[str], None]) -> Run:
    """Read the run directory at `path`, and translate validation pairs with its bundle.

    Raises TransformerMTError when it is no run directory or its configuration cannot be read. All else that is missing
    or damaged is noted.
    """
    if (path / "bundle.json").is_file():
        raise TransformerMTError(f"{path}: a bundle has no metrics; name the run directory")
    if not (path / "config.yaml").is_file():
        raise TransformerMTError(f"{path}: is no run directory (it has no config.yaml)")
    config, missing = load_config(path / "config.yaml"), []
    metrics = Salvaged([], [])
    bundle = translated = None
    try:
        metrics = salvage_metrics(path / METRICS_NAME)
    except DataError as error:
        missing.append(f"There are no curves: {error}.")
    try:
        bundle = load_bundle(path)
    except TransformerMTError as error:
        missing.append(f"Nothing could be translated: {error}.")
    if bundle is not None and wanted.max_lines:
        try:
            translated = _translated(_with_data(bundle, config), wanted, tell)
        except TransformerMTError as error:
            missing.append(f"No validation pairs were translated: {error}.")
    warnings, last_words = _log(path / "log.txt")
    return Run(
        path, config, read_small_text(path / "config.yaml"), metrics, _is_complete(path), warnings, last_words,
        bundle.facts if bundle else {}, translated, missing,
    )  # fmt: skip


def _with_data(bundle: Bundle, config: Config) -> Bundle:
    """`bundle` with the sources that the run names now: its data may have been moved since the bundle was written."""
    return replace(bundle, config=replace(bundle.config, data=config.data))


def _translated(bundle: Bundle, wanted: Wanted, tell: Callable[[str], None]) -> Translated:
    """Translate the first validation pairs as the validations of the training did."""
    try:
        pairs = configured_pairs(bundle, "validation", lambda line: None)
    except DataError as error:  # whose advice is for `evaluate`
        problem = str(error).partition("; ")[0]
        raise DataError(f"{problem}; call report where the training was started, so that it finds them") from None
    chosen = pairs[: min(wanted.max_lines, bundle.config.evaluation.max_lines or len(pairs))]
    if not chosen:
        raise DataError("data.validation: there are no pairs")
    set_threads(wanted.threads)
    settings, evaluation = bundle.config.decoding, bundle.config.evaluation
    settings = replace(settings, beam_size=evaluation.beam_size or settings.beam_size)
    translator = Translator.from_bundles([bundle], resolve_device("auto"), settings)
    tell(f"translating {len(chosen):,} of {len(pairs):,} validation sentences")
    hypotheses = translator.translate(pair.src for pair in chosen)
    lines = Lines([pair.src for pair in chosen], [pair.tgt for pair in chosen], hypotheses)
    bleu = corpus_bleu(hypotheses, [[pair.tgt] for pair in chosen], evaluation.bootstrap_samples)
    breakdown = break_down(lines, training_frequencies(bundle.config))
    return Translated(len(pairs), settings.beam_size, bleu, scored_lines(lines), breakdown)


def _is_complete(path: Path) -> bool:
    try:
        return isinstance(read_json(path / "concluded.json"), dict)
    except DataError:
        return False


def _log(path: Path) -> tuple[list[str], str]:
    """The warnings in the end of a log, and its last line; none when there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _END_OF_LOG))
            lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return [], ""
    warnings = [line for line in lines if "warning:" in line or _FAILED.search(line)]
    return warnings[-MOST_WARNINGS:], lines[-1] if lines else ""
