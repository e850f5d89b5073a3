"""Confidence of translations: one number for each word, however it was decoded, and kept in the bundle."""

import errno
import json
import math
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from transformer_mt import files
from transformer_mt.bundle import Bundle, load_bundle, replace_calibration, save_bundle
from transformer_mt.cli.main import main
from transformer_mt.data.pairs import Pair
from transformer_mt.decoding.confidence import calibrate, examine_confidence
from transformer_mt.decoding.translation import Translation, Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.errors import BundleError, DataError, TransformerMTError
from transformer_mt.evaluation.calibration import Calibration, Curve
from transformer_mt.files import Point

WISHES = Wishes(confidence=True, token_scores=True)
STEEP = Calibration(Curve((0.0, 1.0), (0.1, 0.9)), Curve((0.0, 1.0), (0.0, 0.5)), 100, 10)


@pytest.fixture(scope="module")
def bundle(tiny_run: Path) -> Bundle:
    return load_bundle(tiny_run)


@pytest.fixture(scope="module")
def lines(tiny_run: Path) -> list[str]:
    return (tiny_run.parent / "test.en").read_text().splitlines()


@pytest.fixture
def copy(tiny_run: Path, tmp_path: Path) -> Path:
    """The bundle, to be changed."""
    return Path(shutil.copytree(tiny_run / "bundle", tmp_path / "bundle"))


def translate(bundle: Bundle, lines: list[str], wishes: Wishes = WISHES, **settings: object) -> list[Translation]:
    chosen = replace(bundle.config.decoding, precision="fp32", **settings)  # type: ignore[arg-type]
    return list(Translator.from_bundles([bundle], torch.device("cpu"), chosen).stream(lines, wishes))


def probs_of_pieces(translation: Translation) -> list[float]:
    """The product of the probabilities of the pieces from one blank to the next."""
    found: list[float] = []
    for piece, log_prob in translation.tokens:
        if piece == "</s>":
            continue
        if piece.startswith("\u2581") or not found:
            found.append(0.0)
        found[-1] += log_prob
    return [math.exp(one) for one in found]


def test_the_probability_of_a_word_is_that_of_its_pieces(bundle: Bundle, lines: list[str]) -> None:
    for translation in translate(bundle, lines):
        expected = probs_of_pieces(translation)
        assert len(translation.word_probs) == len(translation.text.split()) == len(expected)
        assert translation.word_probs == pytest.approx(expected)


@pytest.mark.parametrize("settings", [{"beam_size": 1}, {"beam_size": 4}, {"precision": "bf16"}, {"precision": "int8"}])
def test_confidence_follows_the_calibration_in_every_way_of_decoding(
    bundle: Bundle, lines: list[str], settings: dict[str, object]
) -> None:
    chosen = replace(bundle.config.decoding, **settings)  # type: ignore[arg-type]
    translator = Translator.from_bundles([replace(bundle, calibration=STEEP)], torch.device("cpu"), chosen)
    for one in translator.stream(lines, WISHES):
        assert one.word_confidences == pytest.approx([0.1 + 0.8 * prob for prob in one.word_probs])
        assert one.confidence == pytest.approx(0.5 * sum(one.word_confidences) / len(one.word_confidences))


def test_asking_changes_no_translation(bundle: Bundle, lines: list[str]) -> None:
    plain = translate(bundle, lines, Wishes())
    asked = translate(bundle, lines)
    assert [one.text for one in plain] == [one.text for one in asked]
    assert {(one.confidence, one.word_confidences, one.word_probs) for one in plain} == {(None, (), ())}


def test_hard_lines_have_a_number_for_each_word(bundle: Bundle) -> None:
    lines = [
        "",
        "  ",
        "\u2581 the \ue581 cat",
        "\u2028cat\x1c dog",
        "the cat " * 40,
        "caf\u00e9 \u20ac\u2047 \U0001f600",
    ]
    for wishes in (WISHES, replace(WISHES, n_best=2), replace(WISHES, protect=True)):
        for line, one in zip(lines, translate(bundle, lines, wishes), strict=True):
            assert len(one.word_confidences) == len(one.word_probs) == len(one.text.split())
            assert (one.confidence is None) == (not one.text.split()), line


def test_what_is_put_back_is_certain_and_its_neighbours_are_not(bundle: Bundle) -> None:
    lines = ["the cat {0} sees <b>the dog</b>", "{0} {1}", "the old bird https://example.org/x?y=1."]
    for line, one in zip(lines, translate(bundle, lines, replace(WISHES, protect=True)), strict=True):
        words = one.text.split()
        assert len(one.word_probs) == len(words)
        for word, prob in zip(words, one.word_probs, strict=True):
            assert (prob == 1.0) == (word in ("{0}", "{1}", "https://example.org/x?y=1")), (line, word)


def test_a_bundle_without_calibration_says_none(bundle: Bundle, lines: list[str]) -> None:
    for one in translate(replace(bundle, calibration=None), lines):
        assert one.confidence is None and one.word_confidences == () and one.word_probs


def test_training_learns_from_the_validation_pairs(bundle: Bundle, tiny_run: Path) -> None:
    """What the bundle has is what its own model gives for the lines that validation translates."""
    lines = [(tiny_run.parent / f"val.{side}").read_text().splitlines()[:20] for side in ("en", "fr")]
    pairs = [Pair(number, *sides) for number, sides in enumerate(zip(*lines, strict=True))]
    chosen = replace(bundle.config.decoding, beam_size=2)
    translator = Translator.from_bundles([bundle], torch.device("cpu"), chosen)
    assert calibrate(list(translator.stream(lines[0], WISHES)), pairs) == bundle.calibration
    with pytest.raises(DataError, match="cannot be learnt from 0 translated words"):
        calibrate([Translation("")], pairs[:1])
    with pytest.raises(DataError, match="no confidence to examine"):
        examine_confidence(STEEP, [Translation("")], pairs[:1])


def test_learning_replaces_nothing_else_in_a_bundle(copy: Path) -> None:
    (copy / "README.md").write_text("a card with a licence")
    (copy / "LICENSE").write_text("which the manifest does not name")
    before = {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    replace_calibration(load_bundle(copy), STEEP)
    assert load_bundle(copy).calibration == STEEP
    after = {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert {name for name in after if after[name] != before[name]} == {Path("calibration.json"), Path("manifest.json")}
    assert before.keys() == after.keys() and not list(copy.parent.glob(".*"))
    entries = [json.loads(files[Path("manifest.json")])["files"] for files in (before, after)]
    assert entries[0].keys() == entries[1].keys()
    assert [name for name in entries[0] if entries[0][name] != entries[1][name]] == ["calibration.json"]


def test_a_bundle_that_was_replaced_meanwhile_is_not_touched(copy: Path) -> None:
    first = load_bundle(copy)
    save_bundle(copy, replace(first, facts={**first.facts, "step": 999}))
    with pytest.raises(BundleError, match="was replaced by another bundle meanwhile"):
        replace_calibration(first, STEEP)
    assert load_bundle(copy).facts["step"] == 999 and load_bundle(copy).calibration == first.calibration


def test_a_write_that_fails_anywhere_leaves_the_old_bundle_or_the_new_one(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, passed = load_bundle(copy), 0

    def fail(point: Point, path: Path) -> None:
        nonlocal passed
        passed += 1
        if passed == at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    for at in range(1, 100):
        passed = 0
        monkeypatch.setattr(files, "at_point", fail)
        with suppress(TransformerMTError):
            replace_calibration(first, STEEP)
        monkeypatch.setattr(files, "at_point", lambda point, path: None)
        found = load_bundle(copy).calibration
        assert found in (STEEP, first.calibration)
        if passed < at:
            break
        replace_calibration(first, first.calibration or STEEP)
    assert at > 10


def test_an_old_bundle_learns_it_by_evaluate_and_then_has_it(
    bundle: Bundle, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    save_bundle(old, replace(bundle, calibration=None))
    texts = {name: str(tiny_run.parent / f"{name}.en") for name in ("val", "test")}
    report = tmp_path / "report.jsonl"
    translate_test = ["translate", str(old), texts["test"], "-o", str(tmp_path / "out"), "--report", str(report)]
    assert main(translate_test) == 0
    told = f"`transformer-mt evaluate {old} --split validation --calibrate` learns it"
    assert told in capsys.readouterr().err
    assert {json.loads(line)["confidence"] for line in report.read_text().splitlines()} == {None}
    for command in (
        ["evaluate", str(old), "--calibration"],
        ["translate", str(old), texts["test"], "--json", "--confidence"],
    ):
        assert main(command) == 2 and told in capsys.readouterr().err
    assert main(["evaluate", str(old), "--split", "validation", "--calibrate", "--beam-size", "2"]) == 0
    assert "has confidence now, learnt from" in capsys.readouterr().err
    assert main(["verify", str(old)]) == 0
    assert main(["evaluate", str(old), "--calibration"]) == 0
    assert "confidence of words: expected calibration error 0." in capsys.readouterr().out
    assert main(["evaluate", str(old), "--calibration", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["calibration"]
    assert set(found) == {"words", "lines", "own_words", "own_lines"}
    assert sum(one["size"] for one in found["lines"]["bins"]) == 30
    assert main(translate_test) == 0
    assert all(0 < json.loads(line)["confidence"] < 1 for line in report.read_text().splitlines())
    assert main([*translate_test, "--no-confidence"]) == 0
    assert {json.loads(line)["confidence"] for line in report.read_text().splitlines()} == {None}
    capsys.readouterr()
    assert main(["translate", str(old), texts["test"], "--json", "--confidence"]) == 0
    for line in capsys.readouterr().out.splitlines():
        one = json.loads(line)
        assert len(one["word_confidences"]) == len(one["translation"].split()) and 0 < one["confidence"] < 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--calibrate"], "--calibrate: does not go with the test pairs"),
        (["--calibrate", "--split", "validation", "--ensemble", "x"], "--calibrate: does not go with --ensemble"),
    ],
)
def test_nothing_is_learnt_where_that_would_tell_nothing(
    options: list[str], told: str, tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tiny_run), *options]) == 2
    assert told in capsys.readouterr().err
