"""Tokenise all pairs once into a memory-mapped Arrow file, cached under the fingerprint of what went into it."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from transformer_mt.config.schema import DataConfig, SourceConfig
from transformer_mt.data.corpus import read_noted_pairs, source_name
from transformer_mt.data.encoding import BAD, BLANK, LEAK, NOTHING_HELD_OUT, TOO_LONG, Block, HeldOut, PairEncoder
from transformer_mt.data.fingerprint import FileRecord, fingerprint, record_sources
from transformer_mt.data.pairs import Pair, ReadingNotes, Report
from transformer_mt.data.prepared import PAIRS_FILE, REPORT_FILE, SKIPPED_FILE, EvaluationCorpus, PreparedCorpus, Row
from transformer_mt.data.tokenizer import TokenizerPair
from transformer_mt.errors import DataError
from transformer_mt.files import atomic_directory

MAX_BLANK_SHARE = 0.05
"""A source with more blank pairs gets a warning: it is probably not aligned."""

_SCHEMA = pa.schema([("src", pa.list_(pa.int32())), ("tgt", pa.list_(pa.int32())), ("source", pa.int16())])


@dataclass(frozen=True)
class PreparedCorpora:
    """Everything a training reads: pairs to learn from, and pairs to score."""

    train: PreparedCorpus
    validation: EvaluationCorpus
    test: EvaluationCorpus

    @property
    def records(self) -> dict[str, list[FileRecord]]:
        """The files behind all of it, for `check_unchanged`."""
        return self.train.records | self.validation.records | self.test.records


def prepare_corpora(data: DataConfig, tokenizers: TokenizerPair, report: Report) -> PreparedCorpora:
    """Prepare the training pairs, and read those of validation and test.

    Training sentences that are also in validation or test are counted, and left out with data.drop_leaks.
    Raises DataError for what cannot be read, or cannot be trained on.
    """
    validation = read_evaluation("validation", data.validation, data, tokenizers, report)
    test = read_evaluation("test", data.test, data, tokenizers, report)
    train = prepare(data.train, data, tokenizers, report, _held_out([*validation.pairs, *test.pairs]))
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
) -> PreparedCorpus:
    """Tokenise the pairs of `sources`, or find them in the cache, and report what became of them.

    Raises DataError when no pair is left, or when too many look wrong and data.allow_suspicious is not set.
    """
    cache = Path(data.cache_dir)
    records = record_sources(sources, cache)
    directory = cache / fingerprint(sources, data, tokenizers, records, _digest(held_out))
    weights = [source.weight for source in sources]
    corpus = _cached(directory, weights, records)
    if corpus is None:
        with atomic_directory(directory) as temporary:
            _write(temporary, sources, data, PairEncoder(tokenizers, data.max_length, held_out, data.drop_leaks))
        corpus = PreparedCorpus(directory, weights, records)
    for line in _told(corpus.report):
        report(line)
    if len(corpus) == 0:
        counts = ", ".join(f"{count} {reason}" for reason, count in corpus.skipped.items() if count) or "no lines"
        raise DataError(f"data.train: no pairs are left to train on ({counts}); see {corpus.skipped_path}")
    return corpus


def _digest(held_out: HeldOut) -> str:
    text = json.dumps([sorted(held_out.src), sorted(held_out.tgt)])
    return hashlib.sha256(text.encode()).hexdigest()


def _cached(directory: Path, weights: Sequence[float], records: dict[str, list[FileRecord]]) -> PreparedCorpus | None:
    """What is in the cache; a damaged entry is removed, for it can be made again."""
    if not directory.exists():
        return None
    try:
        return PreparedCorpus(directory, weights, records)
    except (OSError, ValueError, KeyError, TypeError, DataError):
        shutil.rmtree(directory, ignore_errors=True)
        return None


def _write(directory: Path, sources: Sequence[SourceConfig], data: DataConfig, encoder: PairEncoder) -> None:
    told: dict[str, Any] = {"sources": {}}
    with ExitStack() as stack:
        skipped = stack.enter_context((directory / SKIPPED_FILE).open("w", encoding="utf-8"))
        file = stack.enter_context(pa.OSFile(str(directory / PAIRS_FILE), "wb"))
        table = stack.enter_context(pa.ipc.new_stream(file, _SCHEMA))
        for number, source in enumerate(sources):
            notes = ReadingNotes(source_name(source), data.skip_bad_lines)
            counts = dict.fromkeys(("kept", BLANK, TOO_LONG, LEAK, BAD, "leaks"), 0)
            for block in encoder.blocks(read_noted_pairs(source, data, notes)):
                table.write_batch(_record_batch(block, number))
                counts["kept"] += len(block.kept)
                counts["leaks"] += block.num_leaks
                for entry in block.skipped:
                    counts[entry.reason] += 1
                    skipped.write(json.dumps({"source": notes.name, **entry._asdict()}, ensure_ascii=False) + "\n")
            for bad in notes.bad:
                skipped.write(json.dumps({"source": notes.name, "reason": BAD, **bad._asdict()}) + "\n")
            counts[BAD] = len(notes.bad)
            told["sources"][notes.name] = counts | {"notes": notes.summary()}
    told["kept"] = sum(counts["kept"] for counts in told["sources"].values())
    told["skipped"] = {
        reason: sum(counts[reason] for counts in told["sources"].values()) for reason in (BLANK, TOO_LONG, LEAK, BAD)
    }
    told["bytes"] = (directory / PAIRS_FILE).stat().st_size
    (directory / REPORT_FILE).write_text(json.dumps(told, ensure_ascii=False, indent=2), encoding="utf-8")


def _record_batch(block: Block, source: int) -> pa.RecordBatch:
    return pa.record_batch(
        [
            pa.array(block.src, _SCHEMA.field("src").type),
            pa.array(block.tgt, _SCHEMA.field("tgt").type),
            pa.array(np.full(len(block.kept), source, np.int16)),
        ],
        schema=_SCHEMA,
    )


def _told(report: dict[str, Any]) -> Iterable[str]:
    for name, counts in report["sources"].items():
        yield from counts["notes"]
        yield f"{name}: {counts['kept']} pairs, left out: {counts[BLANK]} blank, {counts[TOO_LONG]} too long"
