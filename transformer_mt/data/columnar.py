"""Readers of columnar sources, streamed by record batches: parquet files and datasets of the Hugging Face hub."""

import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformer_mt.config.schema import SourceConfig
from transformer_mt.data.pairs import ReadingNotes
from transformer_mt.data.readers import Raw, missing_column
from transformer_mt.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

ROWS_AT_A_TIME = 4096


def read_parquet(path: Path, fields: tuple[str, str], notes: ReadingNotes) -> Iterator[Raw]:
    """The two columns of a parquet file, at top level or inside a struct named translation.

    Raises DataError naming the file when it is no parquet, damaged, or lacks a column (listing those found).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = _columns_to_read(str(path), file.schema_arrow, fields)
            yield from _rows(file.iter_batches(ROWS_AT_A_TIME, columns=columns), fields, notes)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as parquet ({_first_line(error)}); fetch or write it again") from None


def read_hub(source: SourceConfig, fields: tuple[str, str], notes: ReadingNotes) -> Iterator[Raw]:
    """The two columns of a hub dataset's split, from the local copy that `datasets` keeps."""
    dataset = load_hub_dataset(source)
    columns = _columns_to_read(notes.name, dataset.features.arrow_schema, fields)
    tables = dataset.select_columns(columns).with_format("arrow").iter(ROWS_AT_A_TIME)
    yield from _rows(tables, fields, notes)


@lru_cache(maxsize=16)
def load_hub_dataset(source: SourceConfig) -> "Dataset":
    """Download a hub dataset's split, or open the local copy; raises DataError that says what to do."""
    import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(source.hub, source.config, split=source.split, keep_in_memory=False)
    except Exception as error:  # of the many packages that the hub's client stands on
        raise DataError(_hub_problem(source, error)) from error


def _hub_problem(source: SourceConfig, error: Exception) -> str:
    name = "/".join(part for part in (source.hub, source.config, source.split) if part)
    said = _first_line(error)
    if "gated" in said.lower():
        mend = "accept its terms on its page on the hub, then run: hf auth login"
    elif "scripts are no longer supported" in said:
        mend = "it needs code of its own to be read; use a parquet version of it, or local files"
    elif isinstance(error, ConnectionError) or "offline" in said.lower():
        mend = (
            "without network only what was downloaded before can be used (HF_HUB_OFFLINE=1 does not even try); "
            "or give local files with path, or src and tgt"
        )
    else:
        mend = "check hub, config and split of this source"
    return f"hub dataset {name}: {said.rstrip('.')}; {mend}"


def hub_files(source: SourceConfig) -> list[Path]:
    """The Arrow files in which `datasets` keeps a hub dataset's split."""
    return [Path(file["filename"]) for file in load_hub_dataset(source).cache_files]


def _columns_to_read(where: str, schema: "pa.Schema", fields: tuple[str, str]) -> list[str]:
    """The top-level columns that hold both texts; raises DataError listing what there is."""
    import pyarrow as pa

    found = {field.name: field.type for field in schema}
    nested = found.get("translation")
    if nested is not None and pa.types.is_struct(nested) and not any(name in found for name in fields):
        inner = {nested.field(i).name: nested.field(i).type for i in range(nested.num_fields)}
        _check_text_columns(f"{where}: translation", inner, fields)
        return ["translation"]
    _check_text_columns(where, found, fields)
    return list(dict.fromkeys(fields))


def _check_text_columns(where: str, found: "dict[str, pa.DataType]", fields: tuple[str, str]) -> None:
    import pyarrow as pa

    for name in fields:
        if name not in found:
            raise DataError(missing_column(where, name, list(found)))
        kind = found[name].value_type if pa.types.is_dictionary(found[name]) else found[name]
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
            raise DataError(f"{where}: column {name} holds {found[name]}, text is needed")


def _rows(batches: Iterable[Any], fields: tuple[str, str], notes: ReadingNotes) -> Iterator[Raw]:
    row = 0
    for batch in batches:
        texts = [_column(batch, name) for name in fields]
        for src, tgt in zip(*texts, strict=True):
            row += 1
            if src is None or tgt is None:
                notes.pass_over(row, f"{fields[0] if src is None else fields[1]} is null, text is needed")
            else:
                yield row, src, tgt


def _column(batch: Any, name: str) -> list[str | None]:
    if "translation" in batch.schema.names and name not in batch.schema.names:
        return [None if record is None else record.get(name) for record in batch.column("translation").to_pylist()]
    texts: list[str | None] = batch.column(name).to_pylist()
    return texts


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
