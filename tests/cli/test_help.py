"""Help reads like a manual: every command says what it does, every option what it means, and the examples are right."""

import re
import shlex

import pytest

from transformer_mt.cli.main import build_parser
from transformer_mt.cli.tree import Command, command_tree

WIDTH = 100


@pytest.fixture(autouse=True)
def a_terminal_of_100_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))


def tree() -> Command:
    return command_tree(build_parser())


COMMANDS = [pytest.param(command, id=" ".join(command.words) or "transformer-mt") for command in tree().walk()]


def examples(command: Command) -> list[str]:
    """The commands of the examples, without what comes after `#`, `|` or `>`."""
    part = re.search(r"^examples?:\n((?:  .*\n?)+)", command.epilog, re.MULTILINE)
    lines = part[1].splitlines() if part else []
    found = [re.search(r"transformer-mt (.*?)(?:\s+[#|>]|\)|$)", line) for line in lines]
    return [match[1] for match in found if match]


@pytest.mark.parametrize("command", COMMANDS)
def test_it_says_what_it_does(command: Command) -> None:
    assert re.match(r"[A-Z].{30,}[.]\n?$", command.description, re.DOTALL), command.description
    if command.words:
        assert re.match(r"[a-z].{10,}[^.]$", command.summary), command.summary


@pytest.mark.parametrize("command", COMMANDS)
def test_its_examples_are_there_and_are_understood(command: Command) -> None:
    found = examples(command)
    assert found, "the epilog has no `examples:`"
    for line in found:
        build_parser().parse_args(shlex.split(line))
    wanted = " ".join(command.words)
    assert any(line.startswith(wanted) for line in found)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_means(command: Command) -> None:
    for argument in command.arguments:
        text = argument.help
        assert len(text) > 15 and not text.startswith("(default"), (argument.names or argument.metavar, text)
        assert argument.metavar == argument.metavar.upper() or not argument.names, argument.names


@pytest.mark.parametrize("command", COMMANDS)
def test_its_help_fits_a_terminal(command: Command) -> None:
    parser = build_parser()
    for word in command.words:
        (subcommands,) = (action.choices for action in parser._actions if isinstance(action.choices, dict))
        parser = subcommands[word]
    assert [line for line in parser.format_help().splitlines() if len(line) > WIDTH] == []
