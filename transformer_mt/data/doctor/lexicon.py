"""Which words translate each other, learnt from the corpus itself by IBM model 1 (Brown et al. 1993, section 4.1).

Legend: N pairs, L links (a source and a target word of one pair).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transformer_mt.data.doctor.blocks import Hashes, Indices, Words, mixed
from transformer_mt.data.shortlist import translation_probs

Floats = npt.NDArray[np.float64]

MAX_WORDS = 48
"""Words of a side that are looked at, from its beginning."""
MAX_LINKS = 4_000_000
"""Links that the lexicon is learnt from."""
_TABLE_BITS = 21
_RELATED = 4.0
"""Evidence of two words with the same beginning, or of a number on both sides, as a log-ratio of probabilities."""
_LEAST_PROB, _LEAST_EVIDENCE = 0.02, 1.0


@dataclass(frozen=True)
class _Links:
    """All links of some pairs, those of one target word together."""

    src: Indices
    """(L,): place of its source word among those of all pairs."""
    tgt: Indices
    """(L,): place of its target word."""
    starts: Indices
    """First link of each target word that has any."""
    linked: Indices
    """The target words that have any."""

    @classmethod
    def of(cls, src: Words, tgt: Words) -> "_Links":
        num_src, num_tgt = np.minimum(src.counts, MAX_WORDS), np.minimum(tgt.counts, MAX_WORDS)
        pair = np.repeat(np.arange(len(num_tgt)), num_tgt)  # of each target word
        word = _runs(tgt.starts, num_tgt)
        links = num_src[pair]
        linked = links > 0
        return cls(
            _runs(src.starts[pair], links),
            np.repeat(word, links),
            (np.cumsum(links) - links)[linked],
            word[linked],
        )


def _runs(starts: Indices, counts: Indices) -> Indices:
    """From each start on as many whole numbers as its count says."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - (ends - counts), counts)


class Lexicon:
    """What a target word says about the source words: log p(target | source) / p(target), in a hash table."""

    def __init__(self, src: Words, tgt: Words) -> None:
        """Learn from pairs of lines, those of `src` and `tgt`."""
        num_links = np.cumsum(np.minimum(src.counts, MAX_WORDS) * np.minimum(tgt.counts, MAX_WORDS))
        num_pairs = int(np.searchsorted(num_links, MAX_LINKS))
        src, tgt = src.first(num_pairs), tgt.first(num_pairs)
        links = _Links.of(src, tgt)
        src_ids, src_words = _ids(src.hashes)
        tgt_ids, tgt_words = _ids(tgt.hashes)
        keys = src_ids[links.src] * len(tgt_words) + tgt_ids[links.tgt]
        entries, probs, counts = translation_probs(keys, links.tgt, len(tgt_words))
        probs = probs * np.maximum(1 - 1 / np.maximum(counts, 1e-9), 0)  # as if this one sentence had not been seen
        share = np.bincount(tgt_ids[links.linked], minlength=len(tgt_words)) / max(len(links.linked), 1)
        evidence = np.log(np.maximum(probs, 1e-9) / np.maximum(share[entries % len(tgt_words)], 1e-9))
        keep = (probs > _LEAST_PROB) & (evidence > _LEAST_EVIDENCE)
        order = np.flatnonzero(keep)[np.argsort(evidence[keep], kind="stable")]  # the strongest last: it stays
        codes = mixed(src_words[entries // len(tgt_words)] * _ODD + tgt_words[entries % len(tgt_words)])[order]
        self._table = np.zeros(1 << _TABLE_BITS, np.uint16)
        self._table[codes >> _SHIFT] = _tags(codes) | np.minimum(evidence[order] * 16, 255).astype(np.uint16)

    def evidence(self, src: Words, tgt: Words) -> tuple[Floats, Floats]:
        """For each pair what its target words say for it in all, and how many words can say something: (N,) both."""
        links = _Links.of(src, tgt)
        codes = mixed((src.hashes * _ODD)[links.src] + tgt.hashes[links.tgt])
        found = self._table[codes >> _SHIFT]
        value = np.where((found & 0xFF00) == _tags(codes), found & 0xFF, 0).astype(np.float32) / 16
        heads = tgt.heads[links.tgt]
        same = (src.hashes[links.src] == tgt.hashes[links.tgt]) & tgt.has_digit[links.tgt]
        same |= (heads == src.heads[links.src]) & (heads != 0)
        value[same] = np.maximum(value[same], _RELATED)
        best = np.zeros(len(tgt.hashes), np.float32)
        if len(links.starts):
            best[links.linked] = np.maximum.reduceat(value, links.starts)
        return tgt.sums(best), tgt.sums(tgt.places < MAX_WORDS)


_ODD = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(64 - _TABLE_BITS)


def _tags(codes: Hashes) -> npt.NDArray[np.uint16]:
    return (codes & np.uint64(0xFF)).astype(np.uint16) << 8


def _ids(hashes: Hashes) -> tuple[Indices, Hashes]:
    words, ids = np.unique(hashes, return_inverse=True)
    return ids, words
