"""One training from its configuration to its bundle: resume, loop, validate, save, finish."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from transformer_mt.bundle import Bundle, save_bundle
from transformer_mt.config.schema import Config
from transformer_mt.data.fingerprint import check_unchanged
from transformer_mt.data.shortlist import Shortlist, learn_shortlist
from transformer_mt.device import (
    resolve_device,
    resolve_precision,
)
from transformer_mt.errors import BundleError, DataError, Interrupted, TokenizerError
from transformer_mt.metrics import read_metrics
from transformer_mt.model.transformer import Transformer
from transformer_mt.training.averaging import average_of
from transformer_mt.training.checkpoint import (
    CheckpointWriter,
    Progress,
    check_space_for_run,
    due_checkpoints,
    list_checkpoints,
    load_newest,
)
from transformer_mt.training.corpus_facts import corpus_facts
from transformer_mt.training.curves import draw_curves
from transformer_mt.training.diagnosis import History, leakage
from transformer_mt.training.distributed import check_sharing
from transformer_mt.training.divergence import Diverged
from transformer_mt.training.evidence import stopped_by
from transformer_mt.training.facts import facts_of_training, facts_of_validation
from transformer_mt.training.loggers import configured_loggers, start_loggers
from transformer_mt.training.monitor import Monitor, SilentMonitor
from transformer_mt.training.parts import Parts, set_up
from transformer_mt.training.run_directory import RunDirectory
from transformer_mt.training.schedule import warmup_warning
from transformer_mt.training.signals import StopNow, StopRequest, stop_requests
from transformer_mt.training.trainer import Meter, StepStats, Trainer
from transformer_mt.training.validation import Validation, Validator
from transformer_mt.world import ALONE, World, joined_world


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
            configured_loggers(config.logging)  # what is missing is told before anything is made
            stack.enter_context(run.opened(config, override_resume))
            monitor = stack.enter_context(Monitor(run.path, config.logging))
            monitor.loggers = start_loggers(config, run.path, monitor.say)
        world.wait()
        session = Session(set_up(config, run, monitor.say, world), run, monitor, request, world)
        stack.callback(session.writer.close)
        session.resume(override_resume)
        request.can_save = True
        session.run()
    return run.bundle


class Session:
    """The loop around a trainer."""

    def __init__(
        self, parts: Parts, run: RunDirectory, monitor: Monitor, request: StopRequest, world: World = ALONE
    ) -> None:
        self.parts = parts
        self.config = parts.config
        self.run_directory = run
        self.monitor = monitor
        self.request = request
        self.world = world
        self.writer = CheckpointWriter(run.checkpoints, parts.config)
        self.max_source_pieces = int(parts.corpora.train.src_lengths.max())
        self.trainer = Trainer(self.config, parts.model, parts.corpora.train, parts.precision, world, parts.resampler())
        self.validator = None
        if self.config.data.validation:
            corpus = parts.corpora.validation
            shortlist = self.shortlist if self.config.decoding.shortlist else None
            self.validator = Validator(
                self.config, corpus, parts.tokenizers, self.max_source_pieces, shortlist, world, request.check
            )
        self.clock = time.perf_counter()
        self.has_warned = False

    @cached_property
    def shortlist(self) -> Shortlist:
        """What each source piece becomes in the training pairs; learnt when it is first asked for."""
        pairs, tokenizers = self.parts.corpora.train, self.parts.tokenizers
        pieces = (side.pieces(range(side.vocab_size)) for side in (tokenizers.src, tokenizers.tgt))
        return learn_shortlist(pairs.rows, len(pairs), *pieces)

    def run(self) -> None:
        """Train to the end, or until a stop is requested: then save and raise Interrupted."""
        progress = self.trainer.progress
        if progress.finished and self._is_concluded():
            done = f"step {progress.step}, {progress.seconds / 60:.1f} minutes in all its parts"
            self.monitor.say(
                f"this training is complete ({done}); "
                "raise each of training.max_steps, max_epochs and max_minutes that is set to go on"
            )
            return
        if warning := warmup_warning(self.config.schedule, self.trainer.total_steps):
            self.monitor.say(warning)
        try:
            self._train()
            self._finish()
        except StopNow:
            self._stop()

    def _train(self) -> None:
        """Make updates until the training has come to its end."""
        progress = self.trainer.progress
        if progress.validation_due:
            self._validate()
            self._save_if_due()
        if not progress.finished:
            self._begin()
        while not progress.finished:
            if progress.position % len(self.trainer.plan) == 0:  # an epoch begins
                self._check_data()
            with self._leaving_fp16():
                stats = self.trainer.run_epoch_step()
                self._count_time()
                progress.finished = self.world.from_main(self.trainer.fraction_done() >= 1.0)  # clocks differ
                self._watch(stats)
            if self._signal_name() is not None and not progress.finished:
                self._stop()

    def _begin(self) -> None:
        """Note what the training is made on, when it is new, and try its largest batch."""
        if self.trainer.progress.step == 0:
            facts = corpus_facts(self.parts.corpora.train, self.parts.tokenizers)
            self.monitor.corpus({**self._position(), **facts})
        self.trainer.try_largest_batch()
        self._leave_out_time()

    def _stop(self) -> None:
        """Save, and raise Interrupted."""
        self._save()
        self.writer.wait()
        self.world.wait()  # torchrun ends those that still write when one has ended
        step = self.trainer.progress.step
        raise Interrupted(f"{self._signal_name()}: saved step {step}; the same command goes on from there")

    def _signal_name(self) -> str | None:
        """The signal that one of the processes has got; collective."""
        return next(filter(None, self.world.gather(self.request.signal_name)), None)

    def _is_concluded(self) -> bool:
        return self.run_directory.is_concluded(self.trainer.progress.step)

    @contextmanager
    def _leaving_fp16(self) -> Iterator[None]:
        """Where an update inside diverges, go on in another precision if training.fp16_fallback allows it.

        Else raise TrainingError, with evidence in the run directory.
        """
        try:
            yield
        except Diverged as diverged:
            if self.trainer.precision != "fp16" or not self.config.training.fp16_fallback:
                raise stopped_by(diverged, self.trainer, self.parts.tokenizers, self.run_directory.path) from None
            self.trainer.use_precision(resolve_precision("auto", self.trainer.device))
            self.monitor.say(
                f"warning: {diverged}; going on in {self.trainer.precision}, with the weights of the last good update"
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
            ended_early = self._has_lost_patience() and not self._is_concluded()
            progress.finished = progress.finished and (self.trainer.fraction_done() >= 1.0 or ended_early)
            self.monitor.say(f"going on from step {progress.step}")
        self.trainer.progress.data = self.parts.corpora.train.identity
        self.trainer.progress.tokenizers = self.parts.tokenizers.files()
        if self.world.is_main and not self.trainer.progress.finished:
            self.run_directory.write_config(self.config)
        last = "train" if self.trainer.progress.validation_due else "average" if self._is_concluded() else "validation"
        self.monitor.truncate_after(self.trainer.progress.step if checkpoint else -1, last)
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
                self.writer.wait()
                self.world.wait()
            raise DataError(problem)

    def _watch(self, stats: StepStats) -> None:
        """Log, validate and save where it is due."""
        step, config = self.trainer.progress.step, self.config
        is_logged, is_saved = (step % due == 0 for due in (config.logging.every_steps, config.checkpoint.every_steps))
        if is_logged or is_saved or self.trainer.progress.finished:
            with self._leaving_fp16():
                self.trainer.settle()
        self.monitor.tick(step, self.trainer.fraction_done())
        if is_logged:
            self._log(stats)
        if step % config.evaluation.every_steps == 0 or self.trainer.progress.finished:
            self._validate()
        self._save_if_due()
        if notice := self.trainer.gradients.notice():
            self.monitor.say(notice)

    def _log(self, stats: StepStats) -> None:
        step = self.trainer.progress.step
        record = {**self._position(), **self.trainer.meter.record(), "lr": self.trainer.lr(step)}
        record["grad_norm"], record["skipped"] = float(stats.grad_norm), self.trainer.progress.skipped_steps
        self.monitor.train(record)
        self.trainer.meter = Meter()

    def _validate(self) -> None:
        """Score the model as it stands, and keep it if it is the best so far."""
        if self.validator is None:
            return
        self.trainer.progress.validation_due = True
        with self.trainer.model_to_score() as model:
            result = self._scored(model)
            self.trainer.progress.validation_due = False
            is_best = self._take_if_best(result)
        self.monitor.validation({**self._position(), **result.record(), "best": is_best}, result.samples)
        self.monitor.attempt("leak alarm", self._warn_of_leaks)
        if self._has_lost_patience():
            patience, progress = self.config.evaluation.patience, self.trainer.progress
            self.monitor.say(
                f"stopping early: no better validation in {patience}; the best was step {progress.best_step}"
            )
            progress.finished = True
        self._leave_out_time()

    def _has_lost_patience(self) -> bool:
        patience = self.config.evaluation.patience
        return patience is not None and self.trainer.progress.validations_since_best >= patience

    def _scored(self, model: Transformer) -> Validation:
        """What a validation of `model` finds; a stop ends it."""
        assert self.validator is not None
        result = self.validator.validate(model, self.trainer.precision)
        if self.world.is_main:
            _ = self.shortlist  # learnt now if it never was: the bundle needs it
        return result

    def _warn_of_leaks(self) -> None:
        found = leakage(History(self.config, read_metrics(self.run_directory.metrics)))
        if found is not None and not self.has_warned:
            self.monitor.say(f"warning: {found.sentence}; {found.advice}")
            self.has_warned = True

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
        parts = self.parts
        facts = {
            "max_source_pieces": self.max_source_pieces,
            **facts_of_training(self.trainer, parts, self.world.size),
            **facts_of_validation(result, parts),
        }
        golden, calibration = (result.golden, result.calibration) if result else ((), None)
        bundle = Bundle(self.config, parts.model, parts.tokenizers, golden, facts, self.shortlist, None, calibration)
        save_bundle(self.run_directory.bundle, bundle)

    def _save_if_due(self) -> None:
        if self.trainer.progress.step % self.config.checkpoint.every_steps == 0 or self.trainer.progress.finished:
            self._save()
        self.writer.check()

    def _save(self) -> None:
        """Begin to write what a training goes on from."""
        if self.validator is None:
            with self.trainer.model_to_score():
                self._write_bundle(None)
        checkpoint = self.trainer.checkpoint()
        if self.world.is_main:
            self.writer.begin(checkpoint)
        self._leave_out_time()

    def _finish(self) -> None:
        self.writer.wait()
        self._try_average()
        progress = self.trainer.progress
        best = f"; best validation at step {progress.best_step}" if progress.best_step else ""
        self.monitor.say(f"trained {progress.step} steps in {progress.seconds / 60:.1f} minutes{best}")
        if self.config.logging.curves and self.run_directory.metrics.is_file():
            self.monitor.attempt("curves", lambda: draw_curves(self.run_directory.metrics, self.run_directory.path))
        if self.world.is_main:
            self.run_directory.conclude(progress.step)

    def _try_average(self) -> None:
        """Average the last checkpoints, and keep the result if it scores better than the best so far."""
        paths = list_checkpoints(self.run_directory.checkpoints)
        paths = self.world.from_main([*due_checkpoints(paths[:-1], self.config), *paths[-1:]])
        paths = paths[-self.config.checkpoint.average_last :]
        if self.validator is None or self.config.checkpoint.average_last < 2 or len(paths) < 2:
            return
        with self.trainer.model_to_score(average_of(paths)) as model:
            result = self._scored(model)
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
