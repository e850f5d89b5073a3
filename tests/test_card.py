"""The model card: what the hub reads from it, what people read in it, and what it withstands."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from transformer_mt.bundle import load_bundle, save_bundle
from transformer_mt.card import model_card
from transformer_mt.cli.main import main
from transformer_mt.config.schema import Config, DataConfig, SourceConfig
from transformer_mt.decoding.golden import replay
from transformer_mt.manifest import write_manifest


@pytest.fixture
def bundle(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may change."""
    return Path(shutil.copytree(tiny_run / "bundle", tmp_path / "bundle"))


def card_of(bundle: Path) -> str:
    return (bundle / "README.md").read_text(encoding="utf-8")


def test_the_hub_reads_languages_task_and_score(tiny_run: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the package datasets brings it")
    data = hub.ModelCard(card_of(tiny_run / "bundle")).data
    assert data.language == ["en", "fr"] and data.library_name == "transformer-mt"
    assert data.pipeline_tag == "translation" and data.license is None
    (result,) = data.eval_results
    facts = load_bundle(tiny_run).facts
    assert (result.task_type, result.metric_type) == ("translation", "bleu")
    assert result.metric_value == round(facts["validation"]["bleu"], 2)


def test_people_read_the_facts_of_the_run(tiny_run: Path) -> None:
    card, facts = card_of(tiny_run / "bundle"), load_bundle(tiny_run).facts
    for wanted in (
        f"{facts['parameters']:,} parameters", f"{facts['minutes']:.1f} minutes, {facts['step']:,} updates",
        facts["hardware"]["processor"], f"{facts['hardware']['threads']} threads", "`transformer-mt train config.yaml`",
        "case\\:mixed", "| 1,000 |", "| 30 |", "## Licence", "No licence is stated", "model.safetensors",
        "version", facts["versions"]["torch"],
    ):  # fmt: skip
        assert wanted.replace("_", "\\_") in card or wanted in card, wanted
    for name in ("data", "validation_data"):
        assert all(about["sha256"] in card for about in facts[name].values()) and facts[name]


def test_its_hashes_are_those_of_the_command_that_it_names(tiny_run: Path) -> None:
    card, folder = card_of(tiny_run / "bundle"), tiny_run.parent
    match = re.search(r"`(sha256sum FILES .*)`", card)
    assert match is not None
    for role in ("train", "val"):
        command = match[1].replace("FILES", f"{folder}/{role}.en {folder}/{role}.fr")
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
        assert f"| {done.stdout.split()[0]} |" in card


def test_every_command_in_it_is_understood(tiny_run: Path) -> None:
    from transformer_mt.cli.main import build_parser

    words = re.findall(r"transformer-mt ((?:translate|verify|train) [^`\n]*)", card_of(tiny_run / "bundle"))
    assert len(words) == 3
    for line in words:
        build_parser().parse_args(line.split())


def test_it_is_a_pure_function_of_what_the_bundle_holds(tiny_run: Path, tmp_path: Path) -> None:
    save_bundle(tmp_path / "copy", load_bundle(tiny_run))
    assert card_of(tmp_path / "copy") == card_of(tiny_run / "bundle")


def test_it_is_in_the_manifest_and_its_user_may_change_it(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "README.md" in json.loads((bundle / "manifest.json").read_text())["files"]
    card = card_of(bundle).replace("language:", "license: cc-by-4.0\nlanguage:", 1)
    (bundle / "README.md").write_text(card, encoding="utf-8")
    assert main(["verify", str(bundle)]) == 0
    assert "README.md was changed after the training" in capsys.readouterr().out
    (bundle / "README.md").unlink()
    assert replay(bundle).differences == []


def test_a_bundle_of_before_there_were_cards_loads(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / "README.md").unlink()
    about = json.loads((bundle / "bundle.json").read_text())
    about["facts"] = {"max_source_pieces": 9, "hardware": {"processor": "x86_64", "device": "cpu", "threads": 2}}
    (bundle / "bundle.json").write_text(json.dumps(about))
    write_manifest(bundle)
    assert main(["verify", str(bundle)]) == 0
    assert "was changed" not in capsys.readouterr().out
    save_bundle(bundle.parent / "again", load_bundle(bundle))
    assert "Hardware: x86\\_64, cpu, 2 threads." in card_of(bundle.parent / "again")


def test_a_hub_dataset_is_named_and_an_origin_too() -> None:
    sources = (SourceConfig(hub="wmt/wmt14", config="fr-en"), SourceConfig(src="a", tgt="b"))
    config = Config(data=DataConfig(src_lang="no", tgt_lang="fr", train=sources))
    config = replace(config, training=replace(config.training, init_from="runs/general"))
    card = model_card(config, {"hardware": {"processes": 4}}, {})
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["datasets"] == ["wmt/wmt14"]
    assert front["language"] == ["no", "fr"]  # and not [False, "fr"]
    assert "model-index" not in front and "Nothing was scored" in card
    assert "and from those of the model that it began with" in card and "nothing else" not in card
    assert "weights of runs/general" in card and "`torchrun --nproc-per-node 4 -m transformer_mt train" in card


def test_the_card_of_an_imported_model_claims_no_training() -> None:
    facts = {"imported_from": {"format": "MarianMT", "directory": "opus", "sha256": {}}, "max_source_pieces": 512}
    card = model_card(Config(), facts, {})
    assert "imported by transformer_mt" in card
    assert "Imported from the MarianMT checkpoint opus; how that was trained is not known here." in card
    assert "trained and written" not in card and "transformer-mt train" not in card and "named above" not in card


HARMFUL = [
    "a | b", "x\n# Owned", "x\n---\nlicense: mit", "<script>alert(1)</script>", "[click](http://evil.example)",
    "![](x)", "`code`", "https://evil.example", "www.evil.example", "a\u202eb", "**bold**", "x" * 10_000, "\\|",
    "a@b.c",
]  # fmt: skip


@pytest.mark.parametrize("name", HARMFUL)
def test_no_name_from_data_means_anything(name: str) -> None:
    markdown = pytest.importorskip("markdown", reason="the package tensorboard brings it")

    def html(name: str) -> str:
        facts = {"data": {name: {"pairs": 3, "sha256": "00"}}, "metric": name, "precision": name}
        card = model_card(Config(), {**facts, "validation": {"bleu": 1.0}}, {name: 10**6})
        assert yaml.safe_load(card.split("---\n")[1])["pipeline_tag"] == "translation"
        return str(markdown.markdown(card.split("---\n", 2)[2], extensions=["tables"]))

    def tags(html: str) -> list[str]:
        return re.findall(r"<[^>]*>", html)

    assert tags(html(name)) == tags(html("plain"))
    assert "://evil" not in model_card(Config(), {"metric": name}, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("parameters", "step", "minutes", "target_tokens", "validation", "metric", "data", "validation_data",
        "hardware", "precision", "versions", "validation_lines", "max_source_pieces")  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), JSON), JSON)
def test_facts_that_are_none_are_left_out_and_break_nothing(facts: dict[str, Any], inner: Any) -> None:
    facts = {**facts, "data": {"a": inner}, "validation": {"bleu": inner}, "hardware": {"processes": inner}}
    card = model_card(Config(), facts, {})
    assert yaml.safe_load(card.split("---\n")[1])["language"] == ["en", "fr"]
