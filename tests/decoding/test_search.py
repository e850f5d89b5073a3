"""Search against brute force on a table of probabilities: no model is needed to test it."""

import itertools
import math
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor

from transformer_mt.decoding import search
from transformer_mt.decoding.search import Sampling, SearchSettings, beam_search, sample

BOS, EOS, VOCAB = 0, 1, 4


class TableStep:
    """A made-up model: the distribution after a prefix is drawn from a generator seeded by sentence and prefix."""

    def __init__(self, sentences: list[int], sharpness: float = 2.0) -> None:
        self.sentences = sentences
        self.sharpness = sharpness
        self.prefixes: list[list[tuple[int, ...]]] = [[] for _ in sentences]
        self.num_steps = 0

    def step(self, tokens: Tensor) -> None:
        self.num_steps += 1
        if not self.prefixes[0]:
            self.prefixes = [[() for _ in row] for row in tokens]
        self.prefixes = [
            [(*prefix, token) for prefix, token in zip(prefixes, row, strict=True)]
            for prefixes, row in zip(self.prefixes, tokens.tolist(), strict=True)
        ]

    def log_probs(self, sentences: slice) -> Tensor:
        rows = zip(self.sentences[sentences], self.prefixes[sentences], strict=True)
        return torch.stack([torch.stack([self.row(s, prefix) for prefix in row]) for s, row in rows])

    def row(self, sentence: int, prefix: tuple[int, ...]) -> Tensor:
        generator = torch.Generator().manual_seed(hash((sentence, prefix)) % 2**31)
        return (self.sharpness * torch.randn(VOCAB, generator=generator)).log_softmax(-1)

    def reorder(self, parents: Tensor) -> None:
        self.prefixes = [
            [row[parent] for parent in chosen] for row, chosen in zip(self.prefixes, parents.tolist(), strict=True)
        ]

    def select(self, rows: Tensor) -> None:
        self.sentences = [self.sentences[row] for row in rows.tolist()]
        self.prefixes = [self.prefixes[row] for row in rows.tolist()]


def settings(beam_size: int, n_best: int = 1, length_penalty: float = 1.0) -> SearchSettings:
    return SearchSettings(beam_size=beam_size, length_penalty=length_penalty, bos_id=BOS, eos_id=EOS, n_best=n_best)


def all_hypotheses(sentence: int, max_length: int, length_penalty: float) -> list[tuple[float, list[int]]]:
    """Every sequence that ends in eos within max_length tokens, with its score, best first."""
    table = TableStep([sentence])
    others = [token for token in range(VOCAB) if token != EOS]
    scored = []
    for length in range(max_length):
        for tokens in itertools.product(others, repeat=length):
            total = 0.0
            for position, token in enumerate([*tokens, EOS]):
                total += float(table.row(sentence, (BOS, *tokens[:position]))[token])
            scored.append((total / (length + 1) ** length_penalty, list(tokens)))
    return sorted(scored, reverse=True)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 1.5])
def test_full_width_equals_exhaustive_search(length_penalty: float) -> None:
    sentences, max_lengths = [5, 6, 7], [4, 3, 4]
    found = beam_search(TableStep(sentences), torch.tensor(max_lengths), settings(64, 5, length_penalty))
    for sentence, max_length, hypotheses in zip(sentences, max_lengths, found, strict=True):
        expected = all_hypotheses(sentence, max_length, length_penalty)[:5]
        assert [one.tokens for one in hypotheses] == [tokens for _, tokens in expected]
        assert [one.score for one in hypotheses] == pytest.approx([score for score, _ in expected], rel=1e-5)


def test_log_prob_is_the_sum_over_tokens_and_end() -> None:
    (best,) = beam_search(TableStep([3]), torch.tensor([4]), settings(8))[0]
    table, total = TableStep([3]), 0.0
    for position, token in enumerate([*best.tokens, EOS]):
        total += float(table.row(3, (BOS, *best.tokens[:position]))[token])
    assert best.log_prob == pytest.approx(total, rel=1e-5)
    assert best.score == pytest.approx(total / (len(best.tokens) + 1), rel=1e-5)


def test_a_beam_of_one_is_greedy_search() -> None:
    for sentence in range(20):
        prefix: tuple[int, ...] = (BOS,)
        while len(prefix) < 10:
            token = int(TableStep([sentence]).row(sentence, prefix).argmax())
            if token == EOS:
                break
            prefix = (*prefix, token)
        (found,) = beam_search(TableStep([sentence]), torch.tensor([10]), settings(1))[0]
        assert found.tokens == list(prefix[1:])


@pytest.mark.parametrize("vocab_size", [3, 64, 100, 640, 1000])
@pytest.mark.parametrize("beam_size", [1, 2, 5])
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode], ids=["PyTorch", "compiled loops"])
def test_the_best_continuations_are_those_of_a_plain_topk(
    vocab_size: int, beam_size: int, mode: Callable[[], AbstractContextManager[object]]
) -> None:
    torch.manual_seed(vocab_size)
    scores, log_probs = torch.randn(7, beam_size), torch.randn(7, beam_size, vocab_size)
    scores[0] = log_probs[1, :, 2:] = -torch.inf  # as where nothing is alive, and where only a few tokens may follow
    count = min(2 * beam_size, beam_size * vocab_size)
    expected, places = (scores.unsqueeze(-1) + log_probs).flatten(1).topk(count)
    with mode():
        found = search.best_continuations(scores, log_probs, 2 * beam_size)
    assert torch.equal(found.scores, expected)
    is_real = expected > -torch.inf
    assert torch.equal(found.parents[is_real], (places // vocab_size)[is_real])
    assert torch.equal(found.tokens[is_real], (places % vocab_size)[is_real])
    assert found.tokens.max() < vocab_size and found.parents.max() < beam_size
    assert all(len(set(row)) == count for row in (found.parents * vocab_size + found.tokens).tolist())


def test_rows_that_go_on_keep_their_place_or_fill_one_that_is_free() -> None:
    for num_open in range(0, 30):
        torch.manual_seed(num_open)
        is_open = torch.zeros(30, dtype=torch.bool)
        is_open[torch.randperm(30)[:num_open]] = True
        rows = search._those_to_go_on(is_open)
        if rows is None:
            assert num_open > 24
            continue
        assert len(rows) == num_open + -num_open % 8
        assert len(rows.unique()) == len(rows) and is_open[rows].sum() == num_open
        assert all(row in (place, *range(len(rows), 30)) for place, row in enumerate(rows.tolist()))


def test_sizes_of_batches_recur_and_lose_less_than_a_third() -> None:
    sizes = {search.recurring_size(number) for number in range(1, 1000)}
    assert len([size for size in sizes if size > 8]) == 12
    assert all(2 / 3 * number <= search.recurring_size(number) <= number for number in range(32, 1000))
    assert [search.recurring_size(number) for number in range(1, 10)] == [*range(1, 9), 8]


@pytest.mark.parametrize("beam_size", [2, 3, 5])
def test_the_best_is_the_same_for_every_n_best(beam_size: int) -> None:
    sentences = list(range(30))
    one = beam_search(TableStep(sentences), torch.full((30,), 8), settings(beam_size, 1))
    many = beam_search(TableStep(sentences), torch.full((30,), 8), settings(beam_size, beam_size))
    assert [hypotheses[0] for hypotheses in one] == [hypotheses[0] for hypotheses in many]
    assert all(len(hypotheses) == beam_size for hypotheses in many)


@pytest.mark.parametrize("beam_size", [2, 4])
def test_stopping_early_loses_nothing(beam_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = list(range(40))
    model = TableStep(sentences, sharpness=4.0)
    early = beam_search(model, torch.full((40,), 12), settings(beam_size, 2))
    monkeypatch.setattr(search, "_settled", lambda live, *_: live.scores.amax(dim=1) == -torch.inf)
    patient = TableStep(sentences, sharpness=4.0)
    assert beam_search(patient, torch.full((40,), 12), settings(beam_size, 2)) == early
    assert patient.num_steps == 12


def test_search_stops_early_where_nothing_better_can_come() -> None:
    class Certain(TableStep):
        def row(self, sentence: int, prefix: tuple[int, ...]) -> Tensor:
            return torch.tensor([1e-9, 1 - 3e-9, 1e-9, 1e-9]).log()

    model = Certain([0])
    beam_search(model, torch.tensor([50]), settings(3))
    assert model.num_steps < 10


def test_a_sentence_is_searched_alike_alone_and_beside_others() -> None:
    lengths = [3, 9, 5, 7]
    together = beam_search(TableStep([1, 2, 3, 4]), torch.tensor(lengths), settings(3, 2))
    for index, sentence in enumerate([1, 2, 3, 4]):
        (alone,) = beam_search(TableStep([sentence]), torch.tensor([lengths[index]]), settings(3, 2))
        assert alone == together[index]


def test_the_maximum_length_ends_a_hypothesis_and_says_so() -> None:
    class Endless(TableStep):
        def row(self, sentence: int, prefix: tuple[int, ...]) -> Tensor:
            return torch.tensor([0.4, 1e-6, 0.3, 0.3]).log()

    for beam_size in (1, 3):
        (found,) = beam_search(Endless([0]), torch.tensor([6]), settings(beam_size))[0]
        assert len(found.tokens) + 1 <= 6
        assert found.cut_short == (len(found.tokens) + 1 == 6)


def test_no_sentences_give_no_hypotheses() -> None:
    assert beam_search(TableStep([]), torch.zeros(0, dtype=torch.long), settings(3)) == []


def test_more_alternatives_than_the_beam_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="n_best"):
        beam_search(TableStep([0]), torch.tensor([3]), settings(2, 3))


def test_sampling_draws_tokens_with_their_probability() -> None:
    draws = 3000
    found = sample(TableStep([9]), torch.tensor([2]), settings(1, draws), Sampling(), keys=[0])[0]
    counts = Counter(one.tokens[0] if one.tokens else EOS for one in found)
    probs = TableStep([9]).row(9, (BOS,)).exp()
    for token in range(VOCAB):
        deviation = math.sqrt(draws * probs[token] * (1 - probs[token]))
        assert abs(counts[token] - draws * probs[token]) < 5 * deviation + 1


def test_top_k_of_one_and_a_tiny_top_p_are_greedy() -> None:
    greedy = [one.tokens for (one,) in beam_search(TableStep([1, 2, 3]), torch.full((3,), 8), settings(1))]
    for sampling in (Sampling(top_k=1), Sampling(top_p=1e-6), Sampling(temperature=1e-3)):
        drawn = sample(TableStep([1, 2, 3]), torch.full((3,), 8), settings(1), sampling, keys=[0, 1, 2])
        assert [one.tokens for (one,) in drawn] == greedy


def test_truncated_sampling_draws_only_what_is_allowed() -> None:
    probs = TableStep([9]).row(9, (BOS,)).exp()
    ordered = probs.argsort(descending=True).tolist()
    for sampling, allowed in (
        (Sampling(top_k=2), set(ordered[:2])),
        (Sampling(top_p=float(probs[ordered[0]]) + 1e-4), set(ordered[:2])),
    ):
        found = sample(TableStep([9]), torch.tensor([2]), settings(1, 400), sampling, keys=[0])[0]
        assert {one.tokens[0] if one.tokens else EOS for one in found} == allowed


def test_what_is_drawn_does_not_depend_on_the_sentences_beside() -> None:
    lengths = torch.tensor([6, 6, 6])
    together = sample(TableStep([1, 2, 3]), lengths, settings(1, 4), Sampling(seed=5), keys=[10, 11, 12])
    alone = sample(TableStep([2]), torch.tensor([6]), settings(1, 4), Sampling(seed=5), keys=[11])
    assert alone[0] == together[1]
    other = sample(TableStep([2]), torch.tensor([6]), settings(1, 4), Sampling(seed=6), keys=[11])
    assert other[0] != together[1]
