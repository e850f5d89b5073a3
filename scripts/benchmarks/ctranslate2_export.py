"""A bundle of the classic architecture as a CTranslate2 model, for measurements on the same weights.

    python scripts/benchmarks/ctranslate2_export.py BUNDLE DIRECTORY float32|int8

Runs in a process of its own: quantising changes weights that it was given a view of.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from torch import Tensor, nn

from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.data.shortlist import Shortlist
from transformer_mt.data.vocabulary import SPECIAL_PIECES
from transformer_mt.model.layers import NORM_EPSILON, DecoderLayer

ACTIVATIONS = {"relu": common_spec.Activation.RELU, "gelu": common_spec.Activation.GELU}
LONGEST = 1024


def export(bundle: Bundle, directory: Path, quantization: str | None) -> None:
    """Write `bundle` for CTranslate2; raises SystemExit for an architecture that this does not cover."""
    config, model = bundle.config.model, bundle.model
    if (config.positions, config.norm, config.attention_window) != ("sinusoidal", "layer", None):
        raise SystemExit("the bundle must have sinusoidal positions, LayerNorm and no attention window")
    if config.activation not in ACTIVATIONS:
        raise SystemExit(f"the bundle must have relu or gelu, not {config.activation}")
    options = {"pre_norm": config.norm_order == "pre", "activation": ACTIVATIONS[config.activation]}
    spec = transformer_spec.TransformerSpec(
        transformer_spec.TransformerEncoderSpec(config.num_encoder_layers, config.num_heads, **options),
        transformer_spec.TransformerDecoderSpec(config.num_decoder_layers, config.num_heads, **options),
    )
    sides = ((spec.encoder, model.encoder, model.src_embedding), (spec.decoder, model.decoder, model.tgt_embedding))
    for side, stack, embedding in sides:
        vectors = side.embeddings[0] if side is spec.encoder else side.embeddings
        vectors.weight = numbers(embedding.tokens.weight)
        side.scale_embeddings = True
        side.position_encodings.encodings = numbers(embedding.positions.table[:LONGEST])
        if options["pre_norm"]:
            set_norm(side.layer_norm, stack.norm)
        for layer_spec, layer in zip(side.layer, stack.layers, strict=True):
            set_layer(layer_spec, layer)
    spec.decoder.projection.weight = numbers(model.output_proj.weight)
    spec.register_source_vocabulary(pieces(bundle.tokenizers.src))
    spec.register_target_vocabulary(pieces(bundle.tokenizers.tgt))
    pad, unk, bos, eos = SPECIAL_PIECES
    spec.config.decoder_start_token = spec.config.bos_token = bos
    spec.config.unk_token, spec.config.eos_token = unk, eos
    spec.config.layer_norm_epsilon = NORM_EPSILON
    spec.config.add_source_eos = True
    spec.validate()
    spec.optimize(quantization=quantization)
    directory.mkdir(parents=True)
    spec.save(str(directory))
    if bundle.shortlist is not None:
        write_map(bundle, bundle.shortlist, directory / "vmap.txt")


def write_map(bundle: Bundle, shortlist: Shortlist, path: Path) -> None:
    """The bundle's shortlist as CTranslate2's vocabulary map: a source piece, a tab, its target pieces."""
    names = pieces(bundle.tokenizers.tgt)
    rows = [("", shortlist.always), *zip(pieces(bundle.tokenizers.src), shortlist.likely, strict=True)]
    lines = (f"{piece}\t{' '.join(names[i] for i in dict.fromkeys(ids.tolist()))}\n" for piece, ids in rows)
    path.write_text("".join(lines), encoding="utf-8")


def set_layer(spec: Any, layer: nn.Module) -> None:
    """One layer of either side."""
    attention = layer.self_attention
    set_linear(spec.self_attention.linear[0], attention.qkv_proj)
    set_linear(spec.self_attention.linear[1], attention.out_proj)
    set_norm(spec.self_attention.layer_norm, layer.self_attention_norm)
    if isinstance(layer, DecoderLayer):
        for place, linear in enumerate(("q_proj", "kv_proj", "out_proj")):
            set_linear(spec.attention.linear[place], getattr(layer.cross_attention, linear))
        set_norm(spec.attention.layer_norm, layer.cross_attention_norm)
    set_linear(spec.ffn.linear_0, layer.feed_forward.in_proj)
    set_linear(spec.ffn.linear_1, layer.feed_forward.out_proj)
    set_norm(spec.ffn.layer_norm, layer.feed_forward_norm)


def set_linear(spec: Any, linear: nn.Linear) -> None:
    """Weight and bias of a linear map."""
    spec.weight, spec.bias = numbers(linear.weight), numbers(linear.bias)


def set_norm(spec: Any, norm: nn.Module) -> None:
    """Scale and shift of a layer norm."""
    spec.gamma, spec.beta = numbers(norm.weight), numbers(norm.bias)


def numbers(tensor: Tensor) -> np.ndarray:
    """A copy that nothing else holds."""
    return tensor.detach().clone().numpy()


def pieces(tokenizer: Any) -> list[str]:
    """All pieces by id."""
    return tokenizer.pieces(range(tokenizer.vocab_size))


def main() -> None:
    """Export what the command line names."""
    bundle, directory, precision = sys.argv[1:]
    export(load_bundle(Path(bundle)), Path(directory), None if precision == "float32" else precision)


if __name__ == "__main__":
    main()
