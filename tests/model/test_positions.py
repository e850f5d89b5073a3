"""Positions equal their formulas."""

import math
from collections.abc import Callable

import pytest
import torch

from transformer_mt.errors import TransformerMTError
from transformer_mt.model.positions import SinusoidalPositions, rotate, rotation, sinusoids
from transformer_mt.model.rows import Rows
from transformer_mt.model.transformer import Transformer

MakeModel = Callable[..., Transformer]


def test_sinusoids_equal_the_formula_in_halves() -> None:
    table = sinusoids(torch.arange(50), 12)
    for position in (0, 1, 7, 49):
        angles = [position * 10000 ** (-2 * i / 12) for i in range(6)]
        expected = [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]
        torch.testing.assert_close(table[position], torch.tensor(expected))


def test_sinusoidal_table_grows_with_the_sequence() -> None:
    positions = SinusoidalPositions(4, 8)
    here = torch.arange(3, 12)
    torch.testing.assert_close(positions(torch.zeros(1, 9, 8), here, 12)[0], sinusoids(here, 8))


def test_rotary_scores_depend_on_the_distance_only() -> None:
    q, k = torch.randn(2, 8, dtype=torch.float64)
    turns = rotation(torch.arange(40), 8)
    turned_q, turned_k = rotate(q.expand(40, 8), turns), rotate(k.expand(40, 8), turns)
    scores = turned_q @ turned_k.T
    for distance in (-11, -1, 0, 3, 20):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=0)
    assert not torch.allclose(scores.diagonal(0)[0], scores.diagonal(3)[0])


def test_rotary_self_attention_does_not_change_when_everything_moves(make_model: MakeModel) -> None:
    attention = make_model(positions="rotary").encoder.layers[0].self_attention
    rows = Rows(torch.ones(2, 9, dtype=torch.bool), torch.float32)
    x = rows.pack(torch.randn(2, 9, 16))
    here, there = (attention(x, rows, None, rotation(torch.arange(9) + start, 8)) for start in (0, 17))
    torch.testing.assert_close(here, there, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(here, attention(x, rows, None, None), atol=1e-3)


def test_rotation_keeps_lengths_and_leaves_position_0_alone() -> None:
    x = torch.randn(5, 6, dtype=torch.float64)
    turned = rotate(x, rotation(torch.arange(5), 6))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), atol=1e-6, rtol=0)
    assert torch.equal(turned[0], x[0])


def test_rotation_has_the_gradient_of_its_formula() -> None:
    x = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: rotate(x, rotation(torch.arange(5), 6)), x, atol=1e-6)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary", "none"])
def test_order_matters_exactly_when_positions_are_told(make_model: MakeModel, positions: str) -> None:
    model = make_model(positions=positions)
    memory = model.encode(torch.tensor([[5, 6, 7, 3]]))
    shuffled = model.encode(torch.tensor([[7, 6, 5, 3]]))
    assert torch.allclose(memory[0, 1], shuffled[0, 1], atol=1e-6) == (positions == "none")


def test_learned_positions_say_where_they_end(make_model: MakeModel) -> None:
    model = make_model(positions="learned", max_positions=4)
    assert model.longest_sequence == 4
    with pytest.raises(TransformerMTError, match="max_positions: learned positions end at 4, but a sequence has 5"):
        model.encode(torch.full((1, 5), 6))
