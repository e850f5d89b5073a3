"""A long file through `transformer-mt translate`, beside the same translator on lines in memory.

`rate_ratio` is the command's lines a second, its start left out, over those of lines in memory. Resident memory is
looked at each second; `growth_mb` is the last quarter's mean less that of the second quarter.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from machine import resident_mb
from rows import show

from transformer_mt.decoding.translator import Translator

NUM_IN_MEMORY = 20_000


def add_parser(measurements: Any) -> None:
    """Add the measurement to the parser."""
    parser = measurements.add_parser(
        "long-file",
        help="a long file: memory and speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, required=True, help="bundle, or run directory that holds one")
    parser.add_argument("--src", type=Path, required=True, help="text whose lines are repeated")
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the file (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--directory", type=Path, help="where temporary files go (default: the system's place)")
    parser.add_argument("--json", action="store_true", help="print lines of JSON and nothing else")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Lines in memory before and after the file, for the machine's speed may change."""
    lines = args.src.read_text(encoding="utf-8").split("\n")[:-1]
    translator = Translator.load(args.bundle, threads=args.threads)
    some = list(islice(cycle(lines), min(NUM_IN_MEMORY, args.lines)))
    translator.translate(some[:1000])
    before = rate_of(translator, some)
    with tempfile.TemporaryDirectory(prefix="long-file-", dir=args.directory) as directory:
        row = translated_file(args, lines, Path(directory))
    after = rate_of(translator, some)
    row["in_memory_lines_s"] = [round(before), round(after)]
    row["rate_ratio"] = round(row["lines_s"] / statistics.mean((before, after)), 3)
    show(row, "  ".join(f"{name} {value}" for name, value in row.items()), args.json)


def rate_of(translator: Translator, lines: list[str]) -> float:
    """Lines a second."""
    started = time.perf_counter()
    translator.translate(lines)
    return len(lines) / (time.perf_counter() - started)


def translated_file(args: argparse.Namespace, lines: list[str], folder: Path) -> dict[str, Any]:
    """What the command took for the whole file, and whether each line of it came out where it belongs."""
    src, out = folder / "in.txt", folder / "out.txt"
    with src.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in islice(cycle(lines), args.lines))
    words = [
        sys.executable,
        "-m",
        "transformer_mt",
        "translate",
        args.bundle,
        src,
        "-o",
        out,
        "--threads",
        args.threads,
    ]
    started, first, resident = time.perf_counter(), 0.0, []
    with subprocess.Popen([str(word) for word in words], stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(1 if first else 0.05)
            if not first and any(one.stat().st_size > 0 for one in folder.glob("out.txt*")):
                first = time.perf_counter() - started
            resident.append(resident_mb(process.pid))
    seconds = time.perf_counter() - started
    found = out.read_text(encoding="utf-8").split("\n")[:-1]
    quarter = max(1, len(resident) // 4)
    return {
        "lines": args.lines,
        "seconds": round(seconds, 1),
        "first_lines_after_s": round(first, 1),
        "lines_s": round(args.lines / (seconds - first)),
        "rss_mb_at_most": round(max(resident)),
        "growth_mb": round(
            statistics.mean(resident[3 * quarter :]) - statistics.mean(resident[quarter : 2 * quarter]), 1
        ),
        "in_order": len(found) == args.lines and all(map(str.__eq__, found, cycle(found[: len(lines)]))),
        "exit_code": process.returncode,
    }
