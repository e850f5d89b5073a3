"""Scoring a translator on held-out pairs, with files that the sacrebleu command scores to the same digits."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from transformer_mt.bundle import Bundle
from transformer_mt.config.schema import Config
from transformer_mt.data.corpus import read_pairs, source_files
from transformer_mt.data.pairs import Pair, Report
from transformer_mt.decoding.translation import PLAIN, Translation, Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.errors import DataError
from transformer_mt.evaluation.groups import Frequencies, word_counts
from transformer_mt.evaluation.scores import Scores, corpus_bleu, corpus_scores, sacrebleu_command, write_scored_files
from transformer_mt.files import read_lines

MOST_COUNTED = 200_000
"""Training pairs whose words are counted: all that there are, or a good sample in seconds."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found, and where its files are."""

    scores: Scores
    multi_reference_bleu: dict[str, Any] | None
    translations: Sequence[Translation]
    command: str
    """The sacrebleu command that gives the same BLEU, chrF and TER."""

    def to_json(self, bundle: Bundle, translator: Translator) -> dict[str, Any]:
        """The object that `evaluate --json` prints and results.json holds."""
        facts, settings = bundle.facts, translator.settings
        multi = {"multi_reference_bleu": self.multi_reference_bleu} if self.multi_reference_bleu else {}
        return {
            **self.scores.to_json(),
            **multi,
            "lines": len(self.translations),
            "flagged": sum(bool(translation.flags) for translation in self.translations),
            "beam_size": settings.beam_size,
            "length_penalty": settings.length_penalty,
            "precision": translator.precision,
            "minutes": facts.get("minutes"),
            "parameters": bundle.model.num_parameters(),
            "steps": facts.get("step"),
            "seed": bundle.config.training.seed,
            "command": self.command,
        }


def configured_pairs(bundle: Bundle, split: str, report: Report) -> list[Pair]:
    """The pairs of data.test or data.validation of the bundle's configuration.

    Raises DataError when the configuration names none, or they cannot be read.
    """
    data = bundle.config.data
    sources = data.test if split == "test" else data.validation
    if not sources:
        raise DataError(f"data.{split}: the configuration of this bundle names none; give --src and --ref")
    for file in chain.from_iterable(map(source_files, sources)):
        if not file.exists():
            raise DataError(
                f"{file}: no such file (data.{split} of this bundle's configuration names it); "
                "call from the directory that it was trained in, or give --src and --ref"
            )
    return [pair for source in sources for pair in read_pairs(source, data, report)]


def training_frequencies(config: Config) -> Frequencies | None:
    """How often words occur in the training targets, or in the first so many; None where they are not at hand."""
    sources = config.data.train
    if not sources or any(source.hub for source in sources):
        return None
    try:
        pairs = chain.from_iterable(read_pairs(source, config.data, lambda line: None) for source in sources)
        read = [pair.tgt for pair in islice(pairs, MOST_COUNTED)]
    except DataError:  # they are somewhere else, or have changed since
        return None
    many = f"the first {MOST_COUNTED:,}" if len(read) == MOST_COUNTED else f"{len(read):,}"
    return Frequencies(word_counts(read), f"{many} training targets")


def file_pairs(src: Path, ref: Path) -> list[Pair]:
    """The lines of two files side by side; raises DataError with both counts when they differ."""
    sources, references = list(read_lines(src)), list(read_lines(ref))
    if len(sources) != len(references):
        raise DataError(f"{src} has {len(sources)} lines and {ref} has {len(references)}; they must be aligned")
    return [Pair(number, *sides) for number, sides in enumerate(zip(sources, references, strict=True), start=1)]


def evaluate(
    translator: Translator,
    pairs: Sequence[Pair],
    bundle: Bundle,
    directory: Path,
    multi_references: Path | None = None,
    wishes: Wishes = PLAIN,
) -> Evaluation:
    """Translate the sources of `pairs`, score against their targets, and write both files into `directory`.

    `multi_references` holds on each line every known translation, tab-separated, and adds a BLEU against
    all of them. `wishes` are what is asked for beside each translation.
    """
    if not pairs:
        raise DataError("there is nothing to evaluate: no pairs")
    every = None
    if multi_references is not None:
        every = [line.split("\t") for line in read_lines(multi_references)]
        if len(every) != len(pairs):
            raise DataError(f"{multi_references}: has {len(every)} lines, {len(pairs)} are needed, one for each source")
    config, translations = bundle.config, list(translator.stream((pair.src for pair in pairs), wishes))
    hypotheses, references = [translation.text for translation in translations], [pair.tgt for pair in pairs]
    samples = config.evaluation.bootstrap_samples
    multi = None
    if every is not None:
        multi = {"score": (score := corpus_bleu(hypotheses, every)).score, "signature": score.signature}
    write_scored_files(directory, hypotheses, references)
    scores = corpus_scores(hypotheses, references, config.data.tgt_lang, samples)
    return Evaluation(scores, multi, translations, sacrebleu_command(directory, samples))
