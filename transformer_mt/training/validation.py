"""Scoring a model while it trains: loss on the pairs, BLEU through the translator that users have."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import torch

from transformer_mt.bundle import Golden
from transformer_mt.config.schema import Config
from transformer_mt.data.batching import BatchLimit, make_batch, plan_epoch
from transformer_mt.data.prepared import EvaluationCorpus
from transformer_mt.data.shortlist import Shortlist
from transformer_mt.data.tokenizer import TokenizerPair
from transformer_mt.data.vocabulary import BOS_ID
from transformer_mt.decoding.confidence import judged
from transformer_mt.decoding.translation import Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.evaluation.calibration import Calibration, learn_calibration
from transformer_mt.evaluation.scores import corpus_bleu
from transformer_mt.model.transformer import Transformer
from transformer_mt.training.loss import batch_loss
from transformer_mt.training.monitor import Sample
from transformer_mt.training.signals import StopNow
from transformer_mt.world import ALONE, World

T = TypeVar("T")
NUM_GOLDEN = 20
"""Translations that a bundle carries to prove itself."""
MOST_RESAMPLED = 2_000_000
"""Lines in all resamples of a BLEU together: sacreBLEU holds them in memory at once, 40 bytes each."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What one validation found."""

    loss: float
    """Negative log-likelihood of a target token, without label smoothing."""
    bleu: float | None
    interval: tuple[float, float] | None
    """The 95 % bootstrap interval of it."""
    signature: str | None
    """How sacreBLEU computed it."""
    samples: Sequence[Sample]
    golden: Sequence[Golden]
    sees_ahead: bool
    """Whether the decoder says otherwise of a word when words after it are changed, which it must not know."""
    calibration: Calibration | None = None
    """What the probabilities of its words are worth, where it translated some."""

    def record(self) -> dict[str, Any]:
        """The part of it that goes into metrics.jsonl."""
        perplexity = math.exp(min(self.loss, 50.0))
        bounds = dict(zip(("bleu_low", "bleu_high"), self.interval, strict=True)) if self.interval else {}
        return {"loss": self.loss, "perplexity": perplexity, "bleu": self.bleu, **bounds, "sees_ahead": self.sees_ahead}

    def score(self, metric: str) -> float:
        """What makes it the best one: larger is better."""
        return self.bleu if metric == "bleu" and self.bleu is not None else -self.loss


class Validator:
    """Validation pairs with all that is needed to score a model on them. The processes of `world` share the work."""

    def __init__(
        self,
        config: Config,
        corpus: EvaluationCorpus,
        tokenizers: TokenizerPair,
        max_source_pieces: int,
        shortlist: Shortlist | None,
        world: World = ALONE,
        check: Callable[[], object] | None = None,
    ) -> None:
        """`shortlist` is needed where decoding.shortlist asks for it. `check` may raise StopNow to end a validation."""
        self.config = config
        self.corpus = corpus
        self.tokenizers = tokenizers
        self.max_source_pieces = max_source_pieces
        self.shortlist = shortlist
        self.world = world
        self.check = check or (lambda: None)
        limit = BatchLimit(max(config.training.batch_size, config.data.max_length), in_tokens=True)
        if config.training.batch_unit == "sentences":
            limit = BatchLimit(config.training.batch_size, in_tokens=False)
        self.plan = plan_epoch(corpus, limit, seed=0, epoch=0)

    def validate(self, model: Transformer, precision: str) -> Validation:
        """Score `model`; its mode (training or not) is what it was before. Collective, with one result for all.

        Raises StopNow on all processes when `check` did on one.
        """
        was_training = model.training
        model.eval()
        try:
            loss, ahead = self._loss(model, precision), self._sees_ahead(model)
            if self.config.evaluation.metric == "loss" and not self.config.evaluation.num_samples:
                return Validation(loss, None, None, None, (), (), ahead)
            return self._translate(model, loss, ahead)
        finally:
            model.train(was_training)

    @torch.no_grad()
    def _loss(self, model: Transformer, precision: str) -> float:
        def own() -> Iterator[tuple[float, int]]:
            for position in self.world.share(len(self.plan)):
                self.check()
                batch = make_batch(self.corpus, self.plan.batch_pairs(position))
                yield float(batch_loss(model, batch, precision, 0.0)[1]), batch.num_target_tokens

        losses, tokens = zip(*self._of_all(lambda: list(own())), strict=True)
        return sum(losses) / sum(tokens)

    def _of_all(self, work: Callable[[], list[T]]) -> list[T]:
        """What `work` gives on all processes, by rank; raises StopNow when it did on one, whose share is missing."""
        own: list[T] | None
        try:
            own = work()
        except StopNow:
            own = None
        shares = [share for share in self.world.gather(own) if share is not None]
        if len(shares) < self.world.size:
            raise StopNow
        return [*chain(*shares)]

    @torch.no_grad()
    def _sees_ahead(self, model: Transformer) -> bool:
        """Try it on the longest target: input from its middle on is changed, and what comes out before compared."""
        batch = make_batch(self.corpus, np.array([int(np.argmax(self.corpus.tgt_lengths))]))
        middle = batch.tgt_in.shape[1] // 2
        changed = batch.tgt_in.clone()
        changed[:, middle:] = BOS_ID  # which is never there
        before, after = (model.hidden_rows(batch.src, tgt_in)[:middle] for tgt_in in (batch.tgt_in, changed))
        return not torch.allclose(before, after, rtol=1e-3, atol=1e-3)

    def _translate(self, model: Transformer, loss: float, ahead: bool) -> Validation:
        settings, evaluation = self.config.decoding, self.config.evaluation
        settings = replace(settings, beam_size=evaluation.beam_size or settings.beam_size)
        translator = Translator([model], self.tokenizers, settings, self.max_source_pieces, self.shortlist)
        pairs = self.corpus.pairs[: evaluation.max_lines]
        own = [pairs[index].src for index in self.world.share(len(pairs))]
        wishes = Wishes(confidence=True)
        translations = self._of_all(lambda: list(translator.checked(self.check).stream(own, wishes)))
        hypotheses, references = [one.text for one in translations], [pair.tgt for pair in pairs]
        num_resamples = min(evaluation.bootstrap_samples, MOST_RESAMPLED // len(pairs))
        bleu = corpus_bleu(hypotheses, [[reference] for reference in references], num_resamples)
        interval = (bleu.low, bleu.high) if bleu.low is not None and bleu.high is not None else None
        shown = range(0, len(pairs), max(1, len(pairs) // max(1, evaluation.num_samples)))[: evaluation.num_samples]
        samples = [Sample(pairs[i].src, hypotheses[i], pairs[i].tgt) for i in shown]
        golden = [
            Golden(pair.src, hypothesis, settings.beam_size, translator.precision)
            for pair, hypothesis in zip(pairs[:NUM_GOLDEN], hypotheses[:NUM_GOLDEN], strict=True)
        ]
        calibration = learn_calibration(judged(translations, references))
        return Validation(loss, bleu.score, interval, bleu.signature, samples, golden, ahead, calibration)
