"""What is kept of an update whose gradient is not finite: where its pairs stand, their text and their pieces."""

from pathlib import Path
from typing import Any

from transformer_mt.data.places import Place, find_places
from transformer_mt.data.tokenizer import TokenizerPair
from transformer_mt.errors import DataError, TrainingError
from transformer_mt.files import write_json
from transformer_mt.training.divergence import Diverged, Update
from transformer_mt.training.trainer import Trainer

BAD_BATCH_FILE = "bad_batch.json"
NUM_TOLD = 3
"""Lines named in the message; the file has all."""


def stopped_by(diverged: Diverged, trainer: Trainer, tokenizers: TokenizerPair, directory: Path) -> TrainingError:
    """The error that ends a training, with its evidence in `directory`/bad_batch.json; collective."""
    evidence = _evidence(trainer, diverged.last, tokenizers)
    path = directory / BAD_BATCH_FILE
    if trainer.world.is_main:
        write_json(path, evidence)
    trainer.world.wait()
    return TrainingError(f"{diverged}; {_told(evidence)}; see {path}; lower optimizer.lr, or use precision fp32")


def _evidence(trainer: Trainer, update: Update, tokenizers: TokenizerPair) -> dict[str, Any]:
    """The update, the first tensor that is not finite, and the pairs of its batch.

    Where every single tensor is finite and only the norm of the gradient is not, the first batch stands for all.
    """
    batches, finding = trainer.examine(update)
    indices = batches[finding.batch if finding else 0].tolist()
    try:
        places = find_places(trainer.corpus, trainer.config.data, indices)
    except DataError:  # the files have gone meanwhile
        places = {}
    return {
        "step": update.step,
        "epoch": update.epoch,
        "precision": trainer.precision,
        "loss_scale": trainer.scaler.get_scale(),
        "first_not_finite": finding.tensor if finding else None,
        "pairs": [_pair(trainer, index, places.get(index), tokenizers) for index in indices],
    }


def _told(evidence: dict[str, Any]) -> str:
    """The evidence in one sentence."""
    tensor = evidence["first_not_finite"]
    what = (
        f"the first tensor that is not finite is {tensor}" if tensor else "only the norm of the gradient is too large"
    )
    lines = [f"{pair['source']}:{pair['line']}" for pair in evidence["pairs"] if pair["source"]]
    more = f" and {len(lines) - NUM_TOLD} more" if len(lines) > NUM_TOLD else ""
    return f"in update {evidence['step']} {what}, with the pairs {', '.join(lines[:NUM_TOLD])}{more}"


def _pair(trainer: Trainer, index: int, place: Place | None, tokenizers: TokenizerPair) -> dict[str, Any]:
    src, tgt = (side.tolist() for side in trainer.corpus.rows([index])[0])
    return {
        "source": place.source if place else None,
        "line": place.line if place else None,
        "src": tokenizers.src.decode([src])[0],
        "tgt": tokenizers.tgt.decode([tgt])[0],
        "src_ids": src,
        "tgt_ids": tgt,
    }
