"""Greedy search, beam search and sampling over a step function; knows no model.

Axes: B sentences, K hypotheses of each (the beam), V vocabulary, t tokens so far (the leading bos included).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from transformer_mt.native import kernels

_BLOCK = 64
"""Numbers whose maximum is taken together in `best_continuations`."""
_ROWS_IN_CACHE = 64
"""Hypotheses whose log-probabilities are looked at together on the CPU: 64 times 10,000 take 2.5 MB."""


class StepFunction(Protocol):
    """A model in the middle of a search: it remembers what it needs of the tokens it was given before."""

    def step(self, tokens: Tensor) -> None:
        """Go on to the next position, given the newest token of each hypothesis (B, K)."""
        ...

    def log_probs(self, sentences: slice) -> Tensor:
        """Float32 log-probabilities (b, K, V) of the next token after each hypothesis of some of the sentences."""
        ...

    def reorder(self, parents: Tensor) -> None:
        """From now on hypothesis k of sentence b continues what was hypothesis parents[b, k] (B, K)."""
        ...

    def select(self, rows: Tensor) -> None:
        """From now on only the sentences at `rows` (B',) are searched."""
        ...


class Constraints(Protocol):
    """What hypotheses of some sentences must or may not hold; `sentences` (b,) are their numbers in the search."""

    def allow(self, log_probs: Tensor, tokens: Tensor, sentences: Tensor) -> Tensor:
        """`log_probs` (b, K, V) with -inf for every token that may not follow tokens (b, K, t).

        At the maximum length eos must be allowed.
        """
        ...

    def arrange(self, candidates: "Candidates", allowed: Tensor, live: "Beam", sentences: Tensor) -> "Candidates":
        """Candidates (b, C), perhaps others than these, in the order in which they are to be kept.

        `allowed` (b, K, V) are the log-probabilities of what may follow the live hypotheses.
        """
        ...


Observer = Callable[["Beam", "Candidates"], None]
"""Is shown the live hypotheses at each step of a search, and their continuations before these are sorted out."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One finished translation in tokens."""

    tokens: list[int]
    """Without bos and eos."""
    log_prob: float
    """Sum of the log-probabilities of the tokens and of eos."""
    score: float
    """log_prob / n ** length_penalty, n counting the tokens and eos."""
    cut_short: bool
    """Whether the maximum length ended it, and not the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """What a search is to look for; see `DecodingConfig` for beam_size and length_penalty."""

    beam_size: int
    length_penalty: float
    bos_id: int
    eos_id: int
    n_best: int = 1
    """Hypotheses returned for each sentence, at most beam_size; it does not change which is best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn at random."""

    temperature: float = 1.0
    """Log-probabilities are divided by it: below 1 keeps to the likely, above 1 strays."""
    top_k: int | None = None
    """Only the k likeliest tokens can be drawn."""
    top_p: float = 1.0
    """Only the likeliest tokens that together have this probability can be drawn (Holtzman et al. 2020)."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Beam:
    """Hypotheses of each sentence: the unfinished ones, or the finished."""

    tokens: Tensor
    """(B, K, t) int64, from bos on; after the first eos, eos."""
    scores: Tensor
    """(B, K) float32, -inf where there is none: sums of log-probabilities, length-normalised once finished."""

    def select(self, hypotheses: Tensor) -> "Beam":
        """The hypotheses at `hypotheses` (B, K') of each sentence."""
        index = hypotheses.unsqueeze(-1).expand(-1, -1, self.tokens.shape[-1])
        return Beam(self.tokens.gather(1, index), self.scores.gather(1, hypotheses))

    def rows(self, rows: Tensor | slice) -> "Beam":
        """The hypotheses of the sentences at `rows`."""
        return Beam(self.tokens[rows], self.scores[rows])


def beam_search(
    model: StepFunction,
    max_lengths: Tensor,
    settings: SearchSettings,
    constraints: Constraints | None = None,
    observer: Observer | None = None,
) -> list[list[Hypothesis]]:
    """The n_best best finished hypotheses that a beam of beam_size meets, best first, for each sentence.

    `max_lengths` (B,) bounds the tokens of each sentence, eos included; at the bound only eos may follow.
    A sentence is done when no unfinished hypothesis can beat its n-th best finished one any more:
    log-probabilities are at most 0, so one with sum s can at best score s / max_length ** length_penalty.
    Stopping then never changes the result, and the best is the same for every n_best. A beam of one is
    greedy search, which is done at its first eos.
    """
    if not 1 <= settings.n_best <= settings.beam_size:
        raise ValueError(f"n_best must be in [1, beam_size = {settings.beam_size}], got {settings.n_best}")
    results: list[list[Hypothesis]] = [[] for _ in max_lengths]
    sentences = torch.arange(len(max_lengths), device=max_lengths.device)
    live = _first_beam(len(max_lengths), settings, max_lengths.device)
    finished = Beam(live.tokens, torch.full_like(live.scores, -torch.inf))
    is_open = torch.ones_like(sentences, dtype=torch.bool)  # those that are done stay until it pays to leave them out
    length = 0
    while len(sentences) > 0:
        length += 1
        model.step(live.tokens[..., -1])
        candidates = _candidates(model, live, _Where(sentences, max_lengths == length), settings, constraints)
        if observer is not None:
            observer(live, candidates)
        live, ended, parents = advance(live, candidates, settings.eos_id)
        model.reorder(parents)
        if ended is not None:
            normalised = ended.scores / length**settings.length_penalty
            finished = _keep_best(finished, replace(ended, scores=normalised), settings.eos_id)
        if finished.tokens.shape[-1] == 1:
            continue  # nothing has ended so far
        done = _settled(live, finished, max_lengths, settings) & is_open
        if done.any():
            for row in done.nonzero().flatten().tolist():
                results[int(sentences[row])] = _read_out(finished, row, int(max_lengths[row]), settings)
            is_open &= ~done
            if (going := _those_to_go_on(is_open)) is not None:
                model.select(going)
                live, finished = live.rows(going), finished.rows(going)
                sentences, max_lengths, is_open = sentences[going], max_lengths[going], is_open[going]
    return results


def recurring_size(num_sentences: int) -> int:
    """The largest size of a batch, at most `num_sentences`, that comes up often.

    There are two sizes between a power of two and the next, and multiples of 8 below 32: fast products are made
    for a number of rows, which takes longer than many of them.
    """
    return num_sentences - num_sentences % _step_between_sizes(num_sentences) if num_sentences > 8 else num_sentences


def _step_between_sizes(num_sentences: int) -> int:
    return max(8, 1 << num_sentences.bit_length() >> 2)


def _those_to_go_on(is_open: Tensor) -> Tensor | None:
    """The rows to be searched further, when they are so few that it pays to leave the others out.

    Some that are done go with them, so that the sizes of batches recur; each row moves to a lower place or not at all.
    """
    num_open = int(is_open.sum())
    if num_open == 0:
        return is_open.nonzero().squeeze(1)
    step = _step_between_sizes(num_open - 1)
    count = num_open + -num_open % step
    if count >= len(is_open):
        return None
    rows = torch.arange(count, device=is_open.device)
    free = (~is_open[:count]).nonzero().squeeze(1)
    late = count + is_open[count:].nonzero().squeeze(1)
    rows[free[: len(late)]] = late
    return rows


class Candidates(NamedTuple):
    """Continuations of the hypotheses of each sentence in the order in which they are kept, best first; each (B, C)."""

    scores: Tensor
    """Sums of log-probabilities."""
    parents: Tensor
    """The hypothesis that is continued."""
    tokens: Tensor


def advance(live: Beam, candidates: Candidates, eos_id: int) -> tuple[Beam, Beam | None, Tensor]:
    """Extend the K live hypotheses by one token, given their 2K best continuations.

    Returns the first K that go on; the hypotheses that end here, if any do, which are those of the first K
    continuations whose token is eos; and each survivor's parent (B, K), by which the caller reorders its
    caches. Of 2K continuations at most K end, so K can always go on.
    """
    beam_size = live.scores.shape[1]
    scores, parents, token = candidates
    tokens = torch.cat([live.select(parents).tokens, token.unsqueeze(-1)], dim=-1)  # (B, 2K, t + 1)
    is_end = token == eos_id
    ended = None
    if (ends_now := is_end[:, :beam_size]).any():
        ended = Beam(tokens[:, :beam_size], scores[:, :beam_size].masked_fill(~ends_now, -torch.inf))
    survivors = is_end.byte().argsort(dim=1, stable=True)[:, :beam_size]  # (B, K)
    going = Beam(tokens, scores.masked_fill(is_end, -torch.inf)).select(survivors)
    return going, ended, parents.gather(1, survivors)


class _Where(NamedTuple):
    """Where the search is with each sentence, each (B,)."""

    sentences: Tensor
    """Its number in the search."""
    at_limit: Tensor
    """Whether its maximum length is reached."""


def _candidates(
    model: StepFunction, live: Beam, where: _Where, settings: SearchSettings, constraints: Constraints | None
) -> Candidates:
    """The 2K best continuations of the live hypotheses, found for a few sentences at a time."""
    is_limited = bool(where.at_limit.any())
    found = []
    for part in _parts(live.scores):
        log_probs = model.log_probs(part)
        if constraints is not None:
            log_probs = constraints.allow(log_probs, live.tokens[part], where.sentences[part])
        if is_limited:
            log_probs = _only_eos_at(where.at_limit[part], log_probs, settings.eos_id)
        best = best_continuations(live.scores[part], log_probs, 2 * settings.beam_size)
        if constraints is not None:
            best = constraints.arrange(best, log_probs, live.rows(part), where.sentences[part])
        found.append(best)
    return found[0] if len(found) == 1 else Candidates(*map(torch.cat, zip(*found, strict=True)))


def _parts(scores: Tensor) -> list[slice]:
    """Sentences whose log-probabilities are looked at together: on the CPU so few that they stay in its cache."""
    num_sentences, beam_size = scores.shape
    size = max(1, _ROWS_IN_CACHE // beam_size) if scores.device.type == "cpu" else num_sentences
    return [slice(start, start + size) for start in range(0, num_sentences, size)]


def best_continuations(scores: Tensor, log_probs: Tensor, count: int) -> Candidates:
    """The `count` largest sums scores[b, k] + log_probs[b, k, v] of each sentence, or all where they are fewer.

    They lie in the blocks of the vocabulary that have the largest maxima, or in its rest, so that only these are
    looked through: the V numbers are read once and never sorted.
    """
    beam_size, vocab_size = log_probs.shape[1:]
    if kernels.are_usable(log_probs):
        return Candidates(*kernels.best_continuations(scores, log_probs, min(count, beam_size * vocab_size)))
    num_blocks = vocab_size // _BLOCK
    if beam_size * num_blocks <= count:
        best, places = (scores.unsqueeze(-1) + log_probs).flatten(1).topk(min(count, beam_size * vocab_size))
        return Candidates(best, places // vocab_size, places % vocab_size)
    split = num_blocks * _BLOCK
    by_block = log_probs[..., :split].unflatten(2, (num_blocks, _BLOCK))
    maxima = (scores.unsqueeze(-1) + by_block.amax(dim=3)).flatten(1)  # (B, K * blocks)
    blocks = maxima.topk(count, sorted=False).indices  # (B, count)
    sentences = torch.arange(len(blocks), device=blocks.device).unsqueeze(1)
    parents, block = blocks // num_blocks, blocks % num_blocks
    inside = scores.gather(1, parents).unsqueeze(2) + by_block[sentences, parents, block]  # (B, count, _BLOCK)
    rest = (scores.unsqueeze(-1) + log_probs[..., split:]).flatten(1)
    best, places = torch.cat([inside.flatten(1), rest], dim=1).topk(count)
    in_rest = places - count * _BLOCK
    which = (places // _BLOCK).clamp_max(count - 1)
    num_rest = max(1, vocab_size - split)
    return Candidates(
        best,
        torch.where(in_rest < 0, parents.gather(1, which), in_rest // num_rest),
        torch.where(in_rest < 0, block.gather(1, which) * _BLOCK + places % _BLOCK, split + in_rest % num_rest),
    )


def sample(
    model: StepFunction,
    max_lengths: Tensor,
    settings: SearchSettings,
    sampling: Sampling,
    keys: Sequence[int],
    constraints: Constraints | None = None,
) -> list[list[Hypothesis]]:
    """n_best hypotheses drawn at random for each sentence, in the order drawn; the beam holds all of them.

    Each sentence draws from a generator of its own, seeded by (sampling.seed, its key): so what is drawn
    for it does not depend on the sentences beside it. Scores are those of the model, not of the draw.
    """
    num_samples, device = settings.n_best, max_lengths.device
    generators = [np.random.default_rng([sampling.seed, key]) for key in keys]
    tokens = torch.full((len(keys), num_samples, 1), settings.bos_id, device=device)
    sentences = torch.arange(len(keys), device=device)
    log_probs = torch.zeros(len(keys), num_samples, device=device)
    ended = torch.zeros_like(log_probs, dtype=torch.bool)
    length = 0
    while not ended.all():
        length += 1
        model.step(tokens[..., -1])
        step = model.log_probs(slice(None))
        if constraints is not None:
            step = constraints.allow(step, tokens, sentences)
        step = _only_eos_at(max_lengths == length, step, settings.eos_id)
        draws = np.stack([generator.random(num_samples) for generator in generators])
        drawn = _draw(step, torch.from_numpy(draws).to(device), sampling)
        drawn = drawn.masked_fill(ended, settings.eos_id)
        log_probs += step.gather(-1, drawn.unsqueeze(-1)).squeeze(-1).masked_fill(ended, 0.0)
        tokens = torch.cat([tokens, drawn.unsqueeze(-1)], dim=-1)
        ended |= drawn == settings.eos_id
    return [
        [_hypothesis(*drawn, int(limit), settings) for drawn in zip(rows, sums, strict=True)]
        for rows, sums, limit in zip(tokens.tolist(), log_probs.tolist(), max_lengths, strict=True)
    ]


def _draw(log_probs: Tensor, uniform: Tensor, sampling: Sampling) -> Tensor:
    """Tokens (B, K) at the quantiles `uniform` (B, K) of the tempered and truncated distributions (B, K, V)."""
    ordered, token = F.log_softmax(log_probs / sampling.temperature, dim=-1).sort(dim=-1, descending=True)
    probs = ordered.double().exp()
    before = probs.cumsum(dim=-1) - probs  # probability of all likelier tokens: 0 for the likeliest, which stays
    allowed = before < sampling.top_p
    if sampling.top_k is not None:
        allowed[..., sampling.top_k :] = False
    cumulative = (probs * allowed).cumsum(dim=-1)
    target = uniform.unsqueeze(-1) * cumulative[..., -1:]
    place = torch.searchsorted(cumulative, target, right=True).clamp_max(log_probs.shape[-1] - 1)
    return token.gather(-1, place).squeeze(-1)


def _first_beam(num_sentences: int, settings: SearchSettings, device: torch.device) -> Beam:
    """One hypothesis, bos, for each sentence; the other places of the beam are empty."""
    tokens = torch.full((num_sentences, settings.beam_size, 1), settings.bos_id, device=device)
    scores = torch.full((num_sentences, settings.beam_size), -torch.inf, device=device)
    scores[:, 0] = 0.0
    return Beam(tokens, scores)


def _only_eos_at(at_limit: Tensor, log_probs: Tensor, eos_id: int) -> Tensor:
    """`log_probs` (B, K, V) with all but eos forbidden for the sentences where at_limit (B,)."""
    if not at_limit.any():
        return log_probs
    forbidden = torch.ones(log_probs.shape[-1], dtype=torch.bool, device=log_probs.device)
    forbidden[eos_id] = False
    return log_probs.masked_fill(at_limit.view(-1, 1, 1) & forbidden, -torch.inf)


def _keep_best(finished: Beam, ended: Beam, eos_id: int) -> Beam:
    """The K best of both, best first."""
    tokens = F.pad(finished.tokens, (0, ended.tokens.shape[-1] - finished.tokens.shape[-1]), value=eos_id)
    both = Beam(torch.cat([tokens, ended.tokens], dim=1), torch.cat([finished.scores, ended.scores], dim=1))
    return both.select(both.scores.topk(finished.scores.shape[1]).indices)


def _settled(live: Beam, finished: Beam, max_lengths: Tensor, settings: SearchSettings) -> Tensor:
    """For each sentence (B,) whether its n_best best are found."""
    if settings.beam_size == 1:
        return finished.scores[:, 0] > -torch.inf
    reachable = live.scores.amax(dim=1) / max_lengths**settings.length_penalty
    return finished.scores[:, settings.n_best - 1] >= reachable


def _read_out(finished: Beam, row: int, max_length: int, settings: SearchSettings) -> list[Hypothesis]:
    """The n_best best finished hypotheses of one sentence."""
    hypotheses: list[Hypothesis] = []
    for tokens, score in zip(finished.tokens[row].tolist(), finished.scores[row].tolist(), strict=True):
        if score > -float("inf") and len(hypotheses) < settings.n_best:
            length = tokens.index(settings.eos_id)  # bos stands for eos in this count
            hypotheses.append(_hypothesis(tokens, score * length**settings.length_penalty, max_length, settings))
    return hypotheses


def _hypothesis(tokens: list[int], log_prob: float, max_length: int, settings: SearchSettings) -> Hypothesis:
    length = tokens.index(settings.eos_id)
    score = log_prob / length**settings.length_penalty
    return Hypothesis(tokens[1:length], log_prob, score, cut_short=length >= max_length)
