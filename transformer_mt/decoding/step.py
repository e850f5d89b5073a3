"""The model as a step function: what `search` asks of a Transformer, with its caches.

Axes: B sentences, K hypotheses of each, S source length, V vocabulary.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from transformer_mt.decoding.scoring import mean_of_probabilities
from transformer_mt.decoding.search import StepFunction
from transformer_mt.model.cache import Keys
from transformer_mt.model.transformer import Transformer


class ModelStep:
    """The next-token distribution of a Transformer for a batch of sentences, one step at a time.

    The encoder runs once; its keys and values are computed once a sentence and shared by the K hypotheses.
    """

    def __init__(self, model: Transformer, src: Tensor) -> None:
        """Encode src (B, S)."""
        self.model = model
        self.cache = model.new_cache()
        self.position = 0
        self.memory_keys = model.decoder_memory(model.encode(src), model.source_mask(src))

    def step(self, tokens: Tensor) -> None:
        """See `search.StepFunction`."""
        self.hidden = self.model.step(tokens, self.position, self.cache, self.memory_keys)
        self.position += 1

    def log_probs(self, sentences: slice) -> Tensor:
        """See `search.StepFunction`."""
        return F.log_softmax(self.model.project(self.hidden[sentences]), dim=-1, dtype=torch.float32)

    def reorder(self, parents: Tensor) -> None:
        """See `search.StepFunction`."""
        self.cache.reorder(parents)

    def select(self, rows: Tensor) -> None:
        """See `search.StepFunction`."""
        self.cache.select(rows)
        self.memory_keys = [
            Keys(keys[rows], values[rows], None if bias is None else bias[rows])
            for keys, values, bias in self.memory_keys
        ]


class EnsembleStep:
    """Several models as one: the mean of their probabilities."""

    def __init__(self, steps: Sequence[StepFunction]) -> None:
        self.steps = steps

    def step(self, tokens: Tensor) -> None:
        """See `search.StepFunction`."""
        for one in self.steps:
            one.step(tokens)

    def log_probs(self, sentences: slice) -> Tensor:
        """See `search.StepFunction`."""
        return mean_of_probabilities([one.log_probs(sentences) for one in self.steps])

    def reorder(self, parents: Tensor) -> None:
        """See `search.StepFunction`."""
        for one in self.steps:
            one.reorder(parents)

    def select(self, rows: Tensor) -> None:
        """See `search.StepFunction`."""
        for one in self.steps:
            one.select(rows)
