"""Training speed: tokens a second of whole updates, in the steady state, with padding not counted.

Source tokens are pieces, target tokens are pieces and one end mark for each sentence. An update has about 4,096
target tokens. The architecture is the classic one (pre-norm, LayerNorm, sinusoidal positions, ReLU, one shared
embedding matrix), the optimizer Adam, as in the toolkits that it is compared with.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from breakdown import Breakdown, product_flops
from machine import OtherLoad, peak_rss_mb, wait_for_quiet
from rows import row_of, show

from transformer_mt.config.loading import from_dict
from transformer_mt.config.schema import Config
from transformer_mt.data.batching import BatchLimit, plan_epoch
from transformer_mt.data.prepared import Row
from transformer_mt.data.vocabulary import EOS_ID, SPECIAL_PIECES, UNK_ID
from transformer_mt.device import resolve_device, resolve_precision, seed_everything, set_threads
from transformer_mt.model.transformer import Transformer
from transformer_mt.training.trainer import Meter, Trainer

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"layers": 4, "d_model": 128, "d_ff": 256, "num_heads": 4, "dropout": 0.3, "lr": 2e-3},
    "small": {"layers": 6, "d_model": 256, "d_ff": 1024, "num_heads": 4, "dropout": 0.1, "lr": 1e-3},
    "base": {"layers": 6, "d_model": 512, "d_ff": 2048, "num_heads": 8, "dropout": 0.1, "lr": 5e-4},
    "big": {"layers": 6, "d_model": 1024, "d_ff": 4096, "num_heads": 16, "dropout": 0.1, "lr": 5e-4},
}


class PieceFiles:
    """Sentence pairs from two files of pieces separated by spaces, held in memory."""

    weights = None

    def __init__(self, directory: Path) -> None:
        """`directory` holds train.sp.en, train.sp.fr and vocab.txt, one piece a line."""
        pieces = (directory / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
        self.ids = {piece: number for number, piece in enumerate(pieces, start=len(SPECIAL_PIECES))}
        self.vocab_size = len(SPECIAL_PIECES) + len(pieces)
        self.src, self.tgt = (self._read(directory / f"train.sp.{language}") for language in ("en", "fr"))
        self.src_lengths, self.tgt_lengths = (np.array([*map(len, side)], np.int32) for side in (self.src, self.tgt))
        self.num_read = 0

    def _read(self, path: Path) -> list[np.ndarray]:
        with path.open(encoding="utf-8", newline="\n") as file:
            return [np.array([*(self.ids.get(p, UNK_ID) for p in line.split()), EOS_ID], np.int32) for line in file]

    def __len__(self) -> int:
        return len(self.src)

    def rows(self, indices: Sequence[int]) -> list[Row]:
        """The ids of the pairs at `indices`."""
        self.num_read += len(indices)
        return [(self.src[i], self.tgt[i]) for i in indices]


class RandomPairs:
    """Sentence pairs of random pieces, as long as those of news: 28 pieces on average, a vocabulary of 32,000."""

    weights = None
    vocab_size = 32_000

    def __init__(self, count: int = 100_000) -> None:
        generator = np.random.default_rng(1)
        self.src_lengths = np.clip(generator.gamma(3.0, 9.4, count), 3, 120).astype(np.int32)
        self.tgt_lengths = np.clip(self.src_lengths * generator.normal(1.1, 0.15, count), 3, 128).astype(np.int32)
        self.pieces = generator.integers(EOS_ID + 1, self.vocab_size, 1 << 20, dtype=np.int32)
        self.num_read = 0

    def __len__(self) -> int:
        return len(self.src_lengths)

    def rows(self, indices: Sequence[int]) -> list[Row]:
        """The ids of the pairs at `indices`, which are pieces of one long random text."""
        self.num_read += len(indices)
        return [(self._row(i, self.src_lengths[i]), self._row(i + 1, self.tgt_lengths[i])) for i in indices]

    def _row(self, number: int, length: int) -> np.ndarray:
        start = number * 7919 % (len(self.pieces) - 128)
        return np.append(self.pieces[start : start + length - 1], np.int32(EOS_ID))


def add_parser(measurements: Any) -> None:
    """Add the measurement to the parser."""
    parser = measurements.add_parser("train", help="training speed", description=__doc__)
    add_options(parser)
    parser.add_argument("--json", action="store_true", help="print lines of JSON and nothing else")
    parser.add_argument("--profile", action="store_true", help="show where the time of a step goes instead")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until the machine is idle")
    others = parser.add_argument_group("other toolkits")
    others.add_argument("--peers", type=Path, metavar="DIR", help="folder with a bench.py that runs other toolkits")
    others.add_argument("--toolkits", default="ours,fairseq,marian,transformers:bf16", help="default: %(default)s")
    others.add_argument("--rounds", type=int, default=2, help="measurements of each (default: %(default)s)")
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is measured, and how long."""
    parser.add_argument("--size", choices=SIZES, default="small", help="of the model (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=40, help="length of the measurement (default: 40)")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip", type=int, default=20, help="updates before the measurement (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=4096, help="target tokens an update (default: %(default)s)")
    parser.add_argument(
        "--work", type=Path, help="folder with train.sp.en, train.sp.fr, vocab.txt; none: random pieces"
    )


def run(args: argparse.Namespace) -> None:
    """Measure, or compare."""
    if args.peers:
        compare(args)
    elif args.profile:
        show_profile(args)
    else:
        if not args.no_wait:
            wait_for_quiet()
        row = measure(args)
        show(row, text_of(row), args.json)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """One measurement in this process."""
    trainer = prepared_trainer(args)
    for _ in range(args.skip):
        trainer.run_epoch_step()
    pairs, first = trainer.corpus, trainer.progress.step
    settle(trainer)
    trainer.meter, pairs.num_read = Meter(), 0
    load, started = OtherLoad(), time.perf_counter()
    while time.perf_counter() - started < args.seconds:
        trainer.run_epoch_step()
    settle(trainer)
    elapsed = time.perf_counter() - started
    counts, updates = trainer.meter.counts, trainer.progress.step - first
    src, tgt = counts["source_tokens"] - pairs.num_read, counts["tokens"]  # the sources' end marks do not count
    return {
        "toolkit": "transformer_mt",
        "task": "train",
        "size": args.size,
        "tgt_tok_s": round(tgt / elapsed),
        "all_tok_s": round((src + tgt) / elapsed),
        "sent_s": round(pairs.num_read / elapsed, 1),
        "peak_rss_mb": peak_rss_mb(),
        "updates": updates,
        "window_s": round(elapsed, 1),
        "tgt_tok_per_update": round(tgt / updates),
        "pad_share": round(1 - (src + tgt) / counts["positions"], 3),
        "threads": args.threads,
        "precision": trainer.precision,
        "other_cpu": load.share(),
        "data_wait": round(trainer.meter.waited / elapsed, 4),
        **(on_a_card(trainer, tgt / updates, elapsed / updates) if trainer.device.type == "cuda" else {}),
    }


def settle(trainer: Trainer) -> None:
    """Wait until a card has done what it was told to do."""
    if trainer.device.type == "cuda":
        torch.cuda.synchronize()


def on_a_card(trainer: Trainer, tgt_tokens: float, step_seconds: float) -> dict[str, Any]:
    """Peak memory, and the share of the measured rate of matrix products that the model's own operations reach."""
    rate = product_flops(_dtype_of(trainer), 4096, trainer.device)
    return {
        "card": torch.cuda.get_device_name(trainer.device),
        "peak_card_mb": torch.cuda.max_memory_allocated(trainer.device) >> 20,
        "product_tflops": round(rate / 1e12, 1),
        "utilisation": round(step_flops(trainer, tgt_tokens) / step_seconds / rate, 3),
    }


def _dtype_of(trainer: Trainer) -> torch.dtype:
    return torch.bfloat16 if trainer.precision == "bf16" else torch.float32


def prepared_trainer(args: argparse.Namespace) -> Trainer:
    """A trainer of the size asked for on the pairs of the work folder, or on random ones."""
    set_threads(args.threads)
    device = resolve_device(args.device)
    pairs = PieceFiles(args.work) if args.work else RandomPairs()
    plan = plan_epoch(pairs, BatchLimit(args.tokens, True), 1, 0)
    tokens_per_batch = pairs.tgt_lengths.sum() / len(plan)
    config = config_of(args.size, round(args.tokens * args.tokens / tokens_per_batch))
    seed_everything(config.training.seed, "weights")
    model = Transformer(config.model, pairs.vocab_size, pairs.vocab_size).to(device)
    return Trainer(config, model, pairs, resolve_precision(args.precision, device))


def config_of(size: str, batch_size: int) -> Config:
    """The configuration that all toolkits are measured with."""
    numbers = dict(SIZES[size])
    layers, lr = numbers.pop("layers"), numbers.pop("lr")
    sections = {
        "data": {"src_lang": "en", "tgt_lang": "fr", "train": [{"src": "en", "tgt": "fr"}]},
        "model": {**numbers, "num_encoder_layers": layers, "num_decoder_layers": layers},
        "optimizer": {"name": "adam", "lr": lr},
        "schedule": {"warmup_steps": 100},
        "training": {"batch_size": batch_size, "max_steps": 1_000_000, "max_grad_norm": None},
    }
    sections["model"]["embedding_dropout"] = numbers["dropout"]
    return from_dict(sections, "benchmark")


def text_of(row: dict[str, Any]) -> str:
    """One measurement as people read it."""
    return (
        f"{row['toolkit']:16s} {row['precision']}  {row['tgt_tok_s']:7,} target tokens/s  "
        f"{row['peak_rss_mb']:6,} MB  padding {row['pad_share'] or 0:.1%}  other load {row['other_cpu']:.1%}"
    )


def compare(args: argparse.Namespace) -> None:
    """Ours and each of the others by turns, each in a process of its own; then the ratios of the medians."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for _ in range(args.rounds):
        for toolkit in args.toolkits.split(","):
            name, _, precision = toolkit.partition(":")
            row = _measured_apart(precision, args) if name == "ours" else _measured_peer(name, precision, args)
            rows.setdefault(toolkit, []).append(row)
            show(row, text_of(row), args.json)
    medians = {
        toolkit: {key: statistics.median(row[key] for row in measured) for key in ("tgt_tok_s", "peak_rss_mb")}
        for toolkit, measured in rows.items()
    }
    others = {toolkit: median for toolkit, median in medians.items() if not toolkit.startswith("ours")}
    for toolkit in medians.keys() - others.keys():
        ours = medians[toolkit]
        ratios = {
            "size": args.size,
            "precision": rows[toolkit][0]["precision"],
            "speed_ratio": {name: round(ours["tgt_tok_s"] / its["tgt_tok_s"], 2) for name, its in others.items()},
            "memory_ratio": {name: round(ours["peak_rss_mb"] / its["peak_rss_mb"], 2) for name, its in others.items()},
        }
        print(json.dumps(ratios), flush=True)


def _measured_apart(precision: str, args: argparse.Namespace) -> dict[str, Any]:
    words = ["train", "--json", "--work", args.work, "--precision", precision or args.precision]
    for name in ("size", "seconds", "threads", "skip", "tokens", "device"):
        words += [f"--{name}", getattr(args, name)]
    if args.no_wait:
        words.append("--no-wait")
    return row_of([sys.executable, Path(__file__).parent, *words], os.environ)


def _measured_peer(name: str, precision: str, args: argparse.Namespace) -> dict[str, Any]:
    words = [name, "train", "--work", args.work, "--size", args.size, "--seconds", args.seconds]
    words += ["--threads", args.threads] + (["--bf16"] if precision == "bf16" else [])
    return row_of([sys.executable, args.peers / "bench.py", *words], os.environ)


def show_profile(args: argparse.Namespace) -> None:
    """Where the time of a step goes, and the floor that the matrix products set."""
    trainer = prepared_trainer(args)
    for _ in range(args.skip):
        trainer.run_epoch_step()
    trainer.meter, before = Meter(), trainer.progress.tokens
    breakdown = Breakdown(trainer.run_epoch_step)
    tokens = (trainer.progress.tokens - before) / (2 * breakdown.num_steps)
    rate = product_flops(_dtype_of(trainer), trainer.config.model.d_model, trainer.device)
    flops = step_flops(trainer, tokens)
    print(breakdown.table())
    print(f"padding: {trainer.meter.record()['padding']:.1%} of the positions; only attention computes on it")
    print(f"{tokens:,.0f} target tokens a step; {flops / 1e9:,.0f} GFLOP at a measured {rate / 1e9:,.0f} GFLOP/s")
    print(
        f"floor: {flops / rate * 1e3:.1f} ms; the step takes {breakdown.step_ms / (flops / rate * 1e3):.2f} times that"
    )


def step_flops(trainer: Trainer, tgt_tokens: float) -> float:
    """Floating-point operations of the matrix products of a step, forward and backward; padding not counted.

    A product with a weight of n numbers costs 2 n operations a row forward and twice that backward. Attention's own
    products add 4 T D a row and layer forward for T keys.
    """
    pairs, config = trainer.corpus, trainer.config.model
    src_tokens = tgt_tokens * float(pairs.src_lengths.sum()) / float(pairs.tgt_lengths.sum())
    weights = {"encoder": 0, "decoder": 0, "output_proj": trainer.model.output_proj.weight.numel(), "memory": 0}
    for name, parameter in trainer.model.named_parameters():
        section = name.split(".")[0]
        if parameter.dim() == 2 and section in ("encoder", "decoder"):
            weights["memory" if "cross_attention.kv_proj" in name else section] += parameter.numel()
    forward = 2 * tgt_tokens * (weights["decoder"] + weights["output_proj"])
    forward += 2 * src_tokens * (weights["encoder"] + weights["memory"])
    keys = {"src": _mean_keys(pairs.src_lengths), "tgt": _mean_keys(pairs.tgt_lengths)}
    attended = src_tokens * config.num_encoder_layers * keys["src"]
    attended += tgt_tokens * config.num_decoder_layers * (keys["tgt"] / 2 + keys["src"])
    return 3 * (forward + 4 * config.d_model * attended)


def _mean_keys(lengths: np.ndarray) -> float:
    """Keys that a token sees on average in self-attention."""
    return float((lengths.astype(np.float64) ** 2).sum() / lengths.sum())
