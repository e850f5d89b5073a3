"""`transformer-mt evaluate`: BLEU, chrF and TER with signatures and confidence intervals."""

import argparse
import json
from pathlib import Path
from typing import Any

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
    add_decoding_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Translate, score, write, print."""
    if (args.src is None) != (args.ref is None):
        raise TransformerMTError("--src and --ref go together")
    from transformer_mt.decoding.evaluate import configured_pairs, evaluate, file_pairs

    loaded = load_translator(args)
    pairs = file_pairs(args.src, args.ref) if args.src else configured_pairs(loaded.bundle, args.split, tell)
    directory = args.output or args.bundle / ("evaluation" if args.src else f"evaluation-{args.split}")
    check_directory(directory)  # before the work, which would be lost if it could not be written
    tell(f"translating {len(pairs):,} sentences")
    directory.mkdir(parents=True, exist_ok=True)
    evaluation = evaluate(loaded.translator, pairs, loaded.bundle, directory, args.multi_ref)
    result = evaluation.to_json(loaded.bundle, loaded.translator)
    write_json(directory / "results.json", result)
    if args.output is None and args.src is None and args.split == "test":
        write_json(args.bundle / "results.json", result)
    print(json.dumps(result, ensure_ascii=False) if args.json else _as_text(result))
    tell(f"files: {directory}; the same scores: {evaluation.command}")
    return 0


def _as_text(result: dict[str, Any]) -> str:
    lines = []
    for name in ("bleu", "chrf", "ter", "lc_tok_bleu", "multi_reference_bleu"):
        if name in result:
            score = result[name]
            interval = f"  [{score['low']:.2f}, {score['high']:.2f}]" if score.get("low") is not None else ""
            lines.append(f"{name:21}{score['score']:6.2f}{interval}  {score['signature']}")
    lines.append(f"{result['lines']} lines, {result['flagged']} flagged, beam size {result['beam_size']}")
    return "\n".join(lines)
