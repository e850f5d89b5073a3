"""Readers of sentence pairs, each against an oracle, and what they refuse."""

import csv
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transformer_mt.config.schema import DataConfig, SourceConfig
from transformer_mt.data.corpus import read_pairs, source_name
from transformer_mt.data.pairs import Pair
from transformer_mt.errors import DataError

AnyFixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120)

LINE = st.text(st.characters(exclude_characters="\n\r\x00", exclude_categories=["Cs"]), max_size=30)


def read(source: SourceConfig, data: DataConfig | None = None, report: Callable[[str], None] = lambda line: None):
    return list(read_pairs(source, data or DataConfig(), report))


def read_file(path: Path, content: str | bytes, **settings: str) -> list[tuple[str, str]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return [pair[1:] for pair in read(SourceConfig(path=str(path), **settings))]


@AnyFixture
@given(pairs=st.lists(st.tuples(LINE, LINE), max_size=8))
def test_aligned_files_give_a_pair_for_each_line(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    source = SourceConfig(src=str(tmp_path / "a.en"), tgt=str(tmp_path / "a.fr"))
    for side, name in enumerate((source.src, source.tgt)):
        Path(str(name)).write_bytes("".join(pair[side] + "\n" for pair in pairs).encode())
    expected = [Pair(line, src, tgt) for line, (src, tgt) in enumerate(pairs, start=1)]
    if expected:  # a byte order mark at the start of a file is none of its text
        expected[0] = Pair(1, *(side.removeprefix("\ufeff") for side in pairs[0]))
    assert read(source) == expected


def test_real_pairs_are_all_read(shared_data: Path) -> None:
    source = SourceConfig(src=str(shared_data / "tatoeba/val.en"), tgt=str(shared_data / "tatoeba/val.fr"))
    pairs = read(source)
    assert "".join(pair.src + "\n" for pair in pairs).encode() == (shared_data / "tatoeba/val.en").read_bytes()
    assert "".join(pair.tgt + "\n" for pair in pairs).encode() == (shared_data / "tatoeba/val.fr").read_bytes()
    assert [pair.line for pair in pairs] == list(range(1, 2001))


def test_unequal_files_are_refused_with_counts_and_place(tmp_path: Path, shared_data: Path) -> None:
    lines = (shared_data / "tatoeba/val.fr").read_text(encoding="utf-8").split("\n")
    (tmp_path / "val.fr").write_text("\n".join(lines[:700] + lines[701:]), encoding="utf-8", newline="\n")
    source = SourceConfig(src=str(shared_data / "tatoeba/val.en"), tgt=str(tmp_path / "val.fr"))
    with pytest.raises(DataError, match=r"val\.en has 2000 lines, .*val\.fr has 1999; .* about line (\d+)") as caught:
        read(source)
    line = int(str(caught.value).split("about line ")[1].split(":")[0])
    assert abs(line - 701) <= 5


@AnyFixture
@given(rows=st.lists(st.tuples(*[LINE.map(lambda text: text.replace("\t", " "))] * 3), min_size=1, max_size=6))
def test_tsv_columns_are_text_between_tabs(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    path = tmp_path / "a.tsv"
    content = "id\tfr\ten\n" + "".join("\t".join(row) + "\n" for row in rows)
    assert read_file(path, content, src_field="en", tgt_field="fr") == [(row[2], row[1]) for row in rows]
    assert read_file(path, content, src_field="3", tgt_field="2")[1:] == [(row[2], row[1]) for row in rows]


def test_tsv_quotes_are_text_and_header_is_optional(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    assert read_file(path, '"He said\t"Il dit\r\nb\tc\textra\n') == [('"He said', '"Il dit'), ("b", "c")]
    assert read_file(path, "en\tfr\nHi\tSalut\n") == [("Hi", "Salut")]
    assert read_file(path, "fr\tid\ten\nSalut\t7\tHi\n") == [("Hi", "Salut")]
    assert read_file(path, "en\tdans\nHi\tSalut\n") == [("en", "dans"), ("Hi", "Salut")]


@AnyFixture
@given(
    rows=st.lists(
        st.tuples(*[st.text(st.characters(exclude_characters="\r\x00", exclude_categories=["Cs"]), max_size=20)] * 2),
        max_size=6,
    )
)
def test_csv_rows_are_those_of_the_csv_module(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("fr", "en"), *rows])
    with path.open(encoding="utf-8", newline="\n") as file:
        expected = list(csv.reader(file))[1:]
    one_line = [tuple(cell.replace("\n", " ") for cell in row) or ("", "") for row in expected]
    assert [(tgt, src) for _, src, tgt in read(SourceConfig(path=str(path)))] == one_line


def test_csv_row_with_newlines_is_one_pair_at_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,en,fr\n1,"Hi,\n""you""",Salut\n2,b,c\n', encoding="utf-8")
    told: list[str] = []
    pairs = read(SourceConfig(path=str(path)), report=told.append)
    assert pairs == [Pair(2, 'Hi, "you"', "Salut"), Pair(4, "b", "c")]
    assert len(told) == 1 and "in 1 lines" in told[0]


def test_json_lines_flat_and_nested(tmp_path: Path) -> None:
    rows = [
        {"en": "a\u2028b", "fr": "é"},
        {"translation": {"fr": "f", "en": "e"}, "id": 3},
        {"translation": "text", "en": "x", "fr": "y"},
    ]
    content = "".join(json.dumps(row, ensure_ascii=index == 0) + "\n" for index, row in enumerate(rows)) + "\n"
    path = tmp_path / "a.jsonl"
    assert read_file(path, content) == [("a\u2028b", "é"), ("e", "f"), ("x", "y"), ("", "")]
    content = '{"source": "s", "target": "t"}\n'
    assert read_file(path, content, src_field="source", tgt_field="target") == [("s", "t")]


def test_nul_and_lone_surrogates_become_replacement_characters_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"en": "a\\ud800b\\u0000", "fr": "\\ud83d\\ude00 \\u00e9"}\n{"en": "\\r\\n", "fr": "x"}\n')
    told: list[str] = []
    pairs = read(SourceConfig(path=str(path)), report=told.append)
    assert [pair[1:] for pair in pairs] == [("a\ufffdb\ufffd", "\U0001f600 é"), (" ", "x")]
    assert len(told) == 1 and str(path) in told[0]
    assert read_file(tmp_path / "a.tsv", "a\x00b\tx\ny\tc\rd\n") == [("a\ufffdb", "x"), ("y", "c d")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"en": "a", "fr": null}', "fr is null, text is needed"),
        ('{"en": ["a"], "fr": "b"}', "en is a list, text is needed"),
        ('{"en": 3, "fr": "b"}', "en is a number"),
        ('{"en": "a"}', "no field fr; the fields are: en"),
        ('["a", "b"]', "an object is needed, not a list"),
        ('{"en": "a", ', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("9" * 10_000, "not valid JSON|an object is needed"),
        ('{"translation": {"en": "a"}}', "no field fr; the fields are: en"),
    ],
)
def test_bad_json_line_is_named_or_passed_over(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    good = '{"en": "x", "fr": "y"}\n'
    path.write_text(good * 2 + line + "\n" + good)
    source = SourceConfig(path=str(path))
    with pytest.raises(DataError, match=rf"a\.jsonl:3: .*({reason}).*data.skip_bad_lines"):
        read(source)
    told: list[str] = []
    pairs = read(source, DataConfig(skip_bad_lines=1), told.append)
    assert [pair.line for pair in pairs] == [1, 2, 4]
    assert len(told) == 1 and f"{path}:3: passed over" in told[0]
    path.write_text(good + (line + "\n") * 2)
    with pytest.raises(DataError, match=r"a\.jsonl:2: 2 bad lines, data.skip_bad_lines allows 1; the first: "):
        read(source, DataConfig(skip_bad_lines=1))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.tsv", "a\n", r"a\.tsv:1: 1 columns, column 2 is needed"),
        ("a.csv", "en,fr\na,b,c\n", r"a\.csv:2: 3 columns, the header has 2"),
        ("a.csv", "en,fr\na\n", r"a\.csv:2: 1 columns, the header has 2"),
        ("a.csv", "id,text\n1,a\n", r"no column en; the columns are: id, text; set src_field and tgt_field"),
        ("a.csv", 'en,fr\na,b\nc,"d\ne,f\n', r"a\.csv:3: a quote opened here is not closed"),
        ("a.csv", 'en,fr\na,b\n"c"d,e\n', r"a\.csv:3: not valid csv"),
        ("a.dict", "word without translation\n", r"a\.dict:1: a dictionary line is"),
        ("a.txt", "a\tb\n", r"its ending tells no format \(known: .*set format"),
        ("a.tsv", b"a\tb\n\xe9\tb\n", r"a\.tsv:2: byte 1 \(0xe9\) is not valid utf-8"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        read_file(tmp_path / name, content)


def test_missing_tsv_column_lists_those_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column text; the columns are: en, fr"):
        read_file(tmp_path / "a.tsv", "en\tfr\n", src_field="text", tgt_field="fr")
    with pytest.raises(DataError, match="count the columns from 1"):
        read_file(tmp_path / "a.tsv", "en\tfr\n", src_field="0", tgt_field="1")


def test_unclosed_quote_cannot_be_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('en,fr\na,b\n"c,d\n' + "e,f\n" * 100)
    with pytest.raises(DataError, match="not closed"):
        read(SourceConfig(path=str(path)), DataConfig(skip_bad_lines=5))


def test_dictionary_gives_a_pair_for_each_alternative(tmp_path: Path) -> None:
    content = "# a comment\nhouse\tmaison\n\nto run = courir; fuir ;\n x\ty; z\n"
    assert read_file(tmp_path / "a.dict", content) == [
        ("house", "maison"),
        ("to run", "courir"),
        ("to run", "fuir"),
        ("x", "y"),
        ("x", "z"),
    ]
    assert read_file(tmp_path / "a.txt", content, format="dictionary")[0] == ("house", "maison")


def test_gzipped_sources_are_read(tmp_path: Path) -> None:
    assert read_file(tmp_path / "a.tsv.gz", gzip.compress(b"a\tb\n")) == [("a", "b")]
    with pytest.raises(DataError, match="is no whole gzip file"):
        read_file(tmp_path / "a.jsonl.gz", gzip.compress(b'{"en": "a", "fr": "b"}\n' * 99)[:-12])


@AnyFixture
@given(content=st.binary(max_size=80), suffix=st.sampled_from([".tsv", ".csv", ".jsonl", ".dict", ".parquet", ".gz"]))
def test_any_bytes_give_pairs_or_our_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / ("a.tsv.gz" if suffix == ".gz" else f"a{suffix}")
    try:
        pairs = read_file(path, content)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert all("\n" not in side and "\x00" not in side for pair in pairs for side in pair)


def test_a_pipe_a_directory_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tsv")
    (tmp_path / "folder.csv").mkdir()
    for name, reason in (("pipe.tsv", "pipe or device"), ("folder.csv", "directory"), ("no.parquet", "no such file")):
        with pytest.raises(DataError, match=reason):
            read(SourceConfig(path=str(tmp_path / name)))


def test_names_of_sources() -> None:
    assert source_name(SourceConfig(src="d/a.en", tgt="d/a.fr")) == "d/a.en + a.fr"
    assert source_name(SourceConfig(path="d/a.tsv")) == "d/a.tsv"
    assert source_name(SourceConfig(hub="wmt/wmt14", config="fr-en")) == "hub:wmt/wmt14/fr-en/train"
