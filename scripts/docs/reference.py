"""A hook of mkdocs: writes the reference of commands and configuration from the program itself, at every build."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))  # these sources, whatever is installed

from transformer_mt.cli.main import build_parser
from transformer_mt.cli.tree import Argument, Command, command_tree
from transformer_mt.config.manual import as_markdown, manual

ABOUT_CONFIGURATION = """\
# Configuration

Every section and key. A key that is left out has its default. `transformer-mt config show my.yaml` prints what is used,
`transformer-mt config describe` prints this page in a terminal, and `--set section.key=value` changes a key for once.
Unknown keys, wrong values and keys that do not go together are told all at once, before anything is read or written.
"""
ABOUT_COMMANDS = """\
# Commands

What `transformer-mt COMMAND --help` prints. Results go to standard output, all else to standard error.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the two pages."""
    for name, text in (("commands", commands_page()), ("configuration", configuration_page())):
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def configuration_page() -> str:
    """Every key with type, default and meaning."""
    return f"{ABOUT_CONFIGURATION}\n{as_markdown(manual())}"


def commands_page() -> str:
    """Every command with its options and examples."""
    lines = [ABOUT_COMMANDS]
    for command in command_tree(build_parser()).walk():
        lines += _section(command)
    return "\n".join(lines) + "\n"


def _section(command: Command) -> Iterator[str]:
    name = " ".join(("transformer-mt", *command.words))
    yield f"{'#' * min(2 + max(0, len(command.words) - 1), 3)} `{name}`\n"
    yield f"{_plain(command.description.strip())}\n"
    yield from ("```text", command.usage.strip(), "```", "")
    if command.arguments:
        yield from ("| argument | meaning |", "|---|---|")
        for argument in command.arguments:
            yield f"| {_name(argument)} | {_plain(argument.help)} |"
        yield ""
    if command.epilog:
        yield from ("```text", command.epilog.strip(), "```", "")


def _name(argument: Argument) -> str:
    names = ", ".join(argument.names)
    value = "{" + ", ".join(argument.words) + "}" if argument.kind == "words" and argument.names else argument.metavar
    return f"`{' '.join(part for part in (names, value) if part)}`"


def _plain(text: str) -> str:
    return re.sub(r"([\\*_{}\[\]<>|])", r"\\\1", text)
