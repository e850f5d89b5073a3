"""Rows hold every token once, and give it back where it was; padding has neither place nor gradient."""

import pytest
import torch
from torch import Tensor

from transformer_mt.model.rows import Rows

NUM_HEADS, WIDTH = 2, 3
LENGTHS = [(5, 1, 4), (4, 4, 4), (1,), (16,) * 33]


def rows_of(lengths: tuple[int, ...], are_compiled: bool) -> Rows:
    real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Rows(real, torch.bfloat16 if are_compiled else torch.float32)


def by_hand(x: Tensor, lengths: tuple[int, ...]) -> list[Tensor]:
    """The vectors of each sentence of padded x (B, T, ...)."""
    return [sentence[:length] for sentence, length in zip(x, lengths, strict=True)]


@pytest.mark.parametrize("are_compiled", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_packing_and_unpacking_keep_every_token(lengths: tuple[int, ...], are_compiled: bool) -> None:
    rows = rows_of(lengths, are_compiled)
    x = torch.randn(len(lengths), max(lengths), WIDTH)
    packed = rows.pack(x)
    assert torch.equal(packed[: sum(lengths)], torch.cat(by_hand(x, lengths)))
    assert packed.shape[0] > sum(lengths)
    for ours, theirs in zip(by_hand(rows.unpack(packed), lengths), by_hand(x, lengths), strict=True):
        assert torch.equal(ours, theirs)
    ids = torch.arange(1, x[..., 0].numel() + 1).view(x.shape[:2])
    taken = rows.take(ids, pad_id=0)
    assert torch.equal(taken[: sum(lengths)], torch.cat(by_hand(ids, lengths)))
    assert not taken[sum(lengths) :].any()


@pytest.mark.parametrize("are_compiled", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_heads_are_those_of_a_plain_reshape(lengths: tuple[int, ...], are_compiled: bool) -> None:
    rows = rows_of(lengths, are_compiled)
    x = torch.randn(rows.num_rows, 3 * NUM_HEADS * WIDTH, dtype=torch.float64, requires_grad=True)
    heads = rows.split(x, 3, NUM_HEADS)  # (3, B, H, T, E)
    plain = rows.unpack(x).unflatten(-1, (3, NUM_HEADS, WIDTH)).permute(2, 0, 3, 1, 4)
    assert torch.equal(heads[:, : len(lengths), :, : max(lengths)], plain)

    weight = torch.randn(sum(lengths), NUM_HEADS * WIDTH, dtype=torch.float64)
    joined = rows.join(heads.prod(dim=0))
    (gradient,) = torch.autograd.grad((joined[: sum(lengths)] * weight).sum(), x)
    product = x.unflatten(1, (3, -1)).prod(dim=1)
    torch.testing.assert_close(joined[: sum(lengths)], product[: sum(lengths)])
    (expected,) = torch.autograd.grad((product[: sum(lengths)] * weight).sum(), x)
    torch.testing.assert_close(gradient, expected)
    assert not gradient[sum(lengths) :].any()


def test_compiled_shapes_recur() -> None:
    shapes = set()
    for lengths in ((6,) * 43, (7,) * 40, (8,) * 48, (5, 6) * 24):
        rows = rows_of(lengths, are_compiled=True)
        shapes.add((rows.num_rows, rows.num_sentences, rows.length))
    assert shapes == {(512, 48, 8)}
    assert rows_of((5, 3, 2), are_compiled=True).num_rows == 11  # few rows are cheaper as they are
    assert rows_of((8,) * 48, are_compiled=False).num_rows == 385
