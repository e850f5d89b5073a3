"""`transformer-mt verify`: does a bundle still give the translations that it was written with?"""

import argparse
import sys
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Check the hash of every file of a bundle, and replay the translations that the model gave when it
was written: whether it is whole, and whether this machine computes as the one that made it.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "verify",
        help="check a bundle's files and replay its golden translations",
        description=DESCRIPTION,
        epilog="example:\n  transformer-mt verify runs/multi30k\n\nExits with 2 when a file or a translation differs.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle, or run directory that holds one")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check hashes by loading, then translate the golden sentences again."""
    from transformer_mt.bundle import CARD_FILE, is_card_as_written
    from transformer_mt.decoding.golden import replay

    result = replay(args.bundle)
    for difference in result.differences:
        print(difference)
    count = f"{len(result.differences)} of {result.num_golden} golden translations differ"
    print(f"{args.bundle}: every file is whole; {count}")
    if not is_card_as_written(args.bundle):
        print(f"{CARD_FILE} was changed after the training, as it may be: nothing is read from it")
    if result.differences:
        print(
            "transformer-mt: this machine, version or compiler computes otherwise than the one that wrote it; "
            "TRANSFORMER_MT_NATIVE=0 does without a compiler",
            file=sys.stderr,
        )
    return 2 if result.differences else 0
