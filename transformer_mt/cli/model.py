"""`transformer-mt model`: what the model of a configuration is made of."""

import argparse
from typing import Any

from transformer_mt.cli.options import add_config_arguments
from transformer_mt.config.loading import load_config

SUMMARY_HELP = "print the blocks of a model with their shapes and parameter counts"
EXAMPLES = """\
examples:
  transformer-mt model summary configs/multi30k.yaml
  transformer-mt model summary runs/multi30k --set model.d_model=512
  transformer-mt model summary my.yaml --format mermaid    # a flowchart for Markdown pages
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `model` with its sub-command."""
    texts: dict[str, Any] = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    about = "Show what the model of a configuration is made of; nothing is trained."
    parser = commands.add_parser("model", help="show what a model is made of", description=about, **texts)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    summary = actions.add_parser("summary", help=SUMMARY_HELP, description=f"{SUMMARY_HELP.capitalize()}.", **texts)
    add_config_arguments(summary)
    summary.add_argument(
        "--format", choices=("text", "mermaid"), default="text", help="a table or a flowchart (default: text)"
    )
    summary.set_defaults(run=run_summary)


def run_summary(args: argparse.Namespace) -> int:
    """Print the table or the flowchart."""
    run_config = args.config / "config.yaml"
    config = load_config(run_config if run_config.is_file() else args.config, args.overrides)
    from transformer_mt.model.summary import mermaid, summarise  # after validation: torch takes a second to import

    vocab_size = config.tokenizer.vocab_size
    draw = mermaid if args.format == "mermaid" else summarise
    print(draw(config.model, vocab_size, vocab_size))
    return 0
