"""Tokenise all pairs once into a memory-mapped Arrow file, cached under the fingerprint of what went into it."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transformer_mt.config.schema import DataConfig, SourceConfig
from transformer_mt.data.corpus import read_noted_pairs, source_name
from transformer_mt.data.encoding import NOTHING_HELD_OUT, Block, HeldOut, PairEncoder
from transformer_mt.data.findings import check_usable, found_lines
from transformer_mt.data.fingerprint import SourceRecord, fingerprint, record_sources
from transformer_mt.data.pairs import Pair, ReadingNotes, Report
from transformer_mt.data.prepared import EvaluationCorpus, PreparedCorpus, Row
from transformer_mt.data.tokenizer import TokenizerPair
from transformer_mt.data.writing import help_to_write, write_prepared
from transformer_mt.errors import DataError, TransformerMTError
from transformer_mt.files import atomic_directory
from transformer_mt.memory import without_garbage_collection
from transformer_mt.world import ALONE, World


@dataclass(frozen=True)
class PreparedCorpora:
    """Everything a training reads: pairs to learn from, and pairs to score."""

    train: PreparedCorpus
    validation: EvaluationCorpus
    test: EvaluationCorpus

    @property
    def records(self) -> list[SourceRecord]:
        """The files behind all of it, for `check_unchanged`."""
        return self.train.records + self.validation.records + self.test.records


def prepare_corpora(
    data: DataConfig, tokenizers: TokenizerPair, report: Report, world: World = ALONE
) -> PreparedCorpora:
    """Prepare the training pairs, in which the processes of `world` share, and read those of validation and test.

    Training sentences that are also in validation or test are counted, and left out with data.drop_leaks.
    Raises DataError for what cannot be read, or cannot be trained on.
    """
    validation = read_evaluation("validation", data.validation, data, tokenizers, report)
    test = read_evaluation("test", data.test, data, tokenizers, report)
    train = prepare(data.train, data, tokenizers, report, _held_out([*validation.pairs, *test.pairs]), world)
    return PreparedCorpora(train, validation, test)


def _held_out(pairs: Sequence[Pair]) -> HeldOut:
    src, tgt = ({side.strip() for side in sides} for sides in (map(_src, pairs), map(_tgt, pairs)))
    return HeldOut(frozenset(src - {""}), frozenset(tgt - {""}))


def _src(pair: Pair) -> str:
    return pair.src


def _tgt(pair: Pair) -> str:
    return pair.tgt


def read_evaluation(
    name: str, sources: Sequence[SourceConfig], data: DataConfig, tokenizers: TokenizerPair, report: Report
) -> EvaluationCorpus:
    """Read and tokenise validation or test pairs; every line is kept for scoring, usable or not."""
    encoder = PairEncoder(tokenizers, data.max_length)
    pairs: list[Pair] = []
    rows: list[Row] = []
    usable: list[int] = []
    for source in sources:
        notes = ReadingNotes(source_name(source), data.skip_bad_lines)
        for block in encoder.blocks(read_noted_pairs(source, data, notes)):
            usable.extend(len(pairs) + index for index in block.kept)
            rows.extend(_arrays(block))
            pairs.extend(block.pairs)
        for line in notes.summary():
            report(line)
    if sources and not rows:
        raise DataError(f"data.{name}: no usable pairs in {', '.join(map(source_name, sources))}")
    if len(rows) < len(pairs):
        report(f"{name}: {len(pairs)} pairs, {len(pairs) - len(rows)} of them blank or too long for a loss")
    return EvaluationCorpus(pairs, rows, usable, record_sources(sources, Path(data.cache_dir)))


def _arrays(block: Block) -> Iterable[Row]:
    return [(np.array(src, np.int32), np.array(tgt, np.int32)) for src, tgt in zip(block.src, block.tgt, strict=True)]


def prepare(
    sources: Sequence[SourceConfig],
    data: DataConfig,
    tokenizers: TokenizerPair,
    report: Report,
    held_out: HeldOut = NOTHING_HELD_OUT,
    world: World = ALONE,
) -> PreparedCorpus:
    """Tokenise the pairs of `sources`, or find them in the cache, and report what became of them; collective.

    Raises DataError when no pair is left, or when too many look wrong and data.allow_suspicious is not set.
    """
    cache = Path(data.cache_dir)
    records = record_sources(sources, cache)
    directory = cache / fingerprint(sources, data, tokenizers, records, _digest(held_out))
    weights = [source.weight for source in sources]
    corpus = _cached(directory, weights, records) if world.is_main else None
    if not world.from_main(corpus is not None):
        encoder = PairEncoder(tokenizers, data.max_length, held_out, data.drop_leaks, world)
        with without_garbage_collection():
            if world.is_main:
                _fill(directory, sources, data, encoder)
            else:
                help_to_write(sources, data, encoder)
        world.wait()
    if corpus is None:
        corpus = PreparedCorpus(directory, weights, records)
    for line in found_lines(corpus.report, [record.name for record in records], corpus.skipped_path):
        report(line)
    check_usable(corpus.report, data.allow_suspicious, corpus.skipped_path)
    return corpus


def _fill(directory: Path, sources: Sequence[SourceConfig], data: DataConfig, encoder: PairEncoder) -> None:
    try:
        with atomic_directory(directory) as temporary:
            write_prepared(temporary, sources, data, encoder)
    except TransformerMTError:
        # Another training may have prepared the same at the same time, and been first.
        if encoder.world.size > 1 or not directory.exists():
            raise


def _digest(held_out: HeldOut) -> str:
    text = json.dumps([sorted(held_out.src), sorted(held_out.tgt)])
    return hashlib.sha256(text.encode()).hexdigest()


def _cached(directory: Path, weights: Sequence[float], records: list[SourceRecord]) -> PreparedCorpus | None:
    """What is in the cache; a damaged entry is removed, for it can be made again."""
    if not directory.exists():
        return None
    try:
        return PreparedCorpus(directory, weights, records)
    except (OSError, ValueError, KeyError, TypeError, DataError):
        shutil.rmtree(directory, ignore_errors=True)
        return None
