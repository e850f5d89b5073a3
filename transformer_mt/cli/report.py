"""`transformer-mt report`: a training as one HTML page."""

import argparse
from pathlib import Path
from typing import Any

from transformer_mt.cli.options import tell
from transformer_mt.errors import TransformerMTError
from transformer_mt.files import atomic_file, check_directory

DESCRIPTION = """\
Write one HTML file about a training that can be opened anywhere, mailed and printed: curves, BLEU
with its interval, sample translations over time, best and worst lines, scores by length and by
word frequency, data, configuration, machine and cost. Nothing in it is loaded from elsewhere.
"""
EPILOG = """\
examples:
  transformer-mt report runs/multi30k
  transformer-mt report runs/multi30k -o multi30k.html --lines 200

It works while the training runs, and with what is left of a damaged run: the page says what is
missing. Call it where the training was started, so that it finds the validation pairs.
"""
DEFAULT_LINES = 2000


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "report",
        help="write an HTML page about a training",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run_dir", type=Path, metavar="RUN_DIR", help="run directory of a training, which may still run"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the page (default: RUN_DIR/report.html)")
    parser.add_argument(
        "--lines",
        type=int,
        default=DEFAULT_LINES,
        metavar="N",
        help=f"translate at most so many validation pairs for it; 0: none (default: {DEFAULT_LINES})",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read, translate, write the page."""
    if args.lines < 0 or (args.threads is not None and args.threads < 1):
        raise TransformerMTError("--lines must be 0 or more, and --threads 1 or more")
    output = args.output or args.run_dir / "report.html"
    if output.is_dir():
        raise TransformerMTError(f"--output: {output} is a directory; name a file in it")
    check_directory(output.parent)
    from transformer_mt.report.run import Wanted, read_run
    from transformer_mt.report.run_page import run_page

    found = read_run(args.run_dir, Wanted(args.lines, args.threads), tell)
    page = run_page(found, _verdict(found)).encode()
    with atomic_file(output) as file:
        file.write(page)
    print(output)
    return 0


def _verdict(found: Any) -> str | None:
    """What `diagnose` says; None of metrics that are no training's."""
    from transformer_mt.training.diagnosis import History, judge

    if not found.metrics.records:
        return None
    try:
        said = judge(History(found.config, found.metrics.records))
    except (ArithmeticError, LookupError, TypeError, ValueError):  # a damaged file may hold anything
        return None
    return f"{said.sentence[0].upper()}{said.sentence[1:]}. Next: {said.advice}."
