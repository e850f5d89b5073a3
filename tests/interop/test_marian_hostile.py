"""Nothing of a stranger's checkpoint is trusted: what does not fit is refused in a line, and nothing is written."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import hostile
from tests.marian import LANGUAGES, change_json, train_spm
from transformer_mt.cli.main import main
from transformer_mt.data.tokenizer import problem_in_child
from transformer_mt.errors import BundleError
from transformer_mt.interop import marian
from transformer_mt.interop.marian import import_marian

pytest.importorskip("transformers", reason="needs the package transformers, which makes the checkpoint")


Spoil = Callable[[Path], None]


def config(**changes: Any) -> Spoil:
    return lambda directory: change_json(directory / "config.json", changes)


def search(**changes: Any) -> Spoil:
    return lambda directory: change_json(directory / "generation_config.json", changes)


def tensors(**changes: torch.Tensor | None) -> Spoil:
    def spoil(directory: Path) -> None:
        found = load_file(directory / "model.safetensors")
        for name, tensor in changes.items():
            found.pop(name.replace("__", "."), None)
            if tensor is not None:
                found[name.replace("__", ".")] = tensor
        save_file(found, directory / "model.safetensors")

    return spoil


def vocabulary(change: Callable[[dict[str, int]], object]) -> Spoil:
    def spoil(directory: Path) -> None:
        values = json.loads((directory / "vocab.json").read_text())
        change(values)
        (directory / "vocab.json").write_text(json.dumps(values))

    return spoil


def written(name: str, content: bytes) -> Spoil:
    return lambda directory: (directory / name).write_bytes(content) and None


def cut(name: str) -> Spoil:
    return lambda directory: (directory / name).write_bytes((directory / name).read_bytes()[:-1000]) and None


def gone(name: str) -> Spoil:
    return lambda directory: (directory / name).unlink()


def only_pickle(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")


def long_piece(directory: Path) -> None:
    """A piece on which SentencePiece crashes when it loads the model."""
    vocabulary(lambda ids: ids.update({"x" * 100_000: ids.pop("neither")}))(directory)


def other_tokenizer(directory: Path) -> None:
    train_spm(directory / "target.spm", [f"{a}{b}{c}{a} {c}" for a in "αβγδ" for b in "εζηθ" for c in "ικλμ"], 17)


HOSTILE = [
    (config(model_type="bart"), "config.json: model_type is 'bart'"),
    (config(activation_function="gelu_new"), "config.json: activation_function is 'gelu_new'"),
    (config(normalize_embedding=True), "config.json: normalize_embedding is True"),
    (config(static_position_embeddings=False), "config.json: static_position_embeddings is False"),
    (config(share_encoder_decoder_embeddings=False), "config.json: share_encoder_decoder_embeddings is False"),
    (config(scale_embedding=False), "config.json: scale_embedding must be true"),
    (config(auto_map={"AutoModel": "evil.Model"}), "config.json: auto_map is"),
    (config(d_model=62), "model.num_heads: must divide d_model (62)"),
    (config(d_model=10**12), "config.json: d_model must be a whole number"),
    (config(d_model="64"), "config.json: d_model must be a whole number"),
    (config(encoder_layers=1_000_000), "config.json describes more layers"),
    (config(encoder_layers=5), "model.encoder.layers.5.fc1.bias is unknown"),
    (config(encoder_layers=7), "model.encoder.layers.6.fc1.bias is missing"),
    (config(decoder_ffn_dim=128), "decoder_ffn_dim must be encoder_ffn_dim"),
    (config(vocab_size=100), "vocab_size"),
    (written("config.json", b"[" * 100_000), "config.json: is not valid JSON"),
    (written("config.json", b"[]"), "config.json: must hold keys"),
    (gone("config.json"), "config.json: no such file"),
    (search(num_beams=0), "generation_config.json: num_beams must be a whole number"),
    (search(num_beams=1000), "decoding.beam_size: must be at most"),
    (search(length_penalty="long"), "generation_config.json: length_penalty must be a number"),
    (search(bad_words_ids=[[1, 2]]), "generation_config.json: bad_words_ids must be lists of one token each"),
    (search(forced_bos_token_id=7), "generation_config.json: forced_bos_token_id is 7"),
    (search(decoder_start_token_id=10**9), "decoder_start_token_id must be a token"),
    (only_pickle, "pytorch_model.bin is a pickle"),
    (gone("model.safetensors"), "has no model.safetensors"),
    (cut("model.safetensors"), "model.safetensors: is not a whole safetensors file"),
    (tensors(final_logits_bias=torch.zeros(1, 7)), "final_logits_bias is (1, 7) instead of (1, 891)"),
    (tensors(model__decoder__layers__0__fc1__weight=None), "model.decoder.layers.0.fc1.weight is missing"),
    (tensors(stranger=torch.zeros(1)), "stranger is unknown"),
    (tensors(lm_head__weight=torch.zeros(891, 64)), "lm_head.weight is not equal to model.shared.weight"),
    (tensors(model__encoder__layers__0__fc1__bias=torch.full((256,), torch.nan)), "fc1.bias holds NaN"),
    (tensors(model__encoder__layers__0__fc1__bias=torch.zeros(256).int()), "fc1.bias is of type int32"),
    (tensors(model__encoder__embed_positions__weight=torch.ones(512, 64)), "are not the sines of Marian"),
    (vocabulary(lambda ids: ids.pop("neither")), "vocab.json: must number its pieces from 0 to 890"),
    (vocabulary(lambda ids: ids.update(neither=5)), "vocab.json: must number its pieces from 0 to 890"),
    (vocabulary(lambda ids: ids.update(neither=5000)), "vocab.json: must number its pieces from 0 to 890"),
    (vocabulary(lambda ids: ids.update(neither="5")), "vocab.json: must give each piece the number of its token"),
    (vocabulary(lambda ids: ids.update({"<end>": ids.pop("</s>")})), "vocab.json: </s> is missing"),
    (vocabulary(lambda ids: ids.update({"<x>": ids.pop("<unk>")})), "vocab.json: <unk> is missing"),
    (vocabulary(lambda ids: ids.update({"<x>": ids.pop("<pad>")})), "vocab.json: <pad> is missing"),
    (vocabulary(lambda ids: ids.update({"</s>": 1, "<unk>": 0})), "vocab.json: </s> has number 1"),
    (vocabulary(lambda ids: ids.update({">>fra<<": ids.pop("neither")})), "vocab.json: has language codes"),
    (written("vocab.json", b" " * (1 << 24)), "vocab.json: has more than"),
    (long_piece, "source.spm"),
    (gone("target.spm"), "target.spm: no such file"),
    (cut("source.spm"), "source.spm"),
    (written("source.spm", b"not a model at all"), "source.spm: is no SentencePiece model"),
    (written("target.spm", b"\x0a\x02\x0a\x00" * 500), "target.spm"),
    (written("target.spm", bytes(1 << 25)), "target.spm: has more than"),
    (other_tokenizer, "target.spm: has few of the pieces of vocab.json"),
]


@pytest.mark.parametrize(("spoil", "told"), HOSTILE, ids=[told.replace("/", "")[:60] for _, told in HOSTILE])
def test_what_does_not_fit_is_refused_in_a_line(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Spoil, told: str
) -> None:
    directory = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    spoil(directory)
    assert main(["import", str(directory), str(tmp_path / "bundle"), *LANGUAGES]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1 and error.startswith("transformer-mt: error: ")
    assert str(directory) in error and len(error) < 1000
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint"}


RULES = ("rules-cut-short", "rules-of-garbage", "rules-out-of-bounds")


@pytest.mark.parametrize("name", list(hostile.tokenizers(b"")))
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_hostile_tokenizer_crashes_nothing(
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    side: str,
    name: str,
) -> None:
    monkeypatch.setattr(marian, "NUM_GOLDEN", 1)
    directory = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    sound = (directory / f"{side}.spm").read_bytes()
    data = hostile.tokenizers(sound)[name]
    if name in RULES:  # in a model whose pieces fit
        data = sound + data.removeprefix(hostile.SOUND)
    (directory / f"{side}.spm").write_bytes(data)
    code = main(["import", str(directory), str(tmp_path / "bundle"), *LANGUAGES])
    error = capsys.readouterr().err
    assert (code, (tmp_path / "bundle").exists()) in ((0, True), (2, False))
    assert code == 0 or (error.count("\n") == 1 and f"{side}.spm" in error)


def test_a_crash_of_sentencepiece_is_told(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr("transformer_mt.data.tokenizer._PROBE", crash)
    problem_in_child.cache_clear()
    assert main(["import", str(checkpoint), str(tmp_path / "bundle"), *LANGUAGES]) == 2
    assert "source.spm: with the pieces of vocab.json: SentencePiece crashed" in capsys.readouterr().err
    problem_in_child.cache_clear()


@pytest.mark.parametrize(("option", "value"), [("--src-lang", "English"), ("--tgt-lang", "en")])
def test_a_language_that_is_none_is_refused(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert main(["import", str(checkpoint), str(tmp_path / "bundle"), *LANGUAGES, option, value]) == 2
    assert option[2:].replace("-", "_") in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_a_pickle_is_not_run(checkpoint: Path, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    directory = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    (directory / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "model.safetensors"):
        (directory / name).write_bytes(pickle.dumps(Payload()))
        with pytest.raises(BundleError):
            import_marian(directory, "en", "fr")
    assert not (tmp_path / "executed").exists()
