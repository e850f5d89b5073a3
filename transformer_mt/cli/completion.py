"""`transformer-mt completion`: let the shell complete commands, options, files and configuration keys."""

import argparse
from typing import Any

EXAMPLES = """\
examples:
  transformer-mt completion bash > ~/.local/share/bash-completion/completions/transformer-mt
  transformer-mt completion zsh > ~/.zfunc/_transformer-mt
  transformer-mt completion fish > ~/.config/fish/completions/transformer-mt.fish

or, for this session only:
  source <(transformer-mt completion bash)
  source <(transformer-mt completion zsh)       after compinit
  transformer-mt completion fish | source

For bash the package bash-completion reads that directory (mkdir -p makes it); for zsh ~/.zfunc must
be in $fpath before compinit. Write the file again when transformer-mt was updated.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "completion",
        help="print a completion script for bash, zsh or fish",
        description="Print a script by which the shell completes commands, options, files and the keys of --set.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that the script is for")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from transformer_mt.cli.main import build_parser  # which imports this module
    from transformer_mt.cli.shells import SCRIPTS
    from transformer_mt.cli.tree import command_tree

    print(SCRIPTS[args.shell](command_tree(build_parser())), end="")
    return 0
