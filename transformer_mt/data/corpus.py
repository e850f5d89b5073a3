"""Sentence pairs from whatever the configuration names: one door for every format."""

from collections.abc import Callable, Iterator
from pathlib import Path

from transformer_mt.config.schema import DataConfig, SourceConfig
from transformer_mt.data.cleaning import clean_text
from transformer_mt.data.columnar import read_hub, read_parquet
from transformer_mt.data.pairs import Pair, ReadingNotes, Report
from transformer_mt.data.readers import Raw, read_aligned, read_csv, read_dictionary, read_jsonl, read_tsv
from transformer_mt.errors import DataError
from transformer_mt.files import check_readable_file

_FORMAT_OF_SUFFIX = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".dic": "dictionary",
    ".dict": "dictionary",
}


def source_name(source: SourceConfig) -> str:
    """What messages and records call a source: its path, its two paths, or its hub id."""
    if source.src is not None:
        return f"{source.src} + {Path(source.tgt or '').name}"
    if source.path is not None:
        return source.path
    return "/".join(part for part in (f"hub:{source.hub}", source.config, source.split) if part)


def source_files(source: SourceConfig) -> list[Path]:
    """The local files that a source reads; none for a hub dataset."""
    return [Path(name) for name in (source.src, source.tgt, source.path) if name is not None]


def read_pairs(source: SourceConfig, data: DataConfig, report: Report) -> Iterator[Pair]:
    """Yield every pair of `source`, blank ones too, and report at the end what had to be passed over or replaced.

    Raises DataError, with file and line, for what cannot be read.
    """
    notes = ReadingNotes(source_name(source), data.skip_bad_lines)
    yield from read_noted_pairs(source, data, notes)
    for line in notes.summary():
        report(line)


def read_noted_pairs(
    source: SourceConfig, data: DataConfig, notes: ReadingNotes, clean: Callable[[str], str] = clean_text
) -> Iterator[Pair]:
    """As `read_pairs`, with what was noticed left in `notes`; `clean` is for what holds NUL or line breaks."""
    for line, src, tgt in _raw_pairs(source, data, notes):
        both = src + tgt
        if "\x00" in both or "\n" in both or "\r" in both:
            cleaned = clean(src), clean(tgt)
            notes.num_replaced += cleaned != (src, tgt)
            src, tgt = cleaned
        yield Pair(line, src, tgt)


def _raw_pairs(source: SourceConfig, data: DataConfig, notes: ReadingNotes) -> Iterator[Raw]:
    for file in source_files(source):
        check_readable_file(file)
    fields = (source.src_field or data.src_lang, source.tgt_field or data.tgt_lang)
    if source.src is not None and source.tgt is not None:
        return read_aligned(Path(source.src), Path(source.tgt), source.encoding)
    if source.hub is not None:
        return read_hub(source, fields, notes)
    path = Path(source.path or "")
    match format_of(source):
        case "tsv":
            named, languages = (source.src_field, source.tgt_field), (data.src_lang, data.tgt_lang)
            return read_tsv(path, source.encoding, named, languages, notes)
        case "csv":
            return read_csv(path, source.encoding, fields, notes)
        case "jsonl":
            return read_jsonl(path, source.encoding, fields, notes)
        case "parquet":
            return read_parquet(path, fields, notes)
        case _:
            return read_dictionary(path, source.encoding, notes)


def format_of(source: SourceConfig) -> str:
    """The format of a source's `path`: as configured, or by the ending of its name, .gz aside."""
    if source.format != "auto":
        return source.format
    suffix = Path((source.path or "").lower().removesuffix(".gz")).suffix
    if suffix not in _FORMAT_OF_SUFFIX:
        known = ", ".join(sorted(_FORMAT_OF_SUFFIX))
        raise DataError(f"{source.path}: its ending tells no format (known: {known}); set format for this source")
    return _FORMAT_OF_SUFFIX[suffix]
