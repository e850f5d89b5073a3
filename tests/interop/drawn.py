"""Bundles of drawn weights, of any architecture."""

from collections.abc import Sequence

import torch

from transformer_mt.bundle import Bundle, build_model
from transformer_mt.config.schema import Config, DecodingConfig, ModelConfig, TokenizerConfig
from transformer_mt.data.pairs import Pair
from transformer_mt.data.tokenizer import TokenizerPair, train_tokenizers

PAIRS = [Pair(n, f"the cat number {n} sees a bird", f"le chat {7 * n} voit un oiseau") for n in range(1, 200)]
LINES = ["the cat", "a bird sees the number 5", "x", "the the the the cat 1 2 3", "99 birds see été 🙂 _ a cat number"]


def train_on_pairs(pairs: Sequence[Pair] = PAIRS, **settings: object) -> TokenizerPair:
    """Tokenizers of the two languages, or one for both."""
    config = TokenizerConfig(**{"vocab_size": 300, **settings})  # type: ignore[arg-type]
    return train_tokenizers(config, lambda: iter(pairs), lambda _: None)


def drawn_bundle(tokenizers: TokenizerPair, **architecture: object) -> Bundle:
    """A small model none of whose weights, norms and biases included, is what it would be untrained."""
    torch.manual_seed(5)
    sizes = {"d_model": 16, "num_heads": 2, "d_ff": 24, "num_encoder_layers": 2, "num_decoder_layers": 2}
    config = Config(
        model=ModelConfig(**{**sizes, "max_positions": 64, **architecture}),  # type: ignore[arg-type]
        decoding=DecodingConfig(precision="fp32"),
    )
    model = build_model(config, tokenizers)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return Bundle(config, model.eval(), tokenizers)
