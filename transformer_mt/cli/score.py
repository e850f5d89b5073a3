"""`transformer-mt score`: how probable are given translations, to a model?"""

import argparse
import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from transformer_mt.cli.line_files import LineFiles
from transformer_mt.cli.options import add_decoding_arguments, load_translator
from transformer_mt.errors import DataError, TransformerMTError
from transformer_mt.files import check_readable_file, read_lines

DESCRIPTION = """\
Say how probable given translations are to a model, one number for each pair of lines: to filter
sentence pairs, or to choose among translations of others.
"""
EXAMPLES = """\
examples:
  transformer-mt score runs/multi30k input.en translations.fr
  transformer-mt score runs/multi30k input.en translations.fr --json -o scores.jsonl

A score is log P / length ** length_penalty, as the search compares translations: the higher the
better, 0 is certain.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "score",
        help="score given translations by a model",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle, or run directory that holds one")
    parser.add_argument("src", type=Path, metavar="SRC", help="text file, one sentence a line")
    parser.add_argument("tgt", type=Path, metavar="TGT", help="their translations, line by line")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="file for the scores (default: standard output)"
    )
    parser.add_argument("--json", action="store_true", help="write JSON lines with the log-probability of each piece")
    add_decoding_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write one score for each pair of lines."""
    for path in (args.src, args.tgt):
        check_readable_file(path)
        if args.output is not None and args.output.exists() and args.output.samefile(path):
            raise TransformerMTError(f"--output: {path} is the input; choose another file")
    translator = load_translator(args).translator
    with LineFiles([args.output] if args.output else [], identity=None, resume=False) as files:
        for scored in translator.score(_pairs(args.src, args.tgt)):
            text = _as_json(scored) if args.json else f"{scored.score:.4f}"
            if args.output is None:
                print(text)
            else:
                files.files[0].write(text)
    return 0


def _pairs(src: Path, tgt: Path) -> Iterator[tuple[str, str]]:
    for number, (source, target) in enumerate(zip_longest(read_lines(src), read_lines(tgt))):
        if source is None or target is None:
            shorter = src if source is None else tgt
            raise DataError(f"{shorter}: ends after {number:,} lines, before the other file; they must be aligned")
        yield source, target


def _as_json(scored: Any) -> str:
    tokens = [{"piece": piece, "log_prob": log_prob} for piece, log_prob in scored.tokens]
    return json.dumps({"score": scored.score, "log_prob": scored.log_prob, "tokens": tokens}, ensure_ascii=False)
