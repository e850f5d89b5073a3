"""What a training is made of: tokenizers, prepared pairs and a model, at hand already or made anew."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from transformer_mt.bundle import build_model, load_bundle
from transformer_mt.config.schema import Config
from transformer_mt.data.corpus import read_pairs, source_name
from transformer_mt.data.prepare import PreparedCorpora, prepare_corpora
from transformer_mt.data.resampling import Resampler
from transformer_mt.data.tokenizer import TokenizerPair, train_tokenizers
from transformer_mt.device import (
    resolve_device,
    resolve_precision,
    seed_everything,
    set_threads,
    use_deterministic_kernels,
)
from transformer_mt.errors import DataError
from transformer_mt.files import atomic_directory
from transformer_mt.model.transformer import Transformer
from transformer_mt.model.vectors import initialise_embeddings
from transformer_mt.tensors import load_weights
from transformer_mt.training.distributed import is_sharded
from transformer_mt.training.run_directory import RunDirectory
from transformer_mt.training.signals import interruptible
from transformer_mt.world import ALONE, World

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a training is made of."""

    config: Config
    tokenizers: TokenizerPair
    corpora: PreparedCorpora
    model: Transformer
    precision: str
    num_threads: int

    def resampler(self) -> Resampler | None:
        """What cuts the training pairs anew, where that is asked for."""
        if not self.config.tokenizer.sampling:
            return None
        return Resampler(self.tokenizers, self.config.tokenizer.sampling, self.config.data.max_length)


def set_up(config: Config, run: RunDirectory, report: Report, world: World = ALONE) -> Parts:
    """Tokenizer, data and model of a training, from what `run` and the cache already hold or made anew; collective."""
    device = resolve_device(config.training.device, world.local_rank)
    num_threads = set_threads(config.training.threads, world.local_size)
    if config.training.deterministic or config.training.reproducible == "exact":
        use_deterministic_kernels()
    precision = resolve_precision(config.training.precision, device)
    start = load_bundle(Path(config.training.init_from)) if config.training.init_from else None
    if world.is_main and not start:
        find_tokenizers(config, run.tokenizer, report)
    world.wait()
    tokenizers = start.tokenizers if start else TokenizerPair.load(run.tokenizer)
    corpora = prepare_corpora(config.data, tokenizers, report, world)
    seed_everything(config.training.seed, "weights")
    model = build_model(config, tokenizers)
    if start:
        load_weights(model, dict(start.model.named_parameters()), config.training.init_from or "")
    else:
        src_pieces, tgt_pieces = (side.pieces(range(side.vocab_size)) for side in (tokenizers.src, tokenizers.tgt))
        initialise_embeddings(model, config.model, src_pieces, tgt_pieces, report)
    report(
        f"{model.num_parameters():,} parameters, {len(corpora.train):,} training pairs, "
        f"{precision} on {device} with {num_threads} threads"
        + (f" in each of {world.size} processes" if world.size > 1 else "")
    )
    if not is_sharded(config.training, world):
        model.to(device)
    return Parts(config, tokenizers, corpora, model, precision, num_threads)


def find_tokenizers(config: Config, directory: Path, report: Report) -> TokenizerPair:
    """The tokenizers of a run, trained first when it has none."""
    if directory.is_dir():
        return TokenizerPair.load(directory)

    def pairs() -> Any:
        return chain.from_iterable(read_pairs(source, config.data, lambda text: None) for source in config.data.train)

    if next(pairs(), None) is None:
        names = ", ".join(map(source_name, config.data.train)) or "no source is named"
        raise DataError(f"data.train: there are no sentence pairs to train the tokenizer on ({names})")
    tokenizers = interruptible(lambda: train_tokenizers(config.tokenizer, pairs, report))
    with atomic_directory(directory) as temporary:
        tokenizers.save(temporary)
    return tokenizers
