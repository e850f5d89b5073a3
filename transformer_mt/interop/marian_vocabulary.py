"""The vocabulary of a MarianMT checkpoint as two SentencePiece models that share the ids of our pieces.

Marian cuts text by source.spm or target.spm and looks the pieces up in vocab.json, whose ids are not those of the
models. Here each side gets a model of all pieces in one order: text is cut into its own ones only.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformer_mt.data.tokenizer import Tokenizer, TokenizerPair, problem_in_child
from transformer_mt.data.vocabulary import BOS_ID, PAD_ID, SPECIAL_PIECES, UNK_ID
from transformer_mt.errors import BundleError, TokenizerError
from transformer_mt.files import read_json
from transformer_mt.interop.marian_settings import MarianSettings
from transformer_mt.interop.sentencepiece_file import Kind, Piece, PieceModel

SOURCE_SPM, TARGET_SPM, VOCABULARY = "source.spm", "target.spm", "vocab.json"
MAX_VOCABULARY_BYTES = 1 << 23
"""Of vocab.json; that of 60,000 pieces has about two million."""
_UNKNOWN_PENALTY = 10.0
"""By how much SentencePiece takes an unknown character for less likely than the least likely piece."""
_PAD, _UNK, _, _EOS = SPECIAL_PIECES
_LANGUAGE_CODE = re.compile(">>.+<<")


@dataclass(frozen=True, slots=True)
class MarianVocabulary:
    """Our pieces, and what they were."""

    tokenizers: TokenizerPair
    rows: Sequence[int]
    """The checkpoint's token for each of our ids; its unknown one for several."""
    forbidden: Sequence[int]
    """Ids that may not be said."""


def read_vocabulary(directory: Path, settings: MarianSettings) -> MarianVocabulary:
    """Read vocab.json, source.spm and target.spm of a checkpoint.

    Raises TokenizerError or BundleError naming the file that is damaged, hostile or does not fit the others.
    """
    ids = _read_ids(directory, settings)
    source, target = PieceModel.load(directory / SOURCE_SPM), PieceModel.load(directory / TARGET_SPM)
    pad, unk, start, eos = (settings.pad_id, ids[_UNK], settings.start_id, settings.eos_id)
    rows = [pad, unk, start, eos, *(one for one in range(len(ids)) if one not in (pad, unk, start, eos))]
    texts = {one: text for text, one in ids.items()}
    pieces = [*SPECIAL_PIECES, *(_plain_text(texts[one], one) for one in rows[len(SPECIAL_PIECES) :])]
    own = [_own(model, ids, directory / name) for model, name in ((source, SOURCE_SPM), (target, TARGET_SPM))]
    # in transformers a piece of the source that has no token is unknown, but it is a piece: a row of its own, the same
    strays = [text for text in own[0] if text not in ids]
    forbidden = [PAD_ID, BOS_ID, *(rows.index(one) for one in settings.forbidden)]
    forbidden += range(len(pieces), len(pieces) + len(strays))
    rows += [unk] * len(strays)
    first = _tokenizer(source, _pieces([*pieces, *strays], own[0]), directory / SOURCE_SPM)
    unsaid = [Piece(text, kind=Kind.UNUSED) for text in strays]
    second = _tokenizer(target, [*_pieces(pieces, own[1]), *unsaid], directory / TARGET_SPM)
    same = first.proto == second.proto
    return MarianVocabulary(TokenizerPair(first, first if same else second), rows, sorted(set(forbidden)))


def _own(model: PieceModel, ids: Mapping[str, int], path: Path) -> dict[str, Piece]:
    """The pieces that `model` cuts text into."""
    own = {piece.text: piece for piece in model.pieces if piece.kind not in (Kind.UNKNOWN, Kind.CONTROL)}
    if 2 * sum(text in ids for text in own) < len(own) or not own:
        raise TokenizerError(f"{path}: has few of the pieces of {VOCABULARY}; they are not of one checkpoint")
    return own


def _read_ids(directory: Path, settings: MarianSettings) -> dict[str, int]:
    """The token of each piece, checked."""
    path = directory / VOCABULARY
    ids = read_json(path, MAX_VOCABULARY_BYTES)
    if not isinstance(ids, dict) or not all(type(one) is int for one in ids.values()):
        raise BundleError(f"{path}: must give each piece the number of its token")
    if len(ids) != settings.vocab_size or set(ids.values()) != set(range(len(ids))):
        raise BundleError(
            f"{path}: must number its pieces from 0 to {settings.vocab_size - 1:,} (vocab_size in config.json), each "
            f"number once; it has {len(ids):,} pieces and {len(set(ids.values())):,} different numbers"
        )
    for text, token in ((_PAD, settings.pad_id), (_UNK, None), (_EOS, settings.eos_id)):
        if text not in ids or token not in (None, ids[text]):
            there = f"has number {ids[text]}, config.json says {token}" if text in ids else "is missing"
            raise BundleError(f"{path}: {text} {there}; vocabulary and model are not of one checkpoint")
    if code := next(filter(_LANGUAGE_CODE.fullmatch, ids), None):
        raise BundleError(
            f"{path}: has language codes such as {code[:40]}: this model wants one before each sentence, which cannot "
            "be given here; import a model of one target language"
        )
    _check_tokenizer_config(directory / "tokenizer_config.json")
    return ids


def _check_tokenizer_config(path: Path) -> None:
    """Raise BundleError where it asks for more than source.spm, target.spm and vocab.json."""
    if not path.is_file():
        return
    config = read_json(path)
    if not isinstance(config, dict):
        raise BundleError(f"{path}: must hold keys with values")
    if config.get("separate_vocabs"):
        raise BundleError(f"{path}: separate_vocabs is not supported; one vocabulary is needed")
    for name, text in (("pad_token", _PAD), ("unk_token", _UNK), ("eos_token", _EOS)):
        if _content(config.get(name, text)) != text:
            raise BundleError(f"{path}: {name} is {_content(config[name])[:40]!r}, only {text} can be imported")
    added = config.get("added_tokens_decoder", {})
    texts = map(_content, added.values()) if isinstance(added, Mapping) else [str(added)]
    if odd := next((text for text in texts if text not in (_PAD, _UNK, _EOS)), None):
        raise BundleError(f"{path}: added_tokens_decoder has {odd[:40]!r}, and added tokens cannot be imported")


def _content(token: Any) -> str:
    return str(token.get("content")) if isinstance(token, Mapping) else str(token)


def _plain_text(text: str, token: int) -> str:
    """A piece that is called like a special one of ours, and is none, gets another name."""
    return f"{text}#{token}" if text in SPECIAL_PIECES else text


def _pieces(texts: Sequence[str], own: Mapping[str, Piece]) -> list[Piece]:
    """The pieces `texts`, of which a model has its `own`."""
    scores = [piece.score for piece in own.values() if piece.kind == Kind.NORMAL]
    unknown = min(scores, default=0.0) - _UNKNOWN_PENALTY
    pieces = [_special(index) for index in range(len(SPECIAL_PIECES))]
    for text in texts[len(SPECIAL_PIECES) :]:
        # a character that only the other side has is unknown to this model, and then found in the vocabulary
        other = Piece(text, unknown) if len(text) == 1 else Piece(text, kind=Kind.UNUSED)
        pieces.append(own.get(text, other))
    return pieces


def _tokenizer(model: PieceModel, pieces: Sequence[Piece], path: Path) -> Tokenizer:
    """`model` with other pieces."""
    proto = model.with_pieces(pieces).serialized()
    if problem := problem_in_child(proto):
        raise TokenizerError(f"{path}: with the pieces of {VOCABULARY}: {problem}")
    return Tokenizer(proto, str(path))


def _special(index: int) -> Piece:
    return Piece(SPECIAL_PIECES[index], kind=Kind.UNKNOWN if index == UNK_ID else Kind.CONTROL)
