"""The commands as plain data, read from the parser: what completion scripts and the reference are written from."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from transformer_mt.config.building import SECTIONS

Kind = Literal["flag", "files", "directories", "keys", "words", "other"]
_WORDS = {"device": ("auto", "cpu", "cuda", "mps"), "section": (*SECTIONS, "source")}
"""Values that are likely, of arguments that take others as well."""
_DIRECTORIES = {"BUNDLE", "DIR", "DIRECTORY", "RUN_DIR", "bundle", "directory", "run_dir"}
_FILES = {"input"}


@dataclass(frozen=True, slots=True)
class Argument:
    """An option, or an argument by its place."""

    names: tuple[str, ...]
    """As `-o` and `--output`; none for an argument by its place."""
    metavar: str
    """What stands for the value in help; empty for a flag."""
    kind: Kind
    """What its value may be."""
    words: tuple[str, ...]
    """The values to offer, of the kind words."""
    help: str
    is_required: bool
    is_repeated: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or the whole, whose `words` are none."""

    words: tuple[str, ...]
    summary: str
    description: str
    usage: str
    epilog: str
    arguments: tuple[Argument, ...]
    commands: tuple["Command", ...]

    def walk(self) -> Iterator["Command"]:
        """This one and all below, in the order of help."""
        yield self
        for command in self.commands:
            yield from command.walk()


def command_tree(parser: argparse.ArgumentParser, words: tuple[str, ...] = (), summary: str = "") -> Command:
    """All that `parser` understands."""
    arguments, commands = [], []
    for action in parser._actions:  # argparse has no public way to ask
        if isinstance(action, argparse._SubParsersAction):
            summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, part in action.choices.items():
                commands.append(command_tree(part, (*words, name), summaries.get(name, "")))
        else:
            arguments.append(_argument(action, parser))
    about = (parser.description or "", parser.format_usage(), parser.epilog or "")
    return Command(words, summary, *about, tuple(arguments), tuple(commands))


def _argument(action: argparse.Action, parser: argparse.ArgumentParser) -> Argument:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest
    if action.nargs == 0:
        metavar = ""
    elif action.option_strings and action.metavar is None:
        metavar = action.dest.upper()
    is_required = action.required if action.option_strings else action.nargs not in ("?", "*")
    help_text = parser._get_formatter()._expand_help(action) if action.help else ""
    is_repeated = isinstance(action, argparse._AppendAction)
    names = tuple(action.option_strings)
    return Argument(names, metavar, *_kind(action, metavar), help_text, is_required, is_repeated)


def _kind(action: argparse.Action, metavar: str) -> tuple[Kind, tuple[str, ...]]:
    if action.nargs == 0:
        return "flag", ()
    if action.choices is not None:
        return "words", tuple(map(str, action.choices))
    if action.dest in _WORDS:
        return "words", _WORDS[action.dest]
    if action.dest == "overrides":
        return "keys", ()
    if metavar in _DIRECTORIES:
        return "directories", ()
    return ("files", ()) if action.type is Path or action.dest in _FILES else ("other", ())


def config_keys() -> dict[str, tuple[str, ...]]:
    """Every `section.key` that `--set` takes, with its values where these are words."""
    found: dict[str, tuple[str, ...]] = {}
    for name, section in SECTIONS.items():
        hints = get_type_hints(section)
        for field in fields(section):
            found[f"{name}.{field.name}"] = _values(hints[field.name])
    return found


def _values(hint: Any) -> tuple[str, ...]:
    if hint is bool:
        return "true", "false"
    parts = (hint, *get_args(hint))  # those of `Literal[...] | None`
    return next((get_args(part) for part in parts if get_origin(part) is Literal), ())
