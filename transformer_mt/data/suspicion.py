"""Signs that a corpus is not what it is said to be: copies, duplicates, languages swapped."""

from collections import Counter
from collections.abc import Sequence
from math import log

import numpy as np

from transformer_mt.data.pairs import Pair

SAMPLE_SIZE = 500
"""Between this and twice as many pairs, evenly spaced, are looked at for their languages."""
SMALLEST_CORPUS = 100
"""Shares of fewer pairs than this say nothing."""
_MARGIN = 0.1
"""Mean log-odds per trigram from which on a sentence counts as one of the other language."""

FUNCTION_WORDS = {
    "en": "the of and to is are was were be have has had you he she it they this that with for not do don't what",
    "fr": "le la les des du et est sont était un une je tu il elle nous vous ils ne pas que qui dans sur pour avec ce",
    "de": "der die das und ist sind war ein eine einen ich du er sie wir nicht mit auf für von zu dem den im auch",
    "es": "el la los las y es son era un una yo tú él ella no que de en con por para se su está muy",
    "it": "il lo la gli le e è sono era un una io tu lui lei non che di in con per si suo della del nel",
    "pt": "o a os as e é são era um uma eu você ele ela não que de em com por para se seu está do da",
    "nl": "de het een en is zijn was waren ik jij hij zij wij niet met op voor van dat die ook naar",
}
"""Frequent words by language, with which swapped languages are seen even where all pairs are swapped."""


class EvenSample:
    """Pairs at even distances from all that are seen: between `size` and twice as many, once there are so many."""

    def __init__(self, size: int) -> None:
        self.pairs: list[Pair] = []
        self._size = size
        self._stride = 1
        self._num_seen = 0

    def see(self, pairs: Sequence[Pair]) -> None:
        """Take in the next pairs."""
        self.pairs += pairs[-self._num_seen % self._stride :: self._stride]
        self._num_seen += len(pairs)
        while len(self.pairs) > 2 * self._size:
            self.pairs = self.pairs[::2]
            self._stride *= 2


class SuspicionCounter:
    """Looks at every pair that is read. Memory: 8 bytes a pair, and a sample."""

    def __init__(self, src_lang: str, tgt_lang: str) -> None:
        self._languages = (src_lang, tgt_lang)
        self._num_pairs = 0
        self._num_copies = 0
        self._hashes: list[np.ndarray] = []
        self._sample = EvenSample(SAMPLE_SIZE)

    def see(self, pairs: Sequence[Pair]) -> None:
        """Take in the next pairs, blank ones aside."""
        self._num_copies += sum(1 for _, src, tgt in pairs if src == tgt)
        self._hashes.append(np.fromiter((hash((src, tgt)) for _, src, tgt in pairs), np.int64, len(pairs)))
        self._sample.see(pairs)
        self._num_pairs += len(pairs)

    def shares(self) -> dict[str, float]:
        """Shares of copies, of repeated pairs, and (from the sample) of pairs with swapped languages."""
        total = max(self._num_pairs, 1)
        hashes = np.concatenate(self._hashes or [np.zeros(0, np.int64)])
        hashes.sort()  # np.unique takes far more memory
        distinct = int(np.count_nonzero(hashes[1:] != hashes[:-1])) + min(len(hashes), 1)
        sample = [pair for pair in self._sample.pairs if pair.src != pair.tgt]
        return {
            "copies": self._num_copies / total,
            "duplicates": (self._num_pairs - distinct) / total,
            "swapped": swapped_share(sample, *self._languages),
        }


def swapped_share(pairs: Sequence[Pair], src_lang: str, tgt_lang: str) -> float:
    """The share of `pairs` whose source looks like the target language and the other way round.

    Trigram statistics of the two sides, for any languages, see a minority that is swapped; frequent words
    see more than half, for languages whose words are known. 0 for less than SMALLEST_CORPUS pairs.
    """
    if len(pairs) < SMALLEST_CORPUS:
        return 0.0
    return max(_swapped_by_trigrams(pairs), _swapped_by_words(pairs, src_lang, tgt_lang))


def _swapped_by_trigrams(pairs: Sequence[Pair]) -> float:
    counted = [(_trigrams(pair.src), _trigrams(pair.tgt)) for pair in pairs]
    src_profile: Counter[str] = Counter()
    tgt_profile: Counter[str] = Counter()
    for src, tgt in counted:
        src_profile.update(src)
        tgt_profile.update(tgt)

    def log_odds(line: Counter[str], src: Counter[str], tgt: Counter[str]) -> float:
        """How much likelier the trigrams of `line` are on the target side, its own pair left out."""
        total = sum(
            count * log((tgt_profile[key] - tgt[key] + 0.5) / (src_profile[key] - src[key] + 0.5))
            for key, count in line.items()
        )
        return total / max(line.total(), 1)

    swapped = sum(1 for src, tgt in counted if log_odds(src, src, tgt) > _MARGIN and log_odds(tgt, src, tgt) < -_MARGIN)
    return swapped / len(pairs)


def _trigrams(line: str) -> Counter[str]:
    line = f" {line.lower()} "
    return Counter(map("".join, zip(line, line[1:], line[2:], strict=False)))


def _swapped_by_words(pairs: Sequence[Pair], src_lang: str, tgt_lang: str) -> float:
    src_words, tgt_words = (
        frozenset(FUNCTION_WORDS.get(code.lower().partition("-")[0].partition("_")[0], "").split())
        for code in (src_lang, tgt_lang)
    )
    src_words, tgt_words = src_words - tgt_words, tgt_words - src_words
    if not src_words or not tgt_words:
        return 0.0
    votes = Counter(_vote(pair.tgt, src_words, tgt_words) - _vote(pair.src, src_words, tgt_words) for pair in pairs)
    swapped, right = (sum(count for vote, count in votes.items() if vote * sign > 0) for sign in (-1, 1))
    return swapped / (swapped + right) if swapped + right >= SMALLEST_CORPUS // 2 else 0.0


def _vote(line: str, src_words: frozenset[str], tgt_words: frozenset[str]) -> int:
    words = line.lower().replace("'", " ").replace("’", " ").split()
    return sum((word in tgt_words) - (word in src_words) for word in words)
