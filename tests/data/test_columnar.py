"""Parquet files and hub datasets, from local files of their shape."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transformer_mt.config.schema import DataConfig, SourceConfig
from transformer_mt.data import columnar
from transformer_mt.data.corpus import read_pairs
from transformer_mt.errors import DataError

PAIRS = [(f"line {number}", f"ligne {number} é") for number in range(10_000)]


def read(source: SourceConfig, data: DataConfig | None = None) -> list[tuple[str, str]]:
    return [pair[1:] for pair in read_pairs(source, data or DataConfig(), lambda line: None)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub-cache")
    columnar.load_hub_dataset.cache_clear()


@pytest.mark.parametrize("shape", ["flat", "struct", "large", "dictionary"])
def test_parquet_shapes_give_the_same_pairs(tmp_path: Path, shape: str) -> None:
    if shape == "struct":
        table = pa.table({"id": list(range(len(PAIRS))), "translation": [{"en": a, "fr": b} for a, b in PAIRS]})
    else:
        kind = {"flat": pa.string(), "large": pa.large_string(), "dictionary": pa.dictionary(pa.int32(), pa.string())}
        table = pa.table({"fr": pa.array([b for _, b in PAIRS]), "en": pa.array([a for a, _ in PAIRS])}).cast(
            pa.schema([("fr", kind[shape]), ("en", kind[shape])])
        )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3000)
    assert read(SourceConfig(path=str(tmp_path / "a.parquet"))) == PAIRS


def test_parquet_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    source = SourceConfig(path=str(path))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"en": ["a"], "de": ["b"]}, "no column fr; the columns are: en, de"),
        ({"en": ["a"], "fr": [3]}, "column fr holds int64, text is needed"),
        ({"translation": [{"en": "a"}]}, "translation: no column fr; the columns are: en"),
        ({"en": ["a", None], "fr": ["b", "c"]}, r"a\.parquet:2: en is null"),
        ({"translation": [{"en": "a", "fr": "b"}, None]}, r"a\.parquet:2: en is null"),
    ]
    for columns, reason in cases:
        pq.write_table(pa.table(columns), path)
        with pytest.raises(DataError, match=reason):
            read(source)
    assert read(source, DataConfig(skip_bad_lines=1)) == [("a", "b")]
    whole = path.read_bytes()
    for damaged in (b"not parquet", b"", whole[:-30], whole[:40] + b"\x00" * 40 + whole[80:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"a\.parquet: cannot be read as parquet|a\.parquet: no column"):
            read(source)


def make_hub_directory(directory: Path) -> str:
    (directory / "data").mkdir(parents=True)
    records = [{"en": a, "fr": b} for a, b in PAIRS]
    pq.write_table(pa.table({"translation": records}), directory / "data" / "train-00000-of-00001.parquet")
    return str(directory)


def test_hub_shaped_directory_is_read_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    source = SourceConfig(hub=make_hub_directory(tmp_path / "hub"))
    assert read(source) == PAIRS
    files = columnar.hub_files(source)
    assert files and all(file.suffix == ".arrow" for file in files)


def test_hub_mistakes_say_what_to_do(tmp_path: Path) -> None:
    directory = make_hub_directory(tmp_path / "hub")
    with pytest.raises(DataError, match=r"Unknown split.*check hub, config and split"):
        read(SourceConfig(hub=directory, split="dev"))
    with pytest.raises(DataError, match=r"BuilderConfig 'xx' not found.*check hub"):
        read(SourceConfig(hub=directory, config="xx"))
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "script.py").write_text("raise SystemExit('this must not run')")
    with pytest.raises(DataError, match="needs code of its own"):
        read(SourceConfig(hub=str(tmp_path / "script")))


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' doesn't exist on the Hub."), "check hub, config"),
        (datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' is a gated dataset on the Hub."), "hf auth login"),
        (ConnectionError("Couldn't reach 'a/b' on the Hub"), "HF_HUB_OFFLINE"),
    ],
)
def test_hub_errors_become_one_line_of_advice(monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str) -> None:
    def fail(*args: object, **settings: object) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(DataError, match=advice) as caught:
        read(SourceConfig(hub="a/b", config="c"))
    assert str(caught.value).startswith("hub dataset a/b/c/train: ") and "\n" not in str(caught.value)


def test_missing_hub_dataset_offline_is_our_error_in_a_fresh_process() -> None:
    script = (
        "from transformer_mt.config.schema import *\n"
        "from transformer_mt.data.corpus import read_pairs\n"
        "from transformer_mt.errors import DataError\n"
        "try: list(read_pairs(SourceConfig(hub='no/such'), DataConfig(), print))\n"
        "except DataError as error: print(error)"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "HF_HUB_OFFLINE=1" in done.stdout and done.returncode == 0, done.stderr
