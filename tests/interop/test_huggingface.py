"""An exported model is the model, in transformers' hands."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.marian import largest_difference, our_log_probs, our_search, their_log_probs, their_search
from transformer_mt.bundle import Bundle, build_model, load_bundle
from transformer_mt.config.schema import Config, DataConfig, DecodingConfig, ModelConfig, TokenizerConfig
from transformer_mt.data.pairs import Pair
from transformer_mt.data.tokenizer import TokenizerPair, train_tokenizers
from transformer_mt.data.vocabulary import EOS_ID, PAD_ID
from transformer_mt.decoding.translator import Translator
from transformer_mt.errors import BundleError, TransformerMTError
from transformer_mt.interop.huggingface import export_huggingface

transformers = pytest.importorskip("transformers", reason="needs the package transformers, the other side")

MakeBundle = Callable[..., Bundle]
SMALL = {"d_model": 32, "num_heads": 4, "d_ff": 48, "num_encoder_layers": 2, "num_decoder_layers": 2}


@pytest.fixture(scope="module")
def tokenizers(pairs: list[Pair]) -> dict[bool, TokenizerPair]:
    """Joint and separate ones."""
    made = {}
    for joint in (True, False):
        config = TokenizerConfig(vocab_size=600, joint=joint)
        made[joint] = train_tokenizers(config, lambda: iter(pairs), lambda text: None)
    return made


@pytest.fixture
def make_bundle(tokenizers: dict[bool, TokenizerPair]) -> MakeBundle:
    """Bundles of untrained models whose weights are all random and large, so that they say many things."""

    def make(**settings: Any) -> Bundle:
        model = ModelConfig(**{**SMALL, **settings})
        joint = model.tied_embeddings == "all"
        data, decoding = DataConfig(max_length=120), DecodingConfig(beam_size=3, precision="fp32", max_length_extra=20)
        config = Config(model=model, tokenizer=TokenizerConfig(joint=joint), data=data, decoding=decoding)
        torch.manual_seed(5)
        built = build_model(config, tokenizers[joint]).eval()
        with torch.no_grad():
            for name, weight in built.named_parameters():
                if ".layers." in name and weight.dim() == 2:
                    weight.mul_(1.5)  # or else each token is the one before it
                else:
                    weight.add_(torch.randn_like(weight) * 0.1)
                if name.endswith("tokens.weight"):
                    weight[PAD_ID] = 0.0  # never the likeliest
                if name == "output_proj.bias":
                    weight[EOS_ID] += 2.0
        return Bundle(config, built, tokenizers[joint])

    return make


def loaded(directory: Path) -> tuple[Any, Any]:
    """Model and tokenizer as anybody loads them."""
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(directory, attn_implementation="eager").eval()
    return model, transformers.AutoTokenizer.from_pretrained(directory)


@pytest.mark.parametrize(
    ("settings", "class_name"),
    [
        ({"norm_order": "post"}, "MarianMTModel"),
        ({"norm_order": "post", "activation": "silu", "output_bias": True}, "MarianMTModel"),
        ({"norm_order": "post", "activation": "gelu", "tied_embeddings": "decoder"}, "MarianMTModel"),
        ({"norm_order": "pre"}, "PegasusForConditionalGeneration"),
        ({"norm_order": "pre", "activation": "gelu", "output_bias": True}, "PegasusForConditionalGeneration"),
    ],
)
def test_500_sentences_give_the_same_tokens_and_log_probabilities(
    make_bundle: MakeBundle, pairs: list[Pair], tmp_path: Path, settings: dict[str, Any], class_name: str
) -> None:
    bundle = make_bundle(**settings)
    before = {name: tensor.clone() for name, tensor in bundle.model.state_dict().items()}
    export_huggingface(bundle, tmp_path / "exported")
    assert all(torch.equal(tensor, before[name]) for name, tensor in bundle.model.state_dict().items())
    model, tokenizer = loaded(tmp_path / "exported")
    assert type(model).__name__ == class_name
    lines = [pair.src for pair in pairs[:500]]
    sources = bundle.tokenizers.src.encode(lines, add_eos=True)
    assert tokenizer(lines).input_ids == sources
    ours, theirs = our_search(bundle.model, sources, 25), their_search(model, sources, 25)
    assert ours == theirs
    assert len({tuple(row) for row in ours}) > 50  # they say many things
    assert largest_difference(our_log_probs(bundle.model, sources, ours), their_log_probs(model, sources, ours)) < 1e-4


def test_a_trained_model_translates_alike_with_the_settings_it_was_exported_with(
    tiny_run: Path, tmp_path: Path
) -> None:
    bundle = load_bundle(tiny_run)
    export_huggingface(bundle, tmp_path / "exported")
    model, tokenizer = loaded(tmp_path / "exported")
    lines = (tiny_run.parent / "test.en").read_text().splitlines()
    settings = replace(bundle.config.decoding, precision="fp32")
    ours = Translator.from_bundles([bundle], torch.device("cpu"), settings).translate(lines)
    generated = model.generate(**tokenizer(lines, return_tensors="pt", padding=True))
    assert tokenizer.batch_decode(generated, skip_special_tokens=True) == ours


def check_tokenizers(pair: TokenizerPair, theirs: Any, lines: list[str], targets: list[str]) -> None:
    ids = pair.src.encode(lines, add_eos=True)
    assert theirs(lines).input_ids == ids
    target_ids = pair.tgt.encode(targets, add_eos=True)
    assert theirs(text_target=targets).input_ids == target_ids
    assert theirs.batch_decode(target_ids, skip_special_tokens=True) == pair.tgt.decode(target_ids)


@pytest.mark.parametrize("tied", ["all", "decoder"])
def test_the_tokenizer_gives_our_ids_and_our_text(
    make_bundle: MakeBundle, pairs: list[Pair], tmp_path: Path, tied: str
) -> None:
    bundle = make_bundle(norm_order="post", tied_embeddings=tied)
    export_huggingface(bundle, tmp_path / "exported")
    _, theirs = loaded(tmp_path / "exported")
    odd = ["", "  two  blanks ", "\u00a0caf\u00e9\ufb01 \u2047", "日本語 \N{GRINNING FACE}", "<s> x_y", "Été, « là »"]
    lines = [pair.src for pair in pairs[:500]] + odd
    check_tokenizers(bundle.tokenizers, theirs, lines, [pair.tgt for pair in pairs[:500]] + odd)


def test_the_tokenizer_gives_our_ids_on_captions(make_bundle: MakeBundle, shared_data: Path, tmp_path: Path) -> None:
    bundle = make_bundle(norm_order="post")
    export_huggingface(bundle, tmp_path / "exported")
    _, theirs = loaded(tmp_path / "exported")
    english, french = ((shared_data / f"multi30k/val.{side}").read_text().splitlines()[:500] for side in ("en", "fr"))
    check_tokenizers(bundle.tokenizers, theirs, english, french)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"positions": "rotary"}, "model.positions: rotary"),
        ({"positions": "learned"}, "model.positions: learned"),
        ({"norm": "rms"}, "model.norm: rms"),
        ({"activation": "swiglu"}, "model.activation: swiglu"),
        ({"attention_window": 5}, "model.attention_window: 5"),
        ({"tied_embeddings": "none"}, "model.tied_embeddings: none"),
        ({"tied_embeddings": "decoder", "norm_order": "pre"}, "model.tied_embeddings: decoder"),
    ],
)
def test_what_transformers_cannot_compute_is_refused_by_name(
    make_bundle: MakeBundle, tmp_path: Path, settings: dict[str, Any], what: str
) -> None:
    with pytest.raises(BundleError) as error:
        export_huggingface(make_bundle(**settings), tmp_path / "exported")
    text = str(error.value)
    assert what in text and "\n" not in text
    assert ("CTranslate2" in text) == (what != "model.attention_window: 5")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_left_alone(make_bundle: MakeBundle, tmp_path: Path) -> None:
    (tmp_path / "exported").mkdir()
    with pytest.raises(TransformerMTError, match="nothing is overwritten"):
        export_huggingface(make_bundle(), tmp_path / "exported")
    assert list((tmp_path / "exported").iterdir()) == []


def test_the_card_says_how_it_is_used_and_that_works(tiny_run: Path, tmp_path: Path, monkeypatch: Any) -> None:
    export_huggingface(load_bundle(tiny_run), tmp_path / "exported")
    _, front, text = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert "pipeline_tag: translation" in front and "- en\n- fr\n" in front
    monkeypatch.chdir(tmp_path)
    said: list[Any] = []
    golden = load_bundle(tiny_run).golden[0]
    code = text.split("```python\n")[1].split("```")[0].replace("DIRECTORY", "exported")
    exec(code.replace("A first sentence.", golden.src), {"print": said.append})
    assert said[0][0] == golden.translation and len(said[0]) == 2
    assert json.loads((tmp_path / "exported" / "generation_config.json").read_text())["num_beams"] == 5
