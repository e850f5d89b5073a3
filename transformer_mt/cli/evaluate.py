"""`transformer-mt evaluate`: BLEU, chrF and TER with signatures and confidence intervals."""

import argparse
import json
from pathlib import Path
from typing import Any

from transformer_mt.cli import comparisons
from transformer_mt.cli.evaluate_text import as_text
from transformer_mt.cli.options import add_decoding_arguments, load_translator, tell
from transformer_mt.errors import TransformerMTError
from transformer_mt.files import check_directory, write_json

DESCRIPTION = """\
Score a translator on held-out pairs: BLEU, chrF and TER of sacreBLEU on plain text, with signatures
and confidence intervals. The translations are kept, and the sacrebleu command that gives the same
scores is named.
"""
EXAMPLES = """\
examples:
  transformer-mt evaluate runs/multi30k
  transformer-mt evaluate runs/multi30k --split validation --beam-size 1
  transformer-mt evaluate runs/multi30k --src other.en --ref other.fr --json
  transformer-mt evaluate runs/multi30k --against other.txt --page changes.html
  transformer-mt evaluate runs/multi30k --against runs/other
  transformer-mt evaluate runs/multi30k --robustness

lc_tok_bleu is on lower-cased, tokenised text, as older papers have it; never compare the others
with it.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate",
        help="score a translator on held-out pairs",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle, or run directory that holds one")
    parser.add_argument(
        "--split", choices=["test", "validation"], default="test", help="configured pairs (default: test)"
    )
    parser.add_argument("--src", type=Path, metavar="FILE", help="score on this file instead ...")
    parser.add_argument("--ref", type=Path, metavar="FILE", help="... whose translations are here")
    parser.add_argument("--multi-ref", type=Path, metavar="TSV", help="all translations of each line, tab-separated")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="where results.json, hyp.txt and ref.txt go")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    comparisons.add_arguments(parser)
    add_decoding_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Translate, score, write, print."""
    if (args.src is None) != (args.ref is None):
        raise TransformerMTError("--src and --ref go together")
    comparisons.check_arguments(args)
    from transformer_mt.decoding.evaluate import configured_pairs, evaluate, file_pairs

    loaded = load_translator(args)
    pairs = file_pairs(args.src, args.ref) if args.src else configured_pairs(loaded.bundle, args.split, tell)
    directory = args.output or args.bundle / ("evaluation" if args.src else f"evaluation-{args.split}")
    check_directory(directory)  # before the work, which would be lost if it could not be written
    others = comparisons.other_translations(args, pairs) if args.against else None
    tell(f"translating {len(pairs):,} sentences")
    directory.mkdir(parents=True, exist_ok=True)
    evaluation = evaluate(loaded.translator, pairs, loaded.bundle, directory, args.multi_ref)
    hypotheses = [translation.text for translation in evaluation.translations]
    result, commands = evaluation.to_json(loaded.bundle, loaded.translator), [evaluation.command]
    if others is not None:
        result["against"] = comparisons.compared(args, loaded.bundle, pairs, (hypotheses, others), directory)
        commands += result["against"]["commands"]
    if args.robustness:
        result["robustness"] = comparisons.robustness_of(loaded.translator, pairs, hypotheses, args.seed)
    write_json(directory / "results.json", result)
    if args.output is None and args.src is None and args.split == "test":
        write_json(args.bundle / "results.json", result)
    print(json.dumps(result, ensure_ascii=False) if args.json else as_text(result))
    tell(f"files: {directory}; the same scores: " + "\n  ".join(commands))
    return 0
