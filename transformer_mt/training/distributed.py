"""Gradients of several batches in several processes, summed to those of one large batch.

An update is made of `training.accumulation_steps` batches, however many processes there are; each computes a block of
them. So a training on 4 processes is the training of 1, four times as fast.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from transformer_mt.config.schema import TrainingConfig
from transformer_mt.data.batching import Batch
from transformer_mt.device import resolve_device, seed_everything
from transformer_mt.errors import TrainingError
from transformer_mt.memory import is_out_of_memory
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
    num_source_tokens: int = 0
    """Source tokens of the whole update, for the log."""
    num_positions: int = 0
    """Positions on both sides of the whole update, padding included, for the log."""

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


def make_gradient_sum(model: Transformer, precision: str, training: TrainingConfig, world: World) -> "GradientSum":
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


class GradientSum:
    """Sums the gradients of an update. A batch that memory does not hold is computed in pieces: none is left out."""

    def __init__(self, losses: nn.Module, training: TrainingConfig, world: World) -> None:
        self.losses = losses
        self.seed = training.seed
        self.world = world
        self.is_sharded = is_sharded(training, world)
        self.most_positions: int | None = None
        """Batches of more positions are computed in pieces of so many at most; None while all have fitted."""
        self._told_positions: int | None = None
        self._piece: Batch | None = None
        """What is computed now."""
        self._others_wait = False
        """Whether other processes wait for this one in the middle of a piece, so that it cannot be done again."""

    @property
    def module(self) -> nn.Module:
        """The loss of a batch, without the exchange of gradients."""
        return self.losses.module if isinstance(self.losses, DistributedDataParallel) else self.losses

    @property
    def precision(self) -> str:
        """The arithmetic of forward and backward."""
        return self.module.precision  # type: ignore[return-value]

    @precision.setter
    def precision(self, precision: str) -> None:
        self.module.precision = precision  # type: ignore[assignment]

    def run(self, share: Share, step: int, scaler: torch.amp.GradScaler) -> Tensor:
        """Leave in the weights' `.grad` the scaled gradient of the mean loss over the target tokens of the update.

        Returns objective and loss (2,), summed over the tokens of this process. When memory runs out, all of it is
        done again with the batch in halves: the gradient is the same but for rounding and for other dropout masks.
        Raises TrainingError when not even one pair fits, or when other processes wait for the rest of the piece.
        """
        while True:
            try:
                return self._sum(share, step, scaler)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            self._take_smaller_pieces()  # out here, where the error and all that it holds is gone

    def try_batch(self, batch: Batch) -> None:
        """Make the gradient of `batch` and drop it, to know whether memory holds it; collective where sharded."""
        fits = False
        while not fits:
            try:
                for number, piece in enumerate(self._pieces(batch)):
                    self._add_gradient(self.module, piece, ("trial", number), 1.0)
                fits = True
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            if not fits:
                self._take_smaller_pieces()
        self.forget()

    def notice(self) -> str | None:
        """What is to be told about `most_positions`, once each time that it has changed."""
        if self.most_positions == self._told_positions:
            return None
        self._told_positions = self.most_positions
        return (
            f"warning: memory does not hold batches of more than {self.most_positions:,} positions: they are computed "
            "in pieces, with the same gradient; a lower training.batch_size (and more accumulation_steps) is faster"
        )

    def agree(self) -> int | None:
        """Collective: all processes take the smallest pieces that one of them needs; returns `most_positions`."""
        limits = self.world.gather(self.most_positions)
        self.most_positions = min((limit for limit in limits if limit is not None), default=None)
        return self.most_positions

    def _sum(self, share: Share, step: int, scaler: torch.amp.GradScaler) -> Tensor:
        raise NotImplementedError

    def _add_gradient(
        self,
        losses: nn.Module,
        piece: Batch,
        place: tuple[int | str, ...],
        divisor: float,
        scaler: torch.amp.GradScaler | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Forward and backward; returns objective divided by `divisor`, and loss."""
        self._piece, self._others_wait = piece, self.is_sharded
        seed_everything(self.seed, *place)  # dropout belongs to this place, not to history
        objective, loss = losses(piece, divisor)
        self._others_wait = self.is_sharded or getattr(losses, "require_backward_grad_sync", False)  # DDP exchanges
        with others_may_be_lost(self.world):
            (scaler.scale(objective) if scaler else objective).backward()  # type: ignore[no-untyped-call]
        return objective.detach(), loss.detach()

    def places(self, share: Share, step: int) -> Iterator[tuple[int, Batch, tuple[int | str, ...], bool]]:
        """For each piece of each batch the batch's number, the piece, its place, and whether it is the batch's last."""
        for index, batch in enumerate(share.batches):
            pieces = self._pieces(batch)
            for number, piece in enumerate(pieces):
                place = (step, share.first + index) if len(pieces) == 1 else (step, share.first + index, number)
                yield index, piece, place, number == len(pieces) - 1

    def _pieces(self, batch: Batch) -> list[Batch]:
        fits = self.most_positions is None or batch.num_positions <= self.most_positions
        if fits or self.is_sharded or len(batch.src) == 1:
            return [batch]
        return [piece for half in batch.halves() for piece in self._pieces(half)]

    def _take_smaller_pieces(self) -> None:
        piece = self._piece
        if piece is None:
            raise TrainingError("model: memory does not hold even its gradients; take a smaller one")
        shape = f"{len(piece.src)} x {piece.src.shape[1]} + {piece.tgt_out.shape[1]}"
        if self._others_wait:
            raise TrainingError(
                f"training.batch_size: memory does not hold a batch of {shape} positions, of which each process has a "
                "part; lower it, raise training.accumulation_steps as much, and go on with the same command"
            )
        if len(piece.src) == 1:
            raise TrainingError(
                f"data.max_length: memory does not hold a single pair of {shape} positions with this model; lower it, "
                "or take a smaller model"
            )
        self.most_positions = piece.num_positions - 1
        self.forget()

    def forget(self) -> None:
        """Drop the gradients so far, and give memory back."""
        for weight in self.losses.parameters():
            weight.grad = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class FastSum(GradientSum):
    """Sums gradients as they come: within a process one after the other, between processes by DDP or FSDP2."""

    def __init__(self, losses: LossModule, training: TrainingConfig, world: World) -> None:
        super().__init__(losses, training, world)
        if self.is_sharded:
            shard(losses, resolve_device(training.device).type, world)
        elif world.size > 1:
            with warnings.catch_warnings():
                # Buffers must not be sent: the table of positions grows where a sentence is long. The argument that
                # is to replace broadcast_buffers does not exist before torch 2.13.
                warnings.simplefilter("ignore", FutureWarning)
                self.losses = DistributedDataParallel(losses, broadcast_buffers=False, gradient_as_bucket_view=True)

    def _sum(self, share: Share, step: int, scaler: torch.amp.GradScaler) -> Tensor:
        divisor = share.num_tokens / self.world.size  # DDP divides by the number of processes
        sums = torch.zeros(2, device=next(self.losses.parameters()).device)
        for index, piece, place, is_last_piece in self.places(share, step):
            counts = index < share.num_own
            with self._in_one_go(is_last_piece and index == len(share.batches) - 1):
                objective, loss = self._add_gradient(self.losses, piece, place, divisor if counts else math.inf, scaler)
            if counts:
                sums += torch.stack([objective * divisor, loss])
        return sums

    def _in_one_go(self, is_last: bool) -> AbstractContextManager[None]:
        """With whole weights, the processes exchange gradients only when all their batches are summed."""
        if is_last or not isinstance(self.losses, DistributedDataParallel):
            return nullcontext()
        return self.losses.no_sync()  # type: ignore[no-any-return]


class ExactSum(GradientSum):
    """Sums gradients in a binary tree over the update's batches, so that the number of processes changes no bit.

    Each process sums a sub-tree, gathers the sums of all, and finishes the tree. It costs the memory of a gradient
    for each level of the tree and each process. Missing batches are zeros.
    """

    def __init__(self, losses: LossModule, training: TrainingConfig, world: World) -> None:
        super().__init__(losses, training, world)
        self.weights = [weight for weight in losses.parameters() if weight.requires_grad]
        self.num_leaves = training.accumulation_steps // world.size
        """Batches of a process, missing ones included."""

    def _sum(self, share: Share, step: int, scaler: torch.amp.GradScaler) -> Tensor:
        sums = torch.zeros(2, device=next(self.losses.parameters()).device)
        tree = Tree()
        for index, piece, place, is_last_piece in self.places(share, step):
            if index < share.num_own:
                objective, loss = self._add_gradient(self.losses, piece, place, share.num_tokens, scaler)
                sums += torch.stack([objective * share.num_tokens, loss])
                if is_last_piece:
                    tree.add(self._taken_gradient())
        for _ in range(share.num_own, self.num_leaves):
            tree.add(self._zeros())
        self._others_wait = self.world.size > 1
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
