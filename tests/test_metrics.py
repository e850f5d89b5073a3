"""metrics.jsonl is read as it should be, and of a damaged one what can be used."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_mt.errors import DataError
from transformer_mt.metrics import read_metrics, salvage_metrics

PLACE = {"step": 5, "epoch": 0.5, "minutes": 1.0}
TRAIN = {"kind": "train", **PLACE, "loss": 2.0, "lr": 1e-3, "tokens_per_second": 900.0}
VALIDATION = {"kind": "validation", **PLACE, "loss": 2.0, "bleu": None, "samples": [{"src": "a"}]}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*TRAIN, "bleu"]), inner, max_size=9),
    max_leaves=10,
)


def write(folder: Path, *lines: Any) -> Path:
    path = folder / "metrics.jsonl"
    told = (line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    path.write_bytes(b"".join(told))
    return path


def test_a_sound_file_is_read_alike_by_both(tmp_path: Path) -> None:
    path = write(tmp_path, TRAIN, VALIDATION)
    assert read_metrics(path) == salvage_metrics(path).records == [TRAIN, VALIDATION]
    assert salvage_metrics(path).left_out == []


@pytest.mark.parametrize(
    "bad",
    [
        b'{"kind": "train", "st',
        b"\xff\xfe\n",
        b"\n",
        b"[" * 100_000 + b"\n",
        b"9" * 5000 + b"\n",
        {**TRAIN, "kind": "other"},
        {**TRAIN, "kind": ["train"]},
        {**TRAIN, "step": "5"},
        {**TRAIN, "step": -1},
        {**TRAIN, "step": 0.5},
        {**TRAIN, "step": True},
        {**TRAIN, "epoch": float("nan")},
        {**TRAIN, "minutes": 10**400},
        {**TRAIN, "loss": "low"},
        {**TRAIN, "loss": [1]},
        {key: value for key, value in TRAIN.items() if key != "lr"},
        [TRAIN],
        None,
    ],
)
def test_a_bad_line_is_named_and_the_others_are_used(tmp_path: Path, bad: Any) -> None:
    torn = bad if not isinstance(bad, bytes) or bad.endswith(b"\n") else bad + b"\n"
    found = salvage_metrics(write(tmp_path, TRAIN, torn, VALIDATION))
    assert found.records == [TRAIN, VALIDATION]
    assert [number for number, _ in found.left_out] == [2]
    assert found.left_out[0][1].startswith(("is no", "does not say"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300, 10**400])
def test_what_is_no_finite_number_is_null(tmp_path: Path, value: float) -> None:
    (record,) = salvage_metrics(write(tmp_path, {**TRAIN, "loss": value, "padding": value})).records
    assert record == {**TRAIN, "loss": None, "padding": None}


@settings(max_examples=50)
@given(values=st.lists(JSON, max_size=4))
def test_whatever_the_lines_hold_the_records_can_be_computed_with(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any]
) -> None:
    path = write(tmp_path_factory.mktemp("run"), *({**TRAIN, **v} if isinstance(v, dict) else v for v in values))
    found = salvage_metrics(path)
    assert len(found.records) + len(found.left_out) == len(values)
    for record in found.records:
        assert record["step"] + record["epoch"] + record["minutes"] >= 0
        assert record["loss"] is None or abs(record["loss"]) < 1e15


def test_what_is_no_file_of_a_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        salvage_metrics(tmp_path / "metrics.jsonl")
    with pytest.raises(DataError, match="is a directory"):
        salvage_metrics(tmp_path)
    with (tmp_path / "huge").open("wb") as file:
        file.truncate((1 << 28) + 1)
    with pytest.raises(DataError, match="which no training tells"):
        salvage_metrics(tmp_path / "huge")
