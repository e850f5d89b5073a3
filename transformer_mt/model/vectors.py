"""Embeddings that start from pretrained word vectors (GloVe or word2vec text files)."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from transformer_mt.config.schema import ModelConfig
from transformer_mt.errors import DataError
from transformer_mt.files import read_lines
from transformer_mt.model.transformer import Embedding, Transformer

_WORD_START = "\u2581"
"""What SentencePiece writes at the start of a word."""


class _Use(NamedTuple):
    """A row that a word's vector is for, directly or only because the piece's own spelling may be missing."""

    row: int
    is_exact: bool


def initialise_embeddings(
    model: Transformer,
    config: ModelConfig,
    src_pieces: Sequence[str],
    tgt_pieces: Sequence[str],
    report: Callable[[str], None],
) -> None:
    """Start the embeddings of `model` from config.src_vectors and tgt_vectors, reporting how many pieces have one.

    Vectors are scaled together to the mean square 1 / D of all other rows. In a matrix that both sides
    share the target's vectors win. With freeze_vectors a matrix that starts from vectors is not trained.
    Raises DataError as `load_vectors` does.
    """
    for key, path, embedding, pieces in (
        ("src_vectors", config.src_vectors, model.src_embedding, src_pieces),
        ("tgt_vectors", config.tgt_vectors, model.tgt_embedding, tgt_pieces),
    ):
        if path is None:
            continue
        num_found = _fill(embedding, Path(path), pieces)
        share = f"{num_found:,} of {len(pieces):,} pieces ({num_found / max(1, len(pieces)):.1%})".replace("%", " %")
        report(f"{key}: {share} found in {Path(path).name}")
        if config.freeze_vectors:
            embedding.tokens.weight.requires_grad_(False)


def _fill(embedding: Embedding, path: Path, pieces: Sequence[str]) -> int:
    weight = embedding.tokens.weight
    rows, found = load_vectors(path, pieces, weight.shape[1])
    if found.any():
        scale = rows[found].square().mean().sqrt().clamp_min(1e-12).reciprocal() / math.sqrt(weight.shape[1])
        with torch.no_grad():
            weight[found.nonzero().squeeze(1).to(weight.device)] = (rows[found] * scale).to(weight)
    return int(found.sum())


def load_vectors(path: Path, pieces: Sequence[str], width: int) -> tuple[Tensor, Tensor]:
    """The vectors of `pieces` as rows (V, width), and found (V,), False where the file has none.

    A line holds a word and its numbers (GloVe); a first line "count width" is taken for what it is
    (word2vec). The piece "▁Word" takes the vector of "Word", else that of "word"; a piece inside a word
    takes none, unless it has no letters. The file is streamed. Raises DataError naming file and line when
    a line has another number of fields, or when a vector that is used is no finite numbers.
    """
    uses = _uses_by_word(pieces)
    rows = torch.zeros(len(pieces), width)
    found = torch.zeros(len(pieces), dtype=torch.bool)
    filled: set[int] = set()  # rows that have the vector of their own spelling
    for place, word, numbers in _entries(path, width):
        if word not in uses:
            continue
        vector = _vector(place, numbers)
        for use in uses[word]:
            if use.is_exact or use.row not in filled:
                rows[use.row] = vector
                found[use.row] = True
            if use.is_exact:
                filled.add(use.row)
    return rows, found


def _uses_by_word(pieces: Sequence[str]) -> dict[str, list[_Use]]:
    uses: dict[str, list[_Use]] = {}
    for row, piece in enumerate(pieces):
        word = piece.removeprefix(_WORD_START)
        if not word or (word == piece and any(character.isalpha() for character in piece)):
            continue
        uses.setdefault(word, []).append(_Use(row, True))
        if word.lower() != word:
            uses.setdefault(word.lower(), []).append(_Use(row, False))
    return uses


def _entries(path: Path, width: int) -> Iterator[tuple[str, str, list[str]]]:
    """Yield place, word and the text of the numbers of each vector; a word may hold blanks, as some of GloVe's do."""
    num_entries = 0
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.rstrip(" ").split(" ")
        if number == 1 and len(fields) == 2 and all(field.isdecimal() for field in fields):
            _check_width(f"{path}:{number}", int(fields[1]), width, is_first=True)
            continue
        _check_width(f"{path}:{number}", len(fields) - 1, width, is_first=num_entries == 0)
        num_entries += 1
        yield f"{path}:{number}", " ".join(fields[:-width]), fields[-width:]
    if num_entries == 0:
        raise DataError(f"{path}: has no vectors; give a GloVe or word2vec text file")


def _check_width(place: str, found: int, width: int, is_first: bool) -> None:
    if is_first and found != width:
        raise DataError(f"{place}: vectors have {found} numbers, model.d_model is {width}; the two must be equal")
    if found < width:
        raise DataError(f"{place}: has {found} numbers after the word, {width} are needed; the line is damaged")


def _vector(place: str, numbers: Sequence[str]) -> Tensor:
    try:
        vector = [float(text) for text in numbers]
    except ValueError as error:
        raise DataError(f"{place}: is no vector ({error}); the line is damaged") from None
    if not all(math.isfinite(value) for value in vector):
        raise DataError(f"{place}: has a number that is not finite; remove the line or mend it")
    return torch.tensor(vector)
