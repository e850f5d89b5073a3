"""What CTranslate2 computes from an export is what our own model computes: tokens and probabilities."""

import hashlib
import itertools
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.interop.drawn import LINES, PAIRS, drawn_bundle, train_on_pairs
from tests.interop.parity import Sides, best, num_equal
from tests.tiny import WORDS
from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.data.shortlist import Shortlist
from transformer_mt.data.tokenizer import TokenizerPair
from transformer_mt.decoding.translator import Translator
from transformer_mt.device import set_threads
from transformer_mt.errors import TransformerMTError
from transformer_mt.interop.ctranslate2 import export_ctranslate2
from transformer_mt.manifest import verify_manifest
from transformer_mt.model.transformer import Transformer

pytest.importorskip("ctranslate2", reason="CTranslate2 is installed on Linux only")

ARCHITECTURES = list(
    itertools.product(
        ("pre", "post"),
        ("layer", "rms"),
        ("relu", "gelu", "swiglu"),
        ("sinusoidal", "learned", "rotary", "none"),
        ("all", "decoder", "none"),
    )
)
TOLERANCE = 1e-4


def weights_hash(model: Transformer) -> str:
    tensors = sorted(model.state_dict().items())
    return hashlib.sha256(b"".join(name.encode() + tensor.numpy().tobytes() for name, tensor in tensors)).hexdigest()


@pytest.fixture(scope="module")
def tokenizers() -> TokenizerPair:
    return train_on_pairs()


@pytest.fixture(scope="module")
def trained(tiny_run: Path) -> Bundle:
    return load_bundle(tiny_run)


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    """500, most like those that the translator was trained on."""
    draw = random.Random(3)
    odd = ["été 🙂", "the cat_dog <unk> {0}", "Ωmega " * 12]
    return odd + [" ".join(draw.choices(list(WORDS), k=draw.randint(2, 6))) for _ in range(500 - len(odd))]


@pytest.mark.parametrize(("order", "norm", "activation", "positions", "tied"), ARCHITECTURES)
def test_every_architecture_gives_our_greedy_tokens_and_log_probs(
    order: str, norm: str, activation: str, positions: str, tied: str, tokenizers: TokenizerPair, tmp_path: Path
) -> None:
    bundle = drawn_bundle(
        tokenizers, norm_order=order, norm=norm, activation=activation, positions=positions, tied_embeddings=tied
    )
    sides = Sides(bundle, tmp_path / "out", LINES)
    assert best(sides.theirs(12)) == sides.ours(12)
    assert sides.largest_difference(sides.pieces[::-1]) < TOLERANCE


@pytest.mark.parametrize("tied", ["all", "none"])
def test_what_imported_models_have_is_carried_too(tied: str, tokenizers: TokenizerPair, tmp_path: Path) -> None:
    """SiLU without a gate, and a bias of the output."""
    bundle = drawn_bundle(tokenizers, activation="silu", output_bias=True, norm_order="post", tied_embeddings=tied)
    sides = Sides(bundle, tmp_path / "out", LINES)
    assert best(sides.theirs(12)) == sides.ours(12)
    assert sides.largest_difference(sides.pieces[::-1]) < TOLERANCE


def test_two_tokenizers_go_with_the_model(tmp_path: Path) -> None:
    pair = train_on_pairs(joint=False, vocab_size=285)
    bundle = drawn_bundle(pair, tied_embeddings="decoder")
    sides = Sides(bundle, tmp_path / "out", LINES)
    assert best(sides.theirs(12)) == sides.ours(12)
    assert (tmp_path / "out" / "source.model").read_bytes() == pair.src.proto != pair.tgt.proto
    assert (tmp_path / "out" / "target.model").read_bytes() == pair.tgt.proto


def test_500_sentences_are_translated_alike_by_a_trained_model(
    trained: Bundle, sentences: list[str], tmp_path: Path
) -> None:
    sides = Sides(trained, tmp_path / "out", sentences)
    ours = sides.ours(40)
    assert len(ours) == 500 and len(set(map(tuple, ours))) > 400
    assert best(sides.theirs(40)) == ours
    assert sides.largest_difference(ours) < TOLERANCE


def test_the_score_of_each_hypothesis_of_a_beam_is_ours(trained: Bundle, sentences: list[str], tmp_path: Path) -> None:
    """Which hypotheses are found depends on when a search ends; their scores do not."""
    sides = Sides(trained, tmp_path / "out", sentences)
    found = sides.theirs(60, beam_size=4, length_penalty=0.2)
    ours = [sum(row) / len(row) ** 0.2 for row in sides.log_probs(best(found))]
    assert [one.scores[0] for one in found] == pytest.approx(ours, abs=TOLERANCE)


@pytest.mark.parametrize("quantization", ["float32", "float16", "int8"])
def test_exporting_changes_no_weight(quantization: str, tokenizers: TokenizerPair, tmp_path: Path) -> None:
    """CTranslate2 quantises in place what it is given."""
    bundle = drawn_bundle(tokenizers, activation="swiglu", positions="learned")
    before = weights_hash(bundle.model)
    export_ctranslate2(bundle, tmp_path / "out", quantization)
    assert weights_hash(bundle.model) == before


@pytest.mark.parametrize(("quantization", "saved", "difference"), [("float16", 2, 0.02), ("int8", 2.7, 0.5)])
def test_smaller_weights_translate_nearly_alike(
    quantization: str, saved: float, difference: float, trained: Bundle, sentences: list[str], tmp_path: Path
) -> None:
    sides = Sides(trained, tmp_path / "small", sentences, quantization)
    export_ctranslate2(trained, tmp_path / "whole")
    small, whole = ((tmp_path / name / "model.bin").stat().st_size for name in ("small", "whole"))
    assert (whole - small) / trained.model.num_parameters() > saved  # bytes of the four of each weight
    ours = sides.ours(40)
    assert num_equal(best(sides.theirs(40)), ours) >= 480
    assert sides.largest_difference(ours) < difference


def test_the_code_of_the_readme_gives_our_translations(trained: Bundle, sentences: list[str], tmp_path: Path) -> None:
    set_threads(1)
    export_ctranslate2(trained, tmp_path / "out")
    readme = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    lines = sentences[3:103]
    code, count = re.subn(r"^lines = .*$", f"lines = {lines!r}", code, flags=re.MULTILINE)
    assert count == 1
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=tmp_path / "out", capture_output=True, text=True, check=True)
    settings = replace(trained.config.decoding, precision="fp32")
    ours = Translator.from_bundles([trained], torch.device("cpu"), settings).translate(lines)
    assert done.stdout.splitlines() == ours


def test_the_vocabulary_map_is_the_shortlist(trained: Bundle, sentences: list[str], tmp_path: Path) -> None:
    sides = Sides(trained, tmp_path / "out", sentences)
    assert trained.shortlist is not None
    rows = dict(line.split("\t") for line in (tmp_path / "out" / "vmap.txt").read_text("utf-8").splitlines())
    piece = trained.tokenizers.src.pieces([200])[0]
    likely = trained.tokenizers.tgt.pieces(trained.shortlist.likely[200].tolist())
    assert rows[piece].split(" ") == list(dict.fromkeys(likely))
    narrow = sides.engine.translate_batch(sides.pieces, beam_size=1, max_decoding_length=40, use_vmap=True)
    assert num_equal(best(narrow), sides.ours(40)) > 450


def test_pieces_that_a_vocabulary_map_cannot_name_are_left_out_of_it(tmp_path: Path) -> None:
    """With identity normalisation a tab may be a piece."""
    pairs = [pair._replace(src=pair.src.replace(" cat ", "\tcat\t")) for pair in PAIRS]
    tokenizers = train_on_pairs(pairs, normalization="identity")
    size = tokenizers.src.vocab_size
    every = np.tile(np.arange(size, dtype=np.int32), (size, 1))
    assert sum("\t" in piece for piece in tokenizers.src.pieces(range(size))) == 1
    bundle = replace(drawn_bundle(tokenizers), shortlist=Shortlist(every, every[0]))
    sides = Sides(bundle, tmp_path / "out", [pairs[0].src])
    rows = (tmp_path / "out" / "vmap.txt").read_text("utf-8").split("\n")[:-1]
    assert [(row.count("\t"), row.count(" ")) for row in rows] == [(1, size - 2)] * size  # all but one, and the first
    narrow = sides.engine.translate_batch(sides.pieces, beam_size=1, max_decoding_length=12, use_vmap=True)
    assert len(narrow) == 1


def test_every_file_has_its_hash_in_the_manifest(trained: Bundle, tmp_path: Path) -> None:
    export_ctranslate2(trained, tmp_path / "out")
    names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {
        "README.md", "config.json", "joint.model", "manifest.json", "model.bin", "shared_vocabulary.json", "vmap.txt",
    }  # fmt: skip
    verify_manifest(tmp_path / "out", names - {"manifest.json"})


def test_local_attention_is_refused_in_a_line(tokenizers: TokenizerPair, tmp_path: Path) -> None:
    bundle = drawn_bundle(tokenizers, attention_window=3)
    with pytest.raises(TransformerMTError, match=r"^model\.attention_window: 3 cannot be exported.*without it can$"):
        export_ctranslate2(bundle, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
