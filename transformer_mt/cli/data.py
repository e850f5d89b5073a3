"""`transformer-mt data`: sentence pairs to look at."""

import argparse
import sys
from pathlib import Path
from typing import Any

from transformer_mt.errors import TransformerMTError


def add_parser(commands: Any) -> None:
    """Add the command and its parts to the parser."""
    parser = commands.add_parser("data", help="make the embedded corpus", description=__doc__)
    parts = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    synthesize = parts.add_parser(
        "synthesize",
        help="write the embedded English-French corpus as plain files",
        description="Write train, val and test .en and .fr, made by a bilingual grammar: a pure function of the seed.",
        epilog="example:\n  transformer-mt data synthesize",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = Path("data/synthetic")
    synthesize.add_argument("directory", type=Path, nargs="?", default=where, help=f"where files go (default: {where})")
    synthesize.add_argument("--seed", type=int, default=1, help="another seed makes another corpus (default: 1)")
    synthesize.add_argument("--train", type=int, default=30_000, metavar="N", help="training pairs (default: 30000)")
    synthesize.add_argument("--validation", type=int, default=1_000, metavar="N", help="(default: 1000)")
    synthesize.add_argument("--test", type=int, default=1_000, metavar="N", help="(default: 1000)")
    synthesize.set_defaults(run=run_synthesize)


def run_synthesize(args: argparse.Namespace) -> int:
    """Make the corpus and write it."""
    from transformer_mt.data.synthetic.corpus import synthesize, write_corpus

    if min(args.train, args.validation, args.test) < 1:
        raise TransformerMTError("--train, --validation and --test must be at least 1")
    try:
        corpus = synthesize(args.seed, args.train, args.validation, args.test)
    except ValueError as error:
        raise TransformerMTError(str(error)) from None
    for path in write_corpus(corpus, args.directory):
        print(path, file=sys.stderr)
    return 0
