"""How many translations change with the lines beside them.

A text is translated in batches of 1, 7 and 64 lines and in three orders, with and without `--batch-invariant`, greedily
and with a beam.
"""

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformer_mt.decoding.translator import Translator

SIZES, NUM_ORDERS = (1, 7, 64), 3


def add_parser(measurements: Any) -> None:
    """Add the measurement to the parser."""
    parser = measurements.add_parser("invariance", help="translations that depend on others", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="bundle, or run directory that holds one")
    parser.add_argument("--src", type=Path, required=True, help="text to translate")
    parser.add_argument("--lines", type=int, default=300, help="of it (default: %(default)s)")
    parser.add_argument("--precisions", default="auto", help="separated by commas (default: %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure; one line of JSON for each way to translate."""
    lines = args.src.read_text(encoding="utf-8").split("\n")[:-1][: args.lines]
    usual = Translator.load(args.bundle).settings
    for precision in args.precisions.split(","):
        for beam_size in (1, 5):
            for batch_invariant in (True, False):
                settings = replace(
                    usual, precision=precision, beam_size=beam_size, batch_invariant=batch_invariant, shortlist=False
                )
                translator = Translator.load(args.bundle, settings=settings)
                results = [translated(translator, lines, size, seed) for size in SIZES for seed in range(NUM_ORDERS)]
                row = {
                    "precision": translator.precision,
                    "beam": beam_size,
                    "batch_invariant": batch_invariant,
                    "lines": len(lines),
                    "ways": len(results),
                    "different_results": len(set(results)),
                    "lines_that_differ": sum(len(set(found)) > 1 for found in zip(*results, strict=True)),
                }
                print(json.dumps(row), flush=True)


def translated(translator: Translator, lines: Sequence[str], size: int, seed: int) -> tuple[str, ...]:
    """The translations, in the order of the lines, when so many are given at a time in an order of their own."""
    order = list(range(len(lines)))
    random.Random(seed).shuffle(order)
    found: dict[int, str] = {}
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        found.update(zip(chosen, translator.translate([lines[i] for i in chosen]), strict=True))
    return tuple(found[i] for i in range(len(lines)))
