"""`diagnose` finds the fault of recorded trainings, and none in sound ones; `record_runs.py` made and explains them."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.shop import Shop
from tests.training.record_runs import REPLACED, RUNS
from transformer_mt.cli.main import main
from transformer_mt.training.diagnosis import Diagnosis, diagnose

RECORDED = Path(__file__).with_name("recorded")
FAULTS = {
    "no_causal_mask": "target leakage",
    "unshifted_targets": "target leakage",
    "lr_100_times": "learning rate too high",
    "lr_100_times_and_then_0": "learning rate too high",
    "lr_10_times_without_clipping": "learning rate too high",
    "warmup_too_long": "dead warm-up",
    "lr_nearly_zero": "dead warm-up",
    "overfitting": "over-fitting",
    "tokenizer_of_scraps": "tokenizer ratio",
    "cut_short_translations": "broken decoding",
    "misaligned": "nothing learnt",
}
SOUND = sorted({path.name for path in RECORDED.iterdir()} - FAULTS.keys())


def told(name: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    code = main(["diagnose", str(RECORDED / name)])
    return code, capsys.readouterr().out.splitlines()


def test_there_is_a_recording_of_every_run() -> None:
    assert {path.name for path in RECORDED.iterdir()} >= RUNS.keys() >= FAULTS.keys()


@pytest.mark.parametrize(("name", "fault"), FAULTS.items())
def test_the_fault_of_a_recorded_run_is_told_in_one_sentence(
    name: str, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diagnose(RECORDED / name).fault == fault
    code, lines = told(name, capsys)
    assert code == 2 and len(lines) == 2 and lines[1].startswith("Next: ")


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_recorded_run_is_called_so(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = told(name, capsys)
    assert code == 0 and len(lines) == 2 and "looks sound" in lines[0]


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75])
def test_a_sound_run_is_sound_at_every_time_of_it(name: str, share: float, tmp_path: Path) -> None:
    assert cut(name, share, tmp_path).fault is None


@pytest.mark.parametrize("name", ["no_causal_mask", "unshifted_targets"])
def test_a_leak_is_found_in_the_first_half(name: str, tmp_path: Path) -> None:
    assert cut(name, 0.5, tmp_path).fault == "target leakage"


def cut(name: str, share: float, folder: Path) -> Diagnosis:
    """The diagnosis of the first `share` of a recorded run."""
    shutil.copy(RECORDED / name / "config.yaml", folder)
    lines = (RECORDED / name / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[: int(share * len(lines))]))
    return diagnose(folder)


@pytest.mark.parametrize("name", ["lr_100_times_and_then_0", "misaligned", "overfitting"])
def test_a_small_vocabulary_does_not_hide_another_fault(name: str, tmp_path: Path) -> None:
    assert in_small_pieces(name, tmp_path).fault == FAULTS[name]


def test_a_ratio_just_under_the_limit_is_told_so(tmp_path: Path) -> None:
    assert "only 1.98 bytes" in in_small_pieces("good", tmp_path).sentence


def in_small_pieces(name: str, folder: Path) -> Diagnosis:
    """The diagnosis of a recorded run as if its tokenizer were a little too small."""
    shutil.copy(RECORDED / name / "config.yaml", folder)
    text = (RECORDED / name / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(re.sub(r'(tgt_bytes_per_piece": )[\d.]+', r"\g<1>1.984", text, count=1))
    return diagnose(folder)


def test_a_bundle_has_nothing_to_diagnose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(RECORDED / "good" / "config.yaml", tmp_path)
    (tmp_path / "bundle.json").write_text("{}")
    assert main(["diagnose", str(tmp_path)]) == 2
    assert f"{tmp_path}: a bundle has no metrics; name the run directory" in capsys.readouterr().err


def test_what_is_no_run_directory_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"transformer-mt: error: {tmp_path}: is no run directory")


def test_a_training_that_has_just_begun_is_not_judged(tmp_path: Path) -> None:
    shutil.copy(RECORDED / "good" / "config.yaml", tmp_path)
    assert diagnose(tmp_path).sentence.startswith("too early to say")


def test_a_leak_is_told_while_it_trains_and_only_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for part, replacement in REPLACED["no_causal_mask"].items():
        monkeypatch.setattr(part, replacement)
    assert shop.train("training.max_steps=4", "evaluation.every_steps=2").count("warning: target leakage") == 1


def test_the_pieces_of_the_training_pairs_are_noted_first(shop: Shop) -> None:
    shop.train("training.max_steps=2")
    shop.train("training.max_steps=4")
    records = [json.loads(line) for line in (shop.run / "metrics.jsonl").read_text().splitlines()]
    assert [record["kind"] == "corpus" for record in records] == [True] + [False] * (len(records) - 1)
    facts = records[0]
    assert facts["step"] == 0 and facts["pairs"] == 1000 and facts["src_unknown"] == 0
    for side, text in (("src", "en"), ("tgt", "fr")):
        num_bytes = len((shop.folder / f"train.{text}").read_bytes()) - 1000  # without line ends
        found = (facts[f"{side}_pieces"] - 1) * facts[f"{side}_bytes_per_piece"] * 1000
        assert found == pytest.approx(num_bytes, rel=1e-9)
