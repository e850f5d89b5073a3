"""Which language a line is in, by what both sides of the corpus itself are made of: no model is needed.

The other side's language is told by naive Bayes on character trigrams (Dunning 1994), counted by their hashes; a third
one by its script, by words that the corpus does not have elsewhere, and by frequent words of known languages.

Legend: N lines, C characters and W words of all of them, S scripts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from transformer_mt.data.doctor.blocks import Hashes, Lines, Words
from transformer_mt.data.doctor.characters import LETTER, NUM_SCRIPTS, tables
from transformer_mt.data.suspicion import FUNCTION_WORDS

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]

_TRIGRAM_BITS, _WORD_BITS = 16, 20
_ODDS, _MEAN_ODDS = 7.0, 0.3
"""Log-odds for the other language, in all and for each letter, from which on a line counts as one of it."""
_OWN_SCRIPT = 0.01
"""Share of a side's letters from which on a script belongs to it."""
_FREQUENT = 1e-3
"""Share of a side's words from which on a word belongs to it, whatever language has it too."""
_KNOWN_FROM = 3
"""A word seen less often is taken to be unknown."""
_ENOUGH_WORDS = 10_000
"""Of fewer words too many are unknown."""
_SURPRISE = 2.0
"""Standard deviations below the usual likelihood of the trigrams that unknown words need to count."""
_KNOWN = 1
"""First bit of a word's entry in the vocabulary; the others are for the languages that have it as a frequent word."""


@dataclass(frozen=True)
class Judgement:
    """What some lines look like: (N,) each."""

    is_other: Flags
    """Like the other side's language."""
    is_foreign: Flags
    """Like neither side's."""


class LanguageModel:
    """Tells the languages of both sides apart, and from others."""

    def __init__(self, src: Sequence[Lines], tgt: Sequence[Lines], languages: tuple[str, str]) -> None:
        """Learn from blocks of lines of both sides, whose languages have these codes."""
        codes = [code.lower().partition("-")[0].partition("_")[0] for code in languages]
        foreign = [words for code, words in FUNCTION_WORDS.items() if code not in codes]
        own = [FUNCTION_WORDS.get(code, "") for code in codes]
        self._sides = tuple(_Side(blocks, [words, *foreign]) for blocks, words in zip((src, tgt), own, strict=True))

    def judge(self, lines: Lines, is_target: bool) -> Judgement:
        """What lines of the source, or of the target, look like."""
        own, other = self._sides[is_target], self._sides[not is_target]
        hashes, is_letter = trigrams(lines)
        num_letters = lines.sums(is_letter.astype(np.float32))
        odds = lines.sums((own.log_probs - other.log_probs)[hashes] * is_letter)
        is_other = (odds < -_ODDS) & (odds < -_MEAN_ODDS * num_letters)
        scripts = lines.sums(own.strange_scripts[tables().script[lines.codes]].astype(np.float32))
        is_foreign = (scripts > 1) & (scripts > num_letters / 2)
        is_foreign |= own.has_foreign_words(
            lines.words, own.surprise(lines.sums(own.log_probs[hashes] * is_letter), num_letters)
        )
        return Judgement(is_other, is_foreign & ~is_other)


class _Side:
    """What the lines of one side are made of."""

    def __init__(self, blocks: Sequence[Lines], languages: Sequence[str]) -> None:
        """Learn from blocks of lines, given frequent words of their own language and of others."""
        counts, scripts = np.zeros(1 << _TRIGRAM_BITS), np.zeros(NUM_SCRIPTS)
        for lines in blocks:
            hashes, is_letter = trigrams(lines)
            counts += np.bincount(hashes[is_letter], minlength=len(counts))
            scripts += np.bincount(tables().script[lines.codes], minlength=NUM_SCRIPTS)
        self.log_probs = np.log((counts + 0.5) / (counts.sum() + 0.5 * len(counts))).astype(np.float32)
        """(2 ** 16,): by hash of a trigram."""
        self.strange_scripts = scripts < _OWN_SCRIPT * scripts[1:].sum()
        """(S,): scripts that hardly occur."""
        self.strange_scripts[0] = False
        self._mean, self._deviation = 0.0, 1.0
        self._mean, self._deviation = self._usual(blocks)
        self._vocabulary = _vocabulary(np.concatenate([lines.words.hashes for lines in blocks]), languages)
        self._num_languages = len(languages)

    def _usual(self, blocks: Sequence[Lines]) -> tuple[float, float]:
        """Log-probability of a letter in a usual line, and its deviation for one letter: median and spread."""
        means, roots = [], []
        for lines in blocks:
            hashes, is_letter = trigrams(lines)
            num_letters = np.maximum(lines.sums(is_letter.astype(np.float32)), 1)
            means.append(lines.sums(self.log_probs[hashes] * is_letter) / num_letters)
            roots.append(np.sqrt(num_letters))
        mean = float(np.median(np.concatenate(means)))
        distance = np.abs(np.concatenate(means) - mean) * np.concatenate(roots)
        return mean, max(1.4826 * float(np.median(distance)), 1e-3)  # of a normal distribution with this median

    def surprise(self, log_probs: Floats, num_letters: Floats) -> Floats:
        """(N,): standard deviations that the log-probabilities of lines are below the usual."""
        deviations: Floats = self._deviation * np.sqrt(np.maximum(num_letters, 1))
        return (num_letters * self._mean - log_probs) / deviations

    def has_foreign_words(self, words: Words, surprise: Floats) -> Flags:
        """(N,): whether most words are unknown, or frequent in a foreign language."""
        entries = self._vocabulary[words.hashes >> np.uint64(64 - _WORD_BITS)]
        count = words.counts
        unknown = words.sums(entries & _KNOWN == 0)
        own, *others = (words.sums(entries & (2 << number) > 0) for number in range(self._num_languages))
        foreign = np.max(others, axis=0)
        found = (surprise > _SURPRISE) & (unknown >= 3) & (unknown > 0.7 * count)
        found |= (foreign >= 2) & (foreign >= 0.25 * count) & (foreign > own)
        return found | (foreign >= 1) & (unknown >= 2) & (unknown >= 0.6 * count)


def _vocabulary(hashes: Hashes, languages: Sequence[str]) -> npt.NDArray[np.uint16]:
    """(2 ** 20,): by hash whether a word is known, and of which of the `languages` it is a frequent one."""
    table = np.zeros(1 << _WORD_BITS, np.uint16)
    shift = np.uint64(64 - _WORD_BITS)
    seen, counts = np.unique(hashes, return_counts=True)
    frequent = seen[counts > _FREQUENT * len(hashes)]
    own, *others = (Lines.of([words]).words.hashes for words in languages)
    foreign = [np.setdiff1d(words, np.concatenate([frequent, own])) for words in others]
    if len(hashes) > _ENOUGH_WORDS:
        table[seen[counts >= _KNOWN_FROM] >> shift] = _KNOWN
    else:
        table[:] = _KNOWN
    for number, words in enumerate((own, *foreign)):
        table[words >> shift] |= np.uint16(2 << number)
    table[np.concatenate(foreign) >> shift] &= np.uint16(0xFFFF ^ _KNOWN)
    return table


def trigrams(lines: Lines) -> tuple[npt.NDArray[np.uint32], Flags]:
    """For each character the hash of it and its neighbours, and whether it is a letter: (C,) both."""
    letters = tables().lower[lines.codes]
    hashes = letters * np.uint32(0x9E3779B1)
    hashes[1:] += letters[:-1] * np.uint32(0x85EBCA77)
    hashes[:-1] += letters[1:] * np.uint32(0xC2B2AE3D)
    hashes ^= hashes >> np.uint32(15)
    hashes *= np.uint32(0x2C1B3C6D)
    return hashes >> np.uint32(32 - _TRIGRAM_BITS), lines.kinds & LETTER > 0
