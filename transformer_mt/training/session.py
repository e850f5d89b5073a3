"""One training from its configuration to its bundle: set up, resume, loop, validate, save, finish."""

import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from transformer_mt.bundle import Bundle, build_model, load_bundle, save_bundle
from transformer_mt.config.loading import to_yaml
from transformer_mt.config.schema import Config
from transformer_mt.data.corpus import read_pairs
from transformer_mt.data.fingerprint import check_unchanged
from transformer_mt.data.prepare import PreparedCorpora, prepare_corpora
from transformer_mt.data.shortlist import Shortlist, learn_shortlist
from transformer_mt.data.tokenizer import TokenizerPair, train_tokenizers
from transformer_mt.device import (
    resolve_device,
    resolve_precision,
    seed_everything,
    set_threads,
    use_deterministic_kernels,
)
from transformer_mt.errors import BundleError, DataError, Interrupted, TokenizerError
from transformer_mt.files import atomic_directory
from transformer_mt.model.transformer import Transformer
from transformer_mt.model.vectors import initialise_embeddings
from transformer_mt.tensors import load_weights
from transformer_mt.training.averaging import average_of
from transformer_mt.training.checkpoint import (
    Progress,
    check_space_for_run,
    list_checkpoints,
    load_newest,
    save_checkpoint,
)
from transformer_mt.training.curves import draw_curves
from transformer_mt.training.distributed import check_sharing, is_sharded
from transformer_mt.training.monitor import Monitor, SilentMonitor
from transformer_mt.training.run_directory import RunDirectory
from transformer_mt.training.signals import StopRequest, stop_requests
from transformer_mt.training.trainer import Meter, StepStats, Trainer
from transformer_mt.training.validation import Validation, Validator
from transformer_mt.world import ALONE, World, joined_world

Report = Callable[[str], None]


def train(config: Config, override_resume: bool = False) -> Path:
    """Train the translator that `config` describes, or go on where it was stopped; returns its bundle.

    Raises Interrupted after saving when SIGINT or SIGTERM asks to stop, and TransformerMTError for what
    the user can mend.
    """
    run = RunDirectory(Path(config.training.run_dir))
    with stop_requests() as request, ExitStack() as stack:
        world = stack.enter_context(joined_world(resolve_device(config.training.device).type))
        device = resolve_device(config.training.device, world.local_rank)
        check_sharing(config.training, world)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        resolve_precision(config.training.precision, device)
        monitor: Monitor = SilentMonitor()
        if world.is_main:
            stack.enter_context(run.opened(config, override_resume))
            monitor = stack.enter_context(Monitor(run.path, config.logging))
        world.wait()
        session = Session(set_up(config, run, monitor.say, world), run, monitor, world)
        session.resume(override_resume)
        request.can_save = True
        session.run(request)
    return run.bundle


@dataclass(frozen=True, slots=True)
class Parts:
    """What a training is made of."""

    config: Config
    tokenizers: TokenizerPair
    corpora: PreparedCorpora
    model: Transformer
    precision: str
    num_threads: int


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

    tokenizers = train_tokenizers(config.tokenizer, pairs, report)
    with atomic_directory(directory) as temporary:
        tokenizers.save(temporary)
    return tokenizers


class Session:
    """The loop around a trainer."""

    def __init__(self, parts: Parts, run: RunDirectory, monitor: Monitor, world: World = ALONE) -> None:
        self.parts = parts
        self.config = parts.config
        self.run_directory = run
        self.monitor = monitor
        self.world = world
        self.max_source_pieces = int(parts.corpora.train.src_lengths.max())
        self.trainer = Trainer(self.config, parts.model, parts.corpora.train, parts.precision, world)
        self.validator = None
        if self.config.data.validation:
            corpus = parts.corpora.validation
            shortlist = self.shortlist if self.config.decoding.shortlist else None
            self.validator = Validator(self.config, corpus, parts.tokenizers, self.max_source_pieces, shortlist, world)
        self.clock = time.perf_counter()

    @cached_property
    def shortlist(self) -> Shortlist:
        """What each source piece becomes in the training pairs; learnt when it is first asked for."""
        pairs, tokenizers = self.parts.corpora.train, self.parts.tokenizers
        pieces = (side.pieces(range(side.vocab_size)) for side in (tokenizers.src, tokenizers.tgt))
        return learn_shortlist(pairs.rows, len(pairs), *pieces)

    def run(self, request: StopRequest) -> None:
        """Train to the end, or until `request` asks to stop: then save and raise Interrupted."""
        progress = self.trainer.progress
        if progress.finished:
            done = f"step {progress.step}, {progress.seconds / 60:.1f} minutes in all its parts"
            self.monitor.say(
                f"this training is complete ({done}); "
                "raise each of training.max_steps, max_epochs and max_minutes that is set to go on"
            )
            return
        self._check_warmup()
        while not progress.finished:
            if progress.position % len(self.trainer.plan) == 0:  # an epoch begins
                self._check_data()
            stats = self.trainer.run_epoch_step()
            self._count_time()
            progress.finished = self.world.from_main(self.trainer.fraction_done() >= 1.0)  # clocks differ
            self._watch(stats)
            signal_name = next(filter(None, self.world.gather(request.signal_name)), None)
            if signal_name is not None and not progress.finished:
                self._save()
                self.world.wait()  # torchrun ends those that still write when one has ended
                raise Interrupted(f"{signal_name}: saved step {progress.step}; the same command goes on from there")
        self._finish()

    def _check_warmup(self) -> None:
        planned, warmup = self.trainer.total_steps, self.config.schedule.warmup_steps
        if planned is not None and 2 * warmup > planned and self.config.schedule.name != "constant":
            self.monitor.say(
                f"warning: schedule.warmup_steps: the learning rate rises for {warmup:,} updates, but {planned:,} are "
                f"all that is planned; set it to about {max(1, planned // 10):,}, or train longer"
            )

    def resume(self, override: bool) -> None:
        """Go on from the newest checkpoint, if there is one; the run's configuration is changed only when that works.

        Raises TransformerMTError when it cannot be used, or belongs to other pairs (unless `override`) or another
        tokenizer.
        """
        check_space_for_run(self.run_directory.path, self.parts.model.num_parameters(), self.config)
        checkpoint = load_newest(self.run_directory.checkpoints, self.monitor.say)
        steps = self.world.gather(checkpoint.progress.step if checkpoint else None)
        if len(set(steps)) > 1:
            raise BundleError(
                f"{self.run_directory.checkpoints}: the processes found different checkpoints (steps "
                f"{', '.join(map(str, steps))}); all machines need the same training.run_dir"
            )
        if checkpoint is not None:
            self._check_origin(checkpoint.progress, override)
            self.trainer.restore(checkpoint)
            progress = self.trainer.progress
            progress.finished = progress.finished and self.trainer.fraction_done() >= 1.0
            self.monitor.say(f"going on from step {progress.step}")
        self.trainer.progress.data = self.parts.corpora.train.identity
        self.trainer.progress.tokenizers = self.parts.tokenizers.files()
        if self.world.is_main and not self.trainer.progress.finished:
            self.run_directory.write_config(self.config)
        self.monitor.truncate_after(self.trainer.progress.step)
        self.clock = time.perf_counter()

    def _check_origin(self, progress: Progress, override: bool) -> None:
        """Raise an error when the checkpoint was trained with another tokenizer, or on other pairs."""
        tokenizers, pairs = self.parts.tokenizers.files(), self.parts.corpora.train.identity
        if progress.tokenizers not in (None, tokenizers):
            raise TokenizerError(
                f"{self.run_directory.tokenizer}: is not the tokenizer that this training began with "
                f"({_listed(tokenizers)} instead of {_listed(progress.tokenizers)}); put the old one back"
            )
        if progress.data not in (None, pairs) and not override:
            changed = [name for name in {**progress.data, **pairs} if progress.data.get(name) != pairs.get(name)]
            raise DataError(
                f"data.train: {', '.join(changed)}: not the pairs that this training began with; put the old ones "
                "back, choose another training.run_dir, or go on all the same with --override-resume"
            )

    def _check_data(self) -> None:
        """Save and raise DataError when a file of pairs is gone or has changed since it was read."""
        problem = None
        if self.world.is_main:
            try:
                check_unchanged(self.parts.corpora.records)
            except DataError as error:
                problem = str(error)
        problem = self.world.from_main(problem)
        if problem is not None:
            if self.trainer.progress.step:
                self._save()
                self.world.wait()
            raise DataError(problem)

    def _watch(self, stats: StepStats) -> None:
        """Log, validate and save where it is due."""
        step, config = self.trainer.progress.step, self.config
        self.monitor.tick(step, self.trainer.fraction_done())
        if step % config.logging.every_steps == 0:
            self._log(stats)
        if step % config.evaluation.every_steps == 0 or self.trainer.progress.finished:
            self._validate()
        if step % config.checkpoint.every_steps == 0 or self.trainer.progress.finished:
            self._save()

    def _log(self, stats: StepStats) -> None:
        step = self.trainer.progress.step
        self.trainer.settle()
        record = {**self._position(), **self.trainer.meter.record(), "lr": self.trainer.lr(step)}
        record["grad_norm"], record["skipped"] = float(stats.grad_norm), self.trainer.progress.skipped_steps
        self.monitor.train(record)
        self.trainer.meter = Meter()

    def _validate(self) -> None:
        """Score the model as it stands, and keep it if it is the best so far."""
        if self.validator is None:
            return
        with self.trainer.model_to_score() as model:
            result = self.validator.validate(model, self.parts.precision)
            is_best = self._take_if_best(result)
        self.monitor.validation({**self._position(), **result.record(), "best": is_best}, result.samples)
        patience, progress = self.config.evaluation.patience, self.trainer.progress
        if patience is not None and progress.validations_since_best >= patience:
            self.monitor.say(
                f"stopping early: no better validation in {patience}; the best was step {progress.best_step}"
            )
            progress.finished = True
        self._leave_out_time()

    def _take_if_best(self, result: Validation) -> bool:
        """Write the bundle when `result` is better than all before it; the model holds the weights that gave it."""
        progress, score = self.trainer.progress, result.score(self.config.evaluation.metric)
        if progress.best_score is not None and score <= progress.best_score:
            progress.validations_since_best += 1
            return False
        progress.best_score, progress.best_step, progress.validations_since_best = score, progress.step, 0
        self._write_bundle(result)
        return True

    def _write_bundle(self, result: Validation | None) -> None:
        if not self.world.is_main:
            return
        parts, progress = self.parts, self.trainer.progress
        facts = {
            "max_source_pieces": self.max_source_pieces,
            "parameters": parts.model.num_parameters(),
            "step": progress.step,
            "epoch": progress.epoch,
            "minutes": progress.seconds / 60,
            "target_tokens": progress.tokens,
            "validation": result.record() if result else None,
            "metric": result.signature if result else None,
            "data": parts.corpora.train.data_fingerprint,
            "hardware": {
                "processor": platform.machine(),
                "device": str(self.trainer.device),
                "threads": parts.num_threads,
            },
            "precision": parts.precision,
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        }
        golden = result.golden if result else ()
        bundle = Bundle(self.config, parts.model, parts.tokenizers, golden, facts, self.shortlist)
        save_bundle(self.run_directory.bundle, bundle)

    def _save(self) -> None:
        if self.validator is None:
            with self.trainer.model_to_score():
                self._write_bundle(None)
        config = self.config
        checkpoint = self.trainer.checkpoint()
        if self.world.is_main:
            save_checkpoint(self.run_directory.checkpoints, checkpoint, to_yaml(config), config.checkpoint.keep_last)
        self._leave_out_time()

    def _finish(self) -> None:
        self._try_average()
        progress = self.trainer.progress
        best = f"; best validation at step {progress.best_step}" if progress.best_step else ""
        self.monitor.say(f"trained {progress.step} steps in {progress.seconds / 60:.1f} minutes{best}")
        if self.config.logging.curves and self.run_directory.metrics.is_file():
            self.monitor.attempt("curves", lambda: draw_curves(self.run_directory.metrics, self.run_directory.path))

    def _try_average(self) -> None:
        """Average the last checkpoints, and keep the result if it scores better than the best so far."""
        paths = self.world.from_main(list_checkpoints(self.run_directory.checkpoints))
        paths = paths[-self.config.checkpoint.average_last :]
        if self.validator is None or self.config.checkpoint.average_last < 2 or len(paths) < 2:
            return
        with self.trainer.model_to_score(average_of(paths)) as model:
            result = self.validator.validate(model, self.parts.precision)
            is_best = self._take_if_best(result)
        self.monitor.say(f"average of the last {len(paths)} checkpoints: {'better, kept' if is_best else 'not better'}")
        record = {**self._position(), **result.record(), "best": is_best, "averaged": len(paths)}
        self.monitor.validation(record, result.samples)

    def _position(self) -> dict[str, Any]:
        progress = self.trainer.progress
        epoch = progress.epoch + progress.position / len(self.trainer.plan)
        return {"step": progress.step, "epoch": round(epoch, 4), "minutes": progress.seconds / 60}

    def _count_time(self) -> None:
        now = time.perf_counter()
        self.trainer.progress.seconds += now - self.clock
        self.clock = now

    def _leave_out_time(self) -> None:
        """Count the time since the last update as the training's, but not as that of updates."""
        before = self.trainer.progress.seconds
        self._count_time()
        self.trainer.meter.leave_out(self.trainer.progress.seconds - before)


def _listed(hashes: dict[str, str] | None) -> str:
    return ", ".join(f"{name} {digest}" for name, digest in (hashes or {}).items())
