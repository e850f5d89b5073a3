"""`transformer-mt bench`: which way of decoding is worth its time, on this machine and with this bundle?"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformer_mt.cli.options import tell
from transformer_mt.errors import MissingExtraError, TransformerMTError
from transformer_mt.files import check_directory, write_json

DESCRIPTION = """\
Measure which way of decoding is worth its time on this machine: beams and precisions, with BLEU,
sentences a second, latency and memory of each, as a table, as JSON and as a picture.
"""
EXAMPLES = """\
examples:
  transformer-mt bench runs/multi30k
  transformer-mt bench runs/multi30k --src my.en --ref my.fr --minutes 2

Each way is measured in a process of its own, with nothing else running if the figures are to mean
something. A way is dominated when another is no worse in BLEU, in speed and for one sentence alone,
and better in one of them.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "bench",
        help="measure the ways of decoding on this machine",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle, or run directory that holds one")
    parser.add_argument(
        "--src", type=Path, metavar="FILE", help="translate this file (default: the bundle's validation pairs) ..."
    )
    parser.add_argument("--ref", type=Path, metavar="FILE", help="... whose translations are here")
    parser.add_argument(
        "--minutes", type=float, default=5, metavar="M", help="all of it takes so long at most (default: 5)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="where bench.json and bench.png go")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, mark, write, print."""
    if (args.src is None) != (args.ref is None):
        raise TransformerMTError("--src and --ref go together")
    if not 0.1 <= args.minutes < 1e4:
        raise TransformerMTError(f"--minutes: must be at least 0.1, got {args.minutes}")
    if args.threads is not None and args.threads < 1:
        raise TransformerMTError(f"--threads: must be at least 1, got {args.threads}")
    from transformer_mt.bundle import load_bundle
    from transformer_mt.decoding.bench import Task, mark_dominated, measure_all, ways
    from transformer_mt.decoding.evaluate import configured_pairs, file_pairs
    from transformer_mt.device import resolve_device

    device, bundle = resolve_device(args.device), load_bundle(args.bundle)
    pairs = file_pairs(args.src, args.ref) if args.src else configured_pairs(bundle, "validation", tell)
    if not pairs:
        raise TransformerMTError("there is nothing to translate: no pairs")
    task = Task(args.bundle, [p.src for p in pairs], [p.tgt for p in pairs], str(device), args.threads)
    candidates = ways(bundle, device)
    check_directory(args.output or args.bundle)
    tell(f"measuring {len(candidates)} ways of decoding, {args.minutes:g} minutes at most")
    rows = []
    for row in measure_all(task, candidates, 60 * args.minutes):
        rows.append(row)
        tell(f"{row.way.name}: {row.sentences_per_second:.1f} sentences/s, BLEU {row.bleu:.2f}")
    rows = mark_dominated(rows)
    result = {"bundle": str(args.bundle), "device": str(device), "ways": [row.to_json() for row in rows]}
    print(json.dumps(result, ensure_ascii=False) if args.json else _as_table(rows))
    _write(args.output or args.bundle, result, rows)
    return 0


def _write(directory: Path, result: dict[str, Any], rows: Sequence[Any]) -> None:
    from transformer_mt.report.trade_offs import draw_trade_offs

    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "bench.json", result)
    files = [directory / "bench.json"]
    try:
        draw_trade_offs(rows, directory / "bench.png")
        files.append(directory / "bench.png")
    except MissingExtraError as error:
        tell(str(error))
    tell(f"files: {', '.join(map(str, files))}")


def _as_table(rows: Sequence[Any]) -> str:
    lines = ["way                       BLEU  sentences/s   p50 ms   p95 ms  memory MB  weights MB  start s"]
    for row in rows:
        lines.append(
            f"{row.way.name:23s} {row.bleu:6.2f} {row.sentences_per_second:12.1f} {row.p50_ms:8.1f} {row.p95_ms:8.1f} "
            f"{row.memory_mb:10.0f} {row.size_mb:11.1f} {row.start_s:8.1f}{'  dominated' if row.is_dominated else ''}"
        )
    best = next(row for row in sorted(rows, key=lambda row: -row.sentences_per_second) if not row.is_dominated)
    lines.append(f"{rows[0].lines} lines; fastest of those that are not dominated: {best.way.options}")
    return "\n".join(lines)
