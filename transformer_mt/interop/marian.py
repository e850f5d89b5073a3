"""A MarianMT checkpoint of Hugging Face transformers (such as those of OPUS-MT) as a bundle.

Nothing of transformers is needed, and nothing in the directory is executed: weights are read from safetensors alone.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transformer_mt.bundle import Bundle, Golden, NoDraws, build_model
from transformer_mt.config.loading import from_dict
from transformer_mt.config.schema import Config
from transformer_mt.data.tokenizer import META_BLANK
from transformer_mt.data.vocabulary import SPECIAL_PIECES
from transformer_mt.decoding.translator import Translator
from transformer_mt.errors import BundleError
from transformer_mt.files import sha256_of
from transformer_mt.interop.marian_settings import MarianSettings, read_settings
from transformer_mt.interop.marian_vocabulary import MarianVocabulary, read_vocabulary
from transformer_mt.interop.marian_weights import layer_weights
from transformer_mt.model.positions import sinusoids
from transformer_mt.model.transformer import Transformer
from transformer_mt.tensors import WEIGHT_TYPES, load_tensors, load_weights

WEIGHTS = "model.safetensors"
FORBIDDEN = -1e3
"""The logit bias of a piece that may not be said: its probability is 0, and every arithmetic holds the number."""
NUM_GOLDEN = 10
_EMBEDDINGS = (
    "model.shared.weight",
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "lm_head.weight",
)
"""Names of the one matrix; some checkpoints have it under several."""
_POSITIONS = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")
_BIAS = "final_logits_bias"


def import_marian(directory: Path, src_lang: str, tgt_lang: str) -> Bundle:
    """The bundle of the checkpoint in `directory`: config.json, model.safetensors, source.spm, target.spm, vocab.json.

    It gives the translations that `generate` gives with generation_config.json; docs/huggingface.md has the exceptions.
    Raises a TransformerMTError naming file and problem for what is missing, damaged or not ours.
    """
    _check_files(directory)
    settings = read_settings(directory)
    vocabulary = read_vocabulary(directory, settings)
    config = _config(settings, vocabulary, {"src_lang": src_lang, "tgt_lang": tgt_lang}, directory)
    tensors = load_tensors(directory / WEIGHTS)
    weights = _weights(tensors, config, settings, vocabulary, directory / WEIGHTS)
    with NoDraws():
        model = build_model(config, vocabulary.tokenizers)
    load_weights(model, weights, directory / WEIGHTS)
    names = ("config.json", "generation_config.json", WEIGHTS, "source.spm", "target.spm", "vocab.json")
    files = {name: sha256_of(directory / name) for name in names if (directory / name).is_file()}
    facts = {
        "max_source_pieces": config.model.max_positions,
        "parameters": model.num_parameters(),
        "imported_from": {"format": "MarianMT", "directory": directory.resolve().name, "sha256": files},
    }
    bundle = Bundle(config, model.eval(), vocabulary.tokenizers, (), facts)
    return replace(bundle, golden=_golden(bundle))


def _check_files(directory: Path) -> None:
    """Raise BundleError where weights are missing or in a file that can execute."""
    if not directory.is_dir():
        raise BundleError(f"{directory}: no such directory; give the directory of a MarianMT checkpoint")
    if (directory / WEIGHTS).is_file():
        return
    if (directory / "pytorch_model.bin").is_file():
        raise BundleError(
            f"{directory}: pytorch_model.bin is a pickle, which can execute code, and is not read; convert it "
            "where you trust it: python -c \"from transformers import MarianMTModel; m = 'DIRECTORY'; "
            'MarianMTModel.from_pretrained(m).save_pretrained(m)"'
        )
    if (directory / f"{WEIGHTS}.index.json").is_file():
        raise BundleError(
            f"{directory}: its weights are in several files; write them into one {WEIGHTS} with "
            'save_pretrained(..., max_shard_size="50GB")'
        )
    raise BundleError(f"{directory}: has no {WEIGHTS}; give the directory of a MarianMT checkpoint")


def _config(settings: MarianSettings, vocabulary: MarianVocabulary, data: dict[str, Any], directory: Path) -> Config:
    """The configuration, checked; its sections about training are for one that goes on from here."""
    sections = {
        "data": {**data, "max_length": min(256, settings.model["max_positions"])},
        "tokenizer": {"vocab_size": len(vocabulary.rows), "joint": True, "byte_fallback": False},
        "model": settings.model,
        "training": {"max_epochs": 1},
        "decoding": settings.decoding,
    }
    return from_dict(sections, str(directory))


def _weights(
    tensors: Mapping[str, Tensor],
    config: Config,
    settings: MarianSettings,
    vocabulary: MarianVocabulary,
    path: Path,
) -> dict[str, Tensor]:
    """Our weights in float32; raises BundleError with the first tensors that do not fit."""
    if config.model.num_encoder_layers + config.model.num_decoder_layers > len(tensors):
        raise BundleError(f"{path}: config.json describes more layers than there are tensors; not of one model")
    with torch.device("meta"), NoDraws():  # shapes without memory
        shapes = dict(Transformer(config.model, settings.vocab_size, settings.vocab_size).named_parameters())
    wanted = {
        name: (shapes[ours].shape[0] // len(theirs), *shapes[ours].shape[1:])
        for ours, theirs in layer_weights(config.model)
        for name in theirs
    }
    embedding = (settings.vocab_size, config.model.d_model)
    wanted |= {name: embedding for name in _EMBEDDINGS if name in tensors} or {_EMBEDDINGS[0]: embedding}
    wanted |= {name: (config.model.max_positions, embedding[1]) for name in _POSITIONS if name in tensors}
    wanted |= {_BIAS: (1, settings.vocab_size)} if _BIAS in tensors else {}
    problems = _problems(tensors, wanted) or _unlike(tensors)
    if problems:
        rest = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise BundleError(f"{path}: does not fit config.json: {'; '.join(problems[:3])}{rest}")
    parts = layer_weights(config.model)
    found = {ours: torch.cat([tensors[name].float() for name in theirs]) for ours, theirs in parts}
    rows = torch.tensor(vocabulary.rows)
    matrix = next(tensors[name] for name in _EMBEDDINGS if name in tensors)
    bias = tensors.get(_BIAS, torch.zeros(1, settings.vocab_size)).float()[0, rows]
    bias[torch.tensor(vocabulary.forbidden)] = FORBIDDEN
    return {**found, "src_embedding.tokens.weight": matrix.float()[rows], "output_proj.bias": bias}


def _problems(tensors: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What is missing, unknown, of another shape or no finite numbers, in the order of the names."""
    found = [f"{name} is missing" for name in wanted if name not in tensors]
    found += [f"{name[:100]} is unknown" for name in tensors if name not in wanted]
    for name in tensors.keys() & wanted.keys():
        tensor = tensors[name]
        if tuple(tensor.shape) != wanted[name]:
            found.append(f"{name} is {tuple(tensor.shape)} instead of {wanted[name]}")
        elif tensor.dtype not in WEIGHT_TYPES:
            found.append(f"{name} is of type {str(tensor.dtype).removeprefix('torch.')}, which no weight is")
        elif not torch.isfinite(tensor).all():
            found.append(f"{name} holds NaN or infinity")
    return sorted(found)


def _unlike(tensors: Mapping[str, Tensor]) -> list[str]:
    """Embeddings that are not shared, and positions that are no sines."""
    first, *others = (name for name in _EMBEDDINGS if name in tensors)
    found = [f"{name} is not equal to {first}" for name in others if not torch.equal(tensors[name], tensors[first])]
    for name in _POSITIONS:
        if name in tensors:
            num_positions, width = tensors[name].shape
            expected = sinusoids(torch.arange(num_positions), width)
            if not torch.allclose(tensors[name].float(), expected, rtol=0, atol=2e-3):
                found.append(f"{name} are not the sines of Marian")
    return found


def _golden(bundle: Bundle) -> list[Golden]:
    """Translations of sentences made of random words of the source's pieces, for there are no others at hand."""
    source = bundle.tokenizers.src
    pieces = source.pieces(range(len(SPECIAL_PIECES), source.vocab_size))
    words = [piece[1:] for piece in pieces if piece[0] == META_BLANK and piece[1:].isalpha()]
    words = [word for word, ids in zip(words, source.encode(words), strict=True) if len(ids) == 1] or ["a"]
    generator = random.Random(1)
    lines = [" ".join(generator.choices(words, k=generator.randint(3, 6))) for _ in range(NUM_GOLDEN)]
    settings = replace(bundle.config.decoding, precision="fp32")  # which every machine has
    translations = Translator.from_bundles([bundle], torch.device("cpu"), settings).translate(lines)
    return [Golden(*pair, settings.beam_size, "fp32") for pair in zip(lines, translations, strict=True)]
