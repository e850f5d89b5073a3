"""`transformer-mt data`: look for defects in sentence pairs, write them without, or make some."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformer_mt.cli.options import add_config_arguments, tell
from transformer_mt.config.loading import load_config, to_yaml
from transformer_mt.errors import TransformerMTError
from transformer_mt.files import atomic_directory, atomic_file, check_directory, write_json

EXAMPLES = """\
examples:
  transformer-mt data check my.yaml -o runs/report
  transformer-mt data clean my.yaml data/clean
  transformer-mt data synthesize
"""
CHECK_EXAMPLES = """\
examples:
  transformer-mt data check my.yaml
  transformer-mt data check my.yaml -o runs/report --strict

With -o the directory gets report.html, report.json and findings.jsonl (every pair with a defect,
with its line).
"""
CLEAN_EXAMPLES = """\
examples:
  transformer-mt data clean my.yaml data/clean
  transformer-mt data clean my.yaml data/clean --keep near_duplicate --keep too_long
  transformer-mt train data/clean/config.yaml

The new directory gets the training pairs as text files, changes.jsonl (what was done, with line
numbers), the report, and the configuration with the new files in place of the old ones. Validation
and test are not changed.
"""


def add_parser(commands: Any) -> None:
    """Add the command and its parts to the parser."""
    parser = commands.add_parser(
        "data",
        help="check or clean sentence pairs, make the embedded corpus",
        description="Look for defects in sentence pairs, write them without, or make the embedded corpus.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_check(parts)
    _add_clean(parts)
    synthesize = parts.add_parser(
        "synthesize",
        help="write the embedded English-French corpus as plain files",
        description="Write train, val and test .en and .fr, made by a bilingual grammar: a pure function of the seed.",
        epilog="example:\n  transformer-mt data synthesize",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = Path("data/synthetic")
    synthesize.add_argument(
        "directory", type=Path, nargs="?", metavar="DIRECTORY", default=where, help=f"where files go (default: {where})"
    )
    synthesize.add_argument(
        "--seed", type=int, default=1, metavar="N", help="another seed makes another corpus (default: 1)"
    )
    synthesize.add_argument("--train", type=int, default=30_000, metavar="N", help="training pairs (default: 30000)")
    synthesize.add_argument(
        "--validation", type=int, default=1_000, metavar="N", help="validation pairs (default: 1000)"
    )
    synthesize.add_argument("--test", type=int, default=1_000, metavar="N", help="test pairs (default: 1000)")
    synthesize.set_defaults(run=run_synthesize)


def _add_check(parts: Any) -> None:
    check = parts.add_parser(
        "check",
        help="look for defects in all sources of a configuration",
        description="Look for defects in all sources of a configuration; nothing is changed.",
        epilog=CHECK_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_arguments(check)
    check.add_argument("-o", "--output", type=Path, metavar="DIRECTORY", help="where the reports go, as files")
    check.add_argument("--strict", action="store_true", help="exit with 3 when there is a defect")
    check.set_defaults(run=run_check)


def _add_clean(parts: Any) -> None:
    clean = parts.add_parser(
        "clean",
        help="write the training pairs of a configuration without their defects",
        description="Write the training pairs of a configuration without their defects, to new files.",
        epilog=CLEAN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_arguments(clean)
    clean.add_argument("directory", type=Path, metavar="DIRECTORY", help="a new directory for the new files")
    clean.add_argument(
        "--keep", action="append", default=[], metavar="KIND", help="do nothing about this kind; may be repeated"
    )
    clean.set_defaults(run=run_clean)


def run_check(args: argparse.Namespace) -> int:
    """Examine, and tell."""
    config = load_config(args.config, args.overrides)
    if args.output is not None:
        check_directory(args.output)
    from transformer_mt.data.doctor.diagnosis import diagnose
    from transformer_mt.data.doctor.report import as_lines, as_report, has_defects

    with diagnose(config.data) as diagnosis:
        report = as_report(diagnosis)
        for line in as_lines(report):
            print(line)
        if args.output is not None:
            args.output.mkdir(parents=True, exist_ok=True)
            _write_reports(diagnosis, report, args.output)
            tell(f"the reports are in {args.output}")
    return 3 if args.strict and has_defects(report) else 0


def run_clean(args: argparse.Namespace) -> int:
    """Examine, write what is sound and what could be mended, and tell."""
    config = load_config(args.config, args.overrides)
    from transformer_mt.data.doctor.cleaning import CHANGES_FILE, write_clean
    from transformer_mt.data.doctor.diagnosis import diagnose
    from transformer_mt.data.doctor.kinds import kinds_of
    from transformer_mt.data.doctor.report import as_report

    kept = kinds_of(args.keep)
    if args.directory.exists():
        raise TransformerMTError(f"{args.directory}: exists already; name a new directory")
    if not config.data.train:
        raise TransformerMTError(
            f"{args.config}: data.train: names no source of sentence pairs; they are what to clean"
        )
    with diagnose(config.data) as diagnosis, atomic_directory(args.directory) as directory:
        cleaned = write_clean(diagnosis, config.data, kept, directory, args.directory)
        _write_reports(diagnosis, as_report(diagnosis), directory)
        new = replace(config, data=replace(config.data, train=cleaned.train))
        (directory / "config.yaml").write_text(to_yaml(new), encoding="utf-8")
    print(f"{cleaned.num_kept:,} pairs written to {args.directory}, {cleaned.num_mended:,} of them mended")
    for reason, count in cleaned.left_out.most_common():
        print(f"  {reason:15} {count:9,} left out")
    tell(f"what was done, with line numbers, is in {args.directory / CHANGES_FILE}")
    return 0


def _write_reports(diagnosis: Any, report: dict[str, Any], directory: Path) -> None:
    """Write report.json, report.html and findings.jsonl."""
    from transformer_mt.data.doctor.report import as_json
    from transformer_mt.report.data_page import data_page

    write_json(directory / "report.json", report)
    with atomic_file(directory / "report.html") as page:
        page.write(data_page(report).encode())
    with atomic_file(directory / "findings.jsonl") as file:
        for role in report["roles"]:
            for finding in diagnosis.findings(role):
                file.write(json.dumps(as_json(finding), ensure_ascii=False).encode() + b"\n")


def run_synthesize(args: argparse.Namespace) -> int:
    """Make the corpus and write it."""
    from transformer_mt.data.synthetic.corpus import synthesize, write_corpus

    if min(args.train, args.validation, args.test) < 1:
        raise TransformerMTError("--train, --validation and --test must be at least 1")
    check_directory(args.directory)
    try:
        corpus = synthesize(args.seed, args.train, args.validation, args.test)
    except ValueError as error:
        raise TransformerMTError(str(error)) from None
    for path in write_corpus(corpus, args.directory):
        print(path, file=sys.stderr)
    return 0
