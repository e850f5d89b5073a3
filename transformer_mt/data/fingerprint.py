"""What data was: hashes of source files, and the name under which prepared data is cached."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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


def record_sources(sources: Sequence[SourceConfig], cache_dir: Path) -> dict[str, list[FileRecord]]:
    """The files of every source, by the source's name; those of a hub dataset are its local copy."""
    return {
        source_name(source): [
            record_file(path, cache_dir) for path in (hub_files(source) if source.hub else source_files(source))
        ]
        for source in sources
    }


def combined_sha256(records: Sequence[FileRecord]) -> str:
    """One hash for the files of one source."""
    return hashlib.sha256("".join(record.sha256 for record in records).encode()).hexdigest()


def fingerprint(
    sources: Sequence[SourceConfig],
    data: DataConfig,
    tokenizers: TokenizerPair,
    records: dict[str, list[FileRecord]],
    left_out: str = "",
) -> str:
    """The name of the prepared data: equal when contents and all settings that shape it are equal.

    Paths and weights do not enter. `left_out` stands for the sentences that are left out of it.
    """
    described: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "tokenizers": tokenizers.files(),
        "max_length": data.max_length,
        "languages": [data.src_lang, data.tgt_lang],
        "skip_bad_lines": data.skip_bad_lines,
        "left_out": left_out,
        "sources": [_described(source, records[source_name(source)]) for source in sources],
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _described(source: SourceConfig, records: Sequence[FileRecord]) -> dict[str, Any]:
    settings = asdict(source)
    for name in ("src", "tgt", "path", "weight"):
        del settings[name]
    if source.path is not None and source.format == "auto":
        settings["format"] = Path(source.path.lower().removesuffix(".gz")).suffix
    return settings | {"sha256": [record.sha256 for record in records]}


def check_unchanged(records: dict[str, list[FileRecord]]) -> None:
    """Raise DataError when a source file is gone or holds something else than when it was recorded."""
    for record in (record for files in records.values() for record in files):
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
