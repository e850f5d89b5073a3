"""Readers of text formats: each yields (line, src, tgt) as they stand in the file, streaming."""

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from transformer_mt.data.alignment import MAX_LINES, first_suspicious_line
from transformer_mt.data.cleaning import replace_surrogates
from transformer_mt.data.pairs import ReadingNotes
from transformer_mt.errors import DataError
from transformer_mt.files import read_lines

Raw = tuple[int, str, str]
MAX_FIELD_CHARACTERS = 1 << 24
"""Longest field of a csv file: an unclosed quote must not read the rest of the corpus into memory."""


class UnequalFiles(DataError):
    """Two files that should be aligned have not the same number of lines."""

    def __init__(self, paths: tuple[Path, Path], counts: tuple[int, int], line: int | None, message: str) -> None:
        super().__init__(message)
        self.paths = paths
        self.counts = counts
        self.line = line
        """Where they seem to part, if there is a sign of it."""


def read_aligned(src: Path, tgt: Path, encoding: str) -> Iterator[Raw]:
    """Pair line i of `src` with line i of `tgt`.

    Raises UnequalFiles at the end when one has more lines, with both counts and the first line where they
    seem not to belong together.
    """
    lines = zip_longest(read_lines(src, encoding), read_lines(tgt, encoding))
    for number, (left, right) in enumerate(lines, start=1):
        if left is None or right is None:
            raise _unequal(src, tgt, encoding)
        yield number, left, right


def _unequal(src: Path, tgt: Path, encoding: str) -> UnequalFiles:
    counts = (sum(1 for _ in read_lines(src, encoding)), sum(1 for _ in read_lines(tgt, encoding)))
    left, right = (list(islice(read_lines(path, encoding), MAX_LINES)) for path in (src, tgt))
    message = f"{src} has {counts[0]} lines, {tgt} has {counts[1]}; line i of one must translate line i of the other"
    line = first_suspicious_line(left, right, counts[0] - counts[1])
    if line is not None:
        shown = [repr(side[line - 1][:60]) if line <= len(side) else "nothing" for side in (left, right)]
        message += f"; they seem to part at about line {line}: {shown[0]} beside {shown[1]}"
    return UnequalFiles((src, tgt), counts, line, message)


def read_tsv(
    path: Path,
    encoding: str,
    fields: tuple[str | None, str | None],
    languages: tuple[str, str],
    notes: ReadingNotes,
) -> Iterator[Raw]:
    """Columns of a tab-separated file by number (from 1) or, with a header line, by name; quotes are text.

    Without `fields` they are the columns that a header line calls by the codes of the `languages`, or 1 and 2.
    Raises DataError listing the columns found when a name is missing.
    """
    columns: tuple[int, int] | None = None
    if all(name is None or name.isdecimal() for name in fields):
        columns = (int(fields[0] or 1) - 1, int(fields[1] or 2) - 1)
        if min(columns) < 0:
            raise DataError(f"{path}: src_field and tgt_field count the columns from 1, got 0")
    for number, line in enumerate(read_lines(path, encoding), start=1):
        cells = line.split("\t")
        if columns is None:
            columns = _columns_by_name(path, cells, (fields[0] or "1", fields[1] or "2"))
        elif number == 1 and fields == (None, None) and set(languages) <= set(cells):
            columns = _columns_by_name(path, cells, languages)
        elif not line.strip():
            yield number, "", ""
        elif max(columns) >= len(cells):
            notes.pass_over(number, f"{len(cells)} columns, column {max(columns) + 1} is needed")
        else:
            yield number, cells[columns[0]], cells[columns[1]]


def _columns_by_name(path: Path, header: Sequence[str], names: tuple[str, str]) -> tuple[int, int]:
    header = [cell.strip() for cell in header]
    places = []
    for name in names:
        if name in header:
            places.append(header.index(name))
        elif name.isdecimal() and 1 <= int(name) <= len(header):
            places.append(int(name) - 1)
        else:
            raise DataError(missing_column(str(path), name, header))
    return places[0], places[1]


def missing_column(where: str, name: str, found: Sequence[str]) -> str:
    """The message for a column that is not there."""
    shown = ", ".join(cell[:40] for cell in found[:20]) or "none"
    return f"{where}: no column {name}; the columns are: {shown}; set src_field and tgt_field of this source"


def read_csv(path: Path, encoding: str, fields: tuple[str, str], notes: ReadingNotes) -> Iterator[Raw]:
    """Columns of a csv file with a header line; a line break inside quotes belongs to its row.

    Quoting is that of the csv module, strict: a quote that is not closed is an error, for it would swallow
    the lines after it. Raises DataError listing the columns found when one is missing.
    """
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    rows = csv.reader((line + "\n" for line in read_lines(path, encoding)), strict=True)
    header = _next_row(rows, path, notes)
    if header is None:
        return
    left, right = _columns_by_name(path, header, fields)
    start = rows.line_num + 1
    while (row := _next_row(rows, path, notes)) is not None:
        if len(row) == len(header):
            yield start, row[left], row[right]
        elif not row:
            yield start, "", ""
        elif row != _BAD_ROW:
            notes.pass_over(start, f"{len(row)} columns, the header has {len(header)}")
        start = rows.line_num + 1


_BAD_ROW = ["", "bad row", ""]


def _next_row(rows: Any, path: Path, notes: ReadingNotes) -> list[str] | None:
    start = rows.line_num + 1
    try:
        return next(rows, None)
    except csv.Error as error:
        if "unexpected end" in str(error) or "field limit" in str(error):
            raise DataError(f'{path}:{start}: a quote opened here is not closed; write a literal " as ""') from None
        notes.pass_over(rows.line_num, f"not valid csv ({error})")
        return _BAD_ROW


def read_jsonl(path: Path, encoding: str, fields: tuple[str, str], notes: ReadingNotes) -> Iterator[Raw]:
    """One JSON object per line, with the two texts at top level or under "translation"."""
    for number, line in enumerate(read_lines(path, encoding), start=1):
        if not line.strip():
            yield number, "", ""
            continue
        try:
            texts = _texts_of(json.loads(line), fields)
            if "\\u" in line:  # only escapes can write lone surrogates
                clean = replace_surrogates(texts[0]), replace_surrogates(texts[1])
                notes.num_replaced += clean != texts
                texts = clean
        except (ValueError, RecursionError) as error:
            notes.pass_over(number, f"not valid JSON ({error})")
        except DataError as error:
            notes.pass_over(number, str(error))
        else:
            yield number, *texts


def _texts_of(record: Any, fields: tuple[str, str]) -> tuple[str, str]:
    if not isinstance(record, dict):
        raise DataError(f"an object is needed, not {_json_type(record)}")
    nested = record.get("translation")
    if isinstance(nested, dict) and not any(name in record for name in fields):
        record = nested
    texts = []
    for name in fields:
        if name not in record:
            raise DataError(f"no field {name}; the fields are: {', '.join(list(record)[:20]) or 'none'}")
        if not isinstance(record[name], str):
            raise DataError(f"{name} is {_json_type(record[name])}, text is needed")
        texts.append(record[name])
    return texts[0], texts[1]


def _json_type(value: Any) -> str:
    names = {type(None): "null", bool: "true or false", list: "a list", dict: "an object", str: "text"}
    return names.get(type(value), "a number")


def read_dictionary(path: Path, encoding: str, notes: ReadingNotes) -> Iterator[Raw]:
    """Lines `word<TAB>traduction` or `word = a; b`, one pair for each alternative; # starts a comment line."""
    for number, line in enumerate(read_lines(path, encoding), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word, separator, translations = line.partition("\t" if "\t" in line else "=")
        alternatives = [text.strip() for text in translations.split("\t")[0].split(";") if text.strip()]
        if not separator or not word.strip() or not alternatives:
            notes.pass_over(number, "a dictionary line is `word<TAB>translation` or `word = one; another`")
            continue
        for alternative in alternatives:
            yield number, word.strip(), alternative
