"""A bundle as a model of Hugging Face transformers: MarianMTModel, or for pre-norm PegasusForConditionalGeneration.

The directory holds what `from_pretrained` reads (config.json, generation_config.json, model.safetensors and the files
of MarianTokenizer) and a README.md with the model card. transformers is not needed to write it.
"""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transformer_mt.bundle import Bundle
from transformer_mt.card import Use, model_card
from transformer_mt.config.schema import ModelConfig
from transformer_mt.data.tokenizer import Tokenizer
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID, PAD_ID, SPECIAL_PIECES, UNK_ID
from transformer_mt.errors import BundleError, TransformerMTError
from transformer_mt.files import atomic_directory, atomic_file, write_json
from transformer_mt.interop.marian_weights import split_weights
from transformer_mt.model.positions import sinusoids
from transformer_mt.tensors import save_tensors

_CLASSES = {"post": ("marian", "MarianMTModel"), "pre": ("pegasus", "PegasusForConditionalGeneration")}
"""Model type and class of each order of norms."""

_USE = """\
```python
from transformers import {class_name}, MarianTokenizer

tokenizer = MarianTokenizer.from_pretrained("DIRECTORY")
model = {class_name}.from_pretrained("DIRECTORY")
inputs = tokenizer(["A first sentence.", "And another one."], return_tensors="pt", padding=True)
print(tokenizer.batch_decode(model.generate(**inputs), skip_special_tokens=True))
```

DIRECTORY is the one that this file is in. transformer_mt ends a translation at {ratio:g} x source pieces + {extra}
pieces; here the limit is {max_length} pieces for every source. The strings `<pad>`, `<unk>` and `</s>` in a text are
taken for the special pieces of that name.
"""


def export_huggingface(bundle: Bundle, path: Path) -> None:
    """Write `bundle` to the new directory `path`, whole or not at all; the model is not changed.

    Raises BundleError naming the first setting that no class of transformers has, and TransformerMTError when `path`
    exists or cannot be written.
    """
    if misfit := next(_misfits(bundle.config.model), None):
        raise BundleError(f"{bundle.path or 'the model'}: {misfit}")
    if os.path.lexists(path):
        raise TransformerMTError(f"{path}: exists, and nothing is overwritten; remove it or choose another name")
    with atomic_directory(path) as directory:
        save_tensors(directory / "model.safetensors", _tensors(bundle), {"format": "pt"})
        write_json(directory / "config.json", _config(bundle))
        write_json(directory / "generation_config.json", _generation_config(bundle))
        _write_tokenizer(directory, bundle)
        sizes = {one.name: one.stat().st_size for one in sorted(directory.iterdir())}
        with atomic_file(directory / "README.md") as file:
            file.write(model_card(bundle.config, bundle.facts, sizes, _use(bundle)).encode())


def _misfits(model: ModelConfig) -> Iterator[str]:
    """What transformers cannot compute, a line each, with the formats that can."""
    of_classes = "transformers' Marian (post-norm) and Pegasus (pre-norm)"
    for name, value, has_it, what in (
        ("positions", model.positions, model.positions == "sinusoidal", "have sinusoidal positions only"),
        ("norm", model.norm, model.norm == "layer", "have LayerNorm only"),
        ("activation", model.activation, model.activation != "swiglu", "have no gated feed-forward"),
    ):
        if not has_it:
            yield f"model.{name}: {value} cannot be exported: {of_classes} {what}; export to CTranslate2 can carry it"
    if model.attention_window is not None:
        yield (
            f"model.attention_window: {model.attention_window} cannot be exported: {of_classes} see all positions, as "
            "do the other formats"
        )
    if model.tied_embeddings == "none" or (model.tied_embeddings == "decoder" and model.norm_order == "pre"):
        yield (
            f"model.tied_embeddings: {model.tied_embeddings} cannot be exported: Pegasus (pre-norm) has all only, "
            "Marian (post-norm) all and decoder; export to CTranslate2 can carry it"
        )


def _tensors(bundle: Bundle) -> dict[str, Tensor]:
    """Copies of the weights, under transformers' names."""
    model = bundle.model
    found = split_weights(dict(model.named_parameters()), model.config)
    target = model.tgt_embedding.tokens.weight.detach().clone()
    if model.config.tied_embeddings == "all":
        found["model.shared.weight"] = target
    else:
        found["model.encoder.embed_tokens.weight"] = model.src_embedding.tokens.weight.detach().clone()
        found["model.decoder.embed_tokens.weight"] = target
    bias = model.output_proj.bias
    found["final_logits_bias"] = torch.zeros(1, len(target)) if bias is None else bias.detach().clone().unsqueeze(0)
    if model.config.norm_order == "pre":  # Pegasus reads its table of sines, Marian makes it
        for side in ("encoder", "decoder"):
            table = sinusoids(torch.arange(_num_positions(bundle)), model.config.d_model)
            found[f"model.{side}.embed_positions.weight"] = table
    return found


def _longest_source(bundle: Bundle) -> int:
    return int(bundle.facts.get("max_source_pieces", bundle.config.data.max_length))


def _longest_target(bundle: Bundle) -> int:
    """Most tokens of a translation, its beginning included: transformers knows no limit that goes with the source."""
    settings, longest = bundle.config.decoding, max(bundle.config.data.max_length, _longest_source(bundle))
    return 1 + math.floor(longest * settings.max_length_ratio) + settings.max_length_extra


def _num_positions(bundle: Bundle) -> int:
    return max(bundle.config.model.max_positions, _longest_source(bundle), _longest_target(bundle))


def _ids() -> dict[str, int]:
    """Those that both config.json and generation_config.json name. At its limit a translation ends, as it does here."""
    return {
        "pad_token_id": PAD_ID,
        "bos_token_id": BOS_ID,
        "eos_token_id": EOS_ID,
        "forced_eos_token_id": EOS_ID,
        "decoder_start_token_id": BOS_ID,
    }


def _config(bundle: Bundle) -> dict[str, Any]:
    model, sizes = bundle.config.model, bundle.tokenizers
    model_type, class_name = _CLASSES[model.norm_order]
    found: dict[str, Any] = {
        "architectures": [class_name],
        "model_type": model_type,
        "is_encoder_decoder": True,
        "d_model": model.d_model,
        "activation_function": model.activation,
        "max_position_embeddings": _num_positions(bundle),
        "vocab_size": sizes.src.vocab_size,
        "scale_embedding": True,
        "tie_word_embeddings": True,
        "dropout": model.dropout,
        "attention_dropout": model.attention_dropout,
        "activation_dropout": model.activation_dropout,
        "dtype": "float32",
        "unk_token_id": UNK_ID,
        **_ids(),
    }
    for side, layers in (("encoder", model.num_encoder_layers), ("decoder", model.num_decoder_layers)):
        found[f"{side}_layers"] = layers
        found[f"{side}_attention_heads"] = model.num_heads
        found[f"{side}_ffn_dim"] = model.d_ff
    if model_type == "marian":
        found["decoder_vocab_size"] = sizes.tgt.vocab_size
        found["share_encoder_decoder_embeddings"] = model.tied_embeddings == "all"
    return found


def _generation_config(bundle: Bundle) -> dict[str, Any]:
    settings = bundle.config.decoding
    found: dict[str, Any] = {**_ids(), "num_beams": settings.beam_size, "max_length": _longest_target(bundle)}
    if settings.beam_size > 1:
        found["length_penalty"] = settings.length_penalty
        found["early_stopping"] = "never"  # as we stop: when nothing better can come any more
    if settings.no_repeat_ngram is not None:
        found["no_repeat_ngram_size"] = settings.no_repeat_ngram
    return found


def _write_tokenizer(directory: Path, bundle: Bundle) -> None:
    """The files of MarianTokenizer, which has two models in any case."""
    src, tgt = bundle.tokenizers.src, bundle.tokenizers.tgt
    is_shared = bundle.config.model.tied_embeddings == "all"
    src.save(directory / "source.spm")
    tgt.save(directory / "target.spm")
    _write_vocabulary(directory / "vocab.json", src)
    if not is_shared:
        _write_vocabulary(directory / "target_vocab.json", tgt)
    pad, unk, _, eos = SPECIAL_PIECES
    write_json(
        directory / "tokenizer_config.json",
        {
            "tokenizer_class": "MarianTokenizer",
            "source_lang": bundle.config.data.src_lang,
            "target_lang": bundle.config.data.tgt_lang,
            "model_max_length": _longest_source(bundle),
            "separate_vocabs": not is_shared,
            "clean_up_tokenization_spaces": False,
            "pad_token": pad,
            "unk_token": unk,
            "eos_token": eos,
        },
    )


def _write_vocabulary(path: Path, tokenizer: Tokenizer) -> None:
    pieces = tokenizer.pieces(range(tokenizer.vocab_size))
    with atomic_file(path) as file:
        file.write(json.dumps({piece: index for index, piece in enumerate(pieces)}, ensure_ascii=False).encode())


def _use(bundle: Bundle) -> Use:
    text = _USE.format(
        class_name=_CLASSES[bundle.config.model.norm_order][1],
        ratio=bundle.config.decoding.max_length_ratio,
        extra=bundle.config.decoding.max_length_extra,
        max_length=_longest_target(bundle) - 1,
    )
    return Use("transformers", text)
