"""Updates without a finite gradient: what in them is not finite first, and in which lines of which files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from transformer_mt.device import seed_everything
from transformer_mt.errors import TrainingError
from transformer_mt.training.distributed import GradientSum, Share


class Update(NamedTuple):
    """Which update it was: its number, and the place in the training where its batches begin."""

    step: int
    epoch: int
    position: int


class Finding(NamedTuple):
    """The first tensor of an update that holds NaN or infinity."""

    tensor: str
    batch: int
    """Number of the batch among those of the update."""


class Diverged(TrainingError):
    """So many updates in a row had no finite gradient."""

    def __init__(self, count: int, last: Update) -> None:
        self.last = last
        super().__init__(f"training diverged: no finite gradient in updates {last.step - count + 1} to {last.step}")


def first_not_finite(gradients: GradientSum, share: Share, step: int, scale: float) -> Finding | None:
    """Do this process's share of update `step` again, with the loss times `scale`, and look at every tensor on the way.

    Weights come first, then what the modules give in forward order, then gradients in backward order. None when all
    is finite. The gradients are dropped. Collective where sharded.
    """
    weights = [name for name, weight in gradients.module.named_parameters() if not _is_finite(weight)]
    first = Finding(f"weight {_known_as(weights[0])}", share.first) if weights else None
    for index, piece, place, _ in gradients.places(share, step):
        with _watched(gradients.module) as found:
            seed_everything(gradients.seed, *place)
            objective = gradients.module(piece, float(share.num_tokens))[0]
            (objective * scale).backward()
        if found and first is None and index < share.num_own:
            first = Finding(found[0], share.first + index)
    gradients.forget()
    return first


@contextmanager
def _watched(module: nn.Module) -> Iterator[list[str]]:
    """A list of what turned out not to be finite while the context lasts, in that order."""
    found: list[str] = []

    def output_hook(name: str) -> Callable[..., None]:
        def look(_: nn.Module, __: Any, output: Any) -> None:
            outputs = output if isinstance(output, tuple) else (output,)
            if not all(_is_finite(tensor) for tensor in outputs if isinstance(tensor, Tensor)):
                found.append(f"the output of {_known_as(name) or 'the loss'}")

        return look

    def gradient_hook(name: str) -> Callable[[Tensor], None]:
        def look(gradient: Tensor) -> None:
            if not _is_finite(gradient):
                found.append(f"the gradient of {_known_as(name)}")

        return look

    hooks = [part.register_forward_hook(output_hook(name)) for name, part in module.named_modules()]
    for name, weight in module.named_parameters():
        if weight.requires_grad:
            hooks.append(weight.register_hook(gradient_hook(name)))
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _is_finite(tensor: Tensor) -> bool:
    own = tensor.to_local() if hasattr(tensor, "to_local") else tensor  # of a weight that processes share
    return not own.is_floating_point() or bool(torch.isfinite(own).all())


def _known_as(name: str) -> str:
    """The name of a part of the model, which the loss holds as `model`."""
    return name.removeprefix("model").removeprefix(".")
