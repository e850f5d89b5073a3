"""Everything that can be wrong with a training, found in seconds: configuration, data, memory, disk."""

import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import torch

from transformer_mt.config.schema import Config, SourceConfig
from transformer_mt.data.batching import Batch
from transformer_mt.data.corpus import read_pairs, source_name
from transformer_mt.data.findings import check_shares
from transformer_mt.data.pairs import Pair
from transformer_mt.data.suspicion import SuspicionCounter
from transformer_mt.data.tokenizer import TokenizerPair
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID, PAD_ID
from transformer_mt.device import resolve_device, resolve_precision, set_threads
from transformer_mt.errors import DataError, TrainingError
from transformer_mt.memory import is_out_of_memory
from transformer_mt.model.transformer import Transformer
from transformer_mt.training.checkpoint import check_space_for_run
from transformer_mt.training.loggers import configured_loggers
from transformer_mt.training.loss import batch_loss
from transformer_mt.training.optimizer import make_optimizer
from transformer_mt.training.run_directory import RunDirectory
from transformer_mt.training.schedule import warmup_warning

NUM_LOOKED_AT = 2000
"""Pairs read of each source; the rest is read when the training starts."""


def dry_run(config: Config, report: Callable[[str], None], override_resume: bool = False) -> None:
    """Check and report; raises TransformerMTError for the first thing that would stop the training."""
    device = resolve_device(config.training.device)
    precision = resolve_precision(config.training.precision, device)
    threads = set_threads(config.training.threads)
    configured_loggers(config.logging)
    RunDirectory(Path(config.training.run_dir)).check(config, override_resume)
    for split in ("train", "validation", "test"):
        _look_at_sources(split, getattr(config.data, split), config, report)
    sizes = _vocabulary_sizes(config)
    model = Transformer(config.model, *sizes, PAD_ID).to(device)
    report(f"model: {model.num_parameters():,} parameters, {_vocabularies(config, sizes)}")
    seconds = _try_worst_batch(config, model, precision)
    report(
        f"worst batch: forward, backward and update took {seconds:.1f} s in {precision} on {device}, {threads} threads"
    )
    needed = check_space_for_run(Path(config.training.run_dir), model.num_parameters(), config)
    report(f"disk: up to {needed / 1e6:.0f} MB for checkpoints and bundle, and there is room for them")
    if not config.data.validation:
        report("warning: no data.validation, so nothing is scored while training and the last weights are kept")
    if warning := warmup_warning(config.schedule, config.training.max_steps):
        report(warning)
    untried = ""
    if not RunDirectory(Path(config.training.run_dir)).tokenizer.is_dir():
        untried = " (not tried: whether the sentences support a vocabulary of this size)"
    report(f"the dry run found nothing wrong{untried}; the same command without --dry-run trains")


def _look_at_sources(
    split: str, sources: Sequence[SourceConfig], config: Config, report: Callable[[str], None]
) -> None:
    for source in sources:
        pairs = list(islice(read_pairs(source, config.data, report), NUM_LOOKED_AT))
        usable = [pair for pair in pairs if pair.src.strip() and pair.tgt.strip()]
        if not usable:
            found = f"the first {len(pairs)} pairs are blank" if pairs else "there are no pairs in it"
            raise DataError(f"data.{split}: {source_name(source)}: {found}; give a source of sentence pairs")
        if split == "train" and not config.data.allow_suspicious:
            suspicions = SuspicionCounter(config.data.src_lang, config.data.tgt_lang)
            suspicions.see(usable)
            check_shares(suspicions.shares(), len(usable))
        report(f"data.{split}: {_example(pairs)}")


def _example(pairs: Sequence[Pair]) -> str:
    shown = next(pair for pair in pairs if pair.src.strip() and pair.tgt.strip())
    return f"{len(pairs)} pairs looked at, for example {shown.src[:60]!r} -> {shown.tgt[:60]!r}"


def _vocabularies(config: Config, sizes: tuple[int, int]) -> str:
    if config.tokenizer.joint:
        return f"one vocabulary of {sizes[0]:,} pieces"
    return f"vocabularies of {sizes[0]:,} and {sizes[1]:,} pieces"


def _vocabulary_sizes(config: Config) -> tuple[int, int]:
    """Those of the run's tokenizers if it has them, else what the configuration asks for."""
    directory = RunDirectory(Path(config.training.run_dir)).tokenizer
    if directory.is_dir():
        pair = TokenizerPair.load(directory)
        return pair.src.vocab_size, pair.tgt.vocab_size
    return config.tokenizer.vocab_size, config.tokenizer.vocab_size


def _try_worst_batch(config: Config, model: Transformer, precision: str) -> float:
    """Make one update from the largest batch that the limits allow; returns seconds.

    Raises TrainingError naming its shape and the key to change when memory does not hold it.
    """
    length, limits = config.data.max_length, config.training
    rows = limits.batch_size if limits.batch_unit == "sentences" else max(1, limits.batch_size // length)
    batch = _full_batch(rows, length, min(_vocabulary_sizes(config)))
    started = time.perf_counter()
    try:
        batch_loss(model, batch, precision, limits.label_smoothing)[0].backward()
        make_optimizer(model, config.optimizer).step()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"training.batch_size: {limits.batch_size} {limits.batch_unit} do not fit in memory ({rows} pairs of "
            f"{length} tokens were tried); lower it and raise training.accumulation_steps, or lower data.max_length"
        ) from error
    return time.perf_counter() - started


def _full_batch(rows: int, length: int, vocab_size: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(EOS_ID + 1, vocab_size, (rows, length), generator=generator)
    ids[:, -1] = EOS_ID
    tgt_in = torch.cat([torch.full((rows, 1), BOS_ID), ids[:, :-1]], dim=1)
    return Batch(ids, tgt_in, ids, rows * length, rows * length)
