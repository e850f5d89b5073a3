"""What a checkpoint costs: seconds to write one, how long training waits for it, and what hashes and syncs add.

`stall_ms` is the longest that an update of 20 ms waits while a checkpoint is written beside it, 20 ms taken off; the
first checkpoint, which takes its memory, is told apart.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from transformer_mt.config.schema import CheckpointConfig, Config
from transformer_mt.training.checkpoint import Checkpoint, CheckpointWriter, Progress, load_checkpoint, save_checkpoint

UPDATE_SECONDS = 0.02


def add_parser(measurements: Any) -> None:
    """Add the measurement to the parser."""
    parser = measurements.add_parser(
        "save",
        help="what a checkpoint costs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--megabytes", type=int, default=100, help="of weights and state (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="checkpoints (default: %(default)s)")
    parser.add_argument("--directory", type=Path, help="where they are written (default: the system's place)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure."""
    torch.manual_seed(1)
    size = args.megabytes * 1_000_000 // 4 // 30
    weights = {f"w{i}": torch.randn(size) for i in range(10)}
    state = {f"w{i}/{key}": torch.randn(size) for i in range(10) for key in ("exp_avg", "exp_avg_sq")}
    config = replace(Config(), checkpoint=CheckpointConfig(every_steps=1, keep_last=1))
    folder = Path(tempfile.mkdtemp(prefix="save-", dir=args.directory))
    durable, plain, loading, stalls = [], [], [], []
    writer = CheckpointWriter(folder / "beside", config)
    for step in range(1, args.rounds + 1):
        checkpoint = Checkpoint(Progress(step=step), weights, state)
        durable.append(seconds_of(lambda one=checkpoint: save_checkpoint(folder / "whole", one, config)))  # type: ignore[misc]
        plain.append(seconds_of(lambda one=checkpoint: write_plainly(folder / "plain", one)))  # type: ignore[misc]
        loading.append(seconds_of(lambda at=step: load_checkpoint(folder / "whole" / f"step-{at:08d}")))  # type: ignore[misc]
        stalls.append(longest_stall(writer, checkpoint))
    shutil.rmtree(folder)
    row = {
        "megabytes": args.megabytes,
        "save_s": round(statistics.median(durable), 2),
        "without_hash_and_sync_s": round(statistics.median(plain), 2),
        "overhead_s": round(statistics.median(durable) - statistics.median(plain), 2),
        "load_and_verify_s": round(statistics.median(loading), 2),
        "first_stall_ms": round(stalls[0] * 1e3),
        "stall_ms": round(statistics.median(stalls[1:]) * 1e3),
        "longest_stall_ms": round(max(stalls[1:]) * 1e3),
    }
    print(json.dumps(row))


def seconds_of(action: Any) -> float:
    """How long it takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def write_plainly(folder: Path, checkpoint: Checkpoint) -> None:
    """The same bytes, with nothing made sure."""
    from safetensors.torch import save

    folder.mkdir(exist_ok=True)
    for name, tensors in (("model", checkpoint.weights), ("optimizer", checkpoint.optimizer)):
        (folder / f"{name}.safetensors").write_bytes(save(tensors))


def longest_stall(writer: CheckpointWriter, checkpoint: Checkpoint) -> float:
    """The longest update while `checkpoint` is written, less what updates take."""
    longest = seconds_of(lambda: writer.begin(checkpoint))
    while writer.is_writing:
        end, x = time.perf_counter() + UPDATE_SECONDS, torch.randn(64, 64)
        started = time.perf_counter()
        while time.perf_counter() < end:
            x = x @ x.T / x.norm()
        longest = max(longest, time.perf_counter() - started - UPDATE_SECONDS)
    writer.wait()
    return longest
