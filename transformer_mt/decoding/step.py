"""The model as a step function: what `search` asks of a Transformer, with its caches.

Axes: B sentences, K hypotheses of each, S source length, V vocabulary.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from transformer_mt.decoding.narrowing import Narrowed
from transformer_mt.decoding.scoring import mean_of_probabilities
from transformer_mt.decoding.search import StepFunction
from transformer_mt.model.cache import Keys
from transformer_mt.model.transformer import Transformer
from transformer_mt.native import kernels


class ModelStep:
    """The next-token distribution of a Transformer for a batch of sentences, one step at a time.

    The encoder runs once; its keys and values are computed once a sentence and shared by the K hypotheses.
    """

    def __init__(self, model: Transformer, src: Tensor, vocabulary: Narrowed | None = None) -> None:
        """Encode src (B, S); a `vocabulary` stands for that of the model, tokens being places in it."""
        self.model = model
        self.vocabulary = vocabulary
        self.output = model.project if vocabulary is None else model.output_rows(vocabulary.ids)
        self.cache = model.new_cache()
        self.position = 0
        self.memory_keys = model.decoder_memory(model.encode(src), model.source_mask(src))

    def step(self, tokens: Tensor) -> None:
        """See `search.StepFunction`."""
        if self.vocabulary is not None:
            tokens = self.vocabulary.ids[tokens]
        self.hidden = self.model.step(tokens, self.position, self.cache, self.memory_keys)
        self.position += 1

    def log_probs(self, sentences: slice) -> Tensor:
        """See `search.StepFunction`."""
        logits = self.output(self.hidden[sentences])
        if self.vocabulary is not None:
            logits = logits + self.vocabulary.bias[sentences]
        if kernels.are_usable(logits):
            return kernels.log_softmax(logits)
        return F.log_softmax(logits, dim=-1, dtype=torch.float32)

    def reorder(self, parents: Tensor) -> None:
        """See `search.StepFunction`."""
        self.cache.reorder(parents)

    def select(self, rows: Tensor) -> None:
        """See `search.StepFunction`."""
        self.cache.select(rows)
        if self.vocabulary is not None:
            self.vocabulary = self.vocabulary.select(rows)
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


class CheckedStep:
    """A step function that asks `check` before each step; what that raises ends the search."""

    def __init__(self, model: StepFunction, check: Callable[[], object]) -> None:
        self._model = model
        self._check = check
        self.log_probs, self.reorder, self.select = model.log_probs, model.reorder, model.select

    def step(self, tokens: Tensor) -> None:
        """See `search.StepFunction`."""
        self._check()
        self._model.step(tokens)
