"""The configuration in and out: from a YAML file with overrides, from a plain dict, and back."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from transformer_mt.config import suggestions
from transformer_mt.config.building import MAX_PROBLEMS, SECTIONS, Builder, display, keys_by_section
from transformer_mt.config.schema import Config
from transformer_mt.config.strict_yaml import (
    MAX_BYTES,
    MAX_DEPTH,
    Entry,
    Listing,
    Mapping,
    Node,
    Scalar,
    Unusable,
    parse,
    shorten,
)
from transformer_mt.errors import ConfigError, DataError
from transformer_mt.files import check_readable_file


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file; each override is `section.key=value` and wins over the file, the last one over all.

    Raises ConfigError with all problems at once, each `file:line: section.key: rule`.
    """
    return parse_config(_read_text(path), str(path), overrides)


def parse_config(text: str, name: str, overrides: Sequence[str] = ()) -> Config:
    """Like `load_config`, from text that messages call `name`."""
    root, problems = parse(text, lambda line: f"{name}:{line}")
    if isinstance(root, Mapping):
        for override in overrides:
            _apply(override, root, problems)
        return _built(root, name, problems)
    if root is None:
        problems.append(f"{name}: is empty; see `transformer-mt config describe` for what it can hold")
    elif not isinstance(root, Unusable):
        problems.append(f"{root.where}: must hold sections such as `model:` with keys below, got {display(root)}")
    raise ConfigError(problems)


def from_dict(mapping: Any, name: str) -> Config:
    """The Config that `to_dict` made a plain dict of; checked like a file that messages call `name`."""
    root = _node_of(mapping, name, depth=1)
    if not isinstance(root, Mapping):
        raise ConfigError([f"{name}: must hold sections such as model, got {display(root)}"])
    return _built(root, name, [])


def _built(root: Mapping, name: str, problems: list[str]) -> Config:
    config = Builder(name, problems).config(root)
    problems.sort(key=lambda problem: _line_of(problem, name))
    if len(problems) > MAX_PROBLEMS:
        left_out = len(problems) - MAX_PROBLEMS
        problems[MAX_PROBLEMS:] = [f"{name}: and {left_out} more problems like these"]
    if problems:
        raise ConfigError(problems)
    return config


def _line_of(problem: str, name: str) -> float:
    """The line that a problem names: first those of the file in its order, then what no line can be given for."""
    line = problem.removeprefix(f"{name}:").partition(":")[0]
    return int(line) if line.isdecimal() else math.inf


def _read_text(path: Path) -> str:
    try:
        check_readable_file(path)
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except DataError as error:
        raise ConfigError([str(error)]) from None
    except (OSError, ValueError) as error:
        raise ConfigError([f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})"]) from None
    if len(raw) > MAX_BYTES:
        size = os.stat(path).st_size / 1e6
        raise ConfigError([f"{path}: is {size:.1f} MB; a configuration has at most {MAX_BYTES / 1e6:g} MB"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = f"byte 0x{raw[error.start]:02x} is not valid UTF-8; save the file as UTF-8"
        raise ConfigError([f"{path}:{line}: {problem}"]) from None


def _apply(override: str, root: Mapping, problems: list[str]) -> None:
    """Put the value of `section.key=value` in the place of what the file says."""
    where = f"--set {shorten(override)}"
    path, separator, text = override.partition("=")
    section, dot, key = path.strip().partition(".")
    keys = keys_by_section()
    if not (separator and section and key):
        homes = [name for name in SECTIONS if section in keys[name] and not dot]
        hint = f"; {section} is a key of section {' or '.join(homes)}" if homes else ""
        problems.append(f"{where}: must be section.key=value{hint}")
        return
    if section not in SECTIONS:
        known = {name: keys[name] for name in SECTIONS}
        problems.append(f"{where}: {suggestions.unknown_section(section, known)}")
        return
    try:
        value, value_problems = parse(text, lambda line: where)
    except ConfigError as error:
        problems.extend(error.problems)
        return
    problems.extend(value_problems)
    if section not in root.entries or root.entries[section].node in _nulls(root, section):
        root.entries[section] = Entry(where, Mapping({}, where))
    mapping = root.entries[section].node
    if isinstance(mapping, Mapping):
        mapping.entries[key] = Entry(where, value or Scalar(None, "", where))


def _nulls(root: Mapping, section: str) -> list[Node]:
    node = root.entries[section].node
    return [node] if isinstance(node, Scalar) and node.value is None else []


def _node_of(value: Any, where: str, depth: int) -> Node:
    """The node that would be read from YAML for a plain value."""
    if depth > MAX_DEPTH:
        raise ConfigError([f"{where}: is nested deeper than {MAX_DEPTH} levels"])
    if isinstance(value, dict):
        return Mapping({str(key): Entry(where, _node_of(item, where, depth + 1)) for key, item in value.items()}, where)
    if isinstance(value, list | tuple):
        return Listing(tuple(_node_of(item, where, depth + 1) for item in value), where)
    if value is None or isinstance(value, bool | int | float):
        return Scalar(value, written(value), where)
    return Scalar(str(value), str(value), where)


def to_dict(config: Config) -> dict[str, Any]:
    """The configuration as plain nested dicts, with tuples as lists; `from_dict` takes it back."""
    return {field.name: _plain(getattr(config, field.name)) for field in fields(config)}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def to_yaml(config: Config) -> str:
    """Every key with its value, in the order of the schema, as YAML that loads back equal."""
    lines = []
    for section, values in to_dict(config).items():
        lines.append(f"{section}:")
        for key, value in values.items():
            if value and isinstance(value, list) and isinstance(value[0], dict):
                lines.append(f"  {key}:")
                lines.extend(_source_lines(value))
            else:
                lines.append(f"  {key}: {written(value)}")
    return "\n".join(lines) + "\n"


def _source_lines(sources: list[dict[str, Any]]) -> Iterator[str]:
    for source in sources:
        for number, (key, value) in enumerate(source.items()):
            yield f"    {'- ' if number == 0 else '  '}{key}: {written(value)}"


def written(value: Any) -> str:
    """A scalar or a list of scalars as it is written in YAML."""
    if isinstance(value, list):
        return f"[{', '.join(written(item) for item in value)}]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _written_text(value)
    return repr(value)


def _written_text(text: str) -> str:
    """Unquoted when readers of every YAML version take it for the same text."""
    is_plain = text.isascii() and text.replace("/", "a").replace("_", "a").replace(".", "a").replace("-", "a").isalnum()
    if is_plain and text[0].isalpha() and yaml.safe_load(text) == text:
        return text
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9)).rstrip("\n")


def differences(old: Config, new: Config) -> list[str]:
    """The keys that differ, each as `section.key: old value -> new value`."""
    before, after = _leaves(to_dict(old), ""), _leaves(to_dict(new), "")
    return [
        f"{path}: {before.get(path, 'absent')} -> {after.get(path, 'absent')}"
        for path in before | after
        if before.get(path) != after.get(path)
    ]


def _leaves(value: Any, path: str) -> dict[str, str]:
    """The written values by their path, such as `data.train[0].src`."""
    if isinstance(value, dict):
        children = [(f"{path}.{key}" if path else key, item) for key, item in value.items()]
    elif value and isinstance(value, list) and isinstance(value[0], dict):
        children = [(f"{path}[{number}]", item) for number, item in enumerate(value)]
    else:
        return {path: written(value)}
    return {leaf: text for child, item in children for leaf, text in _leaves(item, child).items()}
