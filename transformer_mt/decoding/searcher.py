"""Segments in token ids to hypotheses: in batches of like length, by one model or by several that vote."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from transformer_mt.config.schema import DecodingConfig
from transformer_mt.data.batching import pad_rows
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID
from transformer_mt.decoding.constraints import TokenConstraints
from transformer_mt.decoding.narrowing import Narrowing
from transformer_mt.decoding.repetition import NO_REPEAT_NGRAM, repeats_itself
from transformer_mt.decoding.scoring import cross_attention, token_log_probs
from transformer_mt.decoding.search import (
    Beam,
    Candidates,
    Hypothesis,
    Observer,
    Sampling,
    SearchSettings,
    StepFunction,
    beam_search,
    recurring_size,
    sample,
)
from transformer_mt.decoding.step import CheckedStep, EnsembleStep, ModelStep
from transformer_mt.decoding.terms import Term, TermRules
from transformer_mt.device import side_by_side
from transformer_mt.model.packing import is_row_wise
from transformer_mt.model.transformer import Transformer

MOST_HYPOTHESES = 320
"""Of all sentences of a batch on the CPU: more are not faster, and each remembers its past."""
_MOST_BEAMS = 12
"""For segments with terms. A single beam, shared out, finds places for them that nobody would choose."""

Row = TypeVar("Row")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of text to be translated, in tokens."""

    ids: Sequence[int]
    """Of the source, eos included."""
    key: int = 0
    """The number of its line, by which it draws."""
    prefix: Sequence[int] = ()
    """What its translation begins with."""
    terms: Sequence[Term] = ()
    """What its translation has to say."""


Pair = tuple[Segment, Sequence[int]]
"""A segment with the tokens of a translation, without bos and eos."""


class Searcher:
    """One model, or several that share their vocabularies and vote, with settings; they search for segments."""

    def __init__(
        self,
        models: Sequence[Transformer],
        settings: DecodingConfig,
        rules: TermRules,
        narrowing: Narrowing | None = None,
    ) -> None:
        """`models` lie on one device; `rules` are those of the target vocabulary, which `narrowing` makes smaller.

        Where something is drawn, or constraints are to be kept to, the whole vocabulary is looked at.
        """
        self.models = models
        self.settings = settings
        self.rules = rules
        self.narrowing = narrowing
        self.device = next(models[0].parameters()).device
        limits = [model.longest_sequence for model in models]
        searches_alone = narrowing is not None or not all(map(is_row_wise, models))
        self._searches_alone = settings.batch_invariant and searches_alone
        self.longest_sequence = min((limit for limit in limits if limit is not None), default=None)
        self._observer: Observer | None = None
        self._check: Callable[[], object] | None = None

    def observed(self, observer: Observer) -> "Searcher":
        """A searcher that finds the same by the same steps, each of which `observer` is shown."""
        watched = copy.copy(self)
        watched._observer = observer
        return watched

    def checked(self, check: Callable[[], object]) -> "Searcher":
        """A searcher that calls `check` before each step, in any thread: what it raises stops the work."""
        checked = copy.copy(self)
        checked._check = check
        return checked

    def search(
        self, segments: Sequence[Segment], n_best: int = 1, sampling: Sampling | None = None
    ) -> list[list[Hypothesis]]:
        """The n_best best hypotheses for each segment, or as many draws.

        A segment whose best hypothesis repeats itself is searched again without repeated n-grams, which is taken if it
        is better: it does not repeat itself, says something and no fewer terms, and has come to its end if the first
        had. (Its score does not tell: a loop is what the model thinks likely.)
        """
        found = self._search(segments, n_best, sampling, self.settings.no_repeat_ngram)
        if sampling is not None:
            return found
        loops = [i for i, row in enumerate(found) if repeats_itself(row[0].tokens, segments[i].ids)]
        seconds = self._search([segments[i] for i in loops], n_best, None, NO_REPEAT_NGRAM)
        for index, second in zip(loops, seconds, strict=True):
            if self._is_better(second[0], found[index][0], segments[index]):
                found[index] = second
        return found

    def _is_better(self, second: Hypothesis, first: Hypothesis, segment: Segment) -> bool:
        """Whether the second try is taken for a hypothesis that repeats itself."""
        if not second.tokens or repeats_itself(second.tokens, segment.ids) or second.cut_short > first.cut_short:
            return False
        unsaid = [len(self.rules.unsaid(one.tokens, segment.terms)) for one in (second, first)]
        return unsaid[0] <= unsaid[1]

    def _search(
        self, segments: Sequence[Segment], n_best: int, sampling: Sampling | None, no_repeat_ngram: int | None
    ) -> list[list[Hypothesis]]:
        """Segments with terms are searched apart from the others, for their beams are wider."""
        found: list[list[Hypothesis]] = [[] for _ in segments]
        for has_terms in (False, True):
            chosen = [i for i, segment in enumerate(segments) if bool(segment.terms) is has_terms]
            rows = [segments[i] for i in chosen]
            num_hypotheses = n_best if sampling else _beam_size(rows, self.settings)
            results = self._in_batches(
                lambda batch: self._search_batch(batch, n_best, sampling, no_repeat_ngram),
                rows,
                [len(row.ids) for row in rows],
                1 if self._searches_alone else self._most_sentences(num_hypotheses),
            )
            for index, hypotheses in zip(chosen, results, strict=True):
                found[index] = hypotheses
        return found

    def token_log_probs(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """The log-probability of each token of the translations, and of the eos that follows."""

        def score(batch: Sequence[Pair]) -> list[list[float]]:
            return token_log_probs(self.models, *self._padded(batch))

        return self._in_batches(score, pairs, _lengths(pairs), self._most_pairs())

    def attention(self, pairs: Sequence[Pair]) -> list[Tensor]:
        """How much each token of a translation attends to each of its source when it is said: float32 (T, S)."""

        def attend(batch: Sequence[Pair]) -> list[Tensor]:
            src, tgt = self._padded(batch)
            weights = torch.stack([cross_attention(model, src, tgt) for model in self.models]).mean(dim=0).cpu()
            return [w[: len(ids), : len(one.ids)] for w, (one, ids) in zip(weights, batch, strict=True)]

        return self._in_batches(attend, pairs, _lengths(pairs), self._most_pairs())

    def _most_sentences(self, num_hypotheses: int) -> int | None:
        """Most of them in a batch, when each has so many hypotheses; None where there is no limit."""
        return max(1, MOST_HYPOTHESES // num_hypotheses) if self.device.type == "cpu" else None

    def _most_pairs(self) -> int | None:
        return 1 if self.settings.batch_invariant else self._most_sentences(1)

    def _padded(self, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
        """Sources (B, S) and translations (B, T), the latter from bos to eos."""
        src = pad_rows([list(segment.ids) for segment, _ in pairs])
        tgt = pad_rows([[BOS_ID, *ids, EOS_ID] for _, ids in pairs])
        return torch.from_numpy(src).to(self.device), torch.from_numpy(tgt).to(self.device)

    def _in_batches(
        self,
        compute: Callable[[list[Row]], list[Result]],
        rows: Sequence[Row],
        lengths: Sequence[int],
        most_rows: int | None,
    ) -> list[Result]:
        """What `compute` gives for each row, in batches of like length and of `most_rows` at most."""
        batches = list(_length_batches(lengths, self.settings.batch_tokens, most_rows or len(rows)))

        @torch.inference_mode()
        def of_batch(batch: list[int]) -> list[Result]:
            return compute([rows[i] for i in batch])

        found: dict[int, Result] = {}
        num_tasks = len(batches) + self.settings.batch_invariant  # one alone would be computed on several threads
        with side_by_side(self.device, num_tasks) as run:
            for batch, results in zip(batches, run(of_batch, batches), strict=True):
                found.update(zip(batch, results, strict=True))
        return [found[i] for i in range(len(rows))]

    def _search_batch(
        self, segments: Sequence[Segment], n_best: int, sampling: Sampling | None, no_repeat_ngram: int | None
    ) -> list[list[Hypothesis]]:
        src = torch.from_numpy(pad_rows([list(segment.ids) for segment in segments])).to(self.device)
        constraints, narrowed = self._constraints(segments, no_repeat_ngram), None
        if self.narrowing is not None and constraints is None and sampling is None:
            narrowed = self.narrowing.of(src)
        settings = SearchSettings(
            beam_size=_beam_size(segments, self.settings),
            length_penalty=self.settings.length_penalty,
            bos_id=narrowed.bos_place if narrowed else BOS_ID,
            eos_id=narrowed.eos_place if narrowed else EOS_ID,
            n_best=n_best,
        )
        steps = [ModelStep(model, src, narrowed) for model in self.models]
        step: StepFunction = steps[0] if len(steps) == 1 else EnsembleStep(steps)
        if self._check is not None:
            step = CheckedStep(step, self._check)
        if sampling is not None:
            keys = [segment.key for segment in segments]
            return sample(step, self._max_lengths(segments), settings, sampling, keys, constraints)
        observer = self._observer
        if observer is not None and narrowed is not None:
            observer = _in_ids(observer, narrowed.ids)
        found = beam_search(step, self._max_lengths(segments), settings, constraints, observer)
        if narrowed is None:
            return found
        ids = narrowed.ids.tolist()
        return [[replace(one, tokens=[ids[place] for place in one.tokens]) for one in row] for row in found]

    def _constraints(self, segments: Sequence[Segment], no_repeat_ngram: int | None) -> TokenConstraints | None:
        """None where nothing is asked, so that the search does not look for it."""
        room = None if self.longest_sequence is None else self.longest_sequence - 1  # eos takes one
        prefixes = [segment.prefix[:room] for segment in segments] if any(one.prefix for one in segments) else []
        terms = [segment.terms for segment in segments] if any(segment.terms for segment in segments) else []
        if not prefixes and not terms and no_repeat_ngram is None:
            return None
        return TokenConstraints(prefixes, no_repeat_ngram, terms, self.rules)

    def _max_lengths(self, segments: Sequence[Segment]) -> Tensor:
        """Most tokens of each translation (B,), eos included; what it is made to say is not counted."""
        lengths = torch.tensor([len(segment.ids) for segment in segments], device=self.device)
        limits = (lengths * self.settings.max_length_ratio).long() + self.settings.max_length_extra
        made_to_say = [len(segment.prefix) + sum(map(len, segment.terms)) for segment in segments]
        limits += torch.tensor(made_to_say, device=self.device)
        return limits.clamp_max(self.longest_sequence or int(limits.max()))


def _in_ids(observer: Observer, ids: Tensor) -> Observer:
    """`observer` for a search whose tokens are places in `ids`."""

    def observe(live: Beam, candidates: Candidates) -> None:
        observer(replace(live, tokens=ids[live.tokens]), candidates._replace(tokens=ids[candidates.tokens]))

    return observe


def _beam_size(segments: Sequence[Segment], settings: DecodingConfig) -> int:
    """Hypotheses of each segment: a beam for each amount of its terms that may be said, up to a limit."""
    most = max((sum(map(len, segment.terms)) for segment in segments), default=0)
    return settings.beam_size * min(1 + most, _MOST_BEAMS)


def _lengths(pairs: Sequence[Pair]) -> list[int]:
    return [max(len(segment.ids), len(ids) + 2) for segment, ids in pairs]


def _length_batches(lengths: Sequence[int], batch_tokens: int, most_sentences: int) -> Iterator[list[int]]:
    """Indices of the rows in batches of at most `batch_tokens` padded tokens, longest rows first."""
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist()
    while order:
        size = recurring_size(max(1, min(batch_tokens // lengths[order[0]], most_sentences)))
        yield order[:size]
        order = order[size:]
