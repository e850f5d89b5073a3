"""Argos Translate installs the package and translates with it as we do, to the score."""

import json
import math
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.interop.drawn import drawn_bundle, train_on_pairs
from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.decoding.translator import Translator
from transformer_mt.device import set_threads
from transformer_mt.errors import TransformerMTError
from transformer_mt.interop.argos import export_argos
from transformer_mt.manifest import verify_manifest

pytest.importorskip("ctranslate2", reason="CTranslate2 is installed on Linux only")

TRANSLATE = """
import json, sys, types
from pathlib import Path


class WholeText:
    def __init__(self, language, use_gpu):
        assert language == "en"

    def sentences(self, text):
        return [text]


models = types.SimpleNamespace(list_models=lambda: ["en"])
sys.modules["stanza"] = types.ModuleType("stanza")
sys.modules["minisbd"] = types.SimpleNamespace(SBDetect=WholeText, models=models)
from argostranslate import package, translate

package.install_from_path(Path(sys.argv[1]))
installed, = package.get_installed_packages()
found = [translate.get_translation_from_codes("en", "fr").hypotheses(line, 1)[0] for line in json.load(sys.stdin)]
print(json.dumps({
    "languages": [language.name for language in translate.get_installed_languages()],
    "readme": installed.get_readme(),
    "found": [(one.value, one.score) for one in found],
}))
"""
"""What cuts text into sentences is large or wants a network, and is left out."""


@pytest.fixture(scope="module")
def trained(tiny_run: Path) -> Bundle:
    return load_bundle(tiny_run)


@pytest.fixture(scope="module")
def package(trained: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("argos") / "translate-en_fr.argosmodel"
    export_argos(trained, path)
    return path


@pytest.mark.skipif(find_spec("argostranslate") is None, reason="needs argostranslate, which scripts/test installs")
@pytest.mark.parametrize("beam_size", [1, 4])
def test_argos_translate_installs_it_and_gives_our_text_and_scores(
    beam_size: int, trained: Bundle, package: Path, tiny_run: Path, tmp_path: Path
) -> None:
    """Text and score when it is greedy; with its usual beam, which it leaves sooner, the score of what it found."""
    set_threads(1)
    lines = (tiny_run.parent / "test.en").read_text().splitlines()
    told = translated_by_argos(package, lines, beam_size, tmp_path)
    assert told["languages"] == ["English", "French"] and "English to French" in told["readme"]
    settings = replace(trained.config.decoding, precision="fp32", beam_size=beam_size, length_penalty=0.2)
    translator = Translator.from_bundles([trained], torch.device("cpu"), settings)
    texts = [text for text, _ in told["found"]]
    same = sum(map(str.__eq__, texts, translator.translate(lines)))
    assert same == len(lines) if beam_size == 1 else same > 0.8 * len(lines)
    ends = [scored.log_prob for scored in translator.score((line, "") for line in lines)]
    scored = translator.score(zip(lines, texts, strict=True))
    for (_, theirs), end, ours in zip(told["found"], ends, scored, strict=True):
        log_prob = ours.log_prob - math.log1p(-math.exp(end))  # for it leaves the end out of the first step
        assert theirs == pytest.approx(log_prob / len(ours.tokens) ** 0.2, abs=1e-4)


def translated_by_argos(package: Path, lines: Sequence[str], beam_size: int, home: Path) -> Any:
    """What the real Argos Translate tells after it has installed the package in a home of its own."""
    places = {name: str(home) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    settings = {"ARGOS_BEAM_SIZE": str(beam_size), "ARGOS_COMPUTE_TYPE": "default"}
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", TRANSLATE, str(package)],
        input=json.dumps(lines),
        env={**os.environ, **places, **settings, **locale},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_package_is_one_folder_of_files_with_hashes(package: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(package) as file:
        names = set(file.namelist())
        file.extractall(tmp_path)
    folder = "translate-en_fr-1_0"
    assert names == {
        f"{folder}/{name}"
        for name in (
            "README.md", "manifest.json", "metadata.json", "model/config.json", "model/model.bin",
            "model/shared_vocabulary.json", "sentencepiece.model",
        )
    }  # fmt: skip
    verify_manifest(tmp_path / folder, [name.removeprefix(f"{folder}/") for name in names if "manifest" not in name])


def test_two_tokenizers_are_refused_in_a_line(tmp_path: Path) -> None:
    bundle = drawn_bundle(train_on_pairs(joint=False, vocab_size=285), tied_embeddings="decoder")
    with pytest.raises(TransformerMTError, match="one tokenizer for both languages; --to ctranslate2 takes two"):
        export_argos(bundle, tmp_path / "x.argosmodel")
    assert list(tmp_path.iterdir()) == []


def test_another_name_is_refused_with_the_right_one(trained: Bundle, tmp_path: Path) -> None:
    with pytest.raises(TransformerMTError, match=r"call it package\.argosmodel$"):
        export_argos(trained, tmp_path / "package")
    assert list(tmp_path.iterdir()) == []
