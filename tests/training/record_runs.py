"""Makes the recorded runs of test_diagnosis.py: `python tests/training/record_runs.py FOLDER [NAME ...]`.

Each is a real training of the tiny model on the tiny corpus of tests/tiny.py, with one fault. Of its run directory
config.yaml and metrics.jsonl are kept, in tests/training/recorded/NAME. One more, good_multi30k, is a training of six
epochs on the captions of Multi30k, from before facts about the pairs were noted.
"""

import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from tests import tiny
from transformer_mt.data import batching
from transformer_mt.data.batching import Batch
from transformer_mt.model.positions import Rotation
from transformer_mt.model.rows import Rows
from transformer_mt.model.transformer import Transformer

RECORDED = Path(__file__).with_name("recorded")
SETTINGS = (
    *tiny.WELL_TRAINED, "evaluation.every_steps=24", "evaluation.max_lines=30", "evaluation.beam_size=1",
    "evaluation.num_samples=0", "logging.every_steps=12", "checkpoint.every_steps=1000",
)  # fmt: skip


class SeesAhead(Transformer):
    """A decoder whose self-attention lacks the causal mask."""

    def _decoder_start(self, tokens: Tensor, rows: Rows) -> tuple[Tensor, tuple[Tensor | None, Rotation | None]]:
        x, (_, turn) = super()._decoder_start(tokens, rows)
        return x, (torch.ones(1, 1, rows.length, rows.length, dtype=torch.bool), turn)


def unshifted_batch(table: batching.TokenPairs, indices: np.ndarray) -> Batch:
    """A batch whose decoder input is its target, as when the shift by one position is forgotten."""
    batch = batching.make_batch(table, indices)
    return Batch(batch.src, batch.tgt_out, batch.tgt_out, batch.num_source_tokens, batch.num_target_tokens)


RUNS: dict[str, tuple[str, ...]] = {
    "good": (),
    "good_with_dropout": ("model.dropout=0.1", "model.embedding_dropout=0.1", "training.max_steps=400"),
    "good_characters": ("tokenizer.model_type=char", "tokenizer.vocab_size=30", "training.max_steps=400"),
    "no_causal_mask": (),
    "unshifted_targets": (),
    "lr_100_times": ("optimizer.lr=0.5",),
    "lr_100_times_and_then_0": ("optimizer.name=muon", "optimizer.lr=1", "schedule.name=linear"),
    "lr_10_times_without_clipping": ("optimizer.lr=5e-2", "training.max_grad_norm=null", "schedule.warmup_steps=0"),
    "warmup_too_long": ("schedule.name=inverse_sqrt", "schedule.warmup_steps=4000", "training.max_steps=120"),
    "lr_nearly_zero": ("optimizer.lr=1e-8", "training.max_steps=120"),
    "overfitting": ("data.train=[{src: few.en, tgt: few.fr}]", "tokenizer.vocab_size=305",
                    "training.label_smoothing=0"),
    "tokenizer_of_scraps": ("tokenizer.vocab_size=283", "training.batch_size=1024", "data.max_length=64"),
    "cut_short_translations": ("decoding.max_length_ratio=0.1", "decoding.max_length_extra=2"),
    "misaligned": ("data.train=[{src: train.en, tgt: shifted.fr}]",),
}  # fmt: skip
"""Name and settings of each."""
REPLACED: dict[str, dict[str, object]] = {
    "no_causal_mask": {"transformer_mt.bundle.Transformer": SeesAhead},
    "unshifted_targets": {
        "transformer_mt.training.trainer.make_batch": unshifted_batch,
        "transformer_mt.training.validation.make_batch": unshifted_batch,
    },
}
"""Parts of the program that are replaced in some of them."""


def record(name: str) -> None:
    """Train in the current directory and keep what is needed of the run."""
    with ExitStack() as stack:
        for part, replacement in REPLACED.get(name, {}).items():
            stack.enter_context(mock.patch(part, replacement))
        tiny.train(Path("tiny.yaml"), [*SETTINGS, *RUNS[name], f"training.run_dir={name}"])
    target = RECORDED / name
    target.mkdir(parents=True, exist_ok=True)
    for file in ("config.yaml", "metrics.jsonl"):
        shutil.copy(Path(name) / file, target / file)


def write_corpus() -> None:
    """The corpus, a part of it that is too small to learn from, and one whose French is a line late."""
    tiny.write_config(Path("."))
    for side in ("en", "fr"):
        lines = Path(f"train.{side}").read_text(encoding="utf-8").splitlines(keepends=True)
        Path(f"few.{side}").write_text("".join(lines[:60]), encoding="utf-8")
        Path(f"shifted.{side}").write_text("".join(lines[-1:] + lines[:-1]), encoding="utf-8")


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    write_corpus()
    for run in sys.argv[2:] or RUNS:
        record(run)
