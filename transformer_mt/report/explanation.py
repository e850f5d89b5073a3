"""All that is told of how one sentence was translated: what `explain_page` draws.

Axes: S source pieces, T target pieces, the ends of both included; D d_model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transformer_mt.config.schema import ModelConfig
from transformer_mt.decoding.attribution import occlusion
from transformer_mt.decoding.beam_record import BeamRecord, Considered
from transformer_mt.decoding.characters import without_surrogates
from transformer_mt.decoding.inspection import Inspection, inspect_tokens, only_model, source_segment
from transformer_mt.decoding.translator import Translator
from transformer_mt.errors import DataError
from transformer_mt.model.positions import rotation
from transformer_mt.model.transformer import Embedding, Transformer

MOST_PIECES = 64
"""Of a sentence, its end included: more cannot be read on a page."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A hypothesis that came to its end."""

    text: str
    num_pieces: int
    """Its end included."""
    log_prob: float
    score: float
    """log_prob / num_pieces ** length_penalty."""
    is_best: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """An inspection, and what is known beside it."""

    inspection: Inspection
    normalised: str
    """The sentence as the tokenizer sees it."""
    model: ModelConfig
    vocab_sizes: tuple[int, int]
    """Pieces of the source's and of the target's vocabulary."""
    arithmetic: str
    src_vectors: Tensor
    """(S, D): the vectors of the pieces, times sqrt(D)."""
    positions: Tensor
    """(S, D): what tells positions apart and is added to the vectors; (S, E / 2) cosines of angles where rotary."""
    attribution: Tensor
    """(T, S), see `attribution.occlusion`."""
    steps: list[list[Considered]]
    """The search that found the translation, see `beam_record`."""
    pieces: dict[int, str]
    """Of all tokens in `steps`."""
    ended: list[Ended]
    """What came to an end in it, best first."""
    beam_size: int
    length_penalty: float


def explain(translator: Translator, text: str) -> Explanation:
    """How `translator` translates `text`.

    Raises DataError for a sentence that is blank or too long, TransformerMTError for several models that vote.
    """
    text = without_surrogates(text)
    segment = source_segment(translator, text)
    if len(segment.ids) > MOST_PIECES:
        raise DataError(
            f"the sentence has {len(segment.ids):,} pieces, its end included; at most {MOST_PIECES} can be shown on a "
            "page: explain a part of it"
        )
    record, model, tokenizers = BeamRecord(), only_model(translator), translator.tokenizers
    found = translator.searcher.observed(record).search([segment])[0][0].tokens
    inspection = inspect_tokens(translator, text, segment, found)
    steps = record.search_for(inspection.tgt_ids)
    tokens = sorted({one.tokens[-1] for step in steps for one in step})
    vectors, positions = _embedded(model, model.src_embedding, segment.ids)
    return Explanation(
        inspection=inspection,
        normalised=tokenizers.src.normalised(text),
        model=model.config,
        vocab_sizes=(tokenizers.src.vocab_size, tokenizers.tgt.vocab_size),
        arithmetic=translator.arithmetic,
        src_vectors=vectors,
        positions=positions,
        attribution=occlusion(translator.searcher, segment.ids, found),
        steps=steps,
        pieces=dict(zip(tokens, tokenizers.tgt.pieces(tokens), strict=True)),
        ended=_ended(translator, steps, inspection.tgt_ids),
        beam_size=translator.settings.beam_size,
        length_penalty=translator.settings.length_penalty,
    )


@torch.inference_mode()
def _embedded(model: Transformer, embedding: Embedding, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The vectors of pieces, and what tells their positions apart."""
    device = embedding.tokens.weight.device
    vectors = embedding.tokens(torch.tensor(list(ids), device=device)).float() * embedding.scale
    places = torch.arange(len(ids), device=device)
    if model.config.positions == "rotary":
        signal = rotation(places, model.head_width).cos
    else:
        signal = embedding.positions(torch.zeros_like(vectors), places, len(ids))
    return vectors.cpu(), signal.float().cpu()


def _ended(translator: Translator, steps: list[list[Considered]], best: tuple[int, ...]) -> list[Ended]:
    found = [one for step in steps for one in step if one.fate == "ended"]
    texts = translator.tokenizers.tgt.decode([one.tokens[:-1] for one in found])
    rows = [
        Ended(
            text,
            len(one.tokens),
            one.log_prob,
            one.log_prob / len(one.tokens) ** translator.settings.length_penalty,
            one.tokens == best,
        )
        for text, one in zip(texts, found, strict=True)
    ]
    return sorted(rows, key=lambda row: -row.score)
