"""Readers keep pairs together and account for every line, whatever is in the lines and whatever is damaged."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transformer_mt.config.schema import DataConfig, SourceConfig
from transformer_mt.data.corpus import read_noted_pairs
from transformer_mt.data.pairs import Pair, ReadingNotes
from transformer_mt.errors import DataError

AnyFixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)

ODD = "\x0b\x0c\x1c\x85\u2028\u2029\u200b\u202e\ufffd\"'\\,;= #<s>▁é🎉"
CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(ODD), max_size=12)
PAIRS = st.lists(st.tuples(CELL, CELL), max_size=10)
Row = tuple[str, str] | None
"""A pair, or a line that cannot be read."""


def read(source: SourceConfig, allowed_bad: int = 0) -> tuple[list[Pair], ReadingNotes]:
    notes = ReadingNotes("the source", allowed_bad)
    return list(read_noted_pairs(source, DataConfig(), notes)), notes


def as_tsv(row: Row) -> str:
    return "one column" if row is None else "\t".join(row)


def as_csv(row: Row) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="", quoting=csv.QUOTE_ALL).writerow(("a", "b", "c") if row is None else row)
    return line.getvalue()


def as_json(row: Row) -> str:
    return '{"en": ["a"], "fr": null}' if row is None else json.dumps({"en": row[0], "fr": row[1]}, ensure_ascii=False)


FORMATS = {"tsv": ("en\tfr", as_tsv), "csv": ("en,fr", as_csv), "jsonl": (None, as_json)}


@pytest.mark.parametrize("name", FORMATS)
@AnyFixture
@given(rows=st.lists(st.tuples(CELL, CELL) | st.none(), max_size=10))
def test_every_row_is_a_pair_at_its_line_or_is_accounted_for(tmp_path: Path, name: str, rows: list[Row]) -> None:
    header, line_of = FORMATS[name]
    lines = [header] * (header is not None) + [line_of(row) for row in rows]
    path = tmp_path / f"a.{name}"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    first = len(lines) - len(rows) + 1
    bad = [number for number, row in enumerate(rows, start=first) if row is None]
    pairs, notes = read(SourceConfig(path=str(path)), allowed_bad=len(rows))
    assert pairs == [Pair(number, *row) for number, row in enumerate(rows, start=first) if row is not None]
    assert [line for line, _ in notes.bad] == bad and notes.num_replaced == 0
    if bad:
        with pytest.raises(DataError, match=f":{bad[0]}: "):
            read(SourceConfig(path=str(path)), allowed_bad=len(bad) - 1)


@AnyFixture
@given(pairs=PAIRS, encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]))
def test_aligned_files_give_the_same_pairs_in_any_encoding(
    tmp_path: Path, pairs: list[tuple[str, str]], encoding: str
) -> None:
    source = SourceConfig(src=str(tmp_path / "a"), tgt=str(tmp_path / "b"), encoding=encoding)
    for side, path in enumerate((source.src, source.tgt)):
        Path(str(path)).write_bytes("".join(f"{pair[side]}\n" for pair in pairs).encode(encoding))
    assert [pair[1:] for pair in read(source)[0]] == [
        tuple(text.removeprefix("\ufeff") if place == 0 else text for text in pair) for place, pair in enumerate(pairs)
    ]


@AnyFixture
@given(pairs=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=10), data=st.data())
def test_a_file_that_is_cut_short_is_refused_or_has_the_first_pairs(
    tmp_path: Path, pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    """A gzip file that is cut anywhere is noticed; a plain one is where its last line is none any more."""
    whole = "".join(f"{as_json(pair)}\n" for pair in pairs).encode()
    packed = gzip.compress(whole)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(packed[: data.draw(st.integers(1, len(packed) - 1))])
    with pytest.raises(DataError, match="is no whole gzip file"):
        read(SourceConfig(path=str(path)))
    path = tmp_path / "a.jsonl"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        found = read(SourceConfig(path=str(path)))[0]
    except DataError as error:
        assert str(path) in str(error) or str(error).startswith("the source:")
    else:
        assert [pair[1:] for pair in found] == pairs[: len(found)]


@AnyFixture
@given(pairs=st.lists(st.tuples(CELL, CELL), min_size=2, max_size=10), data=st.data())
def test_aligned_files_of_which_one_lost_a_line_are_always_refused(
    tmp_path: Path, pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    lost = data.draw(st.integers(0, len(pairs) - 1))
    side = data.draw(st.sampled_from([0, 1]))
    source = SourceConfig(src=str(tmp_path / "a"), tgt=str(tmp_path / "b"))
    for number, path in enumerate((source.src, source.tgt)):
        kept = [pair[number] for place, pair in enumerate(pairs) if (place, number) != (lost, side)]
        Path(str(path)).write_bytes("".join(f"{line}\n" for line in kept).encode())
    counts = [len(pairs) - (number == side) for number in (0, 1)]
    with pytest.raises(DataError, match=rf"a has {counts[0]} lines, .*b has {counts[1]};"):
        read(source)
