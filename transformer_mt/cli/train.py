"""`transformer-mt train`: from a YAML file to a translator."""

import argparse
import os
import shlex
import sys
from dataclasses import replace
from typing import Any

from transformer_mt.cli.options import add_config_arguments
from transformer_mt.config.loading import load_config
from transformer_mt.errors import ConfigError
from transformer_mt.memory import keep_memory

DESCRIPTION = """\
Train the translator that a YAML file describes. The run directory that the file names gets the log,
the learning curves, checkpoints, and bundle/, which is all that translating needs.
"""
EXAMPLES = """\
examples:
  transformer-mt train configs/multi30k.yaml
  transformer-mt train my.yaml --set optimizer.lr=5e-4 --set training.run_dir=runs/other
  transformer-mt train my.yaml --init-from runs/general   # fine-tune an existing translator
  transformer-mt train my.yaml --dry-run                  # check everything in seconds

A training that was stopped, in whatever way, goes on when the same command is given again, and ends
with the same bits. SIGTERM and Ctrl-C save first. With several processors or cards:
  torchrun --nproc-per-node 4 -m transformer_mt train my.yaml
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train the translator that a YAML file describes",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_arguments(parser)
    parser.add_argument("--init-from", metavar="BUNDLE", help="start from its weights and tokenizer (fine-tuning)")
    parser.add_argument("--override-resume", action="store_true", help="go on although the configuration has changed")
    parser.add_argument(
        "--dry-run", action="store_true", help="check configuration, data, memory and disk; train nothing"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, or only check."""
    config = load_config(args.config, args.overrides)
    if args.init_from:
        config = replace(config, training=replace(config.training, init_from=args.init_from))
    if not config.data.train:
        raise ConfigError([f"{args.config}: data.train: names no source of sentence pairs; they are what to train on"])
    if args.dry_run:
        from transformer_mt.training.dry_run import dry_run

        dry_run(config, print, args.override_resume)
        return 0
    keep_memory()
    from transformer_mt.training.session import train

    bundle = train(config, args.override_resume)
    if os.environ.get("RANK", "0") != "0":  # of several processes one tells
        return 0
    name = shlex.quote(f"./{config.training.run_dir}" if config.training.run_dir[0] == "-" else config.training.run_dir)
    print(f"The translator is in {bundle}. Next:", file=sys.stderr)
    if config.data.test:
        print(f"  transformer-mt evaluate {name}", file=sys.stderr)
    print(f"  transformer-mt report {name}", file=sys.stderr)
    print(f"  transformer-mt translate {name} INPUT.txt -o OUTPUT.txt", file=sys.stderr)
    return 0
