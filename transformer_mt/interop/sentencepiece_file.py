"""SentencePiece model files, read and written without SentencePiece, whose loader strangers' files can crash.

They are protocol buffers: fields, each with a number, a kind of value and the value. Pieces are understood here; what
else a file says of normalisation and training is taken over as it is.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

from transformer_mt.data.vocabulary import BOS_ID, EOS_ID, PAD_ID, SPECIAL_PIECES, UNK_ID
from transformer_mt.errors import DataError, TokenizerError
from transformer_mt.files import check_readable_file

MAX_BYTES = 1 << 24
"""Of a model file; those of 64,000 pieces have about a megabyte."""
_VARINT, _LONG, _BYTES, _SHORT = 0, 1, 2, 5
_PIECES, _TRAINER, _NORMALIZER, _DENORMALIZER = 1, 2, 3, 5
"""Fields of the whole."""
_TEXT, _SCORE, _KIND = 1, 2, 3
"""Fields of a piece."""
_VOCAB_SIZE, _BYTE_FALLBACK, _UNKNOWN_SURFACE = 4, 35, 44
_SPECIAL_IDS = {40: UNK_ID, 41: BOS_ID, 42: EOS_ID, 43: PAD_ID}
_SPECIAL_TEXTS = {45: UNK_ID, 46: BOS_ID, 47: EOS_ID, 48: PAD_ID}
"""Fields of what it says of its training."""


class Kind(IntEnum):
    """What a piece is for."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    """Stands for no text."""
    USER_DEFINED = 4
    UNUSED = 5
    """No text is cut into it, but it is turned into text."""
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece as the file has it."""

    text: str
    score: float = 0.0
    kind: Kind = Kind.NORMAL


@dataclass(frozen=True, slots=True)
class PieceModel:
    """What a model file says, its pieces in the order of their ids."""

    pieces: Sequence[Piece]
    trainer: bytes
    normalizer: bytes
    denormalizer: bytes

    @classmethod
    def load(cls, path: Path) -> "PieceModel":
        """Read a file; raises TokenizerError naming it when it is too long or no model."""
        try:
            check_readable_file(path)
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (DataError, OSError) as error:
            raise TokenizerError(f"tokenizer {error}") from None
        if len(data) > MAX_BYTES:
            raise TokenizerError(f"{path}: has more than {MAX_BYTES:,} bytes; this is no SentencePiece model")
        try:
            return cls.parse(data)
        except (ValueError, struct.error) as error:
            raise TokenizerError(f"{path}: is no SentencePiece model, or a damaged one ({error})") from None

    @classmethod
    def parse(cls, data: bytes) -> "PieceModel":
        """The model that `data` is the file of; raises ValueError where it is none."""
        pieces: list[Piece] = []
        rest = {_TRAINER: b"", _NORMALIZER: b"", _DENORMALIZER: b""}
        for number, value in _fields(data):
            if number == _PIECES:
                pieces.append(_piece(_as_bytes(value)))
            elif number in rest:
                rest[number] += _as_bytes(value)
        if len({piece.text for piece in pieces} - {""}) < max(1, len(pieces)):
            raise ValueError("it has no pieces, or one twice or without text")
        return cls(pieces, *rest.values())

    def serialized(self) -> bytes:
        """The bytes of the file."""
        pieces = (_bytes_field(_PIECES, _piece_bytes(piece)) for piece in self.pieces)
        rest = ((_TRAINER, self.trainer), (_NORMALIZER, self.normalizer), (_DENORMALIZER, self.denormalizer))
        return b"".join([*pieces, *(_bytes_field(number, value) for number, value in rest if value)])

    def with_pieces(self, pieces: Sequence[Piece]) -> "PieceModel":
        """This model with other pieces, which begin with the special ones of `vocabulary`.

        The unknown piece becomes no text. Unless all 256 bytes are there, what is unknown is not written in bytes.
        """
        has_bytes = sum(piece.kind == Kind.BYTE for piece in pieces) == 256
        kept = [replace(one, kind=Kind.UNUSED) if one.kind == Kind.BYTE and not has_bytes else one for one in pieces]
        settings = {_VOCAB_SIZE: len(pieces), _BYTE_FALLBACK: int(has_bytes), **_SPECIAL_IDS}
        added = b"".join(_number_field(field, number) for field, number in settings.items())
        texts = {_UNKNOWN_SURFACE: "", **{field: SPECIAL_PIECES[index] for field, index in _SPECIAL_TEXTS.items()}}
        added += b"".join(_bytes_field(field, text.encode()) for field, text in texts.items())
        return replace(self, pieces=kept, trainer=self.trainer + added)  # of two values the later one counts


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field; values that are not varints come as bytes."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_LONG, _SHORT):
            size = 8 if kind == _LONG else 4
        else:
            raise ValueError(f"a field of unknown kind at byte {place}")
        if place + size > len(data):
            raise ValueError("it ends in the middle of a field")
        yield number, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """The number that begins at `place`, and where it ends: seven bits a byte, the lowest first."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("it ends in the middle of a number, or the number is too long")


def _piece(data: bytes) -> Piece:
    text, score, kind = "", 0.0, Kind.NORMAL
    for number, value in _fields(data):
        if number == _TEXT:
            text = _as_bytes(value).decode("utf-8")
        elif number == _SCORE:
            (score,) = struct.unpack("<f", _as_bytes(value))
        elif number == _KIND:
            kind = Kind(int(value))
    return Piece(text, score, kind)


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a field holds a number where bytes are due")
    return value


def _piece_bytes(piece: Piece) -> bytes:
    score = _key(_SCORE, _SHORT) + struct.pack("<f", piece.score)
    return _bytes_field(_TEXT, piece.text.encode()) + score + _number_field(_KIND, piece.kind)


def _number_field(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _as_varint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _key(number, _BYTES) + _as_varint(len(value)) + value


def _key(number: int, kind: int) -> bytes:
    return _as_varint(number << 3 | kind)


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
