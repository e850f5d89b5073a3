"""One update, and what it must equal."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from transformer_mt.config.schema import Config, ModelConfig, OptimizerConfig, TrainingConfig
from transformer_mt.data.batching import Batch, make_batch
from transformer_mt.data.vocabulary import EOS_ID
from transformer_mt.errors import TrainingError
from transformer_mt.model.transformer import Transformer
from transformer_mt.training.distributed import Share
from transformer_mt.training.trainer import MAX_SKIPPED_IN_A_ROW, Trainer

VOCAB = 40
MakeTrainer = Callable[..., Trainer]


class Pairs:
    """Random pairs of token ids in memory."""

    weights = None

    def __init__(self, count: int, shuffle_targets: bool = False) -> None:
        generator = np.random.default_rng(4)
        self.pairs = []
        for _ in range(count):
            src, tgt = (generator.integers(EOS_ID + 1, VOCAB, generator.integers(2, 9)) for _ in range(2))
            self.pairs.append(tuple(np.append(side, EOS_ID).astype(np.int32) for side in (src, tgt)))
        self.src_lengths = np.array([len(src) for src, _ in self.pairs], np.int32)
        self.tgt_lengths = np.array([len(tgt) for _, tgt in self.pairs], np.int32)

    def __len__(self) -> int:
        return len(self.pairs)

    def rows(self, indices: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        return [self.pairs[index] for index in indices]


@pytest.fixture
def make_trainer() -> MakeTrainer:
    def make(
        count: int = 40,
        dropout: float = 0.0,
        optimizer: str = "adamw",
        dtype: torch.dtype = torch.float32,
        **training: object,
    ) -> Trainer:
        model_config = ModelConfig(
            d_model=16,
            num_heads=2,
            d_ff=32,
            num_encoder_layers=1,
            num_decoder_layers=1,
            dropout=dropout,
            embedding_dropout=dropout,
        )
        settings = {"max_steps": 100, "batch_size": 64, **training}
        rule = OptimizerConfig(name=optimizer, lr=1e-2, eps=1e-6)  # type: ignore[arg-type]
        config = Config(model=model_config, training=TrainingConfig(**settings), optimizer=rule)
        torch.manual_seed(0)
        return Trainer(config, Transformer(model_config, VOCAB, VOCAB).to(dtype), Pairs(count), "fp32")

    return make


def batch_of(trainer: Trainer, indices: list[int]) -> Batch:
    return make_batch(trainer.corpus, np.array(indices))


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}


def test_accumulation_equals_one_large_batch(make_trainer: MakeTrainer) -> None:
    split, joined = make_trainer(), make_trainer()
    pieces = [batch_of(split, [0, 1]), batch_of(split, [2, 3, 4, 5, 6]), batch_of(split, [7])]
    one = split.train_step(Share.whole(pieces))
    other = joined.train_step(Share.whole([batch_of(joined, list(range(8)))]))
    assert one.num_tokens == other.num_tokens
    torch.testing.assert_close(one.objective_sum, other.objective_sum)
    assert float(one.grad_norm) == pytest.approx(float(other.grad_norm), rel=1e-5)
    for name, weight in weights_of(split).items():
        torch.testing.assert_close(weight, weights_of(joined)[name], rtol=1e-4, atol=1e-6)


def test_the_gradient_is_that_of_the_mean_over_target_tokens(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_grad_norm=None, label_smoothing=0.1)
    batch = batch_of(trainer, [0, 1, 2])
    model = copy.deepcopy(trainer.model)
    logits = model(batch.src, batch.tgt_in).flatten(0, 1)
    torch.nn.functional.cross_entropy(logits, batch.tgt_out.flatten(), ignore_index=0, label_smoothing=0.1).backward()
    expected = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    assert float(trainer.train_step(Share.whole([batch])).grad_norm) == pytest.approx(float(expected), rel=1e-5)


def test_clipping_limits_the_true_gradient(make_trainer: MakeTrainer) -> None:
    """SGD with rate 1 moves the weights by exactly the clipped gradient."""
    free = make_trainer(max_grad_norm=None)
    norm = float(free.train_step(Share.whole([batch_of(free, [0, 1, 2])])).grad_norm)
    trainer = make_trainer(max_grad_norm=norm / 3)
    trainer.optimizer = torch.optim.SGD(trainer.model.parameters(), lr=1.0)
    trainer.lr = lambda step: 1.0  # type: ignore[method-assign]
    before = weights_of(trainer)
    trainer.train_step(Share.whole([batch_of(trainer, [0, 1, 2])]))
    moved = torch.stack([(weight - before[name]).norm() for name, weight in weights_of(trainer).items()]).norm()
    assert float(moved) == pytest.approx(norm / 3, rel=1e-4)


def test_the_gradient_is_clipped_after_the_loss_scale_is_taken_out(make_trainer: MakeTrainer) -> None:
    plain, scaled = make_trainer(max_grad_norm=0.5), make_trainer(max_grad_norm=0.5)
    scaled.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    steps = [trainer.train_step(Share.whole([batch_of(trainer, [0, 1, 2])])) for trainer in (plain, scaled)]
    norms = [float(step.grad_norm) for step in steps]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)
    for name, weight in weights_of(plain).items():
        torch.testing.assert_close(weight, weights_of(scaled)[name], rtol=1e-4, atol=1e-6)


def test_a_gradient_that_overflows_lowers_the_loss_scale_and_changes_nothing(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = weights_of(trainer)
    trainer.model.encoder.norm.weight.register_hook(lambda grad: grad * math.inf)
    trainer.run_epoch_step()
    assert trainer.scaler.get_scale() == 512.0
    assert all(torch.equal(weight, before[name]) for name, weight in weights_of(trainer).items())
    assert trainer.checkpoint().progress.scaler is not None


def test_a_restored_trainer_goes_on_bit_for_bit(make_trainer: MakeTrainer) -> None:
    """With dropout, accumulation, moving average, in the middle of an epoch, twice."""
    settings = {"dropout": 0.3, "accumulation_steps": 2, "ema_decay": 0.9}
    whole = make_trainer(**settings)
    for _ in range(12):
        whole.run_epoch_step()
    stopped = make_trainer(**settings)
    for steps in (3, 4, 5):
        for _ in range(steps):
            stopped.run_epoch_step()
        checkpoint = copy.deepcopy(stopped.checkpoint())
        stopped = make_trainer(**settings)
        stopped.run_epoch_step()  # whatever it did before is forgotten
        stopped.restore(checkpoint)
    assert stopped.progress.epoch == whole.progress.epoch >= 1
    expected, found = whole.checkpoint(), stopped.checkpoint()
    for kind in ("weights", "optimizer", "average"):
        for name, tensor in getattr(expected, kind).items():
            assert torch.equal(tensor, getattr(found, kind)[name]), f"{kind} {name}"
    assert found.progress.meter == expected.progress.meter


def test_each_epoch_uses_every_pair_once(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(accumulation_steps=3)
    tokens = int(trainer.corpus.tgt_lengths.sum())
    while trainer.progress.position < len(trainer.plan):
        trainer.run_epoch_step()
    assert trainer.progress.tokens == tokens


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_a_gradient_that_is_not_finite_changes_nothing_and_is_counted(
    make_trainer: MakeTrainer, optimizer: str
) -> None:
    trainer = make_trainer(optimizer=optimizer)
    trainer.run_epoch_step()
    before, state = weights_of(trainer), copy.deepcopy(trainer.checkpoint().optimizer)
    hook = trainer.model.encoder.norm.weight.register_hook(lambda grad: grad * math.nan)
    trainer.run_epoch_step()
    assert trainer.progress.skipped_steps == 1
    assert all(torch.equal(weight, before[name]) for name, weight in weights_of(trainer).items())
    assert all(torch.equal(tensor, state[name]) for name, tensor in trainer.checkpoint().optimizer.items())
    with pytest.raises(TrainingError, match="diverged"):
        for _ in range(MAX_SKIPPED_IN_A_ROW):
            trainer.run_epoch_step()
    hook.remove()


def test_shuffled_targets_cannot_be_predicted_better_than_by_their_frequencies(make_trainer: MakeTrainer) -> None:
    """Targets here are random: a decoder that saw its answer would fall far below their entropy."""
    trainer = make_trainer(count=2000, label_smoothing=0.0, max_steps=150, batch_size=512)
    tokens = np.concatenate([tgt for _, tgt in trainer.corpus.pairs])
    frequencies = np.bincount(tokens) / len(tokens)
    entropy = -sum(p * math.log(p) for p in frequencies if p)
    losses = [trainer.run_epoch_step() for _ in range(120)]
    late = sum(float(stats.loss_sum) for stats in losses[-20:]) / sum(stats.num_tokens for stats in losses[-20:])
    assert late > 0.9 * entropy
    assert late < 1.2 * entropy  # it did learn the frequencies


def test_fraction_done_follows_the_nearest_limit(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_steps=50, max_epochs=2, max_minutes=1.0)
    trainer.progress.step, trainer.progress.seconds = 10, 45.0
    assert trainer.fraction_done() == pytest.approx(0.75)
    trainer.progress.step = 50
    assert trainer.fraction_done() == 1.0
