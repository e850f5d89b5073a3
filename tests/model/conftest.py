"""Small models to prove things on."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from transformer_mt.config.schema import ModelConfig
from transformer_mt.model.transformer import Transformer

TINY = {
    "d_model": 16,
    "num_heads": 2,
    "d_ff": 24,
    "num_encoder_layers": 2,
    "num_decoder_layers": 3,
    "max_positions": 64,
    "dropout": 0.0,
    "embedding_dropout": 0.0,
}

MakeConfig = Callable[..., ModelConfig]
MakeModel = Callable[..., Transformer]


@pytest.fixture
def make_config() -> MakeConfig:
    """A tiny configuration without dropout; keywords change it."""
    return lambda **changes: ModelConfig(**{**TINY, **changes})


@pytest.fixture
def make_model(make_config: MakeConfig) -> MakeModel:
    """A tiny model with 20 pieces on each side, whose every weight, biases and norms too, is random."""

    def make(**changes: Any) -> Transformer:
        torch.manual_seed(7)
        model = Transformer(make_config(**changes), 20, 20)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
        return model.eval()

    return make
