"""Batches: every pair once, within the limit, in an order that is a pure function of (seed, epoch)."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_mt.config.schema import DataConfig, SourceConfig, TokenizerConfig
from transformer_mt.data.batching import BatchLimit, EpochPlan, largest_batch, make_batch, plan_epoch
from transformer_mt.data.corpus import read_pairs
from transformer_mt.data.prepare import prepare
from transformer_mt.data.tokenizer import train_tokenizers
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID, PAD_ID


class Table:
    """Pairs of token ids in memory; row i holds the id 10 + i, so that it can be recognised."""

    def __init__(self, lengths: list[tuple[int, int]], weights: list[float] | None = None) -> None:
        self.src_lengths = np.array([src for src, _ in lengths], dtype=np.int32)
        self.tgt_lengths = np.array([tgt for _, tgt in lengths], dtype=np.int32)
        self.weights = None if weights is None else np.array(weights, dtype=np.float32)

    def rows(self, indices: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(self._row(i, self.src_lengths[i]), self._row(i, self.tgt_lengths[i])) for i in indices]

    def _row(self, index: int, length: int) -> np.ndarray:
        return np.array([10 + index] * (length - 1) + [EOS_ID], dtype=np.int32)


def random_table(count: int, longest: int = 60) -> Table:
    lengths = np.random.default_rng(3).integers(1, longest + 1, (count, 2))
    return Table([tuple(pair) for pair in lengths.tolist()])


def pairs_of(plan: EpochPlan) -> list[int]:
    return [int(pair) for position in range(len(plan)) for pair in plan.batch_pairs(position)]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=80),
    st.integers(40, 200),
    st.integers(0, 3),
)
def test_every_pair_comes_once_and_no_batch_passes_the_limit(
    lengths: list[tuple[int, int]], size: int, epoch: int
) -> None:
    table = Table(lengths)
    plan = plan_epoch(table, BatchLimit(size, in_tokens=True), seed=1, epoch=epoch)
    assert sorted(pairs_of(plan)) == list(range(len(lengths)))
    for position in range(len(plan)):
        pairs = plan.batch_pairs(position)
        assert len(pairs) * max(table.src_lengths[pairs].max(), table.tgt_lengths[pairs].max()) <= size


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=80), st.integers(12, 100))
def test_one_pair_more_would_pass_the_limit(lengths: list[tuple[int, int]], size: int) -> None:
    table = Table(lengths)
    plan = plan_epoch(table, BatchLimit(size, in_tokens=True), seed=1, epoch=0)
    longest = np.maximum(table.src_lengths, table.tgt_lengths)[plan.pairs]
    for start, end in list(zip(plan.starts, plan.starts[1:], strict=False))[1:-1]:
        assert (end + 1 - start) * longest[start : end + 1].max() > size


def test_lengths_that_no_sort_key_can_hold_keep_to_the_limit() -> None:
    lengths = np.random.default_rng(1).integers(3000, 9000, (300, 2))
    table = Table([tuple(pair) for pair in lengths.tolist()])
    plan = plan_epoch(table, BatchLimit(20_000, in_tokens=True), seed=1, epoch=0)
    assert sorted(pairs_of(plan)) == list(range(300))
    assert max(len(plan.batch_pairs(i)) * lengths[plan.batch_pairs(i)].max() for i in range(len(plan))) <= 20_000
    assert len(plan) < 250


def test_batches_by_sentences_hold_that_many_but_the_first_and_last() -> None:
    plan = plan_epoch(random_table(103), BatchLimit(10, in_tokens=False), seed=1, epoch=0)
    sizes = np.diff(plan.starts)
    assert (sizes[1:-1] == 10).all() and sizes.sum() == 103 and sizes.max() == 10


def test_order_is_a_pure_function_of_seed_and_epoch() -> None:
    table, limit = random_table(500), BatchLimit(400, in_tokens=True)
    first = pairs_of(plan_epoch(table, limit, seed=1, epoch=0))
    assert pairs_of(plan_epoch(table, limit, seed=1, epoch=0)) == first
    assert pairs_of(plan_epoch(table, limit, seed=1, epoch=1)) != first
    assert pairs_of(plan_epoch(table, limit, seed=2, epoch=0)) != first


def test_pairs_meet_other_pairs_in_another_epoch() -> None:
    table, limit = random_table(2000, longest=20), BatchLimit(400, in_tokens=True)
    batches = [
        {frozenset(plan.batch_pairs(i).tolist()) for i in range(len(plan))}
        for plan in (plan_epoch(table, limit, 1, 0), plan_epoch(table, limit, 1, 1))
    ]
    assert not batches[0] & batches[1]


def test_a_whole_weight_repeats_pairs_and_a_fraction_takes_turns() -> None:
    table = Table([(5, 5)] * 300, weights=[2.0] * 100 + [0.5] * 100 + [1.0] * 100)
    epochs = [pairs_of(plan_epoch(table, BatchLimit(64, in_tokens=False), 1, epoch)) for epoch in (0, 1)]
    for drawn in epochs:
        counts = np.bincount(drawn, minlength=300)
        assert (counts[:100] == 2).all() and (counts[200:] == 1).all()
    halves = [{pair for pair in drawn if 100 <= pair < 200} for drawn in epochs]
    assert not halves[0] & halves[1]
    assert halves[0] | halves[1] == set(range(100, 200))


def test_a_batch_holds_its_rows_shifted_by_bos_and_padded() -> None:
    table = Table([(2, 4), (3, 2)])
    batch = make_batch(table, np.array([0, 1]))
    assert batch.src.tolist() == [[10, EOS_ID, PAD_ID], [11, 11, EOS_ID]]
    assert batch.tgt_out.tolist() == [[10, 10, 10, EOS_ID], [11, EOS_ID, PAD_ID, PAD_ID]]
    assert batch.tgt_in.tolist() == [[BOS_ID, 10, 10, 10], [BOS_ID, 11, PAD_ID, PAD_ID]]
    assert (batch.num_source_tokens, batch.num_target_tokens) == (5, 6)
    assert batch.padding == pytest.approx(1 - 11 / 14)


def test_the_largest_batch_has_the_most_positions_and_of_nearly_as_many_the_longest_sentences() -> None:
    table = random_table(300)
    plan = plan_epoch(table, BatchLimit(300, in_tokens=True), 1, 0)
    batches = {}
    for position in range(len(plan)):
        pairs = plan.batch_pairs(position)
        batches[tuple(pairs.tolist())] = make_batch(table, pairs)
    most = max(batch.num_positions for batch in batches.values())
    large = [batch for batch in batches.values() if batch.num_positions >= 0.95 * most]
    found = batches[tuple(largest_batch(table, plan).tolist())]
    assert found.num_positions >= 0.95 * most
    assert len(large) > 1 and found.num_positions / len(found.src) == max(b.num_positions / len(b.src) for b in large)


def test_halves_are_the_batches_of_the_halves_of_the_pairs() -> None:
    table = random_table(9)
    halves = make_batch(table, np.arange(9)).halves()
    for half, pairs in zip(halves, (np.arange(4), np.arange(4, 9)), strict=True):
        expected = make_batch(table, pairs)
        for name in ("src", "tgt_in", "tgt_out"):
            assert getattr(half, name).tolist() == getattr(expected, name).tolist()
        assert half.num_positions == expected.num_positions and half.padding == expected.padding


def test_padding_is_at_most_8_percent_on_multi30k_at_4096_tokens(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "multi30k"
    source = SourceConfig(src=str(folder / "train.en"), tgt=str(folder / "train.fr"))
    data = DataConfig(train=(source,), cache_dir=str(tmp_path))
    small = TokenizerConfig(vocab_size=4000, model_type="bpe", max_train_lines=8000)
    tokenizers = train_tokenizers(small, lambda: read_pairs(source, data, print), print)
    corpus = prepare(data.train, data, tokenizers, print)
    real = padded = 0
    for epoch in range(2):
        plan = plan_epoch(corpus, BatchLimit(4096, in_tokens=True), seed=1, epoch=epoch)
        for position in range(len(plan)):
            pairs = plan.batch_pairs(position)
            src, tgt = corpus.src_lengths[pairs], corpus.tgt_lengths[pairs]
            real += int(src.sum() + tgt.sum())
            padded += len(pairs) * int(src.max() + tgt.max())
    assert 1 - real / padded <= 0.08
