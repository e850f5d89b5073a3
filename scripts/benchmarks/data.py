"""How fast many sentence pairs are prepared and put in order.

prepare  reading, filtering, tokenising and storing pairs, against SentencePiece alone encoding the same lines with
         the same threads
doctor   examining the pairs for defects, against SentencePiece alone encoding the same lines, in processor time
order    the order of an epoch, against one NumPy sort of as many 64-bit keys
steps    the command `train` on pairs that were never prepared, for 100 updates of a small model: its peak memory
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from machine import peak_rss_mb

from transformer_mt.config.schema import DataConfig, SourceConfig, TokenizerConfig
from transformer_mt.data.batching import BatchLimit, plan_epoch
from transformer_mt.data.doctor.diagnosis import diagnose
from transformer_mt.data.doctor.report import as_report
from transformer_mt.data.encoding import PAIRS_AT_A_TIME
from transformer_mt.data.pairs import Pair
from transformer_mt.data.prepare import prepare
from transformer_mt.data.synthetic.corpus import synthesize
from transformer_mt.data.tokenizer import TokenizerPair, train_tokenizers
from transformer_mt.memory import without_garbage_collection

STEPS = """\
data: {{src_lang: en, tgt_lang: fr, train: [{{src: train.en, tgt: train.fr}}], cache_dir: cache}}
tokenizer: {{vocab_size: 4000, max_train_lines: 40000}}
model: {{d_model: 128, num_heads: 4, d_ff: 512, num_encoder_layers: 2, num_decoder_layers: 2}}
training: {{run_dir: run, batch_size: 2048, max_steps: {steps}}}
"""
NUM_STEPS = 100


def add_parser(measurements: Any) -> None:
    """Add the measurements to the parser."""
    parser = measurements.add_parser(
        "data",
        help="speed of preparing data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=["prepare", "doctor", "order", "steps"])
    parser.add_argument("--pairs", type=int, default=1_000_000, help="number of pairs (default: 1000000)")
    parser.add_argument("--directory", type=Path, help="where temporary files go (default: the system's place)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON and nothing else")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory(dir=args.directory) as directory:
        if args.part == "order":
            row = measure_order(args.pairs)
        elif args.part == "prepare":
            row = measure_preparation(args.pairs, Path(directory))
        elif args.part == "doctor":
            row = measure_doctor(args.pairs, Path(directory))
        else:
            row = measure_steps(args.pairs, Path(directory))
    print(json.dumps(row) if args.json else "\n".join(f"{name:24s} {value}" for name, value in row.items()))


def measure_preparation(num_pairs: int, directory: Path) -> dict[str, Any]:
    """Seconds for `prepare` and for SentencePiece alone, in turn and twice, the faster one of each."""
    texts = write_pairs(num_pairs, directory)
    tokenizers = tokenizers_of(texts)
    source = SourceConfig(src=str(texts[0]), tgt=str(texts[1]))
    ours, plain = [], []
    for attempt in range(2):
        data = DataConfig(src_lang="en", tgt_lang="fr", train=(source,), cache_dir=str(directory / f"cache{attempt}"))
        started = time.perf_counter()
        corpus = prepare(data.train, data, tokenizers, lambda line: None)
        ours.append(time.perf_counter() - started)
        plain.append(seconds_of_sentencepiece(tokenizers, texts))
    return {
        "task": "prepare",
        "pairs": num_pairs,
        "kept": len(corpus),
        "seconds": round(min(ours), 4),
        "sentencepiece_seconds": round(min(plain), 4),
        "ratio": round(min(ours) / min(plain), 2),
        "peak_rss_mb": peak_rss_mb(),
    }


def measure_doctor(num_pairs: int, directory: Path) -> dict[str, Any]:
    """Seconds of processor time for `data check` with its report, and for SentencePiece alone."""
    texts = write_pairs(num_pairs, directory)
    tokenizers = tokenizers_of(texts)
    data = DataConfig(src_lang="en", tgt_lang="fr", train=(SourceConfig(src=str(texts[0]), tgt=str(texts[1])),))
    started, clock = time.process_time(), time.perf_counter()
    with diagnose(data, directory) as diagnosis:
        found = as_report(diagnosis)
    ours, elapsed, peak = time.process_time() - started, time.perf_counter() - clock, peak_rss_mb()
    plain = seconds_of_sentencepiece(tokenizers, texts, time.process_time)
    return {
        "task": "doctor",
        "pairs": num_pairs,
        "kinds": {name: kind["pairs"] for name, kind in found["roles"]["train"]["kinds"].items()},
        "seconds": round(elapsed, 4),
        "cpu_seconds": round(ours, 4),
        "sentencepiece_cpu_seconds": round(plain, 4),
        "ratio": round(ours / plain, 2),
        "peak_rss_mb": peak,
    }


def write_pairs(num_pairs: int, directory: Path) -> tuple[Path, Path]:
    """Two files of lines that are two sentences of the embedded corpus each."""
    pairs = synthesize(1, 30_000, 1, 1).train
    generator = random.Random(1)
    paths = directory / "train.en", directory / "train.fr"
    with paths[0].open("w", encoding="utf-8") as src, paths[1].open("w", encoding="utf-8") as tgt:
        for _ in range(num_pairs):
            first, second = generator.choice(pairs), generator.choice(pairs)
            src.write(f"{first[0]} {second[0]}\n")
            tgt.write(f"{first[1]} {second[1]}\n")
    return paths


def tokenizers_of(texts: tuple[Path, Path]) -> TokenizerPair:
    """A joint tokenizer of 4,000 pieces from the first 20,000 pairs."""
    with texts[0].open(encoding="utf-8") as src, texts[1].open(encoding="utf-8") as tgt:
        lines = islice(zip(src, tgt, strict=True), 20_000)
        pairs = [Pair(number, one.rstrip("\n"), other.rstrip("\n")) for number, (one, other) in enumerate(lines)]
    return train_tokenizers(TokenizerConfig(vocab_size=4000), lambda: iter(pairs), lambda line: None)


def seconds_of_sentencepiece(
    tokenizers: TokenizerPair, texts: tuple[Path, Path], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds that encoding all lines takes; reading them is not counted."""
    seconds = 0.0
    for tokenizer, path in zip((tokenizers.src, tokenizers.tgt), texts, strict=True):
        processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.proto)
        with path.open(encoding="utf-8", newline="\n") as file, without_garbage_collection():
            while block := [line.rstrip("\n") for line in islice(file, PAIRS_AT_A_TIME)]:
                started = clock()
                processor.encode(block, num_threads=-1)
                seconds += clock() - started
    return seconds


def measure_steps(num_pairs: int, directory: Path) -> dict[str, Any]:
    """Seconds and peak memory of `train` from text files to its last update, in a process of its own."""
    write_pairs(num_pairs, directory)
    (directory / "steps.yaml").write_text(STEPS.format(steps=NUM_STEPS), encoding="utf-8")
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "transformer_mt", "train", "steps.yaml"], cwd=directory, check=True)
    return {
        "task": "steps",
        "pairs": num_pairs,
        "steps": NUM_STEPS,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }


class Lengths:
    """Only the lengths of pairs, which is all that an order depends on."""

    weights = None

    def __init__(self, count: int) -> None:
        generator = np.random.default_rng(1)
        self.src_lengths = generator.integers(2, 100, count, dtype=np.int32)
        self.tgt_lengths = self.src_lengths + generator.integers(0, 9, count, dtype=np.int32)


def measure_order(num_pairs: int) -> dict[str, Any]:
    """Seconds for the order of an epoch and for one sort, in turn and twice, the faster one of each."""
    table = Lengths(num_pairs)
    ours, sort = [], []
    for epoch in range(2):
        started = time.perf_counter()
        plan = plan_epoch(table, BatchLimit(4096, True), 1, epoch)  # type: ignore[arg-type]
        ours.append(time.perf_counter() - started)
        peak = peak_rss_mb()
        num_batches = len(plan)
        del plan
        keys = np.random.default_rng(epoch).integers(0, 2**64, num_pairs, dtype=np.uint64)
        started = time.perf_counter()
        keys.sort()
        sort.append(time.perf_counter() - started)
        del keys
    return {
        "task": "order",
        "pairs": num_pairs,
        "batches": num_batches,
        "seconds": round(min(ours), 4),
        "sort_seconds": round(min(sort), 4),
        "ratio": round(min(ours) / min(sort), 2),
        "peak_rss_mb": peak,
    }
