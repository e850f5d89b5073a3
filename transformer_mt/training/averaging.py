"""Averages of weights: a moving one while training, and one over the last checkpoints."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from transformer_mt.tensors import load_tensors, placed_like


class MovingAverage:
    """An exponential moving average of a model's weights (Polyak and Juditsky 1992)."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after update number `step`; early on they count for more, as there is little else."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = [weight.detach() for weight in model.parameters()]
        torch._foreach_lerp_(list(self.weights.values()), current, 1.0 - decay)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Go on from saved weights."""
        for name, weight in self.weights.items():
            weight.copy_(placed_like(weight, weights[name]))


@contextmanager
def swapped_in(model: nn.Module, weights: Mapping[str, Tensor] | None) -> Iterator[None]:
    """Inside of this context `model` has these weights; None changes nothing."""
    if weights is None:
        yield
        return
    own = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    try:
        _copy_into(model, weights)
        yield
    finally:
        _copy_into(model, own)


def average_of(checkpoints: Sequence[Path]) -> dict[str, Tensor]:
    """The mean, weight by weight, of the models (their moving averages where there are any) of `checkpoints`."""
    total: dict[str, Tensor] = {}
    for path in checkpoints:
        average = path / "average.safetensors"
        for name, tensor in load_tensors(average if average.is_file() else path / "model.safetensors").items():
            total[name] = total[name] + tensor.double() if name in total else tensor.double()
    return {name: (tensor / len(checkpoints)).float() for name, tensor in total.items()}


def _copy_into(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(weights[name])
