"""Gradients of several batches in several processes, summed to those of one large batch.

An update is made of `training.accumulation_steps` batches, however many processes there are; each computes a block of
them. So a training on 4 processes is the training of 1, four times as fast.
"""

import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from transformer_mt.config.schema import TrainingConfig
from transformer_mt.data.batching import Batch
from transformer_mt.device import resolve_device, seed_everything
from transformer_mt.errors import TrainingError
from transformer_mt.model.transformer import Transformer
from transformer_mt.training.loss import batch_loss
from transformer_mt.world import World, others_may_be_lost


def check_sharing(training: TrainingConfig, world: World) -> None:
    """Raise TrainingError when the batches of an update cannot be shared out evenly among the processes."""
    number, size = training.accumulation_steps, world.size
    if number % size != 0:
        raise TrainingError(
            f"training.accumulation_steps: {number} batches cannot be shared by {size} processes; with "
            f"--set training.accumulation_steps={size * math.ceil(number / size)} each has as many as another "
            "(lower training.batch_size as much as you raise it and the updates stay as large as they are)"
        )
    if size > 1 and training.device not in ("auto", "cpu", "cuda"):
        raise TrainingError(f"training.device: {training.device} cannot be shared by {size} processes; use auto")


@dataclass(frozen=True, slots=True)
class Share:
    """The batches of an update that one process computes."""

    batches: Sequence[Batch]
    first: int
    """Number of the first of them among those of the update."""
    num_tokens: int
    """Target tokens of the whole update."""
    num_own: int
    """So many of the batches count. At the end of an epoch there may be too few, and others' batches stand in for them,
    as all processes must take part in what is collective equally often."""

    @classmethod
    def whole(cls, batches: Sequence[Batch]) -> "Share":
        """All of an update."""
        return cls(batches, 0, sum(batch.num_target_tokens for batch in batches), len(batches))


class LossModule(nn.Module):
    """The loss as a module, which is what PyTorch's ways to share the work wrap."""

    def __init__(self, model: Transformer, smoothing: float, precision: str) -> None:
        super().__init__()
        self.model = model
        self.smoothing = smoothing
        self.precision = precision

    def forward(self, batch: Batch, divisor: float) -> tuple[Tensor, Tensor]:
        """Label-smoothed loss divided by `divisor`, and negative log-likelihood, summed over the target tokens."""
        return batch_loss(self.model, batch, self.precision, self.smoothing, divisor)


def make_gradient_sum(
    model: Transformer, precision: str, training: TrainingConfig, world: World
) -> "FastSum | ExactSum":
    """What sums the gradients of an update as training.reproducible asks."""
    losses = LossModule(model, training.label_smoothing, precision)
    kind = ExactSum if training.reproducible == "exact" else FastSum
    return kind(losses, training, world)


def is_sharded(training: TrainingConfig, world: World) -> bool:
    """Whether each process holds a part of the weights only."""
    return training.sharded and world.size > 1


def shard(losses: LossModule, device_type: str, world: World) -> None:
    """Leave to each process a part of every weight, on its device (FSDP2; Zhao et al. 2023).

    The weights of a layer come together when it computes, forward and backward, and part again.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device_type, (world.size,))
    for layer in (*losses.model.encoder.layers, *losses.model.decoder.layers):
        fully_shard(layer, mesh=mesh)
    fully_shard(losses, mesh=mesh)


class FastSum:
    """Sums gradients as they come: within a process one after the other, between processes by DDP or FSDP2."""

    def __init__(self, losses: LossModule, training: TrainingConfig, world: World) -> None:
        self.losses: nn.Module = losses
        if is_sharded(training, world):
            shard(losses, resolve_device(training.device).type, world)
        elif world.size > 1:
            with warnings.catch_warnings():
                # Buffers must not be sent: the table of positions grows where a sentence is long. The argument that
                # is to replace broadcast_buffers does not exist before torch 2.13.
                warnings.simplefilter("ignore", FutureWarning)
                self.losses = DistributedDataParallel(losses, broadcast_buffers=False, gradient_as_bucket_view=True)
        self.seed = training.seed
        self.world = world

    def run(self, share: Share, step: int, scaler: torch.amp.GradScaler) -> Tensor:
        """Leave in the weights' `.grad` the scaled gradient of the mean loss over the target tokens of the update.

        Returns objective and loss (2,), summed over the tokens of this process.
        """
        divisor = share.num_tokens / self.world.size  # DDP divides by the number of processes
        sums = torch.zeros(2, device=next(self.losses.parameters()).device)
        for index, batch in enumerate(share.batches):
            seed_everything(self.seed, step, share.first + index)  # dropout belongs to this place, not to history
            is_last = index == len(share.batches) - 1
            with self._in_one_go(is_last):
                objective, loss = self.losses(batch, divisor if index < share.num_own else math.inf)
                with others_may_be_lost(self.world):
                    scaler.scale(objective).backward()
            if index < share.num_own:
                sums += torch.stack([objective.detach() * divisor, loss.detach()])
        return sums

    def _in_one_go(self, is_last: bool) -> AbstractContextManager[None]:
        """With whole weights, the processes exchange gradients only when all their batches are summed."""
        if is_last or not isinstance(self.losses, DistributedDataParallel):
            return nullcontext()
        return self.losses.no_sync()  # type: ignore[no-any-return]


class ExactSum:
    """Sums gradients in a binary tree over the update's batches, so that the number of processes changes no bit.

    Each process sums a sub-tree, gathers the sums of all, and finishes the tree. It costs the memory of a gradient
    for each level of the tree and each process. Missing batches are zeros.
    """

    def __init__(self, losses: LossModule, training: TrainingConfig, world: World) -> None:
        self.losses = losses
        self.seed = training.seed
        self.world = world
        self.weights = [weight for weight in losses.parameters() if weight.requires_grad]
        self.num_leaves = training.accumulation_steps // world.size
        """Batches of a process, missing ones included."""

    def run(self, share: Share, step: int, scaler: torch.amp.GradScaler) -> Tensor:
        """As `FastSum.run`, on any number of processes with the same bits."""
        sums = torch.zeros(2, device=next(self.losses.parameters()).device)
        tree = Tree()
        for index, batch in enumerate(share.batches[: share.num_own]):
            seed_everything(self.seed, step, share.first + index)
            objective, loss = self.losses(batch, share.num_tokens)
            scaler.scale(objective).backward()
            sums += torch.stack([objective.detach() * share.num_tokens, loss.detach()])
            tree.add(self._taken_gradient())
        for _ in range(share.num_own, self.num_leaves):
            tree.add(self._zeros())
        whole = Tree()
        for part in self.world.gather_tensors(tree.root()):
            whole.add(part)
        self._put_back(whole.root())
        return sums

    def _taken_gradient(self) -> Tensor:
        flat = torch.cat([torch.zeros_like(w).flatten() if w.grad is None else w.grad.flatten() for w in self.weights])
        for weight in self.weights:
            weight.grad = None
        return flat

    def _zeros(self) -> Tensor:
        return self.weights[0].new_zeros(sum(weight.numel() for weight in self.weights))

    def _put_back(self, flat: Tensor) -> None:
        parts = flat.split([weight.numel() for weight in self.weights])
        for weight, part in zip(self.weights, parts, strict=True):
            weight.grad = part.view_as(weight)


class Tree:
    """The sum of 1, 2, 4, ... tensors of one shape, neighbours first, then neighbouring sums, and so on."""

    def __init__(self) -> None:
        self._sums: list[tuple[int, Tensor]] = []
        """Complete sub-trees from the left, each with its number of leaves."""

    def add(self, leaf: Tensor) -> None:
        """Add the next leaf, which is used up."""
        size = 1
        while self._sums and self._sums[-1][0] == size:
            leaf = self._sums.pop()[1].add_(leaf)
            size *= 2
        self._sums.append((size, leaf))

    def root(self) -> Tensor:
        """The sum of all, which must be a power of two in number."""
        ((_, total),) = self._sums
        return total
