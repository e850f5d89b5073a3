"""On a card: nothing in a step waits for it, and it learns what the CPU learns."""

from collections.abc import Iterator

import pytest
import torch

from tests.training.test_trainer import Pairs
from transformer_mt.config.loading import from_dict
from transformer_mt.data.vocabulary import EOS_ID
from transformer_mt.model.transformer import Transformer
from transformer_mt.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")

VOCAB = 50


def make_trainer(device: str, precision: str, **model: object) -> Trainer:
    sections = {
        "data": {"train": [{"src": "en", "tgt": "fr"}]},
        "model": {
            "d_model": 64,
            "num_heads": 4,
            "d_ff": 128,
            "num_encoder_layers": 2,
            "num_decoder_layers": 2,
            **model,
        },
        "optimizer": {"lr": 1e-3},
        "schedule": {"warmup_steps": 4},
        "training": {"max_steps": 100, "batch_size": 256, "max_grad_norm": 1.0},
    }
    config = from_dict(sections, "test")
    torch.manual_seed(0)
    model = Transformer(config.model, VOCAB, VOCAB).to(device)
    assert EOS_ID < VOCAB
    return Trainer(config, model, Pairs(200), precision)


@pytest.fixture
def waiting_is_an_error() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
def test_no_step_waits_for_the_card(precision: str, positions: str, waiting_is_an_error: None) -> None:
    trainer = make_trainer("cuda", precision, positions=positions)
    for _ in range(3):  # memory is taken, kernels are loaded
        trainer.run_epoch_step()
    torch.cuda.set_sync_debug_mode("error")
    for _ in range(10):
        trainer.run_epoch_step()
    torch.cuda.set_sync_debug_mode("default")
    trainer.settle()
    assert trainer.progress.skipped_steps == 0


def test_the_card_learns_what_the_cpu_learns() -> None:
    losses = []
    for device in ("cpu", "cuda"):
        trainer = make_trainer(device, "fp32", dropout=0.0, embedding_dropout=0.0)
        steps = [trainer.run_epoch_step() for _ in range(20)]
        losses.append([float(stats.loss_sum) / stats.num_tokens for stats in steps])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_follows_fp32(precision: str) -> None:
    means = []
    for kind in ("fp32", precision):
        trainer = make_trainer("cuda", kind, dropout=0.0, embedding_dropout=0.0)
        steps = [trainer.run_epoch_step() for _ in range(60)]
        trainer.settle()
        means.append(sum(float(s.loss_sum) for s in steps[-20:]) / sum(s.num_tokens for s in steps[-20:]))
    assert means[0] == pytest.approx(means[1], rel=0.02)


def test_large_vocabularies_do_not_rule_memory() -> None:
    """Logits of 16,384 rows and 65,536 pieces would take 2 GB in bf16; a part of them is held at a time."""
    from transformer_mt.training.loss import smoothed_cross_entropy

    hidden = torch.randn(16_384, 64, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    weight = torch.randn(65_536, 64, device="cuda", requires_grad=True)
    targets = torch.randint(0, 65_536, (16_384,), device="cuda")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    smoothed_cross_entropy(hidden, weight, targets, 0.1)[0].backward()
    assert torch.cuda.max_memory_allocated() - before < 1 << 30
