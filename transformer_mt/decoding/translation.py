"""What a translator is asked for, and what it answers."""

from dataclasses import dataclass

from transformer_mt.decoding.search import Sampling
from transformer_mt.decoding.terms import Glossary
from transformer_mt.decoding.word_alignment import Link

PieceScore = tuple[str, float]
"""A piece as SentencePiece writes it, and its log-probability; the end is `</s>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is asked for beside the best translation of each line."""

    n_best: int = 1
    """Alternatives, at most beam_size unless they are drawn."""
    sampling: Sampling | None = None
    """Draw instead of searching."""
    by_consensus: bool = False
    """Put the alternative that is most like all of them first (minimum Bayes risk, by chrF)."""
    glossary: Glossary | None = None
    """Terms that have to be said."""
    token_scores: bool = False
    """The log-probability of each piece of the translation."""
    confidence: bool = False
    """How probable it is that a translation is right, word by word and as a whole; see `Translation.confidence`."""
    alignments: bool = False
    """Which source word each word of the translation comes from."""
    protect: bool = False
    """Keep what `placeables` finds in a line, whatever the model makes of it. What had to be put back into a
    translation is not in its tokens and score."""
    markup: bool = False
    """Leave tags out of each line while it is translated, and put them back, in their order."""


PLAIN = Wishes()
"""Nothing but the best translation."""


@dataclass(frozen=True, slots=True)
class Translation:
    """The answer to one input line."""

    text: str
    """The translation, without line breaks."""
    score: float = 0.0
    """Sum of the scores of its segments, see `search.Hypothesis`."""
    flags: tuple[str, ...] = ()
    """split: translated in parts; truncated: cut short at the maximum length; empty: nothing came out;
    copied: the output is the input; replaced: invalid characters became U+FFFD; term: a glossary's is missing;
    repeated: it repeats itself, see `repetition`; changed: it does not keep what `placeables` finds in the source."""
    alternatives: tuple[tuple[str, float], ...] = ()
    """The n_best translations with their scores, this one first; when n_best was asked for."""
    tokens: tuple[PieceScore, ...] = ()
    """The pieces of the translation, the end of each of its parts included; when they were asked for."""
    links: tuple[Link, ...] = ()
    """Numbers of source and target words that belong together; when they were asked for."""
    confidence: float | None = None
    """The share of its words that a reference translation can be expected to have. None when it was not asked for,
    where there are no words, and where the bundle has no calibration, as those of older versions and imported ones."""
    word_confidences: tuple[float, ...] = ()
    """For each word (all between blanks) the probability that a reference translation has it; with `confidence`."""
    word_probs: tuple[float, ...] = ()
    """For each word the probability that the model gives it, as it is; when confidence was asked for."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model makes of a translation that is given."""

    log_prob: float
    """Sum over its tokens and its end."""
    score: float
    """log_prob / n ** length_penalty, as the search compares translations."""
    tokens: tuple[PieceScore, ...]
