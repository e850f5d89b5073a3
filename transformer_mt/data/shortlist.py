"""For each source piece the target pieces that it may become, learnt from pairs: decoding can leave out all others.

Probabilities of translation are those of IBM model 1 (Brown et al. 1993, section 4.1), by expectation maximisation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transformer_mt.data.vocabulary import BOS_ID, EOS_ID, PAD_ID

Ids = npt.NDArray[np.int32]
Rows = Callable[[Sequence[int]], Sequence[tuple[Sequence[int] | Ids, Sequence[int] | Ids]]]
"""Pairs of ids at given places, as a prepared corpus has them."""

NUM_LIKELY, NUM_ALWAYS = 50, 200
"""Target pieces kept for each source piece, and kept for every sentence because they are frequent."""
_MOST_LINKS = 16_000_000
"""Pairs of a source and a target piece of one sentence that are looked at: 40,000 sentences, some seconds, 0.6 GB."""
_NUM_ITERATIONS = 4
_PAIRS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Shortlist:
    """What may be said."""

    likely: Ids
    """(V, NUM_LIKELY): target ids by source id; eos fills up."""
    always: Ids
    """Target ids that may be said for any source, eos among them."""


def learn_shortlist(rows: Rows, num_pairs: int, src_pieces: Sequence[str], tgt_pieces: Sequence[str]) -> Shortlist:
    """The shortlist that `num_pairs` pairs teach, given the pieces of both vocabularies by id.

    A piece that both vocabularies have may always be copied.
    """
    keys, spots = _links(rows, num_pairs, len(tgt_pieces))
    entries, probs, counts = translation_probs(keys, spots, len(tgt_pieces))
    likely = _likeliest(entries, probs, len(src_pieces), len(tgt_pieces))
    ids = {piece: number for number, piece in enumerate(tgt_pieces)}
    likely[:, -1] = [ids.get(piece, EOS_ID) for piece in src_pieces]
    seen = np.bincount(entries % len(tgt_pieces), counts, len(tgt_pieces))  # how often each target piece was explained
    seen[[PAD_ID, BOS_ID]] = 0
    frequent = np.argsort(-seen, kind="stable")[:NUM_ALWAYS]
    return Shortlist(likely, np.union1d(frequent[seen[frequent] > 0], [EOS_ID]).astype(np.int32))


def translation_probs(
    keys: npt.NDArray[np.int64], spots: npt.NDArray[np.int64], num_targets: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The distinct keys, the probability of each one's target given its source, and how often it was the explanation.

    `keys` (L,) are src * num_targets + tgt for each source and target of a sentence, `spots` (L,) the number of the
    target's spot in the text.
    """
    entries, index = np.unique(keys, return_inverse=True)
    sources = entries // num_targets
    probs = np.ones(len(entries))
    counts = np.ones(len(entries))
    for _ in range(_NUM_ITERATIONS):
        share = probs[index]
        share /= np.bincount(spots, share)[spots]
        counts[:] = np.bincount(index, share, len(entries))
        probs = counts / np.bincount(sources, counts)[sources]
    return entries, probs, counts


def _links(rows: Rows, num_pairs: int, num_targets: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each source and target piece of a sentence src * num_targets + tgt, and the number of the target's spot."""
    keys: list[npt.NDArray[np.int64]] = []
    spots: list[npt.NDArray[np.int64]] = []
    num_links = num_spots = 0
    order = np.random.default_rng(0).permutation(num_pairs)
    for start in range(0, num_pairs, _PAIRS_AT_ONCE):
        for src, tgt in rows(order[start : start + _PAIRS_AT_ONCE].tolist()):
            own, said = np.asarray(src, np.int64), np.asarray(tgt, np.int64)
            keys.append((own[:, None] * num_targets + said).ravel())
            spots.append(np.tile(np.arange(num_spots, num_spots + len(said)), len(own)))
            num_spots += len(said)
            num_links += len(own) * len(said)
        if num_links > _MOST_LINKS:
            break
    return np.concatenate(keys), np.concatenate(spots)


def _likeliest(
    entries: npt.NDArray[np.int64], probs: npt.NDArray[np.float64], num_sources: int, num_targets: int
) -> Ids:
    """The likeliest targets of each source (num_sources, NUM_LIKELY), best first, given the table's entries."""
    likely = np.full((num_sources, NUM_LIKELY), EOS_ID, np.int32)
    sources = entries // num_targets
    order = np.lexsort((-probs, sources))
    sources, targets = sources[order], (entries % num_targets)[order]
    place = np.arange(len(sources)) - np.searchsorted(sources, sources)
    is_kept = place < NUM_LIKELY
    likely[sources[is_kept], place[is_kept]] = targets[is_kept]
    return likely
