"""The encoder–decoder Transformer (Vaswani et al. 2017).

Axes: N rows (see `Rows`), B batch, K hypotheses of a sentence, T target length, S source length, D d_model,
V vocabulary, H heads, E = D / H. Masks: True = may attend.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transformer_mt.config.schema import ModelConfig
from transformer_mt.model.attention import Past, window_mask
from transformer_mt.model.cache import DecoderCache, Keys, attention_dtype, hiding_bias
from transformer_mt.model.dropout import Dropout
from transformer_mt.model.layers import DecoderLayer, EncoderLayer, build_norm
from transformer_mt.model.linear import Linear, autocast_dtype
from transformer_mt.model.positions import LearnedPositions, NoPositions, Rotation, SinusoidalPositions, rotation
from transformer_mt.model.rows import Rows
from transformer_mt.model.trace import Trace
from transformer_mt.native import kernels
from transformer_mt.native.decoder import CompiledDecoder

_SHORTEST_MEMORY = 16
"""Shorter sources are filled up for decoding: PyTorch's softmax of fewer numbers takes four times as long on CPUs."""


class Embedding(nn.Module):
    """Token vectors times sqrt(D), plus positions, plus dropout; the matrix may be shared."""

    def __init__(self, config: ModelConfig, matrix: nn.Embedding) -> None:
        super().__init__()
        self.tokens = matrix
        self.scale = math.sqrt(config.d_model)
        self.positions: nn.Module = NoPositions()
        if config.positions == "sinusoidal":
            self.positions = SinusoidalPositions(config.max_positions, config.d_model)
        elif config.positions == "learned":
            self.positions = LearnedPositions(config.max_positions, config.d_model)
        self.dropout = Dropout(config.embedding_dropout)
        self.dtype: torch.dtype | None = None
        """Type of the result, where it is not that of the matrix."""

    def forward(self, ids: Tensor, positions: Tensor, length: int) -> Tensor:
        """Embed ids (...) at their positions (or one for all), which are all below `length`, as (..., D)."""
        x = self.positions(self.tokens(ids) * self.scale, positions, length)
        if autocast_dtype(x.device.type) == torch.bfloat16:
            x = x.bfloat16()  # here once, so that no block converts its input, output and residual
        return self.dropout(x if self.dtype is None else x.to(self.dtype))  # type: ignore[no-any-return]


class Stack(nn.Module):
    """The layers of one side; in pre-norm order a last norm follows them."""

    def __init__(self, config: ModelConfig, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = build_norm(config) if config.norm_order == "pre" else nn.Identity()


class Transformer(nn.Module):
    """Encoder and decoder with their embeddings and the output matrix."""

    def __init__(self, config: ModelConfig, src_vocab_size: int, tgt_vocab_size: int, pad_id: int = 0) -> None:
        super().__init__()
        self.config = config
        self.pad_id = pad_id
        target = nn.Embedding(tgt_vocab_size, config.d_model)
        source = target if config.tied_embeddings == "all" else nn.Embedding(src_vocab_size, config.d_model)
        self.src_embedding = Embedding(config, source)
        self.tgt_embedding = Embedding(config, target)
        self.encoder = Stack(config, [EncoderLayer(config) for _ in range(config.num_encoder_layers)])
        self.decoder = Stack(config, [DecoderLayer(config) for _ in range(config.num_decoder_layers)])
        self.output_proj = Linear(config.d_model, tgt_vocab_size, bias=config.output_bias)
        if config.tied_embeddings != "none":
            self.output_proj.weight = target.weight
        self.compiled: CompiledDecoder | None = None
        """Takes the place of the decoder's layers in `step`, for a model that is packed in int8."""
        initialise(self, config)

    def forward(self, src: Tensor, tgt_in: Tensor) -> Tensor:
        """Logits (B, T, V) of the token that follows each position of tgt_in (B, T), given src (B, S)."""
        hidden = self.decode(tgt_in, self.encode(src), self.source_mask(src))
        return self.project(hidden)

    def source_mask(self, src: Tensor) -> Tensor:
        """Which positions of src (B, S) are no padding, as (B, 1, 1, S)."""
        return (src != self.pad_id)[:, None, None, :]

    def encode(self, src: Tensor) -> Tensor:
        """The memory (B, S, D) of src (B, S)."""
        rows = self._rows(src != self.pad_id)
        return rows.unpack(self._encode(rows.take(src, self.pad_id), rows))

    def decode(self, tgt_in: Tensor, memory: Tensor, src_mask: Tensor) -> Tensor:
        """Hidden states (B, T, D), each from the tokens tgt_in (B, T) up to its own position only.

        memory (B, S, D) is attended to where src_mask (B, 1, 1, S) is True.
        """
        rows, memory_rows = self._rows(tgt_in != self.pad_id), self._rows(src_mask[:, 0, 0])
        tokens = rows.take(tgt_in, self.pad_id)
        return rows.unpack(self._decode(tokens, rows, memory_rows.pack(memory), memory_rows))

    def hidden_rows(self, src: Tensor, tgt_in: Tensor) -> Tensor:
        """What `decode` gives for the tokens of tgt_in (B, T) alone: rows (N, D), sentence after sentence.

        More rows follow them, which stand for padding; they are to get no gradient. src and tgt_in may lie on the
        host while the model is on a card: then nothing waits for the card.
        """
        src_rows, tgt_rows = self._rows(src != self.pad_id), self._rows(tgt_in != self.pad_id)
        memory = self._encode(src_rows.take(src, self.pad_id), src_rows)
        return self._decode(tgt_rows.take(tgt_in, self.pad_id), tgt_rows, memory, src_rows)

    def _rows(self, real: Tensor) -> Rows:
        return Rows(real, self.output_proj.weight.dtype, self.tgt_embedding.tokens.weight.device)

    def _encode(self, tokens: Tensor, rows: Rows) -> Tensor:
        x, order = self._encoder_start(tokens, rows)
        for layer in self.encoder.layers:
            x = layer(x, rows, *order)
        return self.encoder.norm(x)  # type: ignore[no-any-return]

    def _encoder_start(self, tokens: Tensor, rows: Rows) -> tuple[Tensor, tuple[Tensor, Rotation | None]]:
        """What enters the first encoder layer, and what tells each layer where to look: a mask and a turn."""
        mask = rows.mask
        if self.config.attention_window is not None:
            mask = mask & window_mask(rows.length, self.config.attention_window, rows.device)  # (B, 1, S, S)
        x = self.src_embedding(tokens, rows.positions, rows.length)
        return x, (mask, self._rotation(0, rows.length, rows.device))

    def _decode(self, tokens: Tensor, rows: Rows, memory: Tensor, memory_rows: Rows) -> Tensor:
        """Padding on the right needs no mask: no earlier position sees it, and its own outputs are not used."""
        x, order = self._decoder_start(tokens, rows)
        for layer in self.decoder.layers:
            x = layer(x, rows, memory, memory_rows, *order)
        return self.decoder.norm(x)  # type: ignore[no-any-return]

    def _decoder_start(self, tokens: Tensor, rows: Rows) -> tuple[Tensor, tuple[Tensor | None, Rotation | None]]:
        """What enters the first decoder layer, and what tells each layer the order of tokens: a mask and a turn."""
        self_mask = None  # plain causality
        if self.config.attention_window is not None:
            self_mask = window_mask(rows.length, self.config.attention_window, rows.device).tril()
        x = self.tgt_embedding(tokens, rows.positions, rows.length)
        return x, (self_mask, self._rotation(0, rows.length, rows.device))

    def cross_attention(self, tgt_in: Tensor, memory: Tensor, src_mask: Tensor) -> Tensor:
        """The weights (L, B, H, T, S) by which the L decoder layers attend to the memory; see `decode`."""
        rows, memory_rows = self._rows(tgt_in != self.pad_id), self._rows(src_mask[:, 0, 0])
        packed = memory_rows.pack(memory)
        x, order = self._decoder_start(rows.take(tgt_in, self.pad_id), rows)
        weights = []
        for layer in self._decoder_layers():
            x = layer.attend_self(x, rows, *order)
            weights.append(layer.cross_weights(x, rows, packed, memory_rows))
            x = layer.attend_memory(x, rows, packed, memory_rows)
        return torch.stack(weights)[:, : len(tgt_in), :, : tgt_in.shape[1], : memory.shape[1]]

    def trace(self, src: Tensor, tgt_in: Tensor) -> Trace:
        """What `forward` does on its way, for one sentence src (S,) and its translation tgt_in (T,); no padding."""
        src_rows, tgt_rows = self._rows(src[None] != self.pad_id), self._rows(tgt_in[None] != self.pad_id)
        x, src_order = self._encoder_start(src_rows.take(src[None], self.pad_id), src_rows)
        src_states, encoder = [x], []
        for encoder_layer in cast(list[EncoderLayer], list(self.encoder.layers)):
            encoder.append(encoder_layer.self_weights(x, src_rows, *src_order))
            x = encoder_layer(x, src_rows, *src_order)
            src_states.append(x)
        memory = self.encoder.norm(x)
        y, tgt_order = self._decoder_start(tgt_rows.take(tgt_in[None], self.pad_id), tgt_rows)
        tgt_states, decoder, to_memory = [y], [], []
        for layer in self._decoder_layers():
            decoder.append(layer.self_weights(y, tgt_rows, *tgt_order))
            y = layer.attend_self(y, tgt_rows, *tgt_order)
            to_memory.append(layer.cross_weights(y, tgt_rows, memory, src_rows))
            y = layer.attend_memory(y, tgt_rows, memory, src_rows)
            tgt_states.append(y)
        num_src, num_tgt = len(src), len(tgt_in)  # more rows where shapes are compiled
        return Trace(
            torch.stack([src_rows.unpack(state)[0] for state in src_states]),
            torch.stack([tgt_rows.unpack(state)[0] for state in tgt_states]),
            torch.stack(encoder)[:, 0, :, :num_src, :num_src],
            torch.stack(decoder)[:, 0, :, :num_tgt, :num_tgt],
            torch.stack(to_memory)[:, 0, :, :num_tgt, :num_src],
            tgt_rows.unpack(self.decoder.norm(y))[0],
        )

    def project(self, hidden: Tensor) -> Tensor:
        """Logits (..., V) of hidden states (..., D)."""
        return self.output_proj(hidden)  # type: ignore[no-any-return]

    def output_rows(self, ids: Tensor) -> nn.Module:
        """The map from hidden states (..., D) to the logits (..., n) of the tokens `ids` (n,) alone."""
        return self.output_proj.rows(ids)

    def decoder_memory(self, memory: Tensor, src_mask: Tensor) -> list[Keys]:
        """What each decoder layer's cross-attention sees of memory (B, S, D) where src_mask (B, 1, 1, S) is True."""
        missing = max(0, _SHORTEST_MEMORY - memory.shape[1])
        memory, src_mask = F.pad(memory, (0, 0, 0, missing)), F.pad(src_mask, (0, missing))
        dtype = attention_dtype(memory, self.head_width)
        bias = None if src_mask.all() else hiding_bias(src_mask, dtype)
        return [layer.cross_attention.memory_keys(memory, bias) for layer in self._decoder_layers()]

    def new_cache(self) -> DecoderCache:
        """An empty cache for `step`."""
        return DecoderCache(self.config.num_decoder_layers, self.config.attention_window)

    def step(self, tokens: Tensor, position: int, cache: DecoderCache, memory_keys: Sequence[Keys]) -> Tensor:
        """Hidden states (B, K, D) of the tokens (B, K) at `position` of the K hypotheses of each sentence.

        Equals the last position of `decode` on the whole hypotheses. The cache holds what earlier steps wrote;
        memory_keys are the `decoder_memory` of the B sentences.
        """
        x = self.tgt_embedding(tokens, torch.tensor(position, device=tokens.device), position + 1)  # (B, K, D)
        turn = self._rotation(position, position + 1, tokens.device)
        if self.compiled is not None and kernels.can_attend(x, self.head_width):
            entries = cache.begin(x.unflatten(-1, (self.config.num_heads, -1)))
            x = self.compiled.step(x, entries, memory_keys, turn)
            return self.decoder.norm(x)  # type: ignore[no-any-return]
        for index, (layer, keys) in enumerate(zip(self._decoder_layers(), memory_keys, strict=True)):
            x = layer.step(x, Past(cache, index, position, turn), keys)
        return self.decoder.norm(x)  # type: ignore[no-any-return]

    @property
    def head_width(self) -> int:
        """E."""
        return self.config.d_model // self.config.num_heads

    @property
    def longest_sequence(self) -> int | None:
        """Most positions that this model can take on either side; None where there is no limit."""
        return self.config.max_positions if self.config.positions == "learned" else None

    def num_parameters(self) -> int:
        """Count of the weights, shared ones once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def _decoder_layers(self) -> list[DecoderLayer]:
        return cast(list[DecoderLayer], list(self.decoder.layers))

    def _rotation(self, start: int, end: int, device: torch.device) -> Rotation | None:
        if self.config.positions != "rotary":
            return None
        return rotation(torch.arange(start, end, device=device), self.head_width)


def initialise(model: Transformer, config: ModelConfig) -> None:
    """Draw the initial weights from torch's default generator.

    Vectors of tokens and positions and the output matrix are normal(0, D^-0.5), which the sqrt(D) scale
    brings to 1; every other matrix is Xavier-uniform or uniform(-0.1, 0.1); biases are 0 and norms the identity.
    """
    num_fused = {module.weight: module.num_fused for module in model.modules() if isinstance(module, Linear)}
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif "norm" in name:
            nn.init.ones_(parameter)
        elif "_embedding." in name or name == "output_proj.weight":
            nn.init.normal_(parameter, std=config.d_model**-0.5)
        else:
            for matrix in parameter.chunk(num_fused[parameter]):
                _initialise_matrix(matrix, config)


def _initialise_matrix(matrix: Tensor, config: ModelConfig) -> None:
    if config.init == "xavier":
        nn.init.xavier_uniform_(matrix)
    else:
        nn.init.uniform_(matrix, -0.1, 0.1)
