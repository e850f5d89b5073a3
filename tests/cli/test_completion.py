"""Completion in the real shells: a line is typed, TAB is pressed, and what the shell makes of it is compared."""

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from transformer_mt.cli.main import COMMANDS, build_parser, main
from transformer_mt.cli.shells import SCRIPTS
from transformer_mt.cli.tree import command_tree, config_keys

TYPED = {
    "tr": None,  # train or translate
    "verify-r": "verify-resume ",
    "data cl": "data clean ",
    "train --ov": "train --override-resume ",
    "train --set optimizer.na": "train --set optimizer.name=",
    "train --set optimizer.name=mu": "train --set optimizer.name=muon ",
    "train quick.yaml --set data.drop_leaks=t": "train quick.yaml --set data.drop_leaks=true ",
    "train qui": "train quick.yaml ",
    "verify be": "verify best/",
    "verify qui": None,  # a file is no bundle
    "evaluate best --split v": "evaluate best --split validation ",
    "translate best --device m": "translate best --device mps ",
    "translate best in": "translate best in.txt ",
    "translate best --beam-size qui": None,  # no file is a number
    "config describe tok": "config describe tokenizer ",
    "completion fi": "completion fish ",
    "score best data cle": None,  # what looks like a command is a file here
}
"""What is typed after the name of the program, and what stands there after TAB; None: the same."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with files to complete, and the three scripts."""
    for shell, script in SCRIPTS.items():
        (tmp_path / f"script.{shell}").write_text(script(command_tree(build_parser())), encoding="utf-8")
    for name in ("quick.yaml", "in.txt"):
        (tmp_path / name).touch()
    (tmp_path / "best").mkdir()
    return tmp_path


def needs(shell: str) -> str:
    return shutil.which(shell) or pytest.skip(f"{shell} is not installed; its script is not tried")


@contextmanager
def at_terminal(words: Sequence[str], folder: Path) -> Iterator[int]:
    """A shell that believes that someone types; gives the keyboard."""
    process, keyboard = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.environ.update(TERM="dumb", HOME=str(folder), ZDOTDIR=str(folder), HISTFILE="", LC_ALL="C.UTF-8")
        os.execv(words[0], words)
    try:
        yield keyboard
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(keyboard)


def typed(keyboard: int, text: str, result: Path) -> str:
    """What `result` holds once the shell has written it."""
    result.unlink(missing_ok=True)
    os.write(keyboard, text.encode())
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if select.select([keyboard], [], [], 0.01)[0]:
            os.read(keyboard, 65536)  # what it shows
        if result.exists() and result.read_text().endswith("\n"):
            return result.read_text().rstrip("\n")
    raise TimeoutError(f"the shell did nothing with {text!r}")


SETUP = {
    "bash": (["--norc", "--noprofile", "-i"], 'bind -x \'"\\C-t": echo "$READLINE_LINE" > result\'\n'),
    "zsh": (
        ["-f", "-i"],
        'autoload -Uz compinit; compinit -u -D; dump() { print -r -- "$BUFFER" > result; }; zle -N dump; '
        "bindkey -e; bindkey '^T' dump; setopt no_always_last_prompt no_beep\n",
    ),
}


@pytest.mark.parametrize("shell", SETUP)
def test_tab_completes_commands_options_keys_and_files(shell: str, place: Path) -> None:
    options, setup = SETUP[shell]
    result = place / "result"
    with at_terminal([needs(shell), *options], place) as keyboard:
        typed(keyboard, f"{setup}source ./script.{shell}\necho ready > result\n", result)
        found = {}
        for text in TYPED:
            line = typed(keyboard, f"transformer-mt {text}\t\x14", result)
            found[text] = line.removeprefix("transformer-mt ")
            os.write(keyboard, b"\x15")
    assert found == {
        # of `train` and `translate` the shell types what they share
        text: "tra" if text == "tr" else text if after is None else after
        for text, after in TYPED.items()
    }


def test_fish_offers_commands_options_keys_and_files(place: Path) -> None:
    asked = "; ".join(f"complete -C 'transformer-mt {text}'; echo @" for text in TYPED)
    words = [needs("fish"), "--no-config", "-c", f"source script.fish; {asked}"]
    done = subprocess.run(
        words, cwd=place, capture_output=True, text=True, check=True, env={**os.environ, "HOME": str(place)}
    )
    assert done.stderr == ""
    offers = [[line.split("\t")[0] for line in part.splitlines()] for part in done.stdout.split("@\n")]
    found = dict(zip(TYPED, offers, strict=False))
    assert sorted(found.pop("tr")) == ["train", "translate"]
    expected = {text: [after.split()[-1]] if after else [] for text, after in TYPED.items() if text != "tr"}
    assert found == expected


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_command_and_option_is_in_the_script(shell: str) -> None:
    tree = command_tree(build_parser())
    assert {command.words[0] for command in tree.walk() if command.words} == set(COMMANDS)
    script = SCRIPTS[shell](tree)
    for command in tree.walk():
        for name in (name for argument in command.arguments for name in argument.names):
            assert (name.lstrip("-") if shell == "fish" else name) in script
    assert all(key in script for key in config_keys())


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_shell_reads_the_script(shell: str, place: Path) -> None:
    done = subprocess.run([needs(shell), "-n", f"script.{shell}"], cwd=place, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_command_prints_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 0
    assert capsys.readouterr().out == SCRIPTS["fish"](command_tree(build_parser()))


def test_another_shell_is_refused_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["completion", "tcsh"])
    assert stop.value.code == 2
    assert "invalid choice: 'tcsh' (choose from" in capsys.readouterr().err
