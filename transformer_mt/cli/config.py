"""`transformer-mt config`: print a configuration fully resolved, or the manual of every key."""

import argparse
import shutil
from typing import Any

from transformer_mt.cli.options import add_config_arguments
from transformer_mt.config.loading import load_config, to_yaml
from transformer_mt.config.manual import as_markdown, as_text, manual, section_manual

SHOW_HELP = "print a configuration with every key, defaults and overrides included"
DESCRIBE_HELP = "document every section and key, with type and default"
EXAMPLES = """\
examples:
  transformer-mt config show my.yaml --set model.d_model=512
  transformer-mt config describe
  transformer-mt config describe optimizer
  transformer-mt config describe --format markdown > keys.md
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `config` with its two sub-commands."""
    texts: dict[str, Any] = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    about = "Show a configuration with every key, or explain what the keys mean."
    parser = commands.add_parser("config", help="show or explain configurations", description=about, **texts)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    show = actions.add_parser("show", help=SHOW_HELP, description=f"{SHOW_HELP.capitalize()}.", **texts)
    add_config_arguments(show)
    show.set_defaults(run=run_show)
    describe = actions.add_parser("describe", help=DESCRIBE_HELP, description=f"{DESCRIBE_HELP.capitalize()}.", **texts)
    describe.add_argument("section", nargs="?", metavar="SECTION", help="only this section, for example model")
    describe.add_argument(
        "--format", choices=("text", "markdown"), default="text", help="for a terminal or for a page (default: text)"
    )
    describe.set_defaults(run=run_describe)


def run_show(args: argparse.Namespace) -> int:
    """Print the configuration as YAML that loads back equal."""
    print(to_yaml(load_config(args.config, args.overrides)), end="")
    return 0


def run_describe(args: argparse.Namespace) -> int:
    """Print the manual, whole or of one section."""
    pages = manual() if args.section is None else (section_manual(args.section),)
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    print(as_markdown(pages) if args.format == "markdown" else as_text(pages, width), end="")
    return 0
