"""Memory and open files over time: of a process that loads a translator, translates and drops it, again and again,
or of a training that validates and saves every 20 updates.

A leak shows as a slope; the first half of the time is left out of it, in which allocators and caches fill.
"""

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import resident_mb
from rows import show

from transformer_mt.bundle import load_bundle
from transformer_mt.decoding.translator import Translator
from transformer_mt.device import set_threads

NUM_LINES = 32
"""Translated with a translator before it is dropped, which is a round."""
STEPS_OF_ROUND = 20
BEAM_SIZES = (1, 5)
"""Used in turn."""


def add_parser(measurements: Any) -> None:
    """Add the measurement to the parser."""
    parser = measurements.add_parser(
        "soak",
        help="memory and open files over time",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--bundle", type=Path, help="bundle, or run directory that holds one; needs --src")
    kinds.add_argument("--train", type=Path, metavar="CONFIG", help="what to train, in a temporary directory")
    parser.add_argument("--src", type=Path, help="text to translate, over and over")
    parser.add_argument("--minutes", type=float, default=120, help="how long (default: %(default)g)")
    parser.add_argument(
        "--every", type=float, default=10, metavar="SECONDS", help="between rows (default: %(default)g)"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print lines of JSON and nothing else")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print a row each `--every` seconds, and what they come to."""
    if (args.bundle is None) != (args.src is None):
        raise SystemExit("soak: --bundle and --src belong together")
    set_threads(args.threads)
    rows = []
    for row in soak(args) if args.bundle else watch_training(args):
        rows.append(row)
        show(row, "  ".join(f"{value:>8,} {name}" for name, value in row.items()), args.json)
    total = conclusion(rows)
    show(total, ", ".join(f"{name} {value:,}" for name, value in total.items()), args.json)


def soak(args: argparse.Namespace) -> Iterator[dict[str, int | float]]:
    """Work until the time is over; what the process holds, each `--every` seconds and at the end."""
    lines = cycle(args.src.read_text(encoding="utf-8").split("\n")[:-1])
    started, rounds, due = time.monotonic(), 0, 0.0
    while (seconds := time.monotonic() - started) < 60 * args.minutes:
        if seconds >= due:
            gc.collect()
            yield held(seconds, rounds)
            due += args.every
        work(args, list(islice(lines, NUM_LINES)), BEAM_SIZES[rounds % len(BEAM_SIZES)])
        rounds += 1
    gc.collect()
    yield held(time.monotonic() - started, rounds)


def watch_training(args: argparse.Namespace) -> Iterator[dict[str, int | float]]:
    """Train until the time is over; what the training holds, each `--every` seconds, a round being 20 updates."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "training.run_dir": folder + "/run",
            "training.max_steps": 10**9,
            "training.threads": args.threads,
            "evaluation.every_steps": STEPS_OF_ROUND,
            "checkpoint.every_steps": STEPS_OF_ROUND,
        }
        words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        command = [sys.executable, "-m", "transformer_mt", "train", str(args.train), *words]
        metrics = Path(folder) / "run" / "metrics.jsonl"
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                started = time.monotonic()
                while (seconds := time.monotonic() - started) < 60 * args.minutes and process.poll() is None:
                    yield held(seconds, validations(metrics), process.pid)
                    time.sleep(args.every)
                yield held(time.monotonic() - started, validations(metrics), process.pid)
            finally:
                process.terminate()
        if process.returncode != 130:
            raise AssertionError(f"the training ended with {process.returncode}")


def validations(metrics: Path) -> int:
    """How many of them a training has written."""
    return metrics.read_bytes().count(b'"validation"') if metrics.exists() else 0


def work(args: argparse.Namespace, lines: Sequence[str], beam_size: int) -> None:
    """Load, translate, and keep nothing."""
    bundle = load_bundle(args.bundle)
    settings = replace(bundle.config.decoding, beam_size=beam_size)
    translator = Translator.from_bundles([bundle], torch.device("cpu"), settings)
    if len(translator.translate(lines)) != len(lines):
        raise AssertionError("as many lines must come out as went in")


def held(seconds: float, rounds: int, process: int | None = None) -> dict[str, int | float]:
    """What a process, or this one, holds now (Linux)."""
    folder = f"/proc/{process or 'self'}"
    return {
        "seconds": round(seconds, 1),
        "rounds": rounds,
        "rss_mb": round(resident_mb(process), 1),
        "open_files": len(os.listdir(f"{folder}/fd")) - (process is None),  # one is the listing's own
        "threads": len(os.listdir(f"{folder}/task")),
    }


def conclusion(rows: Sequence[dict[str, int | float]]) -> dict[str, int | float]:
    """Growth over the second half, as a straight line through it: per hour."""
    half = rows[len(rows) // 2 :]
    hours = np.array([row["seconds"] / 3600 for row in half])
    slope = {name: np.polyfit(hours, [row[name] for row in half], 1)[0] for name in ("rss_mb", "open_files", "threads")}
    return {
        "rounds": rows[-1]["rounds"],
        "rss_mb_at_half": half[0]["rss_mb"],
        "rss_mb_at_end": half[-1]["rss_mb"],
        **{f"{name}_per_hour": round(float(value), 1) for name, value in slope.items()},
    }
