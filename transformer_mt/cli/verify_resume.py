"""`transformer-mt verify-resume`: does a training that is stopped and goes on end with the same bits, here?"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from transformer_mt.cli.options import add_config_arguments, tell
from transformer_mt.config.loading import load_config
from transformer_mt.errors import TransformerMTError

DESCRIPTION = """\
Prove on this machine that a stopped training ends with the same bits: train once whole and once
stopped at random by SIGKILL, SIGTERM and SIGINT, and compare weights, optimizer state and metrics.
"""
EXAMPLES = """\
examples:
  transformer-mt verify-resume configs/quickstart.yaml
  transformer-mt verify-resume my.yaml --steps 200 --stops 20 --keep runs/proof
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "verify-resume",
        help="prove on this machine that a stopped training ends with the same bits",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_arguments(parser)
    parser.add_argument("--steps", type=int, default=60, metavar="N", help="updates to train (default: %(default)s)")
    parser.add_argument("--stops", type=int, default=6, metavar="N", help="times it is stopped (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="draws the stops (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep both trainings in this new directory")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prove, and print the verdict."""
    from transformer_mt.training.resume_proof import prove_resume

    for name in ("steps", "stops"):
        if getattr(args, name) < 1:
            raise TransformerMTError(f"--{name}: must be at least 1, got {getattr(args, name)}")
    config = load_config(args.config, args.overrides)
    with ExitStack() as stack:
        if args.keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="transformer-mt-")))
        elif args.keep.exists():
            raise TransformerMTError(f"--keep: {args.keep} exists; name a new directory")
        else:
            folder = args.keep
        proof = prove_resume(config, folder.resolve(), args.steps, args.stops, args.seed, tell)
    for name, digest in proof.hashes.items():
        print(f"{'DIFFERS' if name in proof.differences else 'same'}  {digest[:16]}  {name}")
    stopped = f"{args.steps} updates, stopped {len(proof.stops)} times"
    if not proof.differences:
        print(f"{stopped}: every bit is the same as without a stop")
        return 0
    print(f"{stopped}: {len(proof.differences)} of {len(proof.hashes)} results differ")
    if config.training.device != "cpu" and not config.training.deterministic:
        tell("a card needs training.deterministic: true for the same bits")
    return 2
