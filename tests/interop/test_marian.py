"""An imported MarianMT checkpoint is that checkpoint, and nothing of a stranger's directory is trusted."""

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import tiny
from tests.marian import (
    largest_difference,
    our_log_probs,
    our_search,
    their_log_probs,
    their_search,
    train_spm,
    write_checkpoint,
)
from transformer_mt import files
from transformer_mt.bundle import Bundle, load_bundle, save_bundle
from transformer_mt.cli.main import main
from transformer_mt.config.loading import to_yaml
from transformer_mt.data.pairs import Pair
from transformer_mt.data.synthetic.corpus import synthesize
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from transformer_mt.decoding.golden import replay
from transformer_mt.decoding.translator import Translator
from transformer_mt.errors import BundleError, TransformerMTError
from transformer_mt.interop import marian
from transformer_mt.interop.huggingface import export_huggingface
from transformer_mt.interop.marian import FORBIDDEN, import_marian
from transformer_mt.interop.marian_settings import read_settings
from transformer_mt.interop.marian_vocabulary import read_vocabulary
from transformer_mt.interop.sentencepiece_file import Kind, PieceModel

transformers = pytest.importorskip("transformers", reason="needs the package transformers, the other side")

LANGUAGES = ("--src-lang", "en", "--tgt-lang", "fr")


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    corpus = synthesize(3, 1200, 100, 500)
    return [Pair(1, *pair) for pair in (*corpus.test, *corpus.train)]


@pytest.fixture(scope="module")
def checkpoint(pairs: list[Pair], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six layers on each side, as OPUS-MT has them, but narrow."""
    return write_checkpoint(tmp_path_factory.mktemp("marian") / "opus-mt-en-fr", pairs)


@pytest.fixture(scope="module")
def bundle(checkpoint: Path) -> Bundle:
    return import_marian(checkpoint, "en", "fr")


@pytest.fixture(scope="module")
def rows(checkpoint: Path) -> list[int]:
    """Their token for each of our ids."""
    return list(read_vocabulary(checkpoint, read_settings(checkpoint)).rows)


@pytest.fixture(scope="module")
def theirs(checkpoint: Path) -> tuple[Any, Any]:
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(checkpoint).eval()
    return model, transformers.AutoTokenizer.from_pretrained(checkpoint)


def as_theirs(sentences: list[list[int]], rows: list[int]) -> list[list[int]]:
    return [[rows[index] for index in sentence] for sentence in sentences]


@pytest.mark.parametrize("beam_size", [1, 4])
def test_500_sentences_give_the_same_tokens(
    bundle: Bundle, theirs: tuple[Any, Any], rows: list[int], pairs: list[Pair], beam_size: int
) -> None:
    model, tokenizer = theirs
    lines = [pair.src for pair in pairs[: 500 if beam_size == 1 else 50]]
    sources, their_sources = bundle.tokenizers.src.encode(lines, add_eos=True), tokenizer(lines).input_ids
    found = our_search(bundle.model, sources, 15, beam_size)
    model.generation_config.early_stopping = "never"  # they may stop a beam before its best is found
    expected = their_search(model, their_sources, 15, beam_size, tokenizer.pad_token_id)
    assert as_theirs(found, rows) == expected
    assert len({tuple(row) for row in found}) > 20
    ours = our_log_probs(bundle.model, sources, found)
    assert largest_difference(ours, their_log_probs(model, their_sources, expected, tokenizer.pad_token_id)) < 1e-4


def test_500_given_translations_have_the_same_log_probabilities(
    bundle: Bundle, theirs: tuple[Any, Any], rows: list[int], pairs: list[Pair]
) -> None:
    model, tokenizer = theirs
    sources = bundle.tokenizers.src.encode([pair.src for pair in pairs[:500]], add_eos=True)
    targets = bundle.tokenizers.tgt.encode([pair.tgt for pair in pairs[:500]], add_eos=True)
    ours = our_log_probs(bundle.model, sources, targets)
    expected = their_log_probs(model, as_theirs(sources, rows), as_theirs(targets, rows), tokenizer.pad_token_id)
    worst = max(abs(a - b) for row, other in zip(ours, expected, strict=True) for a, b in zip(row, other, strict=True))
    assert worst < 1e-4
    assert min(min(row) for row in ours) > FORBIDDEN / 2  # nothing that text is cut into is forbidden


def test_the_real_width_gives_the_same_tokens(
    pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marian, "NUM_GOLDEN", 1)
    directory = write_checkpoint(tmp_path / "wide", pairs, d_model=512)
    bundle = import_marian(directory, "en", "fr")
    assert (bundle.config.model.d_ff, bundle.config.model.num_heads) == (2048, 8)
    rows = list(read_vocabulary(directory, read_settings(directory)).rows)
    model = transformers.MarianMTModel.from_pretrained(directory).eval()
    sources = bundle.tokenizers.src.encode([pair.src for pair in pairs[:20]], add_eos=True)
    found = our_search(bundle.model, sources, 10)
    pad_id = model.config.pad_token_id
    assert as_theirs(found, rows) == their_search(model, as_theirs(sources, rows), 10, pad_id=pad_id)
    log_probs = their_log_probs(model, as_theirs(sources, rows), as_theirs(found, rows), pad_id)
    assert largest_difference(our_log_probs(bundle.model, sources, found), log_probs) < 1e-4


ODD = [
    "", "  two  blanks ", "caf\u00e9 \ufb01 \u00a0x", "\u65e5\u672c\u8a9e \N{GRINNING FACE}", "x_y @ 12",
    "l'\u0153il \u0153", "\u00ab l\u00e0 \u00bb",
]  # fmt: skip


def test_text_is_cut_into_the_tokens_of_their_tokenizer_and_put_together_as_there(
    bundle: Bundle, theirs: tuple[Any, Any], rows: list[int], pairs: list[Pair]
) -> None:
    tokenizer = theirs[1]
    lines = [pair.src for pair in pairs[:500]] + [pair.tgt for pair in pairs[:100]] + ODD
    assert as_theirs(bundle.tokenizers.src.encode(lines, add_eos=True), rows) == tokenizer(lines).input_ids
    unknown = {rows[index] for row in bundle.tokenizers.src.encode(lines) for index in row if index > UNK_ID + 4}
    assert rows[UNK_ID] in unknown  # some pieces of source.spm have no token there
    random = torch.Generator().manual_seed(1)
    num_pieces = tokenizer.vocab_size + 1  # those behind them, which have no token there, are never said
    drawn = torch.randint(0, num_pieces, (200, 12), generator=random).tolist()
    texts = tokenizer.batch_decode(as_theirs(drawn, rows), skip_special_tokens=True)
    assert [text.strip() for text in bundle.tokenizers.tgt.decode(drawn)] == texts


def test_captions_are_cut_into_their_tokens(
    bundle: Bundle, theirs: tuple[Any, Any], rows: list[int], shared_data: Path
) -> None:
    lines = (shared_data / "multi30k/val.en").read_text(encoding="utf-8").splitlines()[:500]
    assert as_theirs(bundle.tokenizers.src.encode(lines, add_eos=True), rows) == theirs[1](lines).input_ids


def test_targets_are_cut_into_their_tokens_where_all_pieces_have_one(
    bundle: Bundle, theirs: tuple[Any, Any], rows: list[int], pairs: list[Pair]
) -> None:
    lines = [pair.tgt for pair in pairs[:500]]
    found = as_theirs(bundle.tokenizers.tgt.encode(lines, add_eos=True), rows)
    expected = theirs[1](text_target=lines).input_ids
    assert all(a == b for a, b in zip(found, expected, strict=True) if rows[UNK_ID] not in b)
    assert sum(rows[UNK_ID] not in b for b in expected) > 300
    assert sum(rows[UNK_ID] in row for row in found) < sum(rows[UNK_ID] in row for row in expected)


def test_the_bundle_is_whole_and_says_where_it_came_from(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(checkpoint), str(tmp_path / "bundle"), *LANGUAGES]) == 0
    assert replay(tmp_path / "bundle").differences == []
    loaded = load_bundle(tmp_path / "bundle")
    assert len(loaded.golden) == 10 and len({one.translation for one in loaded.golden}) > 5
    assert loaded.facts["imported_from"]["directory"] == "opus-mt-en-fr"
    digest = files.sha256_of(checkpoint / "model.safetensors")
    assert loaded.facts["imported_from"]["sha256"]["model.safetensors"] == digest
    decoding = loaded.config.decoding
    assert (decoding.beam_size, decoding.length_penalty, decoding.max_length_extra) == (4, 1.0, 23)
    assert Translator.load(tmp_path / "bundle", threads=1).translate(["Where is the cat?", ""])[1] == ""
    capsys.readouterr()
    assert main(["import", str(checkpoint), str(tmp_path / "bundle"), *LANGUAGES]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


def test_transformers_is_not_needed(checkpoint: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules.update(transformers=None, huggingface_hub=None, google=None)\n"
        "from transformer_mt.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "import", str(checkpoint), str(tmp_path / "bundle"), *LANGUAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_training_goes_on_from_it(bundle: Bundle, pairs: list[Pair], tmp_path: Path) -> None:
    save_bundle(tmp_path / "bundle", bundle)
    for side in ("src", "tgt"):
        (tmp_path / f"train.{side}").write_text("".join(f"{getattr(pair, side)}\n" for pair in pairs[:200]))
    (tmp_path / "tune.yaml").write_text(to_yaml(bundle.config))
    corpus = f"{{src: {tmp_path}/train.src, tgt: {tmp_path}/train.tgt}}"
    settings = [
        f"data.train={corpus}", f"data.cache_dir={tmp_path}/cache", f"training.run_dir={tmp_path}/run",
        f"training.init_from={tmp_path}/bundle", "training.max_epochs=null", "training.max_steps=8",
        "optimizer.lr=1e-4", "schedule.warmup_steps=0", "logging.every_steps=1", "logging.curves=false",
        "logging.tensorboard=false", "training.threads=1", "training.precision=fp32", "training.batch_size=512",
    ]  # fmt: skip
    assert tiny.train(tmp_path / "tune.yaml", settings) == 0
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [one["loss"] for one in metrics if "loss" in one]
    assert losses[0] < 20 and losses[-1] < losses[0]
    tuned = load_bundle(tmp_path / "run")
    assert tuned.tokenizers.files() == bundle.tokenizers.files()
    before, after = (one.model.output_proj.bias.detach() for one in (bundle, tuned))
    assert (after - before).abs().max() > 1e-4  # the bias is trained
    assert float(after[BOS_ID]) < FORBIDDEN / 2


def test_an_exported_model_comes_back(bundle: Bundle, pairs: list[Pair], tmp_path: Path) -> None:
    plain = replace(bundle, tokenizers=type(bundle.tokenizers)(bundle.tokenizers.src, bundle.tokenizers.src))
    export_huggingface(plain, tmp_path / "exported")
    back = import_marian(tmp_path / "exported", "en", "fr")
    assert back.tokenizers.is_joint
    lines = [pair.src for pair in pairs[:50]]
    sources = plain.tokenizers.src.encode(lines, add_eos=True)
    assert back.tokenizers.src.encode(lines, add_eos=True) == sources
    assert our_search(back.model, sources, 10) == our_search(plain.model, sources, 10)


def test_special_pieces_have_our_ids_and_what_cannot_be_said_is_forbidden(bundle: Bundle, rows: list[int]) -> None:
    assert [rows[index] for index in (PAD_ID, UNK_ID, BOS_ID, EOS_ID)] == [890, 1, 890, 0]
    bias = bundle.model.output_proj.bias
    forbidden = (bias == FORBIDDEN).nonzero().flatten().tolist()
    assert forbidden[:2] == [PAD_ID, BOS_ID] and all(rows[index] == 1 for index in forbidden[2:])
    assert len(forbidden) > 2


Spoil = Callable[[Path], None]


def config(**changes: Any) -> Spoil:
    return lambda directory: change_json(directory / "config.json", changes)


def search(**changes: Any) -> Spoil:
    return lambda directory: change_json(directory / "generation_config.json", changes)


def change_json(path: Path, changes: dict[str, Any]) -> None:
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))


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


def test_a_full_disk_leaves_nothing(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(point: files.Point, path: Path) -> None:
        if point == files.Point.WRITTEN:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "at_point", fail)
    for write in (save_bundle, lambda path, bundle: export_huggingface(joint(bundle), path)):
        with pytest.raises(TransformerMTError, match="disk full"):
            write(tmp_path / "bundle", bundle)
        assert list(tmp_path.iterdir()) == []


def joint(bundle: Bundle) -> Bundle:
    return replace(bundle, tokenizers=type(bundle.tokenizers)(bundle.tokenizers.src, bundle.tokenizers.src))


def test_settings_of_the_checkpoints_of_opus_mt_are_understood(checkpoint: Path, tmp_path: Path) -> None:
    """Their config.json is older, and says more."""
    directory = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    config(
        _num_labels=3, add_bias_logits=False, add_final_layer_norm=False, bos_token_id=0, classif_dropout=0.0,
        extra_pos_embeddings=891, max_length=512, num_beams=6, bad_words_ids=[[890]], normalize_before=False,
        normalize_embedding=False, static_position_embeddings=True, is_encoder_decoder=True, id2label={"0": "LABEL_0"},
    )(directory)  # fmt: skip
    (directory / "generation_config.json").unlink()
    (directory / "tokenizer_config.json").write_text('{"target_lang": "fra", "source_lang": "eng"}')
    settings = read_settings(directory)
    assert settings.decoding["beam_size"] == 6 and settings.decoding["max_length_extra"] == 511
    assert settings.forbidden == (890,) and settings.model["activation"] == "silu"
    read_vocabulary(directory, settings)


def test_model_files_are_read_and_written_as_sentencepiece_has_them(checkpoint: Path) -> None:
    import sentencepiece

    data = (checkpoint / "source.spm").read_bytes()
    model = PieceModel.parse(data)
    oracle = sentencepiece.SentencePieceProcessor(model_proto=data)
    found = [(piece.text, piece.score) for piece in model.pieces]
    assert found == [(oracle.id_to_piece(i), oracle.get_score(i)) for i in range(oracle.get_piece_size())]
    assert [piece.kind for piece in model.pieces[:4]] == [Kind.UNKNOWN, Kind.CONTROL, Kind.CONTROL, Kind.NORMAL]
    again = sentencepiece.SentencePieceProcessor(model_proto=model.serialized())
    for line in ("Where is the cat?", "  \u00e9t\u00e9 \ufb01 "):
        assert again.encode(line) == oracle.encode(line)


def test_a_bundle_of_two_vocabularies_has_no_matrix_for_both(bundle: Bundle, tmp_path: Path, tiny_run: Path) -> None:
    other = load_bundle(tiny_run).tokenizers.src
    save_bundle(tmp_path / "bundle", replace(bundle, tokenizers=type(bundle.tokenizers)(other, bundle.tokenizers.tgt)))
    with pytest.raises(BundleError, match="different pieces"):
        load_bundle(tmp_path / "bundle")
