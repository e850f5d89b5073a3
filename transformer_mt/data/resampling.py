"""Subword regularisation: training text is cut into other pieces each time it is seen.

SentencePiece can do this too, but its draws differ between processes, whatever seed they are given; a training that is
stopped must go on with the same ones. Words are cut on their own: no piece goes beyond the blank before the next word.
"""

import math
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from transformer_mt.data.prepared import Row
from transformer_mt.data.tokenizer import META_BLANK, Tokenizer, TokenizerPair
from transformer_mt.data.vocabulary import EOS_ID

_CACHED_WORDS, _LONGEST_CACHED = 1 << 16, 32
"""Words whose ways are remembered, of so many characters at most."""

Ids = npt.NDArray[np.int32]
Draw = Callable[[], float]
"""Gives another number in [0, 1) each time."""
Ways = list[tuple[list[float], list[tuple[int, int]]]]
"""For each place in a word, what may end there: cumulative probabilities, and for each its beginning and its id."""


class Resampler:
    """Cuts pairs of ids anew. What it draws depends on the ids and on a key, and on nothing before."""

    def __init__(self, tokenizers: TokenizerPair, amount: float, max_length: int) -> None:
        """`amount` is tokenizer.sampling; what gets longer than `max_length`, eos included, stays as it is."""
        self._src = _cutter(tokenizers.src, amount)
        self._tgt = self._src if tokenizers.is_joint else _cutter(tokenizers.tgt, amount)
        self._max_length = max_length

    def resample(self, rows: Sequence[Row], *key: int) -> list[Row]:
        """The same texts in other pieces. Rows end with eos, before and after."""
        draw = _draws(np.random.default_rng(key)).__next__
        return [(self._cut(self._src, src, draw), self._cut(self._tgt, tgt, draw)) for src, tgt in rows]

    def _cut(self, cutter: "UnigramCutter | BpeCutter", row: Ids, draw: Draw) -> Ids:
        ids = [index for word in cutter.words(row[:-1].tolist()) for index in cutter.cut(word, draw)]
        return row if len(ids) >= self._max_length else np.array([*ids, EOS_ID], np.int32)


def _draws(generator: np.random.Generator) -> Iterator[float]:
    while True:
        yield from generator.random(4096).tolist()


def _cutter(tokenizer: Tokenizer, amount: float) -> "UnigramCutter | BpeCutter":
    """SentencePiece numbers the pieces of BPE: 0, -1, -2 ...; those of other models have log-probabilities."""
    pieces = tokenizer.text_pieces()
    is_bpe = all(score == -place for place, (_, score) in enumerate(pieces.values()))
    return BpeCutter(pieces, amount) if is_bpe else UnigramCutter(pieces, amount)


class _Cutter:
    """What both kinds know of a vocabulary."""

    def __init__(self, pieces: dict[int, tuple[str, float]]) -> None:
        self._texts = {index: text for index, (text, _) in pieces.items()}
        self._scores = {text: (score, index) for index, (text, score) in pieces.items()}
        self._beginnings = {index for index, text in self._texts.items() if text.startswith(META_BLANK)}

    def words(self, ids: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """The ids of one word after the other."""
        start = 0
        for place, index in enumerate(ids):
            if index in self._beginnings and place > start:
                yield tuple(ids[start:place])
                start = place
        if ids:
            yield tuple(ids[start:])

    def _text(self, word: Sequence[int]) -> str | None:
        """None where bytes or an unknown piece are in it, which stay as they are."""
        texts = [self._texts.get(index) for index in word]
        return None if None in texts else "".join(filter(None, texts))


class UnigramCutter(_Cutter):
    """Draws among all ways to cut a word, by their probability to the power of alpha.

    Kudo (2018), section 3.3, with all candidates: forward filtering, backward sampling.
    """

    def __init__(self, pieces: dict[int, tuple[str, float]], alpha: float) -> None:
        super().__init__(pieces)
        self._alpha = alpha
        self._longest = max(map(len, self._scores), default=0)
        self._remembered = lru_cache(_CACHED_WORDS)(self._ways)

    def cut(self, word: tuple[int, ...], draw: Draw) -> Sequence[int]:
        """Ids of the same text."""
        text = self._text(word)
        if text is None:
            return word
        ways = self._remembered(text) if len(text) <= _LONGEST_CACHED else self._ways(text)
        found, end = [], len(text)
        while end:
            cumulative, options = ways[end]
            end, index = options[min(bisect(cumulative, draw()), len(options) - 1)]
            found.append(index)
        return found[::-1]

    def _ways(self, text: str) -> Ways:
        sums = [0.0] + [-math.inf] * len(text)
        """Logarithm of the summed weights of all ways to cut the text up to each place."""
        ways: Ways = [([], [])]
        for end in range(1, len(text) + 1):
            logs, options = [], []
            for begin in range(max(0, end - self._longest), end):
                known = self._scores.get(text[begin:end])
                if known is not None and sums[begin] > -math.inf:
                    logs.append(sums[begin] + self._alpha * known[0])
                    options.append((begin, known[1]))
            if logs:
                largest = max(logs)
                weights = [math.exp(log - largest) for log in logs]
                total = sum(weights)
                sums[end] = largest + math.log(total)
                ways.append(([part / total for part in accumulate(weights)], options))
            else:
                ways.append(([], []))
        return ways


class BpeCutter(_Cutter):
    """Merges characters as the model has it, but leaves each possible merge out with a probability, anew at each step.

    BPE dropout: Provilkov et al. (2020), algorithm 1.
    """

    def __init__(self, pieces: dict[int, tuple[str, float]], dropout: float) -> None:
        super().__init__(pieces)
        self._dropout = dropout

    def cut(self, word: tuple[int, ...], draw: Draw) -> Sequence[int]:
        """Ids of the same text."""
        text = self._text(word)
        if text is None:
            return word
        parts = list(text)
        while True:
            merges = [
                (-known[0], place)
                for place in range(len(parts) - 1)
                if (known := self._scores.get(parts[place] + parts[place + 1])) and draw() >= self._dropout
            ]
            if not merges:
                return [self._scores[part][1] for part in parts]
            _, place = min(merges)
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
