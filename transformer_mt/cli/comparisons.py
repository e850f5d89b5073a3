"""What `evaluate` does beside scoring: other translations, and sources that are not written with care."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformer_mt.cli.options import load_translator, tell
from transformer_mt.errors import DataError, TransformerMTError
from transformer_mt.files import atomic_file, check_directory, read_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of both."""
    group = parser.add_argument_group("comparisons")
    group.add_argument(
        "--against",
        type=Path,
        metavar="OTHER",
        help="compare with these translations: a text file, one a line, or another bundle or run directory",
    )
    group.add_argument("--page", type=Path, metavar="FILE", help="write an HTML page of what changed against OTHER")
    group.add_argument(
        "--robustness", action="store_true", help="translate again with typos and other case, quotes and spaces"
    )
    group.add_argument("--seed", type=int, default=1, metavar="N", help="decides where typos fall (default: 1)")


def check_arguments(args: argparse.Namespace) -> None:
    """Raise TransformerMTError for options that do not go together, or a page that cannot be written."""
    if args.page is None:
        return
    if args.against is None:
        raise TransformerMTError("--page shows what changed against other translations; name them with --against")
    if args.page.is_dir():
        raise TransformerMTError(f"--page: {args.page} is a directory; name a file in it")
    check_directory(args.page.parent)


def other_translations(args: argparse.Namespace, pairs: Sequence[Any]) -> list[str]:
    """The translations of --against: the lines of a file, or what another bundle makes of the same sources."""
    if not args.against.is_dir():
        lines = list(read_lines(args.against))
        if len(lines) != len(pairs):
            raise DataError(f"{args.against}: has {len(lines):,} lines, {len(pairs):,} are needed, one for each source")
        return lines
    other = load_translator(argparse.Namespace(**{**vars(args), "bundle": args.against, "ensemble": []}))
    tell(f"translating {len(pairs):,} sentences with {args.against}")
    found: list[str] = other.translator.translate(pair.src for pair in pairs)
    return found


def compared(
    args: argparse.Namespace, bundle: Any, pairs: Sequence[Any], both: tuple[list[str], list[str]], directory: Path
) -> dict[str, Any]:
    """Compare our translations with others, write what `--page` names, and return what results.json says of it."""
    from transformer_mt.decoding.evaluate import training_frequencies
    from transformer_mt.evaluation.comparison import compare
    from transformer_mt.evaluation.groups import Lines
    from transformer_mt.evaluation.scores import write_lines
    from transformer_mt.evaluation.significance import OTHER_NAME, paired_commands
    from transformer_mt.report.comparison_page import comparison_page

    ours, others = both
    samples = bundle.config.evaluation.bootstrap_samples
    lines = Lines([pair.src for pair in pairs], [pair.tgt for pair in pairs], ours, others)
    comparison = compare(str(args.against), lines, samples, training_frequencies(bundle.config))
    write_lines(directory / OTHER_NAME, others)
    if args.page is not None:
        with atomic_file(args.page) as file:
            file.write(comparison_page(comparison, str(args.bundle)).encode())
        tell(f"the page: {args.page}")
    return {**comparison.to_json(), "commands": paired_commands(directory, samples)}


def robustness_of(translator: Any, pairs: Sequence[Any], hypotheses: Sequence[str], seed: int) -> dict[str, Any]:
    """Translate spoilt sources, and return what results.json says of it."""
    from transformer_mt.decoding.robustness import robustness

    return {"seed": seed, "kinds": [found.to_json() for found in robustness(translator, pairs, hypotheses, seed, tell)]}
