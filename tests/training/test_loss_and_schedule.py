"""The loss against PyTorch's own, the schedule against its formulas."""

import math

import pytest
import torch
import torch.nn.functional as F

from transformer_mt.config.schema import ModelConfig, OptimizerConfig, ScheduleConfig
from transformer_mt.model.linear import Linear
from transformer_mt.model.transformer import Transformer
from transformer_mt.training import loss as loss_module
from transformer_mt.training.loss import smoothed_cross_entropy
from transformer_mt.training.optimizer import (
    load_optimizer_tensors,
    make_optimizer,
    optimizer_tensors,
    orthogonalized,
)
from transformer_mt.training.schedule import lr_at


@pytest.mark.parametrize("divisor", [1.0, 7.0])
@pytest.mark.parametrize("scale", [1.0, 256.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("has_bias", [False, True])
def test_loss_and_gradient_equal_cross_entropy(
    has_bias: bool, smoothing: float, scale: float, divisor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_module, "CHUNK_ELEMENTS", 70)  # several chunks, the last one short
    monkeypatch.setattr(loss_module, "ROW_BLOCK", 4)
    monkeypatch.setattr(loss_module, "LOGITS_AT_A_TIME", 8 * 30)  # and several parts, the last without a target
    torch.manual_seed(1)
    hidden = torch.randn(26, 8, requires_grad=True)  # three rows more than targets, which count for nothing
    weight = torch.randn(30, 8, requires_grad=True)
    targets = torch.randint(0, 30, (23,))
    bias = torch.randn(30, requires_grad=True) if has_bias else None
    objective, nll = smoothed_cross_entropy(hidden, weight, targets, smoothing, divisor, bias)
    (objective * scale).backward()
    wide = [None if x is None else x.detach().double().requires_grad_() for x in (hidden, weight, bias)]
    logits = F.linear(*wide)[:23]
    expected = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum") / divisor
    (expected * scale).backward()
    torch.testing.assert_close(objective.double(), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(nll.double(), F.cross_entropy(logits, targets, reduction="sum"), rtol=1e-6, atol=1e-6)
    for ours, plain in zip((hidden, weight, bias), wide, strict=True):
        if plain is not None:
            torch.testing.assert_close(ours.grad.double(), plain.grad, rtol=1e-4, atol=1e-6 * scale)


def test_loss_is_computed_in_float32_from_bf16_logits() -> None:
    logits = (3 * torch.randn(50, 200)).bfloat16()
    targets = torch.randint(0, 200, (50,))
    expected = F.cross_entropy(logits.float(), targets, label_smoothing=0.1, reduction="sum")
    objective, _ = smoothed_cross_entropy(logits, torch.eye(200), targets, 0.1)
    assert objective.dtype == torch.float32
    torch.testing.assert_close(objective, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_an_infinite_divisor_gives_no_gradient_and_no_nan(dtype: torch.dtype) -> None:
    logits = (5 * torch.randn(9, 40)).to(dtype).requires_grad_()
    smoothed_cross_entropy(logits, torch.eye(40), torch.randint(0, 40, (9,)), 0.1, math.inf)[0].backward()
    assert torch.equal(logits.grad, torch.zeros(9, 40, dtype=dtype))


def test_a_large_divisor_leaves_small_fp16_gradients_whole() -> None:
    """They are scaled up before they would be too small for the type."""
    logits, targets = torch.randn(50, 200), torch.randint(0, 200, (50,))
    grads = []
    for dtype in (torch.float32, torch.float16):
        leaf = logits.to(dtype, copy=True).requires_grad_()
        (smoothed_cross_entropy(leaf, torch.eye(200), targets, 0.1, 25_000.0)[0] * 65536.0).backward()
        grads.append(leaf.grad.float())
    torch.testing.assert_close(grads[1], grads[0], rtol=5e-3, atol=1e-5)


def test_no_targets_give_no_loss() -> None:
    objective, nll = smoothed_cross_entropy(torch.zeros(0, 5), torch.eye(5), torch.zeros(0, dtype=torch.long), 0.1)
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


@pytest.mark.parametrize("name", ["adamw", "adam", "muon", "sgd"])
def test_optimizer_state_survives_a_round_trip(name: str) -> None:
    config = OptimizerConfig(name=name, lr=0.1, momentum=0.5, weight_decay=0.1)  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = Linear(3, 2)
    inputs = torch.randn(5, 3)

    def update(optimizer: torch.optim.Optimizer, net: torch.nn.Module) -> None:
        optimizer.zero_grad()
        net(inputs).square().sum().backward()
        optimizer.step()

    first = make_optimizer(model, config)
    update(first, model)
    twin = Linear(3, 2)
    twin.load_state_dict(model.state_dict())
    second = make_optimizer(twin, config)
    load_optimizer_tensors(twin, second, optimizer_tensors(model, first))
    update(first, model)
    update(second, twin)
    assert torch.equal(model.weight, twin.weight) and torch.equal(model.bias, twin.bias)


@pytest.mark.parametrize("shape", [(40, 16), (16, 40), (24, 24)])
def test_orthogonalizing_keeps_singular_vectors_and_evens_out_singular_values(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(3, *shape), full_matrices=False)
    matrices = left @ torch.diag(torch.linspace(0.1, 3.0, min(shape))) @ right
    found = left.mT @ orthogonalized(matrices) @ right.mT
    values = found.diagonal(dim1=1, dim2=2)
    assert values.min() > 0.6 and values.max() < 1.3
    torch.testing.assert_close(found, torch.diag_embed(values), atol=0.03, rtol=0)


@pytest.mark.parametrize("num_fused", [1, 3])
def test_muon_equals_that_of_pytorch_on_each_projection(num_fused: int) -> None:
    torch.manual_seed(0)
    layer = Linear(20, 36, num_fused=num_fused)
    parts = [torch.nn.Parameter(part.clone()) for part in layer.weight.detach().chunk(num_fused)]
    ours = make_optimizer(layer, OptimizerConfig(name="muon", lr=0.05, weight_decay=0.3))
    theirs = torch.optim.Muon(parts, lr=0.05, weight_decay=0.3, adjust_lr_fn="match_rms_adamw")
    before = layer.weight.detach().clone()
    for _ in range(3):
        gradient = torch.randn(36, 20)
        layer.weight.grad = gradient
        layer.bias.grad = torch.ones(36)
        for part, share in zip(parts, gradient.chunk(num_fused), strict=True):
            part.grad = share
        ours.step()
        theirs.step()
    moved = (layer.weight.detach() - before).norm()
    assert (torch.cat([part.detach() for part in parts]) - layer.weight.detach()).norm() < 0.01 * moved  # bf16 inside
    assert not torch.equal(layer.bias, torch.zeros(36))  # by adamw


def test_muon_leaves_embeddings_and_the_output_to_adamw() -> None:
    sizes = {"d_model": 8, "num_heads": 2, "d_ff": 12, "num_encoder_layers": 1, "num_decoder_layers": 1}
    model = Transformer(ModelConfig(**sizes, tied_embeddings="none"), 9, 9)  # type: ignore[arg-type]
    optimizer = make_optimizer(model, OptimizerConfig(name="muon"))
    names = {id(weight): name for name, weight in model.named_parameters()}
    assert {names[id(weight)] for weight in optimizer.param_groups[0]["params"]} == {
        name for name, weight in model.named_parameters() if ".layers." in name and weight.dim() == 2
    }
    listed = [id(weight) for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(listed) == sorted(names)


def test_only_matrices_decay() -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = make_optimizer(model, OptimizerConfig(lr=0.1, weight_decay=0.5))
    before = model.weight.detach().clone(), model.bias.detach().clone()
    (0.0 * model.weight.sum() + 0.0 * model.bias.sum()).backward()
    optimizer.step()
    torch.testing.assert_close(model.weight, before[0] * (1 - 0.1 * 0.5))
    assert torch.equal(model.bias, before[1])
