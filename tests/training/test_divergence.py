"""Updates without a finite gradient: skipped, counted, and in the end told with tensor, lines and evidence."""

import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.shop import Shop, the_error
from tests.training.test_trainer import MakeTrainer, make_trainer  # noqa: F401  (a fixture)
from transformer_mt.data.batching import make_batch
from transformer_mt.device import resolve_precision
from transformer_mt.training import distributed
from transformer_mt.training.checkpoint import list_checkpoints, load_checkpoint
from transformer_mt.training.divergence import Diverged, Finding, Update
from transformer_mt.training.trainer import MAX_SKIPPED_IN_A_ROW


def broken_loss(monkeypatch: pytest.MonkeyPatch, first: int, last: float = math.inf, only: str = "") -> None:
    """Let the losses of calls `first` to `last` (the trial of the largest batch is 0) be NaN, in precision `only`."""
    compute, num_calls = distributed.batch_loss, 0

    def batch_loss(model: Any, batch: Any, precision: str, *settings: Any) -> tuple[Tensor, Tensor]:
        nonlocal num_calls
        objective, loss = compute(model, batch, "fp32", *settings)
        is_broken = first <= num_calls <= last and only in ("", precision)
        num_calls += 1
        return (objective * math.nan if is_broken else objective), loss

    monkeypatch.setattr(distributed, "batch_loss", batch_loss)


@pytest.mark.parametrize("what", ["gradient", "output", "weight"])
def test_the_first_tensor_that_is_not_finite_is_named(make_trainer: MakeTrainer, what: str) -> None:  # noqa: F811
    """Those after it are not finite either."""
    trainer = make_trainer(accumulation_steps=3)
    layer = trainer.model.decoder.layers[0]
    module, name = layer.cross_attention.out_proj, "decoder.layers.0.cross_attention.out_proj"
    if what == "gradient":
        module.weight.register_hook(lambda grad: grad * math.nan)
        name += ".weight"
    elif what == "output":
        module.register_forward_hook(lambda module, inputs, output: output * math.inf)
    else:
        name += ".bias"
        with torch.no_grad():
            module.bias[3] = math.nan
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    article = "" if what == "weight" else "the "
    expected = f"{article}{what}{'' if what == 'weight' else ' of'} {name}"
    batches, found = trainer.examine(Update(step=1, epoch=0, position=0))
    assert found == Finding(expected, 0) and len(batches) == 3
    for name, weight in trainer.model.named_parameters():
        assert weight.grad is None and torch.equal(weight.nan_to_num(), before[name].nan_to_num())


def test_the_batch_that_is_not_finite_is_found_among_those_of_the_update(
    make_trainer: MakeTrainer,  # noqa: F811
) -> None:
    trainer = make_trainer(accumulation_steps=3)
    batches = [make_batch(trainer.corpus, trainer.plan.batch_pairs(place)) for place in range(3)]
    sums = [int(batch.src.sum()) for batch in batches]
    assert sums[2] not in sums[:2]
    trainer.model.src_embedding.register_forward_hook(
        lambda module, inputs, output: output * (math.nan if int(inputs[0].sum()) == sums[2] else 1.0)
    )
    assert trainer.examine(Update(1, 0, 0))[1] == Finding("the output of src_embedding", 2)


def test_a_finite_update_has_no_finding(make_trainer: MakeTrainer) -> None:  # noqa: F811
    assert make_trainer(dropout=0.3).examine(Update(1, 0, 0))[1] is None


def test_a_diverged_training_names_step_tensor_and_lines_and_keeps_the_batch(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some lines are left out before training, so that a pair's number is not that of its line."""
    for side, word in (("en", "the"), ("fr", "le")):
        lines = (shop.folder / f"train.{side}").read_text().splitlines()
        lines[3] = lines[500] = ""
        lines[7] = " ".join([word] * 60)
        shop.write(f"train.{side}", "".join(f"{line}\n" for line in lines))
    broken_loss(monkeypatch, first=6)
    error = the_error(shop.train("training.max_steps=200", "data.allow_suspicious=true", code=2))
    last = 5 + MAX_SKIPPED_IN_A_ROW
    assert f"no finite gradient in updates 6 to {last}; in update {last} the first tensor that is not finite" in error
    evidence = json.loads((shop.run / "bad_batch.json").read_text())
    assert evidence["step"] == last and evidence["first_not_finite"] == "the output of the loss"
    sides = {side: (shop.folder / f"train.{side}").read_text().splitlines() for side in ("en", "fr")}
    assert len(evidence["pairs"]) > 3 and max(pair["line"] for pair in evidence["pairs"]) > 501
    for pair in evidence["pairs"]:
        assert sides["en"][pair["line"] - 1] == pair["src"] and sides["fr"][pair["line"] - 1] == pair["tgt"]
        assert pair["source"].endswith("train.en + train.fr")
    first = evidence["pairs"][0]
    assert f"{first['source']}:{first['line']}" in error and "bad_batch.json" in error


def test_a_bad_update_is_skipped_counted_and_told_in_the_log(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_loss(monkeypatch, first=2, last=3)
    told = shop.train("training.max_steps=5", "logging.every_steps=5")
    assert "skipped 2" in told
    (record,) = [json.loads(line) for line in (shop.run / "metrics.jsonl").read_text().splitlines()
                 if '"train"' in line]  # fmt: skip
    assert record["skipped"] == 2 and not (shop.run / "bad_batch.json").exists()


@pytest.fixture
def a_device_with_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(precision: str, device: torch.device) -> str:
        return "fp16" if precision == "fp16" else resolve_precision("fp32", device)

    for module in ("parts", "session"):
        monkeypatch.setattr(f"transformer_mt.training.{module}.resolve_precision", resolve)


def test_fp16_that_gives_no_gradient_any_more_is_left_and_stays_left(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, a_device_with_fp16: None
) -> None:
    """What was learnt before is kept: the weights are those of the last good update."""
    broken_loss(monkeypatch, first=8, only="fp16")
    settings = ("training.precision=fp16", "training.max_steps=40", "evaluation.every_steps=1000")
    told = shop.train(*settings)
    assert f"no finite gradient in updates 8 to {7 + MAX_SKIPPED_IN_A_ROW}; going on in fp32" in told
    progress = load_checkpoint(list_checkpoints(shop.run / "checkpoints")[-1]).progress
    assert progress.step == 40 and progress.precision == "fp32"
    losses = [json.loads(line) for line in (shop.run / "metrics.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in losses if record["kind"] == "train"]
    assert losses[-1] < losses[0] - 0.5
    told = shop.train(*settings[:1], "training.max_steps=45")
    assert "going on from step 40" in told and "finite" not in told
    assert load_checkpoint(list_checkpoints(shop.run / "checkpoints")[-1]).progress.step == 45


def test_fp16_is_not_left_where_that_is_not_allowed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, a_device_with_fp16: None
) -> None:
    broken_loss(monkeypatch, first=1, only="fp16")
    settings = ("training.precision=fp16", "training.max_steps=40", "training.fp16_fallback=false")
    assert "updates 1 to 20" in the_error(shop.train(*settings, code=2))


def test_diverged_counts_back_to_the_first_update() -> None:
    assert str(Diverged(20, Update(24, 0, 0))).endswith("in updates 5 to 24")
