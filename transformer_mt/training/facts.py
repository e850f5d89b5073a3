"""What a bundle knows of the training that made it; the model card is written from it."""

import platform
from typing import Any

import torch

from transformer_mt.device import hardware
from transformer_mt.training.parts import Parts
from transformer_mt.training.trainer import Trainer
from transformer_mt.training.validation import Validation


def facts_of_training(trainer: Trainer, parts: Parts, num_processes: int) -> dict[str, Any]:
    """Sizes, progress, data and hardware as they are now."""
    progress = trainer.progress
    return {
        "parameters": parts.model.num_parameters(),
        "step": progress.step,
        "epoch": progress.epoch,
        "minutes": progress.seconds / 60,
        "target_tokens": progress.tokens,
        "data": parts.corpora.train.data_fingerprint,
        "hardware": {**hardware(trainer.device), "threads": parts.num_threads, "processes": num_processes},
        "precision": trainer.precision,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def facts_of_validation(result: Validation | None, parts: Parts) -> dict[str, Any]:
    """What the weights scored, and on which pairs."""
    if result is None:
        return {"validation": None, "metric": None}
    corpus = parts.corpora.validation
    counts = {"pairs": len(corpus.pairs)} if len(corpus.records) == 1 else {}
    num_translated = len(corpus.pairs[: parts.config.evaluation.max_lines])
    return {
        "validation": result.record(),
        "metric": result.signature,
        "validation_data": {record.name: {**counts, "sha256": record.sha256} for record in corpus.records},
        "validation_lines": num_translated if result.bleu is not None else 0,
    }
