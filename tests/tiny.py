"""A translator that is trained in seconds, for tests that need a real one."""

import random
from collections.abc import Sequence
from pathlib import Path

from transformer_mt.cli.main import main

WORDS = {
    "the": "le", "cat": "chat", "dog": "chien", "sees": "voit", "eats": "mange", "red": "rouge", "small": "petit",
    "house": "maison", "and": "et", "with": "avec", "bird": "oiseau", "likes": "aime", "old": "vieux",
    "now": "maintenant",
}  # fmt: skip

CONFIG = """\
data:
  train: {{src: {folder}/train.en, tgt: {folder}/train.fr}}
  validation: {{src: {folder}/val.en, tgt: {folder}/val.fr}}
  test: {{src: {folder}/test.en, tgt: {folder}/test.fr}}
  max_length: 32
  cache_dir: {folder}/cache
tokenizer: {{vocab_size: 309}}
model: {{d_model: 32, num_heads: 2, d_ff: 64, num_encoder_layers: 1, num_decoder_layers: 1, dropout: 0.1}}
optimizer: {{lr: 5e-3}}
schedule: {{warmup_steps: 20}}
training: {{run_dir: {folder}/run, batch_size: 512, max_steps: 40, threads: 1, precision: fp32}}
checkpoint: {{every_steps: 10}}
evaluation: {{every_steps: 20, max_lines: 20, beam_size: 2, bootstrap_samples: 20}}
logging: {{every_steps: 5, tensorboard: false, curves: false}}
"""

WELL_TRAINED = (
    "training.max_steps=240", "schedule.name=linear", "model.d_model=64", "model.dropout=0",
    "model.embedding_dropout=0", "evaluation.every_steps=120", "checkpoint.every_steps=80", "logging.every_steps=30",
)  # fmt: skip
"""Settings that make it translate nearly without a mistake."""


def write_corpus(folder: Path) -> None:
    """Write train, val and test: sentences of known words, translated word by word."""
    generator = random.Random(1)
    for name, count in (("train", 1000), ("val", 30), ("test", 30)):
        lines = [" ".join(generator.choices(list(WORDS), k=generator.randint(2, 6))) for _ in range(count)]
        (folder / f"{name}.en").write_text("".join(f"{line}\n" for line in lines))
        translated = [" ".join(WORDS[word] for word in line.split()) for line in lines]
        (folder / f"{name}.fr").write_text("".join(f"{line}\n" for line in translated))


def write_config(folder: Path) -> Path:
    """Write the corpus and a configuration that trains on it."""
    write_corpus(folder)
    path = folder / "tiny.yaml"
    path.write_text(CONFIG.format(folder=folder))
    return path


def train(config: Path, settings: Sequence[str] = (), options: Sequence[str] = ()) -> int:
    """Run `transformer-mt train` in this process; returns its exit code."""
    overrides = [word for setting in settings for word in ("--set", setting)]
    return main(["train", str(config), *overrides, *options])
