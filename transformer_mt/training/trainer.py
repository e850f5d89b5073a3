"""The training loop: batches to gradients to weights, with everything that watches over it.

`step` counts optimizer updates and is the only clock: learning rate, validation and checkpoints follow it.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transformer_mt.config.schema import Config
from transformer_mt.data.batching import Batch, BatchLimit, EpochPlan, batch_of, largest_batch, plan_epoch
from transformer_mt.data.prepared import PreparedCorpus
from transformer_mt.data.resampling import Resampler
from transformer_mt.errors import TrainingError
from transformer_mt.memory import is_out_of_memory
from transformer_mt.model.transformer import Transformer
from transformer_mt.tensors import load_weights, whole
from transformer_mt.training.averaging import MovingAverage, swapped_in
from transformer_mt.training.checkpoint import Checkpoint, Progress
from transformer_mt.training.distributed import Share, is_sharded, make_gradient_sum
from transformer_mt.training.divergence import Diverged, Finding, Update, first_not_finite
from transformer_mt.training.optimizer import load_optimizer_tensors, make_optimizer, optimizer_tensors
from transformer_mt.training.schedule import lr_at
from transformer_mt.world import ALONE, World

MAX_SKIPPED_IN_A_ROW = 20
"""Updates without a finite gradient after which the training has diverged."""


@dataclass(frozen=True, slots=True)
class StepStats:
    """What one update was made from."""

    objective_sum: Tensor
    """Label-smoothed loss, summed over target tokens."""
    loss_sum: Tensor
    """Negative log-likelihood, summed over target tokens."""
    num_tokens: int
    grad_norm: Tensor
    """Norm of the gradient before clipping."""


class Meter:
    """What happened since the last line of the log. The counts are saved with a checkpoint; the times are not."""

    def __init__(self, counts: Mapping[str, float] | None = None) -> None:
        names = ("objective", "loss", "tokens", "source_tokens", "positions")
        self._counts: dict[str, float] = dict(counts) if counts else dict.fromkeys(names, 0)
        self._losses: list[StepStats] = []
        """Those whose losses are not in the counts yet: on a card they may not have been computed."""
        self.timed_tokens, self.waited, self.started = 0, 0.0, time.perf_counter()

    def add(self, stats: StepStats, share: Share, waited: float) -> None:
        """Count one update."""
        self._losses.append(stats)
        self._counts["tokens"] += stats.num_tokens
        self._counts["source_tokens"] += share.num_source_tokens
        self._counts["positions"] += share.num_positions
        self.timed_tokens += stats.num_tokens
        self.waited += waited

    @property
    def counts(self) -> dict[str, float]:
        """Losses, tokens and positions, summed; waits for the last update."""
        for stats in self._losses:
            self._counts["objective"] += float(stats.objective_sum)
            self._counts["loss"] += float(stats.loss_sum)
        self._losses.clear()
        return self._counts

    def leave_out(self, seconds: float) -> None:
        """Do not count time that was not spent on training."""
        self.started += seconds

    def record(self) -> dict[str, Any]:
        """The means and rates, as they go into metrics.jsonl; loss and perplexity are without label smoothing."""
        elapsed = max(time.perf_counter() - self.started, 1e-9)
        counts, loss = self.counts, self.counts["loss"] / self.counts["tokens"]
        return {
            "loss": loss,
            "perplexity": math.exp(min(loss, 50.0)),
            "objective": counts["objective"] / counts["tokens"],
            "padding": 1.0 - (counts["tokens"] + counts["source_tokens"]) / counts["positions"],
            "tokens_per_second": self.timed_tokens / elapsed,
            "data_wait": self.waited / elapsed,
        }


class Trainer:
    """A model in training, with its data, optimizer and position."""

    def __init__(
        self,
        config: Config,
        model: Transformer,
        corpus: PreparedCorpus,
        precision: str,
        world: World = ALONE,
        resampler: Resampler | None = None,
    ) -> None:
        """`precision` is fp32, bf16 or fp16. A `resampler` cuts the pairs of each batch anew.

        `model` is on its device, unless the processes are to hold parts of it: then a copy is trained, in parts.
        """
        self.config = config
        self.model = model.train()
        self.is_sharded = is_sharded(config.training, world)
        self.trained = deepcopy(model) if self.is_sharded else model
        self.corpus = corpus
        self.resampler = resampler
        self.precision = precision
        self.world = world
        self.progress = Progress()
        self.gradients = make_gradient_sum(self.trained, precision, config.training, world)
        self.device = next(self.trained.parameters()).device
        self.optimizer = make_optimizer(self.trained, config.optimizer)
        self.average = MovingAverage(self.trained, config.training.ema_decay) if config.training.ema_decay else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        self.limit = BatchLimit(config.training.batch_size, config.training.batch_unit == "tokens")
        self.plan = self._plan(self.progress.epoch)
        self.total_steps = self._total_steps()
        self.skipped_in_a_row = 0
        self.unsettled: list[tuple[Update, Tensor]] = []
        """Updates with the norm of their gradient, which was not looked at yet."""
        self.meter = Meter()

    def run_epoch_step(self) -> StepStats:
        """Make the next update of the epoch, moving on to the next epoch at its end."""
        if self.progress.position >= len(self.plan):
            self.progress.epoch += 1
            self.progress.position = 0
            self.plan = self._plan(self.progress.epoch)
        started = time.perf_counter()
        update = self._batches_at(self.plan, self.progress.position)
        share = self._share(update, self.progress.epoch, self.progress.position)
        waited = time.perf_counter() - started
        stats = self.train_step(share)
        self.progress.position += len(update)
        self.progress.tokens += stats.num_tokens
        self.meter.add(stats, share, waited)
        return stats

    def try_largest_batch(self) -> None:
        """Compute the gradient of the epoch's largest batch and drop it: memory shall run out now, not in the night.

        Changes nothing that the training depends on. Memory that the optimizer takes at its first update is held
        meanwhile. Where the batch does not fit, batches are computed in pieces from now on; collective.
        """
        weights = [] if self.optimizer.state else [*self.trained.parameters()]
        try:
            state = [torch.empty_like(weight) for weight in weights for _ in range(2)]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise TrainingError(
                "model: memory does not hold the optimizer's state with it; take a smaller one"
            ) from None
        self.gradients.try_batch(self._make(largest_batch(self.corpus, self.plan), self.progress.epoch, 0))
        self.gradients.agree()
        del state

    def _batches_at(self, plan: EpochPlan, position: int) -> list[np.ndarray]:
        """The batches of the update that begins at `position`, each as the indices of its pairs."""
        end = min(position + self.config.training.accumulation_steps, len(plan))
        return [plan.batch_pairs(place) for place in range(position, end)]

    def _make(self, pairs: np.ndarray, epoch: int, position: int) -> Batch:
        """The batch of these pairs, cut into the pieces of this place in the training."""
        rows = self.corpus.rows(pairs.tolist())
        if self.resampler is not None:
            rows = self.resampler.resample(rows, self.config.training.seed, epoch, position)
        return batch_of(rows)

    def _share(self, update: Sequence[np.ndarray], epoch: int, position: int) -> Share:
        """The batches of this process among those of an update, given by the indices of their pairs; collective."""
        per_process = self.config.training.accumulation_steps // self.world.size
        first = self.world.rank * per_process
        places = [*range(len(update))[first : first + per_process]]
        stand_ins = [0] * (min(per_process, len(update)) - len(places))
        batches = [self._make(update[place], epoch, position + place) for place in (*places, *stand_ins)]
        num_tokens, num_source_tokens, num_positions = self._sizes(update, batches[: len(places)])
        return Share(batches, first, num_tokens, len(places), num_source_tokens, num_positions)

    def _sizes(self, update: Sequence[np.ndarray], own: Sequence[Batch]) -> tuple[int, int, int]:
        """Target tokens, source tokens and padded positions of an update, of which `own` are this process's batches."""
        if self.resampler is not None:  # what others have drawn is not known here
            sizes = [(batch.num_target_tokens, batch.num_source_tokens, batch.num_positions) for batch in own]
            tgt, src, positions = np.sum([size for of_one in self.world.gather(sizes) for size in of_one], axis=0)
            return int(tgt), int(src), int(positions)
        lengths = [(self.corpus.src_lengths[pairs], self.corpus.tgt_lengths[pairs]) for pairs in update]
        positions = sum(len(src) * (int(src.max()) + int(tgt.max())) for src, tgt in lengths)
        return sum(int(tgt.sum()) for _, tgt in lengths), sum(int(src.sum()) for src, _ in lengths), positions

    def train_step(self, share: Share) -> StepStats:
        """Make one optimizer update from this process's share of it, as if all its batches were one large batch."""
        step = self.progress.step + 1
        sums = self.world.sum(self.gradients.run(share, step, self.scaler))
        self.scaler.unscale_(self.optimizer)  # before clipping: the limit is for true gradients
        max_norm = self.config.training.max_grad_norm
        grad_norm = whole(torch.nn.utils.clip_grad_norm_(self.trained.parameters(), max_norm or math.inf))
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(step)
        self._update_if_finite(grad_norm)
        self.optimizer.zero_grad(set_to_none=True)
        self.progress.step = step
        self.unsettled.append((Update(step, self.progress.epoch, self.progress.position), grad_norm))
        if self.device.type == "cpu":
            self.settle()
        if self.average is not None:
            self.average.update(self.trained, step)
        return StepStats(sums[0], sums[1], share.num_tokens, grad_norm)

    def lr(self, step: int) -> float:
        """Learning rate of update number `step`."""
        return lr_at(step, self.config.optimizer.lr, self.config.schedule, self.total_steps)

    def fraction_done(self) -> float:
        """How far the nearest limit is reached, 1 at the end."""
        limits, done = self.config.training, self.progress
        fractions = [0.0]
        if limits.max_steps:
            fractions.append(done.step / limits.max_steps)
        if limits.max_epochs:
            fractions.append((done.epoch + done.position / len(self.plan)) / limits.max_epochs)
        if limits.max_minutes:
            fractions.append(done.seconds / 60 / limits.max_minutes)
        return max(fractions)

    @contextmanager
    def model_to_score(self, weights: Mapping[str, Tensor] | None = None) -> Iterator[Transformer]:
        """`model` with `weights`, with their moving average, or as trained, inside of this context; collective."""
        if weights is None and self.average is not None:
            weights = self.average.weights
        if not self.is_sharded:
            with swapped_in(self.model, weights):
                yield self.model
            return
        trained = weights or {name: weight.detach() for name, weight in self.trained.named_parameters()}
        load_weights(self.model, {name: whole(weight) for name, weight in trained.items()}, "the weights in training")
        try:
            yield self.model.to(self.device)
        finally:
            self.model.cpu()

    def checkpoint(self) -> Checkpoint:
        """Everything that `restore` needs to go on exactly from here; collective."""
        self.settle()
        if self.scaler.is_enabled():
            self.progress.scaler = self.scaler.state_dict()
        self.progress.meter = dict(self.meter.counts)
        self.progress.most_positions = self.gradients.agree()
        weights = {name: whole(weight.detach()) for name, weight in self.trained.named_parameters()}
        state = {name: whole(tensor) for name, tensor in optimizer_tensors(self.trained, self.optimizer).items()}
        average = {name: whole(weight) for name, weight in self.average.weights.items()} if self.average else {}
        return Checkpoint(self.progress, weights, state, average)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from `checkpoint`."""
        load_weights(self.trained, checkpoint.weights, f"checkpoint of step {checkpoint.progress.step}")
        load_optimizer_tensors(self.trained, self.optimizer, checkpoint.optimizer)
        if self.average is not None and checkpoint.average:
            self.average.load(checkpoint.average)
        self.progress = checkpoint.progress
        self.meter = Meter(self.progress.meter)
        self.gradients.most_positions = self.progress.most_positions
        if self.progress.precision is not None:
            self.use_precision(self.progress.precision)
        if self.scaler.is_enabled() and self.progress.scaler is not None:
            self.scaler.load_state_dict(self.progress.scaler)
        self.plan = self._plan(self.progress.epoch)

    def _plan(self, epoch: int) -> EpochPlan:
        training = self.config.training
        return plan_epoch(self.corpus, self.limit, training.seed, epoch, training.accumulation_steps)

    def _total_steps(self) -> int | None:
        """The last update, as far as it is known: epochs are taken to be as long as the first."""
        limits = self.config.training
        per_epoch = math.ceil(len(self.plan) / limits.accumulation_steps)
        ends = [limits.max_steps, limits.max_epochs and limits.max_epochs * per_epoch]
        return min((end for end in ends if end), default=None)

    def _update_if_finite(self, grad_norm: Tensor) -> None:
        """Let the optimizer make its step unless the gradient holds NaN or infinity.

        The fused optimizers of PyTorch look themselves, so that the host need not wait for a card; so does the scaler.
        """
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif getattr(self.optimizer, "_step_supports_amp_scaling", False) and not self.is_sharded:
            self.optimizer.grad_scale, self.optimizer.found_inf = None, (~grad_norm.isfinite()).float()  # type: ignore[attr-defined]
            self.optimizer.step()
        elif math.isfinite(grad_norm):
            self.optimizer.step()

    def settle(self) -> None:
        """Count the updates that were left out since this was called last; waits for a card.

        Raises Diverged when there were many in a row.
        """
        for update, grad_norm in self.unsettled:
            if math.isfinite(grad_norm):
                self.skipped_in_a_row = 0
                continue
            self.progress.skipped_steps += 1
            self.skipped_in_a_row += 1
            if self.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
                self.unsettled.clear()
                raise Diverged(MAX_SKIPPED_IN_A_ROW, update)
        self.unsettled.clear()

    def use_precision(self, precision: str) -> None:
        """Go on in fp32 or bf16, with weights and optimizer state as they are: skipped updates changed nothing."""
        self.precision = self.progress.precision = precision
        self.gradients.precision = precision
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=False)
        self.progress.scaler = None
        self.skipped_in_a_row = 0

    def examine(self, update: Update) -> tuple[list[np.ndarray], Finding | None]:
        """The batches of an update as the indices of their pairs, and what in it is not finite first; collective.

        The weights must be those that it was made with, as they are after it was skipped.
        """
        plan = self._plan(update.epoch)
        batches = self._batches_at(plan, update.position)
        share, scale = self._share(batches, update.epoch, update.position), self.scaler.get_scale()
        found = first_not_finite(self.gradients, share, update.step, scale)
        return batches, next(filter(None, self.world.gather(found)), None)
