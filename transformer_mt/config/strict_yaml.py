"""YAML without surprises: the 1.2 core schema, a position for every value, a bound on everything.

PyYAML's SafeLoader cuts the text into events; what a value means is decided here. So `1e-4` is a number,
`no` and `on` are text, `012` and `12:30` are never quietly 10 and 750, and there are no aliases, tags or
merge keys to expand. Building is iterative in PyYAML and at most `MAX_DEPTH` deep here.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import yaml

from transformer_mt.errors import ConfigError

MAX_BYTES = 500_000
MAX_DEPTH = 20
MAX_NODES = 20_000

Where = Callable[[int], str]
"""Tells how a line number (from 1) is named in a message, for example `configs/x.yaml:12`."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value: what it means, how it was written, and where."""

    value: str | int | float | bool | None
    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of nodes."""

    items: tuple["Node", ...]
    where: str


class Entry(NamedTuple):
    """A value in a mapping, with the place of its key."""

    where: str
    node: "Node"


@dataclass(frozen=True, slots=True)
class Mapping:
    """Nodes by key. The only node that may be changed: overrides put entries in."""

    entries: dict[str, Entry]
    where: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """Stands for a value whose problem has been told already."""

    where: str


Node = Scalar | Listing | Mapping | Unusable


class Document(NamedTuple):
    """What a text holds (None when it is empty) and what is wrong with it that did not stop the reading."""

    root: Node | None
    problems: list[str]


def parse(text: str, where: Where) -> Document:
    """Read one YAML document. Raises ConfigError where the text cannot be read on."""
    if len(text) > MAX_BYTES:
        raise ConfigError([f"{where(1)}: is larger than {MAX_BYTES:,} characters; a configuration is never that long"])
    if break_ := re.search("[\x85\u2028\u2029]", text):
        line, code = text.count("\n", 0, break_.start()) + 1, ord(break_[0])
        raise ConfigError(
            [f"{where(line)}: holds U+{code:04X}, which some YAML readers take for a line end; remove it"]
        )
    try:
        return _Builder(text, where).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        raise ConfigError([f"{where(line)}: holds the character U+{code:04X}, which YAML does not allow"]) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_problem(error, where)]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # for example the escape "\UFFFFFFFF"
        raise ConfigError([f"{where(1)}: is not valid YAML: {error}"]) from None


def _syntax_problem(error: yaml.MarkedYAMLError, where: Where) -> str:
    mark = error.problem_mark or error.context_mark
    problem = " ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in problem:
        problem += " (indent with blanks, not with tabs)"
    return f"{where(mark.line + 1 if mark else 1)}: is not valid YAML: {problem}"


class _Builder:
    """Builds nodes from the events of one text."""

    def __init__(self, text: str, where: Where) -> None:
        self.events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self.where = where
        self.problems: list[str] = []
        self.num_nodes = 0

    def document(self) -> Document:
        root = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise ConfigError([f"{self._where(event)}: a second document starts here; a file holds one"])
                root = self._node(next(self.events), depth=1)
        if isinstance(root, Scalar) and root.text == "":
            root = None
        return Document(root, self.problems)

    def _where(self, event: yaml.Event) -> str:
        return self.where(event.start_mark.line + 1)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        where = self._where(event)
        self.num_nodes += 1
        if depth > MAX_DEPTH:
            raise ConfigError([f"{where}: is nested deeper than {MAX_DEPTH} levels"])
        if self.num_nodes > MAX_NODES:
            raise ConfigError([f"{where}: more than {MAX_NODES:,} values; a configuration is never that long"])
        if isinstance(event, yaml.AliasEvent):
            self.problems.append(f"{where}: aliases (*{event.anchor}) are not supported; write the value out")
            return Unusable(where)
        if event.anchor is not None:
            self.problems.append(f"{where}: anchors (&{event.anchor}) are not supported; write the value out")
        if event.tag is not None:
            self.problems.append(f"{where}: tags ({event.tag}) are not supported; remove it")
        if isinstance(event, yaml.SequenceStartEvent):
            return Listing(tuple(self._items(depth)), where)
        if isinstance(event, yaml.MappingStartEvent):
            return Mapping(self._entries(depth), where)
        if event.tag is not None:
            return Unusable(where)
        is_plain = event.style is None
        return Scalar(resolve(event.value) if is_plain else event.value, event.value, where)

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            is_merge = isinstance(event, yaml.ScalarEvent) and event.style is None and event.value == "<<"
            key = self._node(event, depth + 1)
            node = self._node(next(self.events), depth + 1)
            if isinstance(key, Unusable):
                continue
            if not isinstance(key, Scalar):
                self.problems.append(f"{key.where}: a key must be a word, not a list or mapping")
            elif is_merge:
                self.problems.append(f"{key.where}: merge keys (<<) are not supported; write the keys out")
            elif key.text in entries:
                first = entries[key.text].where
                self.problems.append(f"{key.where}: {shorten(key.text)}: is given twice, first at {first}; remove one")
            else:
                entries[key.text] = Entry(key.where, node)
        return entries


_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def resolve(text: str) -> str | int | float | bool | None:
    """What an unquoted value means by the core schema of YAML 1.2.

    Forms on which versions of YAML disagree (012, 0o14, 0x1F, 1_000, 12:30, dates) stay text: where a
    number is needed they are then refused, where text is needed they are what was written.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) <= 40:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def shorten(text: str, width: int = 60) -> str:
    """At most `width` characters of `text` on one printable line, for messages."""
    visible = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[: width + 1])
    return visible if len(visible) <= width else visible[: width - 1] + "…"
