"""Configurations in: every bad input is a ConfigError that names place, key and rule, all of them at once."""

import time
import types
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from transformer_mt.config.building import SECTIONS
from transformer_mt.config.loading import parse_config, to_yaml
from transformer_mt.config.schema import Config, SourceConfig
from transformer_mt.config.strict_yaml import parse
from transformer_mt.errors import ConfigError

LIMIT = "training: {max_steps: 1}\n"


def problems_of(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "x.yaml", overrides)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


UNKNOWN_SECTION = "unknown section (known are data, tokenizer, model, optimizer, schedule, training, checkpoint, "
ROWS = [
    (25, "optimizer:\n  lerning_rate: 1", "3: optimizer.lerning_rate: unknown key (did you mean lr?)"),
    (25, "model:\n  d_modle: 8", "3: model.d_modle: unknown key (did you mean d_model?)"),
    (25, "model:\n  lr: 1", "3: model.lr: unknown key (it belongs to section optimizer)"),
    (25, "model: {beam_size: 1}", "2: model.beam_size: unknown key (it belongs to section decoding or evaluation)"),
    (25, "model: {warm_up: 1}", "2: model.warm_up: unknown key (did you mean warmup_steps of section schedule?)"),
    (25, "modle: {d_model: 8}", "2: modle: unknown section (did you mean model?)"),
    (25, "lr: 1", "2: lr: unknown section (it is a key of section optimizer)"),
    (25, "quux: 1", f"2: quux: {UNKNOWN_SECTION}decoding, evaluation, logging)"),
    (25, "data: {train: [{srce: a, tgt: b}]}", "2: data.train[0].srce: unknown key (did you mean src?)"),
    (26, "model:\n  d_ff: 8\n  d_ff: 9", "4: d_ff: is given twice, first at x.yaml:3; remove one"),
    (26, "training: {}", "2: training: is given twice, first at x.yaml:1; remove one"),
    (28, "logging: {curves: no}", "2: logging.curves: must be true or false, got no (write true or false)"),
    (
        29,
        "schedule: {warmup_steps: 012}",
        "2: schedule.warmup_steps: must be a whole number, got 012 (write it without the leading zero)",
    ),
    (29, "schedule: {warmup_steps: 12:30}", "2: schedule.warmup_steps: must be a whole number, got 12:30"),
    (29, "schedule: {warmup_steps: 2026-11-22}", "2: schedule.warmup_steps: must be a whole number, got 2026-11-22"),
    (
        29,
        "schedule: {warmup_steps: 4_000}",
        "2: schedule.warmup_steps: must be a whole number, got 4_000 (write it without underscores)",
    ),
    (
        29,
        "schedule: {warmup_steps: 0x10}",
        "2: schedule.warmup_steps: must be a whole number, got 0x10 (write it in decimal)",
    ),
    (30, "optimizer:\n  lr: -1", "3: optimizer.lr: must be a finite number above 0, got -1"),
    (30, "optimizer: {lr: 0}", "2: optimizer.lr: must be a finite number above 0, got 0"),
    (30, "optimizer: {lr: .nan}", "2: optimizer.lr: must be a finite number, got .nan"),
    (30, "optimizer: {lr: .inf}", "2: optimizer.lr: must be a finite number, got .inf"),
    (30, "optimizer: {lr: 1e999}", "2: optimizer.lr: must be a finite number, got 1e999"),
    (30, "optimizer: {lr: true}", "2: optimizer.lr: must be a number, got true"),
    (30, "optimizer: {lr: '0.1'}", '2: optimizer.lr: must be a number, got "0.1" (remove the quotes)'),
    (30, "optimizer: {lr: }", "2: optimizer.lr: must be a number, got nothing"),
    (30, "optimizer: {lr: [1]}", "2: optimizer.lr: must be a number, got a list of 1"),
    (30, "optimizer: {betas: 0.9}", "2: optimizer.betas: must be a list of 2 numbers, got 0.9"),
    (30, "optimizer: {betas: [0.9]}", "2: optimizer.betas: must be a list of 2 numbers, got a list of 1"),
    (30, "optimizer: {betas: [0.9, x]}", "2: optimizer.betas: must be a number, got x"),
    (30, "optimizer: {betas: [0.9, 1]}", "2: optimizer.betas: must be in [0, 1), got 1"),
    (30, "model: {d_ff: true}", "2: model.d_ff: must be a whole number, got true"),
    (30, "model: {d_ff: 3.0}", "2: model.d_ff: must be a whole number, got 3.0"),
    (30, "model: {d_ff: 1e3}", "2: model.d_ff: must be a whole number, got 1e3"),
    (
        30,
        "model: {d_ff: 9223372036854775808}",
        "2: model.d_ff: must be a whole number below 2**63, got 9223372036854775808",
    ),
    (30, "data: {src_lang: 3}", '2: data.src_lang: must be text, got 3 (quote it if you mean it: "3")'),
    (30, "data: {src_lang: true}", '2: data.src_lang: must be text, got true (quote it if you mean it: "true")'),
    (30, "data: {src_lang: }", "2: data.src_lang: must be text, got nothing"),
    (
        30,
        "data: {src_lang: French}",
        "2: data.src_lang: must be the code of a language, such as en or fr, got 'French'",
    ),
    (30, 'data: {cache_dir: "a\\0b"}', "2: data.cache_dir: must be text without the character U+0000, got a\\x00b"),
    (30, 'data: {cache_dir: "\\ud800"}', "2: data.cache_dir: must be text without the character U+D800, got \\ud800"),
    (30, "model: {norm: lyer}", "2: model.norm: must be one of layer, rms, got lyer (did you mean layer?)"),
    (30, "model: {norm: null}", "2: model.norm: must be one of layer, rms, got null"),
    (
        30,
        "data: {train: a.tsv}",
        "2: data.train: must be a list of sources, such as [{src: train.en, tgt: train.fr}], got a.tsv",
    ),
    (30, "data: {train: [a]}", "2: data.train[0]: must be a source, such as {src: train.en, tgt: train.fr}, got a"),
    (30, "data: {train: [{src: a}]}", "2: data.train[0]: a source needs either src and tgt, or path, or hub"),
    (31, "model: {num_heads: 7}", "2: model.num_heads: must divide d_model (512), got 7"),
    (
        31,
        "model: {d_model: 10, num_heads: 2, positions: rotary}",
        "2: model.num_heads: rotary positions need an even head width, got 5",
    ),
    (32, "data: {max_length: 0}", "2: data.max_length: must be at least 2, got 0"),
    (32, "model: {max_positions: 9}", "2: model.max_positions: must be at least data.max_length (256), got 9"),
    (32, "decoding: {beam_size: 0}", "2: decoding.beam_size: must be at least 1, got 0"),
    (32, "decoding: {beam_size: 9000}", "2: decoding.beam_size: must be at most tokenizer.vocab_size (8000), got 9000"),
    (32, "decoding: {length_penalty: .nan}", "2: decoding.length_penalty: must be a finite number, got .nan"),
    (
        33,
        "data: {max_length: 4097}\nmodel: {positions: rotary}",
        "1: training.batch_size: must be at least data.max_length (4097) so that every kept "
        "pair fits a batch, got 4096",
    ),
    (34, "model: 3", "2: model: must be a section of `key: value` lines, got 3"),
    (34, "model: [1]", "2: model: must be a section of `key: value` lines, got a list of 1"),
    (
        40,
        "data: {train: {src: a, tgt: b, encoding: utf9}}",
        "2: data.train.encoding: must be an encoding that Python knows, such as utf-8 or cp1252, got utf9",
    ),
]


@pytest.mark.parametrize(("row", "text", "problem"), ROWS)
def test_bad_input_is_named_with_place_key_rule_and_value(row: int, text: str, problem: str) -> None:
    assert problems_of(LIMIT + text) == [f"x.yaml:{problem}"]


def test_a_rule_between_sections_names_the_line_of_the_key() -> None:
    text = "training:\n  max_steps: 1\n  batch_size: 9\n"
    assert problems_of(text)[0].startswith("x.yaml:3: training.batch_size: must be at least data.max_length (256)")


def test_a_device_is_checked_when_it_is_read() -> None:
    text = "training:\n  max_steps: 1\n  device: gpu"
    assert problems_of(text) == ["x.yaml:3: training.device: must be auto, cpu, cuda, cuda:N or mps, got gpu"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "x.yaml: is empty; see `transformer-mt config describe` for what it can hold"),
        ("# nothing\n", "x.yaml: is empty; see `transformer-mt config describe` for what it can hold"),
        ("- model", "x.yaml:1: must hold sections such as `model:` with keys below, got a list of 1"),
        ("\nplain words", "x.yaml:2: must hold sections such as `model:` with keys below, got plain words"),
        ("{{{", "x.yaml:1: is not valid YAML: while parsing a flow *"),
        ("model: [", "x.yaml:1: is not valid YAML: while parsing a flow *"),
        ("model: " + "[" * 5000, "x.yaml:1: is nested deeper than 20 levels"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_problem(text: str, problem: str) -> None:
    (line,) = problems_of(text)
    start, star, _ = problem.partition("*")
    assert line == problem or (star and line.startswith(start))


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    text = """\
model:
  d_modle: 8
  dropout: 2
  num_heads: x
lr: 3
training:
  batch_size: 0
data:
  max_length: 300
  train:
    - src: a
    - {path: b, wieght: 2, format: tsx}
"""
    assert problems_of(text, "decoding.beam=2", "logging.curves=7") == [
        "x.yaml:2: model.d_modle: unknown key (did you mean d_model?)",
        "x.yaml:3: model.dropout: must be in [0, 1), got 2",
        "x.yaml:4: model.num_heads: must be a whole number, got x",
        "x.yaml:5: lr: unknown section (it is a key of section optimizer)",
        "x.yaml:6: training.max_steps: set at least one of max_steps, max_epochs and max_minutes",
        "x.yaml:7: training.batch_size: must be at least 1, got 0",
        "x.yaml:11: data.train[0]: a source needs either src and tgt, or path, or hub",
        "x.yaml:12: data.train[1].wieght: unknown key (did you mean weight?)",
        "x.yaml:12: data.train[1].format: must be one of auto, tsv, csv, jsonl, parquet, dictionary, got tsx "
        "(did you mean tsv?)",
        "--set decoding.beam=2: unknown key (did you mean beam_size?)",
        "--set logging.curves=7: must be true or false, got 7",
    ]


def test_rules_about_a_value_that_could_not_be_read_wait() -> None:
    """The default that stands in for it was never asked for."""
    assert problems_of(LIMIT + "model:\n  d_model: abc\n  num_heads: 7\n") == [
        "x.yaml:3: model.d_model: must be a whole number, got abc"
    ]
    assert problems_of(LIMIT + "data:\n  max_length: abc\nmodel:\n  max_positions: 9\n") == [
        "x.yaml:3: data.max_length: must be a whole number, got abc"
    ]


def test_a_flood_of_problems_is_cut_with_a_count() -> None:
    text = LIMIT + "model:\n" + "".join(f"  key_{n}: 1\n" for n in range(9000))
    start = time.process_time()
    parse(text, str)
    parsed = time.process_time()
    problems = problems_of(text)
    assert len(problems) == 101 and problems[-1] == "x.yaml: and 8900 more problems like these"
    assert time.process_time() - parsed < 4 * (parsed - start)  # likely keys are not looked for 9,000 times


@pytest.mark.parametrize(("value", "lr"), [("1e-4", 1e-4), ("1e4", 1e4), (".5", 0.5), ("3", 3.0), ("1.", 1.0)])
def test_yaml_1_2_numbers_are_numbers(value: str, lr: float) -> None:
    config = parse_config(LIMIT + f"optimizer: {{lr: {value}}}", "x.yaml")
    assert config.optimizer.lr == lr and type(config.optimizer.lr) is float


@pytest.mark.parametrize("value", ["no", "on", "yes", "off", "012", "12:30", "2026-11-22", "'3'", '"true"', "null.txt"])
def test_words_stay_text(value: str) -> None:
    config = parse_config(LIMIT + f"data: {{cache_dir: {value}}}", "x.yaml")
    assert config.data.cache_dir == value.strip("'\"")


def test_a_single_source_stands_for_a_list_of_one_and_an_empty_section_for_defaults() -> None:
    single = parse_config(LIMIT + "data: {train: {src: a, tgt: b}}\nmodel:\n", "x.yaml")
    assert single == parse_config(LIMIT + "data: {train: [{src: a, tgt: b}]}", "x.yaml")
    assert single.data.train == (SourceConfig(src="a", tgt="b"),)


# --- every key of the schema, so that new keys are covered by themselves ---


def keys() -> Iterator[tuple[str, str, Any]]:
    for name, section in SECTIONS.items():
        for key, hint in get_type_hints(section).items():
            yield name, key, hint
    for key, hint in get_type_hints(SourceConfig).items():
        yield "source", key, hint


KEYS = [pytest.param(*parts, id=f"{parts[0]}.{parts[1]}") for parts in keys()]


def bare(hint: Any) -> Any:
    return next(arg for arg in get_args(hint) if arg is not type(None)) if isinstance(hint, types.UnionType) else hint


def with_value(section: str, key: str, value: str) -> str:
    """A configuration that is right but for this value."""
    if section == "source":
        pair = "" if key in ("src", "tgt") else "src: a, tgt: b, "
        return f"training: {{max_steps: 1}}\ndata:\n  train: [{{{pair}{key}: {value}}}]\n"
    limit = "" if (section, key) == ("training", "max_steps") else "max_steps: 1"
    training = f"{limit}, " if section == "training" and limit else ""
    start = "" if section == "training" else f"training: {{{limit}}}\n"
    return f"{start}{section}: {{{training}{key}: {value}}}\n"


def names(problems: list[str], section: str, key: str) -> bool:
    path = f"data.train[0].{key}: " if section == "source" else f": {section}.{key}: "
    return any(path in problem for problem in problems)


@pytest.mark.parametrize(("section", "key", "hint"), KEYS)
def test_every_key_refuses_the_wrong_type(section: str, key: str, hint: Any) -> None:
    kind = bare(hint)
    wrong = {int: "abc", float: "abc", bool: "maybe", str: "3"}.get(kind, "3")
    assert names(problems_of(with_value(section, key, wrong)), section, key)
    if get_origin(kind) is not tuple:
        assert names(problems_of(with_value(section, key, "[]")), section, key)
    is_list_of_sources = get_origin(kind) is tuple and section == "data"
    if not is_list_of_sources:
        assert names(problems_of(with_value(section, key, "{a: 1}")), section, key)
    if not is_list_of_sources and not isinstance(hint, types.UnionType):
        assert names(problems_of(with_value(section, key, "null")), section, key)


@pytest.mark.parametrize(("section", "key", "hint"), [param for param in KEYS if bare(param.values[2]) is not bool])
def test_every_key_refuses_what_is_out_of_range(section: str, key: str, hint: Any) -> None:
    kind = bare(hint)
    if get_origin(kind) is Literal:
        wrong = ["no_such_choice"]
    elif get_origin(kind) is tuple:
        wrong = ["[{}]"] if section == "data" else ["[-1, 0.5]", "[0.5, 1e999]"]
    else:
        wrong = {int: ["-1", "1e999", "9" * 30], float: ["-1", "1e999", ".nan"], str: ['""', '" "']}[kind]
    for value in wrong:
        problems = problems_of(with_value(section, key, value))
        found = any(f"data.{key}[0]: " in problem for problem in problems)
        assert found or names(problems, section, key), (value, problems)


@pytest.mark.parametrize(("section", "key", "hint"), KEYS)
def test_every_key_is_suggested_for_its_typo(section: str, key: str, hint: Any) -> None:
    typo = key[:-1] if len(key) > 2 else key + key[-1]
    problems = problems_of(with_value(section, typo, "1"))
    assert names(problems, section, typo)
    assert any(f"{typo}: unknown key (did you mean {key}?)" in problem for problem in problems), problems


@pytest.mark.parametrize(("section", "key", "hint"), [param for param in KEYS if param.values[0] != "source"])
def test_every_key_can_be_overridden(section: str, key: str, hint: Any) -> None:
    given = getattr(getattr(Config(), section), key)
    written = to_yaml(Config()).split(f"{section}:\n")[1].split(f"  {key}: ")[1].split("\n")[0]
    text = "model:\n" if key == "max_steps" else LIMIT
    overrides = [f"{section}.{key}={written}"] + (["training.max_epochs=1"] if key == "max_steps" else [])
    assert getattr(getattr(parse_config(text, "x.yaml", overrides), section), key) == given
    assert problems_of(text, f"{section}.{key}={{a: [")[0].startswith(
        f"--set {section}.{key}={{a: [: is not valid YAML"
    )


@pytest.mark.parametrize(
    ("training", "other", "problem"),
    [
        ("reproducible: exact, threads: 1", "", "cannot be combined with reproducible: exact"),
        ("precision: fp16", "", "cannot be combined with precision: fp16; use bf16"),
        ("seed: 2", "optimizer: {name: muon}", "muon needs whole matrices"),
    ],
)
def test_what_cannot_be_sharded_is_refused(training: str, other: str, problem: str) -> None:
    text = f"training: {{max_steps: 1, sharded: true, {training}}}\n{other}"
    (found,) = problems_of(text)
    assert "sharded" in found and problem in found
