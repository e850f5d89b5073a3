"""Whole trainings through the command: what they leave behind, and that being stopped changes nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests import tiny
from transformer_mt.bundle import load_bundle
from transformer_mt.decoding.translator import Translator
from transformer_mt.tensors import load_tensors
from transformer_mt.training.checkpoint import list_checkpoints, load_checkpoint
from transformer_mt.training.resume_proof import TIMES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.write_config(tmp_path)
    return tmp_path


def metrics(run: Path) -> list[dict[str, object]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in TIMES} for line in lines]


def assert_same_result(run: Path, other: Path) -> None:
    """The newest checkpoints hold the same bits, as does what confidence is worth, and the metrics the same numbers."""
    newest = [list_checkpoints(path / "checkpoints")[-1] for path in (run, other)]
    assert newest[0].name == newest[1].name
    for name in sorted(path.name for path in newest[0].glob("*.safetensors")):
        tensors = [load_tensors(path / name) for path in newest]
        assert all(torch.equal(tensor, tensors[1][key]) for key, tensor in tensors[0].items()), name
    assert metrics(run) == metrics(other)
    learnt = [path / "bundle" / "calibration.json" for path in (run, other)]
    assert learnt[0].read_bytes() == learnt[1].read_bytes()


def start(config: Path, *settings: str) -> "subprocess.Popen[str]":
    words = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "transformer_mt", "train", str(config), *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists(), process.stderr.read() if process.stderr else ""


def test_a_run_directory_holds_everything(tiny_run: Path) -> None:
    names = {path.name for path in tiny_run.iterdir()}
    assert names >= {"config.yaml", "metrics.jsonl", "log.txt", "checkpoints", "bundle", "tokenizer"}
    kinds = [record["kind"] for record in metrics(tiny_run)]
    assert kinds.count("train") == 8 and kinds.count("validation") == 2
    assert [path.name for path in list_checkpoints(tiny_run / "checkpoints")] == [
        "step-00000080", "step-00000160", "step-00000240"
    ]  # fmt: skip


def test_a_translator_learns_its_language(tiny_run: Path) -> None:
    """Word for word, with words in orders that were never seen: nearly all of them must come out right."""
    lines = (tiny_run.parent / "test.en").read_text().splitlines()
    expected = (tiny_run.parent / "test.fr").read_text().splitlines()
    exact = replace(load_bundle(tiny_run).config.decoding, precision="fp32")  # int8 costs so small a model a few lines
    found = Translator.load(tiny_run, settings=exact, threads=1).translate(lines)
    assert sum(one == other for one, other in zip(found, expected, strict=True)) >= 0.8 * len(lines)


SETTINGS = (
    "training.ema_decay=0.9",
    "training.accumulation_steps=2",
    "model.dropout=0.3",
    "training.precision=bf16",
    "tokenizer.sampling=0.3",
    "checkpoint.every_steps=7",
    "training.max_steps=33",
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_training_ends_as_if_it_had_never_stopped(folder: Path, number: signal.Signals) -> None:
    """Stopped twice, between checkpoints, with dropout, accumulation, bf16, subword sampling and a moving average."""
    config = folder / "tiny.yaml"
    assert tiny.train(config, [*SETTINGS, f"training.run_dir={folder}/whole"]) == 0
    settings = [*SETTINGS, f"training.run_dir={folder}/stopped"]
    for step in (7, 21):
        process = start(config, *settings)
        wait_for(folder / "stopped" / "checkpoints" / f"step-{step:08d}", process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == (-9 if number == signal.SIGKILL else 130), errors
        assert "Traceback" not in errors
    assert tiny.train(config, settings) == 0
    assert_same_result(folder / "whole", folder / "stopped")


def test_subword_sampling_makes_longer_sentences_of_the_same_pairs(folder: Path) -> None:
    counts = {}
    for sampling in ("0", "0.3"):
        run = folder / f"sampling-{sampling}"
        settings = (f"tokenizer.sampling={sampling}", "training.max_steps=4", "logging.every_steps=4")
        assert tiny.train(folder / "tiny.yaml", [*settings, f"training.run_dir={run}"]) == 0
        progress = load_checkpoint(list_checkpoints(run / "checkpoints")[-1]).progress
        counts[sampling] = (progress.position, progress.tokens)
        logged = next(record for record in metrics(run) if record["kind"] == "train")
        assert 0 <= logged["padding"] < 0.5
    assert counts["0"][0] == counts["0.3"][0] and counts["0"][1] < counts["0.3"][1]


def test_a_complete_training_is_not_done_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder / "tiny.yaml"
    assert tiny.train(config, ["training.max_steps=10"]) == 0
    before = metrics(folder / "run")
    assert tiny.train(config, ["training.max_steps=10"]) == 0
    assert "complete" in capsys.readouterr().err
    assert metrics(folder / "run") == before


def test_more_steps_may_be_added_to_a_complete_training(folder: Path) -> None:
    config = folder / "tiny.yaml"
    assert tiny.train(config, ["training.max_steps=10"]) == 0
    assert tiny.train(config, ["training.max_steps=15"]) == 0
    assert list_checkpoints(folder / "run" / "checkpoints")[-1].name == "step-00000015"


def test_a_run_of_another_configuration_is_refused_with_the_differences(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder / "tiny.yaml"
    assert tiny.train(config, ["training.max_steps=5"]) == 0
    capsys.readouterr()
    assert tiny.train(config, ["model.dropout=0.2", "training.max_steps=5"]) == 2
    message = capsys.readouterr().err
    assert "model.dropout: 0.1 -> 0.2" in message and "--override-resume" in message
    assert tiny.train(config, ["optimizer.lr=1e-3", "training.max_steps=8"], ["--override-resume"]) == 0


def test_a_directory_with_something_else_in_it_is_not_touched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "thesis.txt").write_text("years of work")
    assert tiny.train(folder / "tiny.yaml") == 2
    assert "thesis.txt" in capsys.readouterr().err
    assert [path.name for path in (folder / "run").iterdir()] == ["thesis.txt"]


def test_a_second_trainer_in_the_same_directory_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder / "tiny.yaml"
    process = start(config, "training.max_steps=100000")
    wait_for(folder / "run" / "checkpoints" / "step-00000010", process)
    assert tiny.train(config, ["training.max_steps=100000"]) == 2
    assert f"process {process.pid}" in capsys.readouterr().err
    process.kill()
    process.communicate()


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_used(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder / "tiny.yaml"
    assert tiny.train(config, ["training.max_steps=20"]) == 0
    assert tiny.train(config, ["training.max_steps=20", f"training.run_dir={folder}/twin"]) == 0
    damaged = folder / "run" / "checkpoints" / "step-00000020" / "optimizer.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    capsys.readouterr()
    assert tiny.train(config, ["training.max_steps=20"]) == 0
    message = capsys.readouterr().err
    assert "step-00000020 cannot be used" in message and "going on from step 10" in message
    assert_same_result(folder / "twin", folder / "run")


def test_when_all_checkpoints_are_damaged_nothing_is_deleted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder / "tiny.yaml"
    assert tiny.train(config, ["training.max_steps=20"]) == 0
    for path in list_checkpoints(folder / "run" / "checkpoints"):
        (path / "state.json").write_text("{}")
    assert tiny.train(config, ["training.max_steps=30"]) == 2
    assert "none of the 2 checkpoints is whole" in capsys.readouterr().err
    assert len(list_checkpoints(folder / "run" / "checkpoints")) == 2


def test_a_checkpoint_without_optimizer_state_says_what_to_do(folder: Path) -> None:
    assert tiny.train(folder / "tiny.yaml", ["training.max_steps=10"]) == 0
    (path,) = list_checkpoints(folder / "run" / "checkpoints")
    (path / "optimizer.safetensors").unlink()
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["files"]["optimizer.safetensors"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Exception, match="--init-from"):
        load_checkpoint(path)


def test_early_stopping_ends_after_patience_validations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["evaluation.every_steps=2", "evaluation.patience=2", "optimizer.lr=1e-9", "training.max_steps=1000"]
    assert tiny.train(folder / "tiny.yaml", settings) == 0
    assert "stopping early" in capsys.readouterr().err
    records = [record for record in metrics(folder / "run") if record["kind"] == "validation"]
    assert [record["best"] for record in records[-2:]] == [False, False]


def test_the_bundle_is_the_best_validation(folder: Path) -> None:
    assert tiny.train(folder / "tiny.yaml", ["evaluation.metric=loss", "evaluation.every_steps=10"]) == 0
    records = [record for record in metrics(folder / "run") if record["kind"] == "validation"]
    best = min(records, key=lambda record: record["loss"])  # type: ignore[arg-type,return-value]
    facts = load_bundle(folder / "run").facts
    assert facts["step"] == best["step"] and facts["validation"]["loss"] == best["loss"]


def test_averaging_the_last_checkpoints_is_their_mean(folder: Path) -> None:
    settings = ["checkpoint.average_last=3", "evaluation.metric=loss", "optimizer.lr=3e-2"]
    assert tiny.train(folder / "tiny.yaml", settings) == 0
    last = metrics(folder / "run")[-1]
    assert last["averaged"] == 3
    weights = [load_checkpoint(path).weights for path in list_checkpoints(folder / "run" / "checkpoints")]
    if last["best"]:
        bundled = dict(load_bundle(folder / "run").model.named_parameters())
        for name, tensor in bundled.items():
            torch.testing.assert_close(tensor, torch.stack([one[name] for one in weights]).mean(0))


def test_fine_tuning_starts_from_weights_and_tokenizer(folder: Path, tiny_run: Path) -> None:
    config, start = folder / "tiny.yaml", ["--init-from", str(tiny_run)]
    assert tiny.train(config, ["model.d_model=64", "training.max_steps=1", "optimizer.lr=1e-9"], start) == 0
    first, tuned = load_bundle(tiny_run), load_bundle(folder / "run")
    assert tuned.tokenizers.files() == first.tokenizers.files()
    weights = dict(tuned.model.named_parameters())
    for name, weight in first.model.named_parameters():
        torch.testing.assert_close(weights[name], weight, atol=1e-6, rtol=0)


def test_fine_tuning_another_architecture_names_what_does_not_fit(
    folder: Path, tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.train(folder / "tiny.yaml", ["model.d_model=64", "model.d_ff=128"], ["--init-from", str(tiny_run)]) == 2
    assert "feed_forward" in capsys.readouterr().err


def test_training_without_validation_leaves_a_bundle_of_the_last_step(folder: Path) -> None:
    assert tiny.train(folder / "tiny.yaml", ["data.validation=[]", "training.max_steps=12"]) == 0
    assert load_bundle(folder / "run").facts["step"] == 12


def test_two_trainings_with_one_seed_are_bit_identical(folder: Path) -> None:
    for name in ("a", "b"):
        assert tiny.train(folder / "tiny.yaml", [f"training.run_dir={folder}/{name}", "training.max_steps=10"]) == 0
    assert_same_result(folder / "a", folder / "b")


def test_dry_run_warns_of_a_warmup_that_does_not_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for updates, is_told in ((100, False), (1000, True)):
        settings = [f"schedule.warmup_steps={updates}", "training.max_steps=240"]
        assert tiny.train(folder / "tiny.yaml", settings, ["--dry-run"]) == 0
        assert ("rises for 1,000 updates, but 240 are all" in capsys.readouterr().out) == is_told


def test_dry_run_checks_and_leaves_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.train(folder / "tiny.yaml", options=["--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "worst batch" in text and "disk" in text and "parameters" in text
    assert not (folder / "run").exists()
    shutil.rmtree(folder / "cache", ignore_errors=True)
    (folder / "val.fr").unlink()
    assert tiny.train(folder / "tiny.yaml", options=["--dry-run"]) == 2
    assert "val.fr" in capsys.readouterr().err
