"""What data was: hashes of source files, and the name under which prepared data is cached."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from transformer_mt.config.schema import DataConfig, SourceConfig
from transformer_mt.data.columnar import hub_files
from transformer_mt.data.corpus import source_files, source_name
from transformer_mt.data.tokenizer import TokenizerPair
from transformer_mt.errors import DataError
from transformer_mt.files import check_readable_file, read_json, sha256_of, write_json

FORMAT_VERSION = 1
"""Raised whenever the same sources and settings would be prepared differently."""


@dataclass(frozen=True)
class FileRecord:
    """A source file as it was when its contents were hashed."""

    path: str
    size: int
    mtime_ns: int
    sha256: str


class SourceRecord(NamedTuple):
    """A source, by the name that `source_name` gives it, and its files."""

    name: str
    files: tuple[FileRecord, ...]

    @property
    def sha256(self) -> str:
        """One hash for all its files."""
        return hashlib.sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()


def record_file(path: Path, cache_dir: Path) -> FileRecord:
    """Hash a file, or take the hash from the cache when path, size and modification time are the same."""
    check_readable_file(path)
    found = path.stat()
    absolute = str(path.absolute())
    entry = cache_dir / "hashes" / f"{hashlib.sha256(absolute.encode(errors='surrogateescape')).hexdigest()[:32]}.json"
    if entry.is_file():
        try:
            known = FileRecord(**read_json(entry))
        except (DataError, TypeError):
            known = None
        if known is not None and (known.path, known.size, known.mtime_ns) == (
            absolute,
            found.st_size,
            found.st_mtime_ns,
        ):
            return known
    record = FileRecord(absolute, found.st_size, found.st_mtime_ns, sha256_of(path))
    write_json(entry, asdict(record))
    return record


def record_sources(sources: Sequence[SourceConfig], cache_dir: Path) -> list[SourceRecord]:
    """The files of every source; those of a hub dataset are its local copy."""
    return [
        SourceRecord(
            source_name(source),
            tuple(record_file(path, cache_dir) for path in (hub_files(source) if source.hub else source_files(source))),
        )
        for source in sources
    ]


def fingerprint(
    sources: Sequence[SourceConfig],
    data: DataConfig,
    tokenizers: TokenizerPair,
    records: Sequence[SourceRecord],
    held_out: str = "",
) -> str:
    """The name of the prepared data: equal when contents and all settings that shape it are equal.

    Paths and weights do not enter. `held_out` stands for the sentences whose leaks are counted, or dropped.
    """
    described: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "tokenizers": tokenizers.files(),
        "max_length": data.max_length,
        "languages": [data.src_lang, data.tgt_lang],
        "skip_bad_lines": data.skip_bad_lines,
        "drop_leaks": data.drop_leaks,
        "held_out": held_out,
        "sources": [_described(source, record) for source, record in zip(sources, records, strict=True)],
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _described(source: SourceConfig, record: SourceRecord) -> dict[str, Any]:
    settings = asdict(source)
    for name in ("src", "tgt", "path", "weight"):
        del settings[name]
    if source.path is not None and source.format == "auto":
        settings["format"] = Path(source.path.lower().removesuffix(".gz")).suffix
    return settings | {"sha256": [file.sha256 for file in record.files]}


def check_unchanged(records: Iterable[SourceRecord]) -> None:
    """Raise DataError when a source file is gone or holds something else than when it was recorded."""
    for record in (file for source in records for file in source.files):
        path = Path(record.path)
        check_readable_file(path)
        found = path.stat()
        if (found.st_size, found.st_mtime_ns) == (record.size, record.mtime_ns):
            continue
        if found.st_size != record.size or sha256_of(path) != record.sha256:
            raise DataError(
                f"{path}: changed since training began on it (SHA-256 was {record.sha256[:12]}…); "
                "put the old file back, or start a new run with the new one"
            )
