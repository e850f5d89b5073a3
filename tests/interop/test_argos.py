"""Argos Translate installs the package and translates with it as we do, to the score."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from tests.interop.drawn import drawn_bundle, train_on_pairs
from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.decoding.translator import Translator
from transformer_mt.device import set_threads
from transformer_mt.errors import TransformerMTError
from transformer_mt.files import verify_manifest
from transformer_mt.interop.argos import export_argos

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
def test_argos_translate_installs_it_and_gives_our_text_and_scores(
    trained: Bundle, package: Path, tiny_run: Path, tmp_path: Path
) -> None:
    set_threads(1)
    lines = (tiny_run.parent / "test.en").read_text().splitlines()
    lines = [*lines, "the cat\nand the dog"]
    places = {"HOME": tmp_path, "XDG_DATA_HOME": tmp_path, "XDG_CONFIG_HOME": tmp_path, "XDG_CACHE_HOME": tmp_path}
    environment = {**os.environ, **{name: str(path) for name, path in places.items()}, "ARGOS_COMPUTE_TYPE": "default"}
    environment |= {"LC_ALL": "C", "PYTHONUTF8": "0"}
    run = [sys.executable, "-c", TRANSLATE, str(package)]
    done = subprocess.run(
        run, input=json.dumps(lines), env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert told["languages"] == ["English", "French"] and "English to French" in told["readme"]
    settings = replace(trained.config.decoding, precision="fp32", beam_size=4, length_penalty=0.2)
    ours = Translator.from_bundles([trained], torch.device("cpu"), settings)
    for line, (text, score) in zip(lines, told["found"], strict=True):
        parts = list(ours.stream(line.split("\n")))
        assert text == "\n".join(part.text for part in parts)
        assert score == pytest.approx(sum(part.score for part in parts), abs=1e-3), line


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
