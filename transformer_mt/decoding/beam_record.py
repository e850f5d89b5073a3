"""What a beam search considered for one sentence, step by step, and what became of it."""

from dataclasses import dataclass, field
from typing import Literal

from transformer_mt.data.vocabulary import EOS_ID
from transformer_mt.decoding.search import Beam, Candidates


@dataclass(frozen=True, slots=True)
class Considered:
    """One of the 2K best continuations of a step, K being the size of the beam."""

    tokens: tuple[int, ...]
    """From the first to the one that the step added, which may be eos."""
    log_prob: float
    """Sum over the tokens."""
    fate: Literal["kept", "ended", "dropped"]
    """kept: goes on; ended: eos came, and it was among the K best; dropped: K others were better."""


@dataclass(slots=True)
class BeamRecord:
    """An observer of the search for one sentence, see `Searcher.observed`."""

    searches: list[list[list[Considered]]] = field(default_factory=list)
    """For each search, of which there are two when the first found something that repeats itself, for each step the
    continuations, best first."""

    def __call__(self, live: Beam, candidates: Candidates) -> None:
        """Take down one step."""
        if live.tokens.shape[-1] == 1:
            self.searches.append([])
        beam_size = live.scores.shape[1]
        step: list[Considered] = []
        num_kept = 0
        before = live.tokens[0, :, 1:].tolist()
        for place, (log_prob, parent, token) in enumerate(zip(*(row[0].tolist() for row in candidates), strict=True)):
            if log_prob == -float("inf"):
                continue
            fate: Literal["kept", "ended", "dropped"] = "dropped"
            if token == EOS_ID:
                fate = "ended" if place < beam_size else "dropped"
            elif num_kept < beam_size:
                fate, num_kept = "kept", num_kept + 1
            step.append(Considered((*before[parent], token), log_prob, fate))
        self.searches[-1].append(step)

    def search_for(self, tokens: tuple[int, ...]) -> list[list[Considered]]:
        """The last search in which a hypothesis ended with these tokens, the last of which is eos; else the last."""
        for search in reversed(self.searches):
            if any(one.tokens == tokens and one.fate == "ended" for step in search for one in step):
                return search
        return self.searches[-1]
