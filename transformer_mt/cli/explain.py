"""`transformer-mt explain`: how was this sentence translated?"""

import argparse
from pathlib import Path
from typing import Any

from transformer_mt.cli.options import add_decoding_arguments, load_translator, tell
from transformer_mt.errors import TransformerMTError
from transformer_mt.files import atomic_file

DESCRIPTION = """\
Show how one sentence is translated, as one HTML page that needs nothing else: its pieces, their
vectors and places, the attention of every layer and head, which words belong together, the
probabilities, what the search kept and dropped, and what each piece needed of the source.
"""
EXAMPLES = """\
examples:
  transformer-mt explain runs/multi30k "A dog runs on the beach." -o dog.html
  transformer-mt explain runs/multi30k "A dog runs." -o greedy.html --beam-size 1 --precision fp32
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explain",
        help="show how a sentence is translated, as a page",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle, or run directory that holds one")
    parser.add_argument("sentence", metavar="SENTENCE", help="sentence to translate, in quotes")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="HTML page to write")
    add_decoding_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    if args.ensemble:
        raise TransformerMTError("--ensemble: explain looks into one model; leave it out")
    if str(args.output) == "-":
        raise TransformerMTError("--output: a page goes into a file; name one")
    if args.output.is_dir():
        raise TransformerMTError(f"--output: {args.output} is a directory; name a file in it")
    translator = load_translator(args).translator
    from transformer_mt.report.explain_page import explain_page
    from transformer_mt.report.explanation import explain

    found = explain(translator, args.sentence)
    with atomic_file(args.output) as file:
        file.write(explain_page(found).encode())
    tell(found.inspection.translation)
    tell(f"how it came about is in {args.output}")
    return 0
