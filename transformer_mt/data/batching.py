"""From prepared pairs to padded batches, in an order that is a pure function of (seed, epoch).

Axes: B sentences of a batch, S source length, T target length, both in tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from transformer_mt.data.prepared import Row, TokenPairs
from transformer_mt.data.vocabulary import BOS_ID, PAD_ID

LENGTH_BITS = 12
LONGEST = (1 << LENGTH_BITS) - 1
"""This length and longer ones share a bucket; they cost padding there, never correctness."""
KEYS_AT_A_TIME = 1 << 15
"""Sort keys made at a time: few enough for a core's cache."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded token ids of B sentence pairs, all int64."""

    src: Tensor
    """(B, S): source pieces and eos, then pad."""
    tgt_in: Tensor
    """(B, T): bos and target pieces, then pad."""
    tgt_out: Tensor
    """(B, T): target pieces and eos, then pad."""
    num_source_tokens: int
    """Tokens of src that are not padding."""
    num_target_tokens: int
    """Tokens of tgt_out that are not padding: what the loss is divided by."""

    @property
    def num_positions(self) -> int:
        """Positions of src and tgt_out, padding included."""
        return self.src.numel() + self.tgt_out.numel()

    @property
    def padding(self) -> float:
        """Share of the positions of src and tgt_out that hold no token."""
        return 1.0 - (self.num_source_tokens + self.num_target_tokens) / self.num_positions

    def halves(self) -> "tuple[Batch, Batch]":
        """The first and the second half of its sentences, of which it must have two."""
        middle = len(self.src) // 2
        return self._part(slice(middle)), self._part(slice(middle, None))

    def _part(self, rows: slice) -> "Batch":
        num_source_tokens, num_target_tokens = (int((side[rows] != PAD_ID).sum()) for side in (self.src, self.tgt_out))
        src, tgt = (int((side[rows] != PAD_ID).sum(1).max()) for side in (self.src, self.tgt_out))
        sides = (self.src[rows, :src], self.tgt_in[rows, :tgt], self.tgt_out[rows, :tgt])
        return Batch(*sides, num_source_tokens, num_target_tokens)


@dataclass(frozen=True, slots=True)
class BatchLimit:
    """How large a batch may be: `size` sentences, or padded tokens on the longer side."""

    size: int
    in_tokens: bool


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """The batches of one epoch: batch i holds the pairs `pairs[starts[i]:starts[i + 1]]`, as `order` says."""

    pairs: np.ndarray
    starts: np.ndarray
    order: np.ndarray

    def __len__(self) -> int:
        return len(self.order)

    def batch_pairs(self, position: int) -> np.ndarray:
        """Indices of the pairs of the batch at `position` in the epoch."""
        batch = self.order[position]
        return self.pairs[self.starts[batch] : self.starts[batch + 1]]


def plan_epoch(table: TokenPairs, limit: BatchLimit, seed: int, epoch: int, group_size: int = 1) -> EpochPlan:
    """Group the pairs of an epoch into batches of like lengths on both sides, in random order.

    Pairs are sorted by target length, within that by source length (rising and falling by turns, so
    that neighbours stay alike where the target length changes), ties at random. The sorted list is cut
    where the limit is reached, the first time at a random place before it, so that every epoch groups
    pairs anew; and the batches are shuffled, in groups of `group_size` neighbours that make one update.
    """
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)))
    drawn = _draw_pairs(table, seed, epoch)
    src_lengths, tgt_lengths = table.src_lengths, table.tgt_lengths
    if drawn is not None:
        src_lengths, tgt_lengths = src_lengths[drawn], tgt_lengths[drawn]
    keys, index_bits = _sorted_keys(src_lengths, tgt_lengths, generator)
    first = int(generator.integers(1, limit.size + 1))
    if limit.in_tokens:
        starts = _cut(*_runs(keys, index_bits, src_lengths, tgt_lengths), limit.size, first)
    else:
        starts = np.unique(np.concatenate([[0], np.arange(first, len(keys), limit.size), [len(keys)]]))
    pairs = _indices(keys, index_bits)
    order = _shuffled(len(starts) - 1, group_size, generator)
    return EpochPlan(pairs if drawn is None else drawn[pairs], starts, order)


def _shuffled(count: int, group_size: int, generator: np.random.Generator) -> np.ndarray:
    """0 to count - 1 in random order, but in groups of neighbours; those that fill no group come last."""
    num_groups, num_left = divmod(count, group_size)
    first = int(generator.integers(num_left + 1)) if group_size > 1 else 0  # what is left is at either end
    grouped = first + generator.permutation(num_groups)[:, None] * group_size + np.arange(group_size)
    return np.concatenate([grouped.ravel(), np.arange(first), np.arange(first + num_groups * group_size, count)])


def _draw_pairs(table: TokenPairs, seed: int, epoch: int) -> np.ndarray | None:
    """Indices of the epoch's pairs, None for each of them once.

    A pair of weight w comes floor((e + 1) w + u) - floor(e w + u) times.

    With u fixed for each pair, a whole weight repeats a pair exactly, and the parts of a fractional one
    take turns: weight 0.5 gives one half of the pairs in an epoch and the other half in the next.
    """
    count = len(table.src_lengths)
    if table.weights is None:
        return None
    phases = np.random.Generator(np.random.Philox(key=np.array([seed, 2**63], dtype=np.uint64))).random(count)
    weights = table.weights.astype(np.float64)
    times = np.floor((epoch + 1) * weights + phases) - np.floor(epoch * weights + phases)
    return np.repeat(np.arange(count, dtype=np.int64), times.astype(np.int64))


def _sorted_keys(
    src_lengths: np.ndarray, tgt_lengths: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, int]:
    """A sorted key of 64 bits for each pair, and how many of its low bits are the pair's index.

    Above those come random bits, source length and target length. Keys are made a part at a time, so that 40 million
    of them need little more memory than they take themselves.
    """
    count, top = len(src_lengths), np.int32(LONGEST)
    index_bits = max(count - 1, 1).bit_length()
    noise_bits = 64 - 2 * LENGTH_BITS - index_bits
    keys = np.empty(count, np.uint64)
    for start in range(0, count, KEYS_AT_A_TIME):
        part = slice(start, min(start + KEYS_AT_A_TIME, count))
        tgt = np.minimum(tgt_lengths[part], top)
        src = np.minimum(src_lengths[part], top) ^ (tgt & 1) * top  # falling where the target length is odd
        lengths = (tgt << LENGTH_BITS) | src
        key = generator.integers(0, 1 << noise_bits, len(lengths), dtype=np.uint64)
        key |= lengths.astype(np.uint64) << np.uint64(noise_bits)
        key <<= np.uint64(index_bits)
        key |= np.arange(part.start, part.stop, dtype=np.uint64)
        keys[part] = key
    keys.sort()
    return keys, index_bits


def _indices(keys: np.ndarray, index_bits: int) -> np.ndarray:
    """The pairs behind `keys`, in their order; takes the place of the keys."""
    keys &= np.uint64((1 << index_bits) - 1)
    return keys.view(np.int64)


def _runs(
    keys: np.ndarray, index_bits: int, src_lengths: np.ndarray, tgt_lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where runs of pairs with equal lengths start among sorted `keys`, and how long the longer side is in each.

    There are far fewer runs than pairs, and their lengths stand in the keys: looking up each pair's lengths in the
    order of the keys would take longer than sorting them.
    """
    bits = np.uint64(64 - 2 * LENGTH_BITS)
    starts = [np.zeros(min(len(keys), 1), np.int64)]
    for start in range(0, len(keys), KEYS_AT_A_TIME):
        lengths = keys[start : start + KEYS_AT_A_TIME + 1] >> bits
        starts.append(np.flatnonzero(lengths[1:] != lengths[:-1]) + start + 1)
    run_starts = np.concatenate(starts)
    lengths = (keys[run_starts] >> bits).astype(np.int64)
    tgt, src = lengths >> LENGTH_BITS, lengths & LONGEST
    longest = np.maximum(tgt, src ^ (tgt & 1) * LONGEST)
    ends = np.append(run_starts, len(keys))[1:]
    for run in np.flatnonzero(longest == LONGEST):  # these may be longer than the keys can say
        pairs = _indices(keys[run_starts[run] : ends[run]].copy(), index_bits)
        longest[run] = max(src_lengths[pairs].max(), tgt_lengths[pairs].max())
    return np.append(run_starts, len(keys)), longest


def _cut(run_starts: np.ndarray, longest: np.ndarray, size: int, first: int) -> np.ndarray:
    """The start of each batch, and the end of the last: pairs times the longest of them is `size` at most.

    `run_starts` and `longest` are those of `_runs`; the first batch keeps to `first`. A pair longer than the limit
    is a batch of its own.
    """
    starts, start, limit, widest = [np.zeros(1, np.int64)], 0, first, 0
    ends = run_starts[1:]
    for begin, end, length in zip(run_starts.tolist(), ends.tolist(), longest.tolist(), strict=False):
        widest = max(widest, length)
        full = start + max(1, limit // widest)
        if full < end:
            limit, widest = size, length
            starts.append(np.arange(max(full, begin), end, max(1, size // length)))
            start = int(starts[-1][-1])
    return np.concatenate([*starts, ends[-1:]])


def make_batch(table: TokenPairs, indices: np.ndarray) -> Batch:
    """Read the pairs at `indices` and pad them into one batch."""
    return batch_of(table.rows(indices.tolist()))


def batch_of(rows: Sequence[Row]) -> Batch:
    """The pairs of ids, which end with eos, padded into one batch."""
    src = pad_rows([src for src, _ in rows])
    tgt_out = pad_rows([tgt for _, tgt in rows])
    tgt_in = np.full_like(tgt_out, PAD_ID)
    tgt_in[:, 1:] = tgt_out[:, :-1]
    tgt_in[:, 0] = BOS_ID
    for row, (_, tgt) in enumerate(rows):
        tgt_in[row, len(tgt) :] = PAD_ID  # the shift has carried eos one past the last input
    num_source_tokens, num_target_tokens = sum(len(src) for src, _ in rows), sum(len(tgt) for _, tgt in rows)
    tensors = [torch.from_numpy(rows) for rows in (src, tgt_in, tgt_out)]
    return Batch(tensors[0], tensors[1], tensors[2], num_source_tokens, num_target_tokens)


def pad_rows(rows: Sequence[np.ndarray | list[int]]) -> np.ndarray:
    """The rows as an int64 array (B, longest), filled up with pad."""
    lengths = np.array([len(row) for row in rows])
    padded = np.full((len(rows), int(lengths.max(initial=0))), PAD_ID, dtype=np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate(rows) if len(rows) else []
    return padded


def largest_batch(table: TokenPairs, plan: EpochPlan) -> np.ndarray:
    """Indices of the pairs of the batch that needs most memory.

    It has the most padded positions; of those within 5 % of that, the longest sentences, for attention grows with both.
    """
    longest_src = np.maximum.reduceat(table.src_lengths[plan.pairs], plan.starts[:-1])
    longest_tgt = np.maximum.reduceat(table.tgt_lengths[plan.pairs], plan.starts[:-1])
    longest = longest_src + longest_tgt
    positions = np.diff(plan.starts) * longest
    batch = int(np.argmax(np.where(positions >= 0.95 * positions.max(), longest, 0)))
    return plan.pairs[plan.starts[batch] : plan.starts[batch + 1]]
