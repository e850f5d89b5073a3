"""Writes prepared pairs: ids to an Arrow file, what was left out to a list, counts to a report."""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from transformer_mt.config.schema import DataConfig, SourceConfig
from transformer_mt.data.corpus import read_noted_pairs, source_name
from transformer_mt.data.encoding import BAD, REASONS, Block, PairEncoder
from transformer_mt.data.pairs import ReadingNotes
from transformer_mt.data.prepared import PAIRS_FILE, REPORT_FILE, SKIPPED_FILE
from transformer_mt.data.suspicion import SuspicionCounter

_SCHEMA = pa.schema([("src", pa.list_(pa.int32())), ("tgt", pa.list_(pa.int32())), ("source", pa.int16())])


def write_prepared(directory: Path, sources: Sequence[SourceConfig], data: DataConfig, encoder: PairEncoder) -> None:
    """Fill `directory` with what `PreparedCorpus` reads; streams, so that memory does not grow with the text.

    Raises DataError for what cannot be read.
    """
    suspicions = SuspicionCounter(data.src_lang, data.tgt_lang)
    with ExitStack() as stack:
        skipped = stack.enter_context((directory / SKIPPED_FILE).open("w", encoding="utf-8"))
        file = stack.enter_context(pa.OSFile(str(directory / PAIRS_FILE), "wb"))
        writer = _Writer(stack.enter_context(pa.ipc.new_stream(file, _SCHEMA)), skipped, encoder, suspicions)
        found = [writer.write_source(number, source, data) for number, source in enumerate(sources)]
    report = {
        "sources": found,
        "kept": sum(counts["kept"] for counts in found),
        "skipped": {reason: sum(counts[reason] for counts in found) for reason in REASONS},
        "shares": suspicions.shares(),
        "bytes": (directory / PAIRS_FILE).stat().st_size,
    }
    (directory / REPORT_FILE).write_text(json.dumps(report, ensure_ascii=False, indent=2), encoding="utf-8")


def help_to_write(sources: Sequence[SourceConfig], data: DataConfig, encoder: PairEncoder) -> None:
    """Encode this process's share of what the main process writes with `write_prepared`."""
    for source in sources:
        for _ in encoder.blocks(read_noted_pairs(source, data, ReadingNotes(source_name(source), data.skip_bad_lines))):
            pass


class _Writer:
    def __init__(
        self,
        table: pa.ipc.RecordBatchStreamWriter,
        skipped: IO[str],
        encoder: PairEncoder,
        suspicions: SuspicionCounter,
    ) -> None:
        self.table = table
        self.skipped = skipped
        self.encoder = encoder
        self.suspicions = suspicions

    def write_source(self, number: int, source: SourceConfig, data: DataConfig) -> dict[str, Any]:
        """Write the pairs of one source and return what became of them."""
        notes = ReadingNotes(source_name(source), data.skip_bad_lines)
        counts: Counter[str] = Counter()
        for block in self.encoder.blocks(read_noted_pairs(source, data, notes)):
            self.suspicions.see(block.not_blank())
            self.table.write_batch(_record_batch(block, number))
            counts.update(kept=len(block.kept), leaks=block.num_leaks)
            counts.update(entry.reason for entry in block.skipped)
            self.skipped.writelines(_json_line(source=notes.name, **entry._asdict()) for entry in block.skipped)
        self.skipped.writelines(_json_line(source=notes.name, reason=BAD, **bad._asdict()) for bad in notes.bad)
        counts[BAD] = len(notes.bad)
        return {key: counts[key] for key in ("kept", "leaks", *REASONS)} | {
            "bad_lines": notes.bad,
            "replaced": notes.num_replaced,
        }


def _json_line(**values: Any) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"


def _record_batch(block: Block, source: int) -> pa.RecordBatch:
    return pa.record_batch(
        [
            pa.array(block.src, _SCHEMA.field("src").type),
            pa.array(block.tgt, _SCHEMA.field("tgt").type),
            pa.array(np.full(len(block.kept), source, np.int16)),
        ],
        schema=_SCHEMA,
    )
