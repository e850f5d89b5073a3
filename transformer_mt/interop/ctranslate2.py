"""A bundle for CTranslate2, the C++ engine that Argos Translate and LibreTranslate decode with.

The names of its variables, and how weights lie in them, are those of `ctranslate2.specs` (checked with 4.8.5).
"""

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from transformer_mt import __version__
from transformer_mt.bundle import Bundle
from transformer_mt.config.schema import ModelConfig
from transformer_mt.data.shortlist import Shortlist
from transformer_mt.data.tokenizer import JOINT_FILE, SOURCE_FILE, TARGET_FILE, Tokenizer
from transformer_mt.data.vocabulary import SPECIAL_PIECES
from transformer_mt.errors import MissingExtraError, TransformerMTError
from transformer_mt.files import atomic_directory
from transformer_mt.manifest import write_manifest
from transformer_mt.model.layers import NORM_EPSILON, DecoderLayer
from transformer_mt.model.linear import Linear
from transformer_mt.model.transformer import Embedding, Stack

NUM_POSITIONS = 1600
"""Rows of a table that could go on for ever. CTranslate2 takes 1,024 pieces of a source by default, and a
translation may be half as long again."""

_SEPARATOR = re.compile(r"[ \t\n]")
_ACTIVATIONS = {"relu": "RELU", "gelu": "GELU", "silu": "SWISH", "swiglu": "SWISH"}

_README = """\
# {src_lang} to {tgt_lang}, for CTranslate2

Written by transformer_mt {version}: the weights of a bundle in {quantization}, and its tokenizer. To translate in this
directory (`pip install ctranslate2 sentencepiece`):

```python
import ctranslate2
import sentencepiece

src = sentencepiece.SentencePieceProcessor(model_file="{src_file}")
tgt = sentencepiece.SentencePieceProcessor(model_file="{tgt_file}")
translator = ctranslate2.Translator(".")
lines = ["A first sentence.", "And another one."]
pieces = src.encode(lines, out_type=str)
results = translator.translate_batch(
    pieces,
    beam_size={beam_size},
    patience=2,
    length_penalty={length_penalty},
    min_decoding_length=0,
    max_decoding_length={longest_output},
    max_batch_size=32,
)
for line in tgt.decode([result.hypotheses[0] for result in results]):
    print(line)
```

- In float32 these are the translations of `transformer-mt translate --precision fp32`, to the token with
  `beam_size=1` (and without `patience`), for lines that transformer_mt neither splits nor searches again. With a beam
  CTranslate2 ends its search sooner, and some lines differ; `patience` lets it go on.
- `min_decoding_length` is 1 when it is not given. Then CTranslate2 leaves the end out of the first step, and its
  scores are not quite the same.
- `max_decoding_length` is one number for all lines of a call, and 256 when it is not given. transformer_mt ends each
  translation at {ratio} x its source + {extra} pieces, end marks included.
- CTranslate2 leaves out what a line has beyond 1,024 pieces, without a word (`max_input_length`). This model was
  trained on sources of up to {longest} pieces; transformer_mt splits longer lines, and searches again for a
  translation that goes round in circles.{limit}
- U+2581 is SentencePiece's blank. To keep it as a character, transformer_mt writes U+E581 as U+E581 "0", then U+2581
  as U+E581 "1" before it encodes, and puts both back after it has decoded. Without that it comes out as a blank.
{shortlist}- `manifest.json` has size and SHA-256 of every file.
"""
_LIMIT = "\n- More than {limit:,} pieces on either side, end marks included, are an error: positions end there."
_SHORTLIST = "- `vmap.txt` is the shortlist of the bundle: `use_vmap=True` looks at likely pieces only.\n"


def export_ctranslate2(bundle: Bundle, path: Path, quantization: str = "float32") -> None:
    """Write the directory `path`: a model for CTranslate2, the tokenizer, a README that shows how to use them.

    The weights are in `quantization`: float32, float16 or int8. Raises as `write_model` does.
    """
    with atomic_directory(path) as directory:
        write_model(bundle, directory, quantization)
        bundle.tokenizers.save(directory)
        if bundle.shortlist is not None:
            _write_map(bundle, bundle.shortlist, directory / "vmap.txt")
        (directory / "README.md").write_text(_readme(bundle, quantization), encoding="utf-8")
        write_manifest(directory)


def write_model(bundle: Bundle, directory: Path, quantization: str) -> None:
    """Write into `directory` what CTranslate2 reads of `bundle`, which stays as it is.

    Raises MissingExtraError without the package ctranslate2, TransformerMTError for what CTranslate2 cannot compute.
    """
    config, model = bundle.config.model, bundle.model
    if config.attention_window is not None:
        raise TransformerMTError(
            f"model.attention_window: {config.attention_window} cannot be exported in any format, for attention sees "
            "all positions there; a model that was trained without it can"
        )
    spec = _new_spec(config)
    _set_side(spec.encoder, spec.encoder.embeddings[0], model.encoder, model.src_embedding)
    _set_side(spec.decoder, spec.decoder.embeddings, model.decoder, model.tgt_embedding)
    spec.decoder.projection.weight = _numbers(model.output_proj.weight)
    if model.output_proj.bias is not None:
        spec.decoder.projection.bias = _numbers(model.output_proj.bias)
    if length := _num_positions(config):
        spec.encoder.position_encodings.encodings = _positions(model.src_embedding, length)
        spec.decoder.position_encodings.encodings = _positions(model.tgt_embedding, length)
    spec.register_source_vocabulary(_pieces(bundle.tokenizers.src))
    spec.register_target_vocabulary(_pieces(bundle.tokenizers.tgt))
    _, unk, bos, eos = SPECIAL_PIECES
    spec.config.unk_token, spec.config.eos_token = unk, eos
    spec.config.decoder_start_token = spec.config.bos_token = bos
    spec.config.add_source_eos = True
    spec.config.layer_norm_epsilon = NORM_EPSILON
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(directory))


def _new_spec(config: ModelConfig) -> Any:
    """CTranslate2's description of such a model, without weights."""
    try:
        from ctranslate2.specs import common_spec, transformer_spec
    except ImportError:
        raise MissingExtraError("ctranslate2", "ctranslate2", "exporting for CTranslate2 and Argos Translate") from None
    options = {
        "pre_norm": config.norm_order == "pre",
        "rms_norm": config.norm == "rms",
        "activation": common_spec.Activation[_ACTIVATIONS[config.activation]],
        "ffn_glu": config.activation == "swiglu",
        "rotary_dim": 0 if config.positions == "rotary" else None,  # 0 stands for all dimensions
        "rotary_interleave": False,  # dimension i turns with i + E/2
    }
    encoder = transformer_spec.TransformerEncoderSpec(config.num_encoder_layers, config.num_heads, **options)
    decoder = transformer_spec.TransformerDecoderSpec(config.num_decoder_layers, config.num_heads, **options)
    return transformer_spec.TransformerSpec(encoder, decoder)


def _set_side(spec: Any, vectors: Any, stack: Stack, embedding: Embedding) -> None:
    """Encoder or decoder, with the `vectors` of its tokens."""
    vectors.weight = _numbers(embedding.tokens.weight)
    spec.scale_embeddings = True  # by sqrt(D)
    if spec.pre_norm:
        _set_norm(spec.layer_norm, stack.norm)
    for layer_spec, layer in zip(spec.layer, stack.layers, strict=True):
        _set_layer(layer_spec, layer)


def _set_layer(spec: Any, layer: Any) -> None:
    """One layer of either side."""
    attention, feed_forward = layer.self_attention, layer.feed_forward
    _set_linear(spec.self_attention.linear[0], attention.qkv_proj)
    _set_linear(spec.self_attention.linear[1], attention.out_proj)
    _set_norm(spec.self_attention.layer_norm, layer.self_attention_norm)
    if isinstance(layer, DecoderLayer):
        for place, name in enumerate(("q_proj", "kv_proj", "out_proj")):
            _set_linear(spec.attention.linear[place], getattr(layer.cross_attention, name))
        _set_norm(spec.attention.layer_norm, layer.cross_attention_norm)
    if hasattr(spec.ffn, "linear_0_noact"):
        _set_linear(spec.ffn.linear_0, feed_forward.in_proj, part=0)  # the gate
        _set_linear(spec.ffn.linear_0_noact, feed_forward.in_proj, part=1)
    else:
        _set_linear(spec.ffn.linear_0, feed_forward.in_proj)
    _set_linear(spec.ffn.linear_1, feed_forward.out_proj)
    _set_norm(spec.ffn.layer_norm, layer.feed_forward_norm)


def _set_linear(spec: Any, linear: Linear, part: int | None = None) -> None:
    """Weight and bias of a linear map, or of one of those that are fused in it."""
    weight, bias = (one if part is None else one.chunk(linear.num_fused)[part] for one in (linear.weight, linear.bias))
    spec.weight, spec.bias = _numbers(weight), _numbers(bias)


def _set_norm(spec: Any, norm: Any) -> None:
    """Scale of a norm, and the shift of a LayerNorm."""
    spec.gamma = _numbers(norm.weight)
    if hasattr(spec, "beta"):
        spec.beta = _numbers(norm.bias)


def _num_positions(config: ModelConfig) -> int | None:
    """Rows of the tables of positions; None for rotary ones, which act inside attention and go on for ever."""
    if config.positions == "rotary":
        return None
    return config.max_positions if config.positions == "learned" else NUM_POSITIONS


def _positions(embedding: Embedding, length: int) -> npt.NDArray[np.float32]:
    """What is added to the vectors of tokens at so many positions: zeros where that is nothing."""
    positions = copy.deepcopy(embedding.positions)  # for a table of sines may grow
    return _numbers(positions(torch.zeros(length, embedding.tokens.embedding_dim), torch.arange(length), length))


def _numbers(tensor: Tensor) -> npt.NDArray[np.float32]:
    """A copy that nothing else holds: to quantise, CTranslate2 overwrites what it is given."""
    return tensor.detach().to("cpu", torch.float32, copy=True).contiguous().numpy()


def _pieces(tokenizer: Tokenizer) -> list[str]:
    return tokenizer.pieces(range(tokenizer.vocab_size))


def _write_map(bundle: Bundle, shortlist: Shortlist, path: Path) -> None:
    """The bundle's shortlist as CTranslate2's vocabulary map: a source piece, a tab, its target pieces.

    A piece that holds a blank or a tab cannot be named there.
    """
    src, tgt = (_pieces(tokenizer) for tokenizer in (bundle.tokenizers.src, bundle.tokenizers.tgt))
    with path.open("w", encoding="utf-8") as file:
        for piece, ids in [("", shortlist.always), *zip(src, shortlist.likely, strict=True)]:
            likely = dict.fromkeys(tgt[i] for i in ids.tolist())
            if not _SEPARATOR.search(piece):
                file.write(f"{piece}\t{' '.join(name for name in likely if not _SEPARATOR.search(name))}\n")


def _readme(bundle: Bundle, quantization: str) -> str:
    """What a user of the directory has to know, with the settings of this bundle."""
    config, is_joint, limit = bundle.config, bundle.tokenizers.is_joint, _num_positions(bundle.config.model)
    ratio, extra = config.decoding.max_length_ratio, config.decoding.max_length_extra
    longest_output = f"int({ratio} * (max(map(len, pieces)) + 1)) + {extra}"
    return _README.format(
        src_lang=config.data.src_lang,
        tgt_lang=config.data.tgt_lang,
        version=__version__,
        quantization=quantization,
        src_file=JOINT_FILE if is_joint else SOURCE_FILE,
        tgt_file=JOINT_FILE if is_joint else TARGET_FILE,
        beam_size=config.decoding.beam_size,
        length_penalty=config.decoding.length_penalty,
        longest_output=longest_output if limit is None else f"min({limit}, {longest_output})",
        ratio=ratio,
        extra=extra,
        longest=bundle.facts.get("max_source_pieces", config.data.max_length),
        limit="" if limit is None else _LIMIT.format(limit=limit),
        shortlist="" if bundle.shortlist is None else _SHORTLIST,
    )
