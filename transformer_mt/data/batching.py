"""From prepared pairs to padded batches, in an order that is a pure function of (seed, epoch).

Axes: B sentences of a batch, S source length, T target length, both in tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from transformer_mt.data.prepared import TokenPairs
from transformer_mt.data.vocabulary import BOS_ID, PAD_ID

LENGTH_BITS = 12
"""Lengths above 4095 share a bucket; they cost padding there, never correctness."""
KEYS_AT_A_TIME = 1 << 20
"""Sort keys made at a time."""


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

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`; copies from pinned memory do not wait."""
        src, tgt_in, tgt_out = (x.to(device, non_blocking=True) for x in (self.src, self.tgt_in, self.tgt_out))
        return Batch(src, tgt_in, tgt_out, self.num_source_tokens, self.num_target_tokens)

    @property
    def padding(self) -> float:
        """Share of the positions of src and tgt_out that hold no token."""
        return 1.0 - (self.num_source_tokens + self.num_target_tokens) / (self.src.numel() + self.tgt_out.numel())


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
    if drawn is None:
        pairs = _bucket_order(table.src_lengths, table.tgt_lengths, generator)
    else:
        pairs = drawn[_bucket_order(table.src_lengths[drawn], table.tgt_lengths[drawn], generator)]
    first = int(generator.integers(1, limit.size + 1))
    lengths = table.src_lengths[pairs]
    np.maximum(lengths, table.tgt_lengths[pairs], out=lengths)
    starts = _cut(lengths, limit, first)
    return EpochPlan(pairs, starts, _shuffled(len(starts) - 1, group_size, generator))


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


def _bucket_order(src_lengths: np.ndarray, tgt_lengths: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Positions sorted by lengths: one sort of 64-bit keys that carry the position in their low bits.

    The keys are made a part at a time, so that 40 million of them need little more memory than they take themselves.
    """
    count, top = len(src_lengths), (1 << LENGTH_BITS) - 1
    index_bits = max(count - 1, 1).bit_length()
    noise_bits = 64 - 2 * LENGTH_BITS - index_bits
    keys = np.empty(count, np.uint64)
    for start in range(0, count, KEYS_AT_A_TIME):
        part = slice(start, min(start + KEYS_AT_A_TIME, count))
        tgt = np.minimum(tgt_lengths[part], top).astype(np.uint64)
        src = np.minimum(src_lengths[part], top).astype(np.uint64)
        src = np.where(tgt & np.uint64(1), np.uint64(top) - src, src)
        key = (tgt << np.uint64(64 - LENGTH_BITS)) | (src << np.uint64(64 - 2 * LENGTH_BITS))
        key |= generator.integers(0, 1 << noise_bits, len(key), dtype=np.uint64) << np.uint64(index_bits)
        keys[part] = key | np.arange(part.start, part.stop, dtype=np.uint64)
    keys.sort()
    keys &= np.uint64((1 << index_bits) - 1)
    return keys.view(np.int64)


def _cut(lengths: np.ndarray, limit: BatchLimit, first: int) -> np.ndarray:
    """Start of each batch in a list of pairs of these lengths, and its end; the first batch keeps to `first`."""
    if not limit.in_tokens:
        return np.unique(np.concatenate([[0], np.arange(first, len(lengths), limit.size), [len(lengths)]]))
    starts, start, size = [0], 0, first
    while start < len(lengths):
        window = lengths[start : start + max(1, 2 * size // int(lengths[start]))]
        padded = np.maximum.accumulate(window) * np.arange(1, len(window) + 1)
        start += max(1, int(np.searchsorted(padded, size, side="right")))
        starts.append(start)
        size = limit.size
    return np.array(starts)


def make_batch(table: TokenPairs, indices: np.ndarray) -> Batch:
    """Read the pairs at `indices` and pad them into one batch."""
    rows = table.rows(indices.tolist())
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
    """Indices of the pairs of the batch that needs most memory: the one with the most padded positions."""
    longest_src = np.maximum.reduceat(table.src_lengths[plan.pairs], plan.starts[:-1])
    longest_tgt = np.maximum.reduceat(table.tgt_lengths[plan.pairs], plan.starts[:-1])
    batch = int(np.argmax(np.diff(plan.starts) * (longest_src + longest_tgt)))
    return plan.pairs[plan.starts[batch] : plan.starts[batch + 1]]
