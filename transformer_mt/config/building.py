"""From YAML nodes to typed sections: what the annotations of the schema allow, and all problems together."""

import math
import re
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from transformer_mt.config import suggestions
from transformer_mt.config.schema import Config, SourceConfig
from transformer_mt.config.strict_yaml import Entry, Listing, Mapping, Node, Scalar, Unusable, resolve, shorten

SECTIONS: dict[str, Any] = get_type_hints(Config)
"""Class of each section, in the order of the schema."""
SOURCE_SECTION = "data.<source>"
"""How the entries of data.train, data.validation and data.test are called where sections are listed."""


MAX_PROBLEMS = 100
"""More than these are counted only."""


def keys_by_section() -> dict[str, list[str]]:
    """All keys there are, in the order of the schema."""
    keys = {name: [field.name for field in fields(section)] for name, section in SECTIONS.items()}
    return keys | {SOURCE_SECTION: [field.name for field in fields(SourceConfig)]}


class Mismatch(Exception):
    """A value that its key cannot have; the text is the rule. Stays inside this module."""


class AlreadyTold(Mismatch):
    """A value whose problem has been told already."""


class Builder:
    """Builds one Config and gathers every problem on the way, each `where: key: rule`."""

    def __init__(self, name: str, problems: list[str]) -> None:
        self.name = name
        self.problems = problems
        self.keys = keys_by_section()
        self.doubtful: set[str] = set()  # keys whose value is not what was asked for: rules about them must wait

    def config(self, root: Mapping) -> Config:
        """Build the whole; when `problems` is not empty afterwards, the result stands for nothing."""
        sections = {}
        for name, entry in root.entries.items():
            if name not in SECTIONS:
                is_flood = len(self.problems) > MAX_PROBLEMS
                rule = "unknown section" if is_flood else suggestions.unknown_section(name, self._keys_of_sections())
                self._tell(entry.where, name, rule)
            elif isinstance(entry.node, Mapping):
                sections[name] = self._section(SECTIONS[name], entry.node, name, name, entry.where)
            elif not _is_null(entry.node) and not isinstance(entry.node, Unusable):
                self._tell(entry.where, name, f"must be a section of `key: value` lines, got {display(entry.node)}")
        for name, section in SECTIONS.items():
            if name not in sections:
                where = root.entries[name].where if name in root.entries else self.name
                sections[name] = self._section(section, Mapping({}, where), name, name, where)
        config = Config(**sections)
        for line in config.problems():
            path, _, rule = line.partition(": ")
            if not self._is_doubtful(line):
                self._tell(self._where_of(root, path), path, rule)
        return config

    def _keys_of_sections(self) -> dict[str, list[str]]:
        return {name: self.keys[name] for name in SECTIONS}

    def _tell(self, where: str, path: str, rule: str) -> None:
        path = shorten(path)
        prefix = where if where.startswith(f"--set {path}=") else f"{where}: {path}"
        self.problems.append(f"{prefix}: {rule}")

    def _is_doubtful(self, line: str) -> bool:
        return not self.doubtful.isdisjoint(re.findall(r"\w+", line))

    def _where_of(self, root: Mapping, path: str) -> str:
        section, _, key = path.partition(".")
        if section not in root.entries:
            return self.name
        entry = root.entries[section]
        if isinstance(entry.node, Mapping) and key in entry.node.entries:
            return entry.node.entries[key].where
        return entry.where

    def _section(self, section: Any, mapping: Mapping, path: str, listed_as: str, where: str) -> Any:
        """One section (or source) with the defaults for what is missing or wrong."""
        hints = get_type_hints(section)
        values = {}
        wrong = set()
        for key, entry in mapping.entries.items():
            if key not in hints:
                wrong.add(self._unknown(entry.where, path, key, listed_as))
                continue
            try:
                values[key] = self._value(entry, hints[key], f"{path}.{key}")
            except AlreadyTold:
                wrong.add(key)
            except Mismatch as mismatch:
                wrong.add(key)
                self._tell(entry.where, f"{path}.{key}", str(mismatch))
        self.doubtful |= wrong
        built = section(**values)
        for line in built.problems():
            if wrong.isdisjoint(re.findall(r"\w+", line)):
                self._tell_rule(mapping, path, line, where)
        return built

    def _unknown(self, where: str, path: str, key: str, listed_as: str) -> str:
        """Tell of an unknown key; gives the key that was probably meant, or nothing."""
        if len(self.problems) > MAX_PROBLEMS:  # looking for the likeliest key takes its time
            self._tell(where, f"{path}.{key}", "unknown key")
            return ""
        self._tell(where, f"{path}.{key}", suggestions.unknown_key(key, listed_as, self.keys))
        return suggestions.closest_key(key, self.keys[listed_as]) or ""

    def _tell_rule(self, mapping: Mapping, path: str, line: str, where: str) -> None:
        key, separator, rule = line.partition(": ")
        if not separator or not key.isidentifier():
            self._tell(where, path, line)
            return
        self.doubtful.add(key)
        self._tell(mapping.entries[key].where if key in mapping.entries else where, f"{path}.{key}", rule)

    def _value(self, entry: Entry, hint: Any, path: str) -> Any:
        if get_origin(hint) is tuple and is_dataclass(get_args(hint)[0]):
            return tuple(self._sources(entry, get_args(hint)[0], path))
        return _plain_value(entry.node, hint)

    def _sources(self, entry: Entry, section: Any, path: str) -> Iterator[Any]:
        """A list of mappings; a single mapping stands for a list of one."""
        node = entry.node
        if isinstance(node, Mapping):
            yield self._section(section, node, path, SOURCE_SECTION, entry.where)
        elif isinstance(node, Listing):
            for number, item in enumerate(node.items):
                yield from self._source(item, section, f"{path}[{number}]")
        elif not _is_null(node):
            raise _mismatch(node, "a list of sources, such as [{src: train.en, tgt: train.fr}]")

    def _source(self, node: Node, section: Any, path: str) -> Iterator[Any]:
        if isinstance(node, Mapping):
            yield self._section(section, node, path, SOURCE_SECTION, node.where)
        elif not isinstance(node, Unusable):
            rule = "must be a source, such as {src: train.en, tgt: train.fr}"
            self._tell(node.where, path, f"{rule}, got {display(node)}")


def _plain_value(node: Node, hint: Any) -> Any:
    """The value of `node` if the annotation `hint` allows it; raises Mismatch."""
    if isinstance(node, Unusable):
        raise AlreadyTold
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return None if _is_null(node) else _plain_value(node, next(arg for arg in arguments if arg is not type(None)))
    if origin is tuple:
        if not isinstance(node, Listing) or len(node.items) != len(arguments):
            raise _mismatch(node, f"a list of {len(arguments)} numbers")
        return tuple(_plain_value(item, arg) for item, arg in zip(node.items, arguments, strict=True))
    if not isinstance(node, Scalar):
        raise _mismatch(node, wanted(hint))
    if origin is Literal:
        return _choice(node, arguments)
    return {bool: _bool, int: _int, float: _float, str: _str}[hint](node)


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _choice(node: Scalar, choices: tuple[str, ...]) -> str:
    if isinstance(node.value, str) and node.value in choices:
        return node.value
    match = suggestions.closest(node.text, choices)
    raise _mismatch(node, f"one of {', '.join(choices)}", f"did you mean {match}?" if match else "")


def _bool(node: Scalar) -> bool:
    if isinstance(node.value, bool):
        return node.value
    is_old_yaml = node.text.lower() in ("yes", "no", "on", "off", "y", "n")
    raise _mismatch(node, "true or false", "write true or false" if is_old_yaml else "")


def _int(node: Scalar) -> int:
    if isinstance(node.value, bool) or not isinstance(node.value, int):
        raise _mismatch(node, "a whole number", _number_hint(node))
    if abs(node.value) >= 2**63:
        raise _mismatch(node, "a whole number below 2**63")
    return node.value


def _float(node: Scalar) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise _mismatch(node, "a number", _number_hint(node))
    number = float(node.value)
    if not math.isfinite(number):
        raise _mismatch(node, "a finite number")
    return number


def _number_hint(node: Scalar) -> str:
    """How to write a number that was given in a form that is not taken for one."""
    text = node.text.strip()
    if not isinstance(node.value, str):
        return ""
    if isinstance(resolve(text), int | float) and not isinstance(resolve(text), bool):
        return "remove the quotes"
    if re.fullmatch(r"[-+]?0[0-9]+", text):
        return "write it without the leading zero"
    if re.fullmatch(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9]*)?", text):
        return "write it without underscores"
    if re.fullmatch(r"0[xob][0-9a-fA-F]+", text):
        return "write it in decimal"
    return ""


def _str(node: Scalar) -> str:
    if not isinstance(node.value, str):
        is_empty = node.value is None or not node.text
        raise _mismatch(node, "text", "" if is_empty else f'quote it if you mean it: "{shorten(node.text)}"')
    if bad := re.search("[\x00\ud800-\udfff]", node.value):
        raise Mismatch(f"must be text without the character U+{ord(bad[0]):04X}, got {display(node)}")
    return node.value


def _mismatch(node: Node, rule: str, hint: str = "") -> Mismatch:
    if isinstance(node, Unusable):
        return AlreadyTold()
    return Mismatch(f"must be {rule}, got {display(node)}" + (f" ({hint})" if hint else ""))


def wanted(hint: Any) -> str:
    """What the annotation `hint` asks for, in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(arguments)}"
    if origin in (types.UnionType, Union):
        return f"{wanted(next(arg for arg in arguments if arg is not type(None)))} or null"
    if origin is tuple:
        return "a list of sources" if is_dataclass(arguments[0]) else f"a list of {len(arguments)} numbers"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[hint]


def display(node: Node) -> str:
    """A value as it was written, for the end of a message."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Listing):
        return f"a list of {len(node.items)}"
    if isinstance(node, Unusable):
        return "nothing usable"
    if node.text == "":
        return "nothing" if node.value is None else 'the empty text ""'
    is_quoted = isinstance(node.value, str) and resolve(node.text) != node.value
    return f'"{shorten(node.text)}"' if is_quoted else shorten(node.text)
