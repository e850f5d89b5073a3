"""The loss against PyTorch's own, the schedule against its formulas."""

import math

import pytest
import torch
import torch.nn.functional as F

from transformer_mt.config.schema import OptimizerConfig, ScheduleConfig
from transformer_mt.training import loss as loss_module
from transformer_mt.training.loss import smoothed_cross_entropy
from transformer_mt.training.optimizer import load_optimizer_tensors, make_optimizer, optimizer_tensors
from transformer_mt.training.schedule import lr_at


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_loss_and_gradient_equal_cross_entropy(smoothing: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_module, "CHUNK_ELEMENTS", 70)  # several chunks, the last one short
    torch.manual_seed(1)
    hidden = torch.randn(23, 8, requires_grad=True)
    weight = torch.randn(30, 8, requires_grad=True)
    targets = torch.randint(0, 30, (23,))
    objective, nll = smoothed_cross_entropy(hidden @ weight.T, targets, smoothing)
    (objective / 7).backward()
    found = hidden.grad, weight.grad
    hidden.grad = weight.grad = None
    logits = hidden @ weight.T
    expected = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum")
    (expected / 7).backward()
    torch.testing.assert_close(objective, expected)
    torch.testing.assert_close(nll, F.cross_entropy(logits, targets, reduction="sum"))
    torch.testing.assert_close(found, (hidden.grad, weight.grad))


def test_loss_is_computed_in_float32_from_bf16_logits() -> None:
    logits = (3 * torch.randn(50, 200)).bfloat16()
    targets = torch.randint(0, 200, (50,))
    expected = F.cross_entropy(logits.float(), targets, label_smoothing=0.1, reduction="sum")
    objective, _ = smoothed_cross_entropy(logits.clone(), targets, 0.1)
    assert objective.dtype == torch.float32
    torch.testing.assert_close(objective, expected)


def test_no_targets_give_no_loss() -> None:
    objective, nll = smoothed_cross_entropy(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long), 0.1)
    assert float(objective) == float(nll) == 0.0


@pytest.mark.parametrize("name", ["inverse_sqrt", "cosine", "linear", "constant"])
def test_rate_rises_to_its_peak_over_the_warm_up(name: str) -> None:
    config = ScheduleConfig(name=name, warmup_steps=10, final_lr=0.1)  # type: ignore[arg-type]
    assert [lr_at(step, 2.0, config, 50) for step in (1, 5, 10)] == pytest.approx([0.2, 1.0, 2.0])


def test_rate_after_the_warm_up_follows_its_formula() -> None:
    def at(name: str, step: int) -> float:
        config = ScheduleConfig(name=name, warmup_steps=10, final_lr=0.2)  # type: ignore[arg-type]
        return lr_at(step, 1.0, config, total_steps=110)

    assert at("inverse_sqrt", 40) == pytest.approx(math.sqrt(10 / 40))
    assert at("constant", 99) == 1.0
    assert at("linear", 60) == pytest.approx(0.6)
    assert at("cosine", 35) == pytest.approx(0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi / 4)))
    assert at("linear", 110) == at("cosine", 500) == pytest.approx(0.2)


def test_no_warm_up_starts_at_the_peak() -> None:
    config = ScheduleConfig(name="inverse_sqrt", warmup_steps=0)
    assert lr_at(1, 1.0, config, None) == 1.0


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_optimizer_state_survives_a_round_trip(name: str) -> None:
    config = OptimizerConfig(name=name, lr=0.1, momentum=0.5, weight_decay=0.1)  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    inputs = torch.randn(5, 3)

    def update(optimizer: torch.optim.Optimizer, net: torch.nn.Module) -> None:
        optimizer.zero_grad()
        net(inputs).square().sum().backward()
        optimizer.step()

    first = make_optimizer(model, config)
    update(first, model)
    twin = torch.nn.Linear(3, 2)
    twin.load_state_dict(model.state_dict())
    second = make_optimizer(twin, config)
    load_optimizer_tensors(twin, second, optimizer_tensors(model, first))
    update(first, model)
    update(second, twin)
    assert torch.equal(model.weight, twin.weight) and torch.equal(model.bias, twin.bias)


def test_only_matrices_decay() -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = make_optimizer(model, OptimizerConfig(lr=0.1, weight_decay=0.5))
    before = model.weight.detach().clone(), model.bias.detach().clone()
    (0.0 * model.weight.sum() + 0.0 * model.bias.sum()).backward()
    optimizer.step()
    torch.testing.assert_close(model.weight, before[0] * (1 - 0.1 * 0.5))
    assert torch.equal(model.bias, before[1])
