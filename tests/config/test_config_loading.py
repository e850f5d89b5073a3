"""Configurations in and out: files, overrides, plain dicts, YAML, differences."""

import json
import os
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_mt.config.building import SECTIONS
from transformer_mt.config.loading import differences, from_dict, load_config, parse_config, to_dict, to_yaml
from transformer_mt.config.schema import Config, SourceConfig
from transformer_mt.errors import ConfigError

LIMIT = "training: {max_steps: 1}\n"


def problems_of(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "x.yaml", overrides)
    return list(caught.value.problems)


# --- overrides ---


def test_an_override_wins_over_the_file_and_the_last_one_over_all() -> None:
    text = LIMIT + "model: {d_model: 8, num_heads: x}"
    config = parse_config(text, "x.yaml", ["model.d_model=64", "model.num_heads=4", "model.d_model=128"])
    assert (config.model.d_model, config.model.num_heads) == (128, 4)


def test_an_override_takes_lists_of_sources() -> None:
    config = parse_config(LIMIT, "x.yaml", ["data.train=[{src: a, tgt: b}, {path: c.tsv, weight: 2}]"])
    assert config.data.train == (SourceConfig(src="a", tgt="b"), SourceConfig(path="c.tsv", weight=2.0))


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("model.d_model=abc", "--set model.d_model=abc: must be a whole number, got abc"),
        ("model.d_model=13", "--set model.d_model=13: must be even for sinusoidal positions, got 13"),
        ("model.d_modle=1", "--set model.d_modle=1: unknown key (did you mean d_model?)"),
        ("modle.d_model=1", "--set modle.d_model=1: unknown section (did you mean model?)"),
        ("lr=1", "--set lr=1: must be section.key=value; lr is a key of section optimizer"),
        ("model", "--set model: must be section.key=value"),
        ("=", "--set =: must be section.key=value"),
        ("model.d_model=", "--set model.d_model=: must be a whole number, got nothing"),
        ("model.d_model=&a 8", "--set model.d_model=&a 8: anchors (&a) are not supported; write the value out"),
        ("model.a.b=1", "--set model.a.b=1: unknown key (known are d_model, *"),
        (
            "data.train=[{src: a}]",
            "--set data.train=[{src: a}]: data.train[0]: a source needs either src and tgt, or *",
        ),
    ],
)
def test_a_wrong_override_is_named_as_it_was_given(override: str, problem: str) -> None:
    start, star, _ = problem.partition("*")
    (line,) = problems_of(LIMIT + "model: {num_heads: 1}", override)
    assert line == problem or (star and line.startswith(start))


# --- files ---


def file_problem(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    (problem,) = caught.value.problems
    return problem


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert file_problem(tmp_path / "missing.yaml") == f"{tmp_path}/missing.yaml: no such file"
    assert file_problem(tmp_path) == f"{tmp_path}: is a directory, a file is needed"
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    assert file_problem(tmp_path / "loop.yaml").startswith(f"{tmp_path}/loop.yaml: cannot be read (")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "is a pipe" in file_problem(tmp_path / "pipe.yaml")
    assert "cannot be read" in file_problem(tmp_path / "nul\0.yaml")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(LIMIT)
    (tmp_path / "x.yaml").chmod(0)
    assert "permission denied" in file_problem(tmp_path / "x.yaml")


def test_bytes_that_are_not_utf_8_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(LIMIT.encode() + "# caf\u00e9".encode("latin-1"))
    assert file_problem(path) == f"{path}:2: byte 0xe9 is not valid UTF-8; save the file as UTF-8"
    path.write_text(LIMIT, encoding="utf-16")
    assert file_problem(path) == f"{path}:1: byte 0xff is not valid UTF-8; save the file as UTF-8"


def test_a_byte_order_mark_and_crlf_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(
        b"\xef\xbb\xbf" + LIMIT.replace("\n", "\r\n").encode() + b"model:\r\n  d_ff: 7\r\n"
    )
    assert load_config(tmp_path / "x.yaml").model.d_ff == 7


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    start = time.process_time()
    assert file_problem(path) == f"{path}: is 100.0 MB; a configuration has at most 0.5 MB"
    assert time.process_time() - start < 0.5


# --- out, and back ---

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20).filter(
    str.strip
)
TRICKY = st.sampled_from(
    ["no", "012", "1e-4", "null", "~", "true", "12:30", "a: b", "a #b", "- x", "y", "=", "<<", "*a", "2026-11-22"]
)
POSITIVE = st.floats(min_value=1e-300, allow_infinity=False)
SOURCES = st.lists(st.builds(SourceConfig, src=TEXT | TRICKY, tgt=TEXT, weight=POSITIVE), max_size=2)


@settings(max_examples=30)
@given(SOURCES, TEXT | TRICKY, POSITIVE, st.integers(0, 2**63 - 1), st.booleans())
def test_what_is_written_loads_back_equal(
    sources: list[SourceConfig], text: str, number: float, seed: int, flag: bool
) -> None:
    values = to_dict(Config())
    values["data"].update(train=[to_dict_of(source) for source in sources], cache_dir=text, drop_leaks=flag)
    values["optimizer"].update(lr=number)
    values["training"].update(seed=seed, max_minutes=number, run_dir=text)
    config = from_dict(values, "values")
    assert config.data.train == tuple(sources) and config.training.run_dir == text
    written = parse_config(to_yaml(config), "written")
    assert written == config and differences(config, written) == []
    assert from_dict(json.loads(json.dumps(to_dict(config))), "stored") == config


def to_dict_of(source: SourceConfig) -> dict[str, Any]:
    return {field.name: getattr(source, field.name) for field in fields(source)}


def test_every_key_is_written_in_the_order_of_the_schema() -> None:
    config = parse_config(LIMIT + "data: {train: {src: a, tgt: b}}", "x.yaml")
    written = [line.strip().removeprefix("- ").partition(":")[0] for line in to_yaml(config).splitlines()]
    expected = []
    for name, section in SECTIONS.items():
        expected.append(name)
        for field in fields(section):
            expected.append(field.name)
            if (name, field.name) == ("data", "train"):
                expected += [source_field.name for source_field in fields(SourceConfig)]
    assert written == expected


@pytest.mark.parametrize(
    "stored", [None, 3, [], "text", {"model": {"d_model": float("nan")}}, {"model": {"d_model": object()}}]
)
def test_a_stored_configuration_is_checked_too(stored: object) -> None:
    with pytest.raises(ConfigError, match="^bundle: "):
        from_dict(stored, "bundle")


def test_differences_name_the_keys_with_both_values() -> None:
    old = parse_config(LIMIT + "data: {train: {src: a, tgt: b}}", "x.yaml")
    new = parse_config(LIMIT, "x.yaml", ["data.train={src: c, tgt: b}", "model.d_model=256", "training.max_epochs=2"])
    assert differences(old, new) == [
        "data.train[0].src: a -> c",
        "model.d_model: 512 -> 256",
        "training.max_epochs: null -> 2",
    ]
    assert "data.train: absent -> []" in differences(old, parse_config(LIMIT, "x.yaml"))
