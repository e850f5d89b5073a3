"""A batch that memory does not hold is computed in pieces: nothing is skipped, and the gradient is the same."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.training.short_of_memory import NoRoomForGradients
from tests.training.test_trainer import MakeTrainer, make_trainer, weights_of  # noqa: F401  (a fixture)
from transformer_mt.data.batching import Batch, largest_batch, make_batch
from transformer_mt.errors import TrainingError
from transformer_mt.training.trainer import Trainer

ENOUGH_FOR = 40
"""Positions that the small machine's memory holds; batches have up to 128."""
MESSAGES = ("CUDA out of memory. Tried to allocate 2.00 GiB", "DefaultCPUAllocator: can't allocate memory")


def limit_memory(trainer: Trainer, positions: int, where: str = "forward") -> list[int]:
    """Let forward or backward fail for more than so many positions; returns the sizes of what was tried."""
    tried: list[int] = []
    compute: Callable[..., tuple[Tensor, Tensor]] = trainer.gradients.module.forward

    def forward(batch: Batch, divisor: float) -> tuple[Tensor, Tensor]:
        tried.append(batch.num_positions)
        if batch.num_positions <= positions:
            return compute(batch, divisor)
        if where == "forward":
            raise RuntimeError(MESSAGES[1])
        embedding = trainer.model.src_embedding  # last in backward: all other weights have their gradient by then
        hook = embedding.register_forward_hook(lambda module, inputs, output: NoRoomForGradients.apply(output))
        try:
            return compute(batch, divisor)
        finally:
            hook.remove()

    trainer.gradients.module.forward = forward  # type: ignore[method-assign]
    return tried


def trained(trainer: Trainer, steps: int = 6) -> dict[str, Tensor]:
    for _ in range(steps):
        trainer.run_epoch_step()
    return weights_of(trainer)


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("sum_kind", ["fast", "exact"])
def test_a_run_that_is_short_of_memory_ends_with_the_same_weights(
    make_trainer: MakeTrainer,  # noqa: F811
    where: str,
    sum_kind: str,
) -> None:
    """In float64, so that only rounding may differ."""
    trainers = [
        make_trainer(accumulation_steps=2, reproducible=sum_kind, threads=1, dtype=torch.float64) for _ in range(2)
    ]
    tried = limit_memory(trainers[1], ENOUGH_FOR, where)
    plenty, short = (trained(trainer) for trainer in trainers)
    assert max(tried) > ENOUGH_FOR and trainers[1].progress.skipped_steps == 0
    for name, weight in plenty.items():
        torch.testing.assert_close(short[name], weight, rtol=1e-9, atol=1e-11)
    assert trainers[0].progress.tokens == trainers[1].progress.tokens
    for key in ("loss", "objective"):
        assert trainers[1].meter.counts[key] == pytest.approx(trainers[0].meter.counts[key], rel=1e-5)


def test_what_has_not_fitted_is_not_tried_again_and_is_told_once(make_trainer: MakeTrainer) -> None:  # noqa: F811
    trainer = make_trainer()
    tried = limit_memory(trainer, ENOUGH_FOR)
    trained(trainer, 6)
    assert "in pieces" in (trainer.gradients.notice() or "") and trainer.gradients.notice() is None
    limit = trainer.gradients.most_positions
    assert limit is not None and limit >= ENOUGH_FOR
    tried.clear()
    trained(trainer, 6)
    assert max(tried) <= limit


def test_with_dropout_a_run_that_is_short_of_memory_goes_on_with_the_same_bits(
    make_trainer: MakeTrainer,  # noqa: F811
) -> None:
    """Pieces draw masks of their own, which belong to their place: stopping and going on changes nothing."""
    whole, stopped, resumed = (make_trainer(dropout=0.3, ema_decay=0.9) for _ in range(3))
    for trainer in (whole, stopped, resumed):
        limit_memory(trainer, ENOUGH_FOR)
    trained(whole, 3)
    whole.checkpoint()
    expected = trained(whole, 5)
    trained(stopped, 3)
    resumed.restore(copy.deepcopy(stopped.checkpoint()))
    resumed.try_largest_batch()
    assert all(torch.equal(weight, expected[name]) for name, weight in trained(resumed, 5).items())


def test_a_single_pair_that_does_not_fit_ends_the_training_with_what_to_change(
    make_trainer: MakeTrainer,  # noqa: F811
) -> None:
    trainer = make_trainer()
    limit_memory(trainer, 5)
    with pytest.raises(TrainingError, match=r"data\.max_length: .* a single pair of 1 x \d+ \+ \d+ positions"):
        trained(trainer)


def test_another_error_is_not_taken_for_one_of_memory(make_trainer: MakeTrainer) -> None:  # noqa: F811
    trainer = make_trainer()

    def fail(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    trainer.gradients.module.forward = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="shapes do not match"):
        trainer.run_epoch_step()


@pytest.mark.parametrize("sum_kind", ["fast", "exact"])
def test_trying_the_largest_batch_first_changes_no_bit(make_trainer: MakeTrainer, sum_kind: str) -> None:  # noqa: F811
    settings = {"dropout": 0.3, "ema_decay": 0.9, "reproducible": sum_kind, "threads": 1}
    plain, tried = make_trainer(**settings), make_trainer(**settings)
    tried.try_largest_batch()
    assert all(weight.grad is None for weight in tried.model.parameters()) and not tried.optimizer.state
    expected, found = (trained(trainer) for trainer in (plain, tried))
    assert all(torch.equal(weight, found[name]) for name, weight in expected.items())


def test_the_largest_batch_that_does_not_fit_is_known_before_the_first_update(
    make_trainer: MakeTrainer,  # noqa: F811
) -> None:
    trainer = make_trainer()
    largest = make_batch(trainer.corpus, largest_batch(trainer.corpus, trainer.plan))
    tried = limit_memory(trainer, largest.num_positions - 1)
    trainer.try_largest_batch()
    assert tried[0] == largest.num_positions and trainer.gradients.most_positions == largest.num_positions - 1
    assert trainer.progress.step == 0
