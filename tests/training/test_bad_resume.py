"""Trainings that cannot go on, through the real command: what is wrong is said, and nothing is lost.

The numbers are those of the list in tests/test_bad_input_rows.py.
"""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch

from tests import tiny
from tests.shop import Shop, at_step, the_error
from transformer_mt.cli.main import main
from transformer_mt.data.encoding import PairEncoder
from transformer_mt.manifest import write_manifest
from transformer_mt.tensors import load_tensors, save_tensors

EVERY = "checkpoint.every_steps=1"
MORE = "training.max_steps=4"


def few_pairs(shop: Shop) -> tuple[str, ...]:
    """Settings for a corpus of three pairs: each update is an epoch."""
    shop.write("train.en", "the cat\n" * 3)
    shop.write("train.fr", "le chat\n" * 3)
    return ("tokenizer.vocab_size=269", "data.validation=[]", "data.test=[]", "training.max_steps=9")


@pytest.mark.parametrize("what", ["row-22-changed", "row-22-deleted"])
def test_a_file_that_changes_while_training_stops_it_at_the_next_epoch(
    shop: Shop, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, path = few_pairs(shop), shop.folder / "train.fr"
    with monkeypatch.context() as context:
        at_step(context, 5, path.unlink if "deleted" in what else lambda: shop.write("train.fr", "le chien\n" * 3))
        wanted = "train.fr: no such file" if "deleted" in what else "train.fr: changed since training began on it"
        assert wanted in shop.refused(*settings)
    assert shop.steps() == [5]
    shop.write("train.fr", "le chat\n" * 3)
    assert "going on from step 5" in shop.train(*settings)


def test_row_22_a_file_that_is_only_touched_stops_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = few_pairs(shop)
    at_step(monkeypatch, 5, lambda: os.utime(shop.folder / "train.fr"))
    shop.train(*settings)
    assert shop.steps() == [9]


def test_rows_22_36_other_pairs_under_the_same_name_are_refused_on_resumption(shop: Shop) -> None:
    shop.train()
    shop.write("train.fr", (shop.folder / "train.fr").read_text().replace("chat", "minou"))
    assert re.search("train.fr: not the pairs that this training began with", shop.refused(MORE))
    assert shop.steps() == [3]
    assert "going on from step 3" in shop.train(MORE, options=("--override-resume",))


def test_row_36_other_settings_are_shown_and_the_run_keeps_its_own(shop: Shop) -> None:
    shop.train()
    before = (shop.run / "config.yaml").read_bytes()
    told = shop.train("model.activation_dropout=0.3", "training.seed=3", code=2)
    assert "model.activation_dropout: 0" in told and "training.seed: 1 -> 3" in told and "--override-resume" in told
    for setting, change in (("model.d_ff=128", "64 -> 128"), ("tokenizer.vocab_size=300", "309 -> 300")):
        for options in ((), ("--override-resume",)):
            told = shop.train(setting, code=2, options=options)
            assert f"{setting.partition('=')[0]}: {change}" in told and "--override-resume" not in told
    assert (shop.run / "config.yaml").read_bytes() == before
    assert "going on from step 3" in shop.train(MORE)


def test_row_50_a_checkpoint_of_another_model_is_refused(shop: Shop) -> None:
    shop.train()
    config = (shop.run / "config.yaml").read_text()
    shop.write("run/config.yaml", config.replace("d_ff: 64", "d_ff: 128"))
    assert "feed_forward" in shop.refused("model.d_ff=128", MORE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["tokenizer", "preparing"])
def test_row_46_an_interrupted_preparation_leaves_nothing_half_written(
    shop: Shop, phase: str, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        if phase == "tokenizer":
            target, name = "transformer_mt.data.tokenizer", "escape"
        else:
            target, name = "transformer_mt.data.encoding.PairEncoder", "_block"
        before = PairEncoder._block if phase == "preparing" else str

        def interrupt(*args: object) -> object:
            os.kill(os.getpid(), number)
            return before(*args)  # type: ignore[arg-type]

        context.setattr(f"{target}.{name}", interrupt)
        assert "interrupted" in shop.train(code=130)
    assert not [path for path in shop.folder.rglob("*") if ".tmp-" in path.name]
    assert (shop.run / "tokenizer").exists() == (phase == "preparing")
    shop.train("training.max_steps=1")
    assert shop.steps() == [1]


@pytest.mark.parametrize(("times", "steps"), [pytest.param(1, [2], id="once"), pytest.param(2, [1], id="twice")])
def test_row_46_ctrl_c_once_saves_and_twice_stops_now(
    shop: Shop, times: int, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)

    shop.train("training.max_steps=1")
    with monkeypatch.context() as context:
        at_step(context, 2, interrupt)
        told = shop.train(code=130)
    assert ("saved step 2" in told) == (times == 1) and "Traceback" not in told
    assert shop.steps()[-1:] == steps
    assert f"going on from step {steps[0]}" in shop.train()


def change_state(checkpoint: Path, **values: object) -> None:
    state = json.loads((checkpoint / "state.json").read_text())
    (checkpoint / "state.json").write_text(json.dumps({**state, **values}))
    write_manifest(checkpoint)


def spoil_weights(checkpoint: Path) -> None:
    tensors = load_tensors(checkpoint / "model.safetensors")
    tensors["encoder.norm.weight"][3] = torch.nan
    save_tensors(checkpoint / "model.safetensors", tensors)
    write_manifest(checkpoint)


def checkpoint(shop: Shop, step: int) -> Path:
    return shop.run / "checkpoints" / f"step-{step:08d}"


def test_row_51_a_checkpoint_of_a_newer_version_is_not_passed_over(shop: Shop) -> None:
    shop.train(EVERY)
    change_state(checkpoint(shop, 3), format_version=99, written_by="transformer_mt 9.9", new_thing=1)
    message = shop.refused(EVERY, MORE)
    assert "format 99 was written by transformer_mt 9.9, this is transformer_mt" in message
    assert shop.steps() == [1, 2, 3]


def test_row_52_weights_alone_cannot_go_on(shop: Shop) -> None:
    shop.train()
    (checkpoint(shop, 3) / "optimizer.safetensors").unlink()
    write_manifest(checkpoint(shop, 3))
    told = shop.train(MORE, code=2)
    assert "has no optimizer state; start a new training from it with --init-from" in told
    assert "nothing was deleted" in the_error(told)


def test_row_53_another_tokenizer_in_a_run_is_named_with_both_hashes(shop: Shop) -> None:
    shop.train()
    shop.train("tokenizer.vocab_size=300", "training.run_dir={folder}/other", "training.max_steps=1")
    shutil.copy(shop.folder / "other" / "tokenizer" / "joint.model", shop.run / "tokenizer" / "joint.model")
    message = shop.refused(MORE)
    assert re.search(r"joint\.model [0-9a-f]{64} instead of joint\.model [0-9a-f]{64}\); put the old one back", message)


def test_row_53_a_lost_tokenizer_is_made_again_from_the_same_pairs(shop: Shop) -> None:
    shop.train()
    shutil.rmtree(shop.run / "tokenizer")
    assert "going on from step 3" in shop.train(MORE)


def test_rows_53_54_another_tokenizer_in_a_bundle_is_refused(
    shop: Shop, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Path(shutil.copytree(tiny_run / "bundle", shop.folder / "bundle"))
    model = bundle / "tokenizer" / "joint.model"
    proto = model.read_bytes()
    model.write_bytes(proto[:-1] + bytes([proto[-1] ^ 1]))
    words = ["translate", str(bundle), str(shop.folder / "test.en")]
    assert main(words) == 2
    message = the_error(shop.capsys.readouterr().err)
    assert re.search(r"joint\.model: is damaged .*[0-9a-f]{64}.*[0-9a-f]{64}", message)
    write_manifest(bundle)  # now it is whole and hostile
    monkeypatch.setattr(
        "transformer_mt.data.tokenizer._PROBE", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    )
    for command in (words, ["verify", str(bundle)], ["evaluate", str(bundle)]):
        assert main(command) == 2
        assert "SentencePiece crashed on this model (signal 11)" in the_error(shop.capsys.readouterr().err)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_row_57_a_read_only_run_translates_but_does_not_go_on(shop: Shop) -> None:
    shop.train()
    folders = [shop.run, *(path for path in shop.run.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    try:
        assert re.search("run.*(cannot be written|Permission denied)", shop.refused(MORE))
        assert main(["translate", str(shop.run), str(shop.folder / "test.en"), "--threads", "1"]) == 0
    finally:
        for path in folders:
            path.chmod(0o755)
    assert shop.steps() == [3]


def test_row_58_a_checkpoint_that_is_not_finite_gives_way_to_the_last_finite_one(shop: Shop) -> None:
    shop.train(EVERY)
    spoil_weights(checkpoint(shop, 3))
    told = shop.train(EVERY, MORE)
    assert "step-00000003 cannot be used" in told and "encoder.norm.weight holds NaN" in told
    assert "going on from step 2" in told
    for step in shop.steps():
        spoil_weights(checkpoint(shop, step))
    assert "none of the 3 checkpoints is whole, nothing was deleted" in shop.refused(EVERY, "training.max_steps=5")
    assert len(shop.steps()) == 3


def test_rows_35_39_a_start_that_is_no_bundle_is_refused(shop: Shop) -> None:
    assert "none: no such directory" in shop.refused(options=("--init-from", str(shop.folder / "none")))
    assert "is neither a bundle nor" in shop.refused(options=("--init-from", str(shop.folder)))


def test_row_39_a_dry_run_obeys_the_options_of_the_run_it_tries(shop: Shop) -> None:
    shop.train()
    assert "training.seed: 1 -> 3" in shop.train("training.seed=3", options=("--dry-run",), code=2)
    assert tiny.train(shop.config, ["training.seed=3"], ["--dry-run", "--override-resume"]) == 0


def test_a_dry_run_sees_swapped_languages_as_the_training_does(shop: Shop) -> None:
    swapped = "data.train=[{{src: {folder}/train.fr, tgt: {folder}/train.en}}]"
    told = [shop.refused(swapped, options=options) for options in ((), ("--dry-run",))]
    assert all("seem to have their languages swapped; exchange src and tgt" in line for line in told)


def test_a_warm_up_that_takes_most_of_the_training_is_told(shop: Shop) -> None:
    told = shop.train("schedule.name=linear", "schedule.warmup_steps=2")
    assert "warning: schedule.warmup_steps" in told and "set it to about 1" in told
    assert "warmup" not in shop.train("training.run_dir={folder}/other", "schedule.warmup_steps=1")


def test_a_complete_run_keeps_its_configuration_when_it_is_called_with_less(shop: Shop) -> None:
    shop.train("training.max_steps=4")
    before = (shop.run / "config.yaml").read_text()
    assert "is complete" in shop.train("training.max_steps=2")
    assert (shop.run / "config.yaml").read_text() == before
