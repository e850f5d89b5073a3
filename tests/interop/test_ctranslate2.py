"""What CTranslate2 computes from an export is what our own model computes: tokens and probabilities."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from transformer_mt.bundle import Bundle, build_model
from transformer_mt.config.schema import Config, DataConfig, ModelConfig, TokenizerConfig
from transformer_mt.data.pairs import Pair
from transformer_mt.data.tokenizer import TokenizerPair, train_tokenizers
from transformer_mt.data.batching import pad_rows
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID
from transformer_mt.decoding.scoring import token_log_probs
from transformer_mt.decoding.search import SearchSettings, beam_search
from transformer_mt.decoding.step import ModelStep

ctranslate2 = pytest.importorskip("ctranslate2", reason="CTranslate2 is installed on Linux only")

from transformer_mt.interop.ctranslate2 import export_ctranslate2  # noqa: E402

MATRIX = list(
    itertools.product(
        ("pre", "post"),
        ("layer", "rms"),
        ("relu", "gelu", "swiglu"),
        ("sinusoidal", "learned", "rotary", "none"),
        ("all", "decoder", "none"),
    )
)


@pytest.fixture(scope="module")
def tokenizers() -> TokenizerPair:
    pairs = [Pair(str(n), f"the cat number {n} sees a bird", f"le chat {n * 7} voit un oiseau") for n in range(200)]
    return train_tokenizers(TokenizerConfig(vocab_size=300), lambda: iter(pairs), lambda _: None)


def random_bundle(model: ModelConfig, tokenizers: TokenizerPair) -> Bundle:
    """A bundle of drawn weights, of which none, norms and biases included, is what it is by default."""
    torch.manual_seed(5)
    config = Config(model=model)
    built = build_model(config, tokenizers)
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return Bundle(config, built.eval(), tokenizers)


@pytest.mark.parametrize(("order", "norm", "activation", "positions", "tied"), MATRIX)
def test_every_architecture_gives_our_greedy_tokens_and_log_probs(
    order: str, norm: str, activation: str, positions: str, tied: str, tokenizers: TokenizerPair, tmp_path: Path
) -> None:
    config = ModelConfig(
        d_model=16, num_heads=2, d_ff=24, num_encoder_layers=2, num_decoder_layers=2, norm_order=order, norm=norm,
        activation=activation, positions=positions, tied_embeddings=tied, max_positions=64,
    )
    bundle = random_bundle(config, tokenizers)
    export_ctranslate2(bundle, tmp_path / "out")
    lines = ["the cat", "a bird sees the number 5", "x", "the the the the cat 1 2 3", "99 birds see a cat number"]
    src = tokenizers.src.encode(lines)
    names = tokenizers.src.pieces(range(tokenizers.src.vocab_size))
    engine = ctranslate2.Translator(str(tmp_path / "out"))
    results = engine.translate_batch([[names[i] for i in row] for row in src], beam_size=1, max_decoding_length=12, min_decoding_length=0, return_scores=True, length_penalty=0)
    with torch.inference_mode():
      padded = torch.from_numpy(pad_rows([[*row, EOS_ID] for row in src]))
      settings = SearchSettings(beam_size=1, length_penalty=0, bos_id=BOS_ID, eos_id=EOS_ID)
      found = beam_search(ModelStep(bundle.model, padded), torch.full((len(src),), 13), settings)
      ours = [[names[i] for i in row[0].tokens] for row in found]
      assert [r.hypotheses[0] for r in results] == ours
      tgt = [row[0].tokens for row in found]
      scored = engine.score_batch([[names[i] for i in row] for row in src], ours)
      mine = token_log_probs([bundle.model], padded, torch.from_numpy(pad_rows([[BOS_ID, *row, EOS_ID] for row in tgt])))
      for a, b in zip(scored, mine):
        assert np.abs(np.array(a.log_probs) - b).max() < 1e-4
