"""`transformer-mt evaluate`: BLEU, chrF and TER with signatures and confidence intervals."""

import argparse
import json
from pathlib import Path
from typing import Any

from transformer_mt.cli import comparisons
from transformer_mt.cli.evaluate_text import as_text
from transformer_mt.cli.options import Loaded, add_decoding_arguments, load_translator, tell, uncalibrated
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
  transformer-mt evaluate runs/multi30k --calibration
  transformer-mt evaluate bundles/en-fr --src dev.en --ref dev.fr --calibrate

--calibration says how often words of a confidence are right: how far off on average (expected
calibration error, 0 is best) and in a table. --calibrate learns confidence from the pairs,
which must not be those it is examined on, and writes it into the bundle; a training does so by
itself.

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
    confidence = parser.add_mutually_exclusive_group()
    confidence.add_argument("--calibration", action="store_true", help="examine the confidence of words and lines")
    confidence.add_argument("--calibrate", action="store_true", help="learn it from these pairs, into the bundle")
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
    if args.calibrate and (args.ensemble or (args.src is None and args.split == "test")):
        wrong = "--ensemble" if args.ensemble else "the test pairs, which are for examining it: add --split validation"
        raise TransformerMTError(f"--calibrate: does not go with {wrong}")
    from transformer_mt.decoding.evaluate import configured_pairs, evaluate, file_pairs
    from transformer_mt.decoding.translation import Wishes

    loaded = load_translator(args)
    if args.calibration and loaded.bundle.calibration is None:
        raise TransformerMTError(f"--calibration: {uncalibrated(args.bundle)}")
    pairs = file_pairs(args.src, args.ref) if args.src else configured_pairs(loaded.bundle, args.split, tell)
    directory = args.output or args.bundle / ("evaluation" if args.src else f"evaluation-{args.split}")
    for needed in (directory, loaded.bundle.path.resolve().parent) if args.calibrate else (directory,):
        check_directory(needed)  # before the work, which would be lost if it could not be written
    others = comparisons.other_translations(args, pairs) if args.against else None
    tell(f"translating {len(pairs):,} sentences")
    directory.mkdir(parents=True, exist_ok=True)
    wishes = Wishes(confidence=args.calibration or args.calibrate)
    evaluation = evaluate(loaded.translator, pairs, loaded.bundle, directory, args.multi_ref, wishes)
    hypotheses = [translation.text for translation in evaluation.translations]
    result, commands = evaluation.to_json(loaded.bundle, loaded.translator), [evaluation.command]
    if others is not None:
        result["against"] = comparisons.compared(args, loaded.bundle, pairs, (hypotheses, others), directory)
        commands += result["against"]["commands"]
    if args.robustness:
        result["robustness"] = comparisons.robustness_of(loaded.translator, pairs, hypotheses, args.seed)
    if args.calibration:
        result["calibration"] = _examined(loaded, evaluation.translations, pairs)
    write_json(directory / "results.json", result)
    if args.output is None and args.src is None and args.split == "test":
        write_json(args.bundle / "results.json", result)
    print(json.dumps(result, ensure_ascii=False) if args.json else as_text(result))
    tell(f"files: {directory}; the same scores: " + "\n  ".join(commands))
    if args.calibrate:
        _calibrate(loaded, evaluation.translations, pairs)
    return 0


def _examined(loaded: Loaded, translations: Any, pairs: Any) -> dict[str, Any]:
    from transformer_mt.decoding.confidence import examine_confidence

    return examine_confidence(loaded.bundle.calibration, translations, pairs).to_json()


def _calibrate(loaded: Loaded, translations: Any, pairs: Any) -> None:
    from transformer_mt.bundle import replace_calibration
    from transformer_mt.decoding.confidence import calibrate

    found = calibrate(translations, pairs)
    replace_calibration(loaded.bundle, found)
    counts = f"{found.num_words:,} words of {found.num_lines:,} lines"
    tell(f"{loaded.bundle.path}: has confidence now, learnt from {counts}")
