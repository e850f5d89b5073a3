"""The model as a step function: what `search` asks of a Transformer, with its caches.

Axes: B sentences, K hypotheses of each, S source length, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from transformer_mt.device import autocast
from transformer_mt.model.transformer import Transformer


class ModelStep:
    """The next-token distribution of a Transformer for a batch of sentences, one step at a time.

    The encoder runs once; its keys and values are computed once a sentence and shared by the K hypotheses.
    """

    def __init__(self, model: Transformer, src: Tensor, precision: str = "fp32") -> None:
        """Encode src (B, S); `precision` (fp32, bf16, fp16) is that of the matrix products."""
        self.model = model
        self.precision = precision
        self.src_mask = model.source_mask(src)
        self.cache = model.new_cache()
        self.position = 0
        with autocast(src.device, precision):
            self.cross_kv = model.decoder_memory(model.encode(src))

    def step(self, tokens: Tensor) -> Tensor:
        """Float32 log-probabilities (B, K, V) of the token after the newest ones, tokens (B, K)."""
        with autocast(tokens.device, self.precision):
            hidden = self.model.step(tokens, self.position, self.cache, self.cross_kv, self.src_mask)
            logits = self.model.project(hidden)
        self.position += 1
        return F.log_softmax(logits, dim=-1, dtype=torch.float32)

    def reorder(self, parents: Tensor) -> None:
        """See `search.StepFunction`."""
        if not torch.equal(parents, torch.arange(parents.shape[1], device=parents.device).expand_as(parents)):
            self.cache.reorder(parents)

    def select(self, rows: Tensor) -> None:
        """See `search.StepFunction`."""
        self.cache.select(rows)
        self.src_mask = self.src_mask[rows]
        self.cross_kv = [(k[rows], v[rows]) for k, v in self.cross_kv]
