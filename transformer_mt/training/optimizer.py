"""Optimizers over a model's weights, and their state as named tensors."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from transformer_mt.config.schema import OptimizerConfig
from transformer_mt.model.linear import Linear
from transformer_mt.tensors import placed_like

MUON_MOMENTUM = 0.95
"""Of Muon's running mean of the gradient, as its authors have it."""
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of a step of Muon's iteration; five steps bring singular values near 1."""


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer of `model`'s trainable weights; only matrices are decayed, vectors (biases, norms) never."""
    weights = [p for p in model.parameters() if p.requires_grad]
    if config.name == "muon":
        hidden = _layer_matrices(model)
        taken = {id(matrix) for matrix, _ in hidden}
        return Muon(hidden, _make_adam([p for p in weights if id(p) not in taken], config, torch.optim.AdamW), config)
    if config.name == "sgd":
        return torch.optim.SGD(_groups(weights, config), lr=config.lr, momentum=config.momentum)
    return _make_adam(weights, config, torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam)


def _make_adam(weights: Sequence[Tensor], config: OptimizerConfig, kind: type[torch.optim.Adam]) -> torch.optim.Adam:
    fused = all(p.device.type in ("cpu", "cuda") for p in weights)
    return kind(_groups(weights, config), lr=config.lr, betas=config.betas, eps=config.eps, fused=fused)


def _groups(weights: Sequence[Tensor], config: OptimizerConfig) -> list[dict[str, Any]]:
    groups = [
        {"params": [p for p in weights if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in weights if p.dim() < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _layer_matrices(model: nn.Module) -> list[tuple[Tensor, int]]:
    """The weights of all `Linear`s but the output matrix, each with the number of projections fused in it."""
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, Linear)]
    return [
        (linear.weight, linear.num_fused)
        for name, linear in found
        if name != "output_proj" and linear.weight.requires_grad
    ]


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for the matrices inside the layers, AdamW for all other weights.

    Muon moves a matrix by its running gradient with all singular values brought near 1, so that rare
    directions are learnt as fast as common ones. The step is scaled to the size of AdamW's (Liu et al.
    2025, equation 4), so that both share one learning rate.
    """

    def __init__(
        self, matrices: Sequence[tuple[Tensor, int]], adamw: torch.optim.Adam, config: OptimizerConfig
    ) -> None:
        """`matrices` come with the number of projections that lie one after the other in each."""
        super().__init__(
            [{"params": [matrix for matrix, _ in matrices], "weight_decay": config.weight_decay}], {"lr": config.lr}
        )
        self.num_fused = [number for _, number in matrices]
        self.adamw = adamw
        self.param_groups += adamw.param_groups  # the same objects: what is set here is set there
        self.defaults["fused"] = adamw.defaults["fused"]
        adamw.state = self.state

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all weights."""
        self.adamw.step()
        group = self.param_groups[0]
        by_shape: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
        for matrix, number in zip(group["params"], self.num_fused, strict=True):
            if matrix.grad is None:
                continue
            state = self.state[matrix]
            if not state:
                state["momentum"] = torch.zeros_like(matrix)
            state["momentum"].lerp_(matrix.grad, 1 - MUON_MOMENTUM)
            ahead = torch.lerp(matrix.grad, state["momentum"], MUON_MOMENTUM)  # Nesterov
            for part, direction in zip(matrix.chunk(number), ahead.chunk(number), strict=True):
                by_shape.setdefault(tuple(part.shape), []).append((part, direction))
        for shape, parts in by_shape.items():
            directions = orthogonalized(torch.stack([direction for _, direction in parts]))
            size = group["lr"] * 0.2 * math.sqrt(max(shape))
            for (part, _), direction in zip(parts, directions, strict=True):
                part.mul_(1 - group["lr"] * group["weight_decay"]).sub_(direction, alpha=size)


def orthogonalized(matrices: Tensor) -> Tensor:
    """Matrices (K, m, n) with their singular values brought near 1 (0.7 to 1.2), the singular vectors kept.

    Five steps of the Newton-Schulz iteration of Jordan et al. 2024, in bfloat16.
    """
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT.bfloat16() if is_tall else matrices.bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    a, b, c = _NEWTON_SCHULZ
    for _ in range(5):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if is_tall else x).to(matrices.dtype)


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as `weight name/state name` -> tensor; what `load_optimizer_tensors` takes."""
    return {
        f"{name}/{key}": torch.as_tensor(value)
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
        if value is not None
    }


def load_optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back a state that `optimizer_tensors` gave; KeyError names a weight that the model lacks."""
    parameters = dict(model.named_parameters())
    for path, tensor in tensors.items():
        name, _, key = path.rpartition("/")
        parameter = parameters[name]
        # Adam counts its steps in a float32 scalar of its own; all else lives where the weight does.
        if key == "step":
            device = parameter.device if _is_fused(optimizer) else torch.device("cpu")
            optimizer.state[parameter][key] = tensor.to(device=device, copy=True)
        else:
            optimizer.state[parameter][key] = placed_like(parameter, tensor).clone()


def _is_fused(optimizer: torch.optim.Optimizer) -> bool:
    return bool(optimizer.defaults.get("fused"))
