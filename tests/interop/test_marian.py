"""An imported MarianMT checkpoint is that checkpoint."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import tiny
from tests.marian import (
    LANGUAGES,
    change_json,
    largest_difference,
    our_log_probs,
    our_search,
    their_log_probs,
    their_search,
    write_checkpoint,
)
from transformer_mt import files
from transformer_mt.bundle import Bundle, load_bundle, save_bundle
from transformer_mt.cli.main import main
from transformer_mt.config.loading import to_yaml
from transformer_mt.data.pairs import Pair
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
    older = {
        "_num_labels": 3, "add_bias_logits": False, "add_final_layer_norm": False, "bos_token_id": 0,
        "extra_pos_embeddings": 891, "max_length": 512, "num_beams": 6, "bad_words_ids": [[890]],
        "normalize_before": False, "normalize_embedding": False, "static_position_embeddings": True,
        "is_encoder_decoder": True, "id2label": {"0": "LABEL_0"}, "classif_dropout": 0.0,
    }  # fmt: skip
    change_json(directory / "config.json", older)
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
