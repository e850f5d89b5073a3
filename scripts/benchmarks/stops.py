"""Many small trainings of the embedded corpus, each stopped at random and gone on with: do all end with the same bits?

Settings that matter for it are drawn anew for each: precision, dropout, accumulation, moving average, optimizer, the
length of an epoch, what checkpoints and validations are due. Two directories of each are compared as `transformer-mt
verify-resume` does. A run that differs is named with its settings and kept.
"""

import argparse
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformer_mt.config.loading import load_config
from transformer_mt.data.synthetic.corpus import synthesize, write_corpus
from transformer_mt.training.resume_proof import prove_resume

CONFIG = """\
data:
  src_lang: en
  tgt_lang: fr
  train: {{src: {folder}/train.en, tgt: {folder}/train.fr}}
  validation: {{src: {folder}/val.en, tgt: {folder}/val.fr}}
  cache_dir: {folder}/cache
tokenizer: {{vocab_size: 400}}
model: {{d_model: 32, num_heads: 2, d_ff: 64, num_encoder_layers: 1, num_decoder_layers: 1}}
schedule: {{warmup_steps: 5}}
training: {{threads: 1, max_steps: 1}}
evaluation: {{max_lines: 8, beam_size: 1}}
"""
CHOICES = {
    "training.precision": ("fp32", "bf16"),
    "training.accumulation_steps": (1, 2, 3),
    "training.ema_decay": (0, 0.9),
    "training.batch_size": (256, 512, 2048),
    "training.seed": (1, 2, 3, 4),
    "tokenizer.sampling": (0, 0.3),
    "model.dropout": (0, 0.1, 0.3),
    "model.positions": ("sinusoidal", "rotary"),
    "optimizer.name": ("adamw", "muon"),
    "evaluation.metric": ("bleu", "loss"),
    "checkpoint.keep_last": (2, 3),
    "checkpoint.average_last": (0, 2),
}
"""Setting: what is drawn from."""


def add_parser(measurements: Any) -> None:
    """Add the measurement to the parser."""
    parser = measurements.add_parser(
        "stops",
        help="trainings that are stopped at random",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=100, help="trainings (default: %(default)s)")
    parser.add_argument("--stops", type=int, default=12, help="of each, at most (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=24, help="updates of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", type=Path, help="where temporary files go (default: the system's place)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Train, stop, compare; one line of JSON in the end."""
    draws, signals = random.Random(args.seed), Counter[str]()
    differing: list[Sequence[str]] = []
    longest = 0.0
    folder = Path(tempfile.mkdtemp(prefix="stops-", dir=args.directory))
    write_corpus(synthesize(1, 600, 20, 20), folder)
    (folder / "config.yaml").write_text(CONFIG.format(folder=folder), encoding="utf-8")
    for number in range(1, args.runs + 1):
        settings = [f"{name}={draws.choice(values)}" for name, values in CHOICES.items()]
        config, own = load_config(folder / "config.yaml", settings), folder / f"run-{number}"
        proof = prove_resume(config, own, args.steps, args.stops, args.seed + number, lambda text: None)
        signals.update(stop.signal_name for stop in proof.stops)
        asked = (stop.seconds for stop in proof.stops if stop.signal_name != "SIGKILL")
        longest = max((longest, *asked))
        if proof.differences:
            differing.append(settings)
        else:
            shutil.rmtree(own)
        told = f"differs: {', '.join(proof.differences)}; {' '.join(settings)}" if proof.differences else "same bits"
        print(f"run {number}: stopped {len(proof.stops)} times, {sum(signals.values())} in all: {told}", flush=True)
    print(
        json.dumps(
            {
                "runs": args.runs,
                "stops": sum(signals.values()),
                **signals,
                "differ": len(differing),
                "longest_s_to_end": round(longest, 1),
            }
        )
    )
    if not differing:
        shutil.rmtree(folder)
