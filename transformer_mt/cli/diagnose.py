"""`transformer-mt diagnose`: what is wrong with a training, in one sentence?"""

import argparse
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Say in one sentence what is wrong with a training, and what to do: target leakage, a learning rate
that is too high, over-fitting, ... It reads config.yaml and metrics.jsonl of the run directory.
"""
EPILOG = """\
example:
  transformer-mt diagnose runs/multi30k

Exits with 0 for a training that looks sound, also while it runs, and with 2 for one that has a
fault.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "diagnose",
        help="say in one sentence what is wrong with a training",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run_dir", type=Path, metavar="RUN_DIR", help="run directory of a training, which may still run"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read config.yaml and metrics.jsonl, and print the verdict and what to do next."""
    from transformer_mt.training.diagnosis import diagnose

    found = diagnose(args.run_dir)
    print(f"{args.run_dir}: {found.sentence}.")
    print(f"Next: {found.advice}.")
    return 2 if found.fault else 0
