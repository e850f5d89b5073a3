"""Word vectors go to the pieces that spell their word, and damaged files are named by line."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from transformer_mt.errors import DataError
from transformer_mt.model.transformer import Transformer
from transformer_mt.model.vectors import initialise_embeddings, load_vectors

MakeModel = Callable[..., Transformer]

GLOVE = "the 1 2 3\nParis 4 5 6\nparis 7 8 9\n, .5 .25 0\n. . . 1 1 1\nen 3 3 3\n"
PIECES = ["<pad>", "▁the", "▁The", "▁Paris", "en", ",", "▁", "▁lost"]


def write(directory: Path, text: str) -> Path:
    path = directory / "vectors.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("header", ["", "6 3\n"], ids=["glove", "word2vec"])
def test_pieces_take_the_vector_of_their_word_or_its_lower_case(tmp_path: Path, header: str) -> None:
    rows, found = load_vectors(write(tmp_path, header + GLOVE), PIECES, 3)
    expected = {1: [1, 2, 3], 2: [1, 2, 3], 3: [4, 5, 6], 5: [0.5, 0.25, 0]}
    assert found.nonzero().squeeze(1).tolist() == list(expected)
    for row, vector in expected.items():
        assert rows[row].tolist() == vector


def test_own_spelling_wins_over_lower_case_in_any_order(tmp_path: Path) -> None:
    for text in ("paris 1\nParis 2\n", "Paris 2\nparis 1\n"):
        assert load_vectors(write(tmp_path, text), ["▁Paris"], 1)[0].item() == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("the 1 2\n", r"vectors.txt:1: vectors have 2 numbers, model.d_model is 3"),
        ("9 300\nthe 1 2 3\n", r"vectors.txt:1: vectors have 300 numbers, model.d_model is 3"),
        ("a 1 2 3\nthe 1 2\n", r"vectors.txt:2: has 2 numbers after the word, 3 are needed"),
        ("a 1 2 3\n\n", r"vectors.txt:2: has 0 numbers after the word"),
        ("the 1 two 3\n", r"vectors.txt:1: is no vector .*'two'"),
        ("the 1 nan 3\n", r"vectors.txt:1: has a number that is not finite"),
        ("", r"vectors.txt: has no vectors"),
        ("2 3\n", r"vectors.txt: has no vectors"),
    ],
)
def test_damaged_files_are_named_by_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        load_vectors(write(tmp_path, text), PIECES, 3)


@pytest.mark.parametrize("freeze", [False, True])
def test_embeddings_start_from_scaled_vectors_and_coverage_is_told(
    tmp_path: Path, make_model: MakeModel, freeze: bool
) -> None:
    path = write(tmp_path, "the 3 4 0 0\na 0 0 6 8\n")
    pieces = ["▁the", "▁a", *(f"▁other{i}" for i in range(18))]
    model = make_model(
        d_model=4, tied_embeddings="decoder", src_vectors=str(path), tgt_vectors=None, freeze_vectors=freeze
    )
    before, target = (e.tokens.weight.detach().clone() for e in (model.src_embedding, model.tgt_embedding))
    told: list[str] = []
    initialise_embeddings(model, model.config, pieces, pieces, told.append)
    weight = model.src_embedding.tokens.weight
    assert told == ["src_vectors: 2 of 20 pieces (10.0 %) found in vectors.txt"]
    assert weight[:2].square().mean().item() == pytest.approx(1 / 4)
    torch.testing.assert_close(weight[1, 3] / weight[0, 0], torch.tensor(8 / 3))
    assert torch.equal(weight[2:], before[2:])
    assert torch.equal(model.tgt_embedding.tokens.weight, target)
    assert weight.requires_grad is not freeze
    assert model.tgt_embedding.tokens.weight.requires_grad


def test_target_vectors_win_in_a_shared_matrix(tmp_path: Path, make_model: MakeModel) -> None:
    src, tgt = tmp_path / "src.txt", tmp_path / "tgt.txt"
    src.write_text("a 1 0 0 0\nb 0 1 0 0\n", encoding="utf-8")
    tgt.write_text("b 0 0 0 1\n", encoding="utf-8")
    model = make_model(d_model=4, tied_embeddings="all", src_vectors=str(src), tgt_vectors=str(tgt))
    initialise_embeddings(model, model.config, ["▁a", "▁b"], ["▁a", "▁b"], lambda line: None)
    rows = model.output_proj.weight[:2]
    assert (rows != 0).tolist() == [[True, False, False, False], [False, False, False, True]]
