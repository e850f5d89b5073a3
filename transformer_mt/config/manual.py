"""The manual of every key, read from the schema itself: the text literal under each field is its documentation."""

import ast
import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from transformer_mt.config import suggestions
from transformer_mt.config.building import SECTIONS, SOURCE_SECTION, wanted
from transformer_mt.config.loading import written
from transformer_mt.config.schema import SourceConfig
from transformer_mt.errors import ConfigError


@dataclass(frozen=True, slots=True)
class KeyManual:
    """One key: what it may be, what it is when not given, and what it does."""

    name: str
    type: str
    default: str
    text: str


@dataclass(frozen=True, slots=True)
class SectionManual:
    """One section and its keys, in the order of the schema."""

    name: str
    text: str
    keys: tuple[KeyManual, ...]


def manual() -> tuple[SectionManual, ...]:
    """All sections; the source, of which data.train and its like are lists, follows the section data."""
    pages = {name: _section_manual(name, section) for name, section in SECTIONS.items()}
    source = _section_manual(SOURCE_SECTION, SourceConfig)
    return (pages.pop("data"), source, *pages.values())


def section_manual(name: str) -> SectionManual:
    """One section by its name, or `source`. Raises ConfigError when there is none."""
    pages = {page.name.rpartition(".")[2].strip("<>"): page for page in manual()}
    if name not in pages:
        match = suggestions.closest(name, pages)
        hint = f"did you mean {match}?" if match else f"known are {', '.join(pages)}"
        raise ConfigError([f"{name}: unknown section ({hint})"])
    return pages[name]


def _section_manual(name: str, section: Any) -> SectionManual:
    texts = field_texts(section)
    hints = get_type_hints(section)
    keys = tuple(
        KeyManual(field.name, wanted(hints[field.name]), _default(field.default), texts.get(field.name, ""))
        for field in fields(section)
    )
    return SectionManual(name, inspect.cleandoc(section.__doc__ or ""), keys)


def _default(value: Any) -> str:
    return written(list(value) if isinstance(value, tuple) else value)


def field_texts(section: type) -> dict[str, str]:
    """The text literal that follows each field in the source of a dataclass."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    if not isinstance(tree, ast.ClassDef):
        raise TypeError(f"{section} is no class")
    texts = {}
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            if isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
                texts[field.target.id] = inspect.cleandoc(after.value.value)
    return texts


def as_text(pages: Sequence[SectionManual], width: int = 100) -> str:
    """The manual for a terminal, in lines of at most `width` columns."""
    lines = []
    for page in pages:
        lines += [f"{page.name}:", *_wrapped(page.text, width, "  "), ""]
        for key in page.keys:
            lines += _wrapped(f"{key.name}: {key.type}; default {key.default}", width, "  ", "      ")
            lines += [*_wrapped(key.text, width, "      "), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _wrapped(text: str, width: int, indent: str, indent_after: str | None = None) -> list[str]:
    after = indent if indent_after is None else indent_after
    return textwrap.wrap(text, max(width, 40), initial_indent=indent, subsequent_indent=after, break_long_words=False)


def as_markdown(pages: Sequence[SectionManual]) -> str:
    """The manual for the documentation: one table for each section."""
    lines = []
    for page in pages:
        lines += [f"## `{page.name}`", "", page.text, "", "| key | value | default | meaning |", "|---|---|---|---|"]
        for key in page.keys:
            cells = (f"`{key.name}`", key.type, f"`{key.default}`", " ".join(key.text.split()))
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"
