"""Everything that happens to one sentence on its way through a translator, for pictures and explanations.

Axes: S source pieces, T target pieces, the ends of both included; L layers of a side, H heads, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from transformer_mt.data.tokenizer import Tokenizer, TokenizerPair, escape
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID, SPECIAL_PIECES
from transformer_mt.decoding.characters import LINE_BREAKS, without_surrogates
from transformer_mt.decoding.searcher import Segment
from transformer_mt.decoding.translator import Translator
from transformer_mt.decoding.word_alignment import WORD, Link, word_links, word_of_each_piece
from transformer_mt.errors import DataError, TransformerMTError
from transformer_mt.model.trace import Trace
from transformer_mt.model.transformer import Transformer

NUM_ALTERNATIVES = 5
"""Most probable pieces that are told for each place of a translation."""
_DIGITS = 4
"""Of numbers in JSON."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """One sentence, its translation, and what the model made of them."""

    text: str
    """The sentence, NUL and what cannot be written as UTF-8 replaced by U+FFFD."""
    translation: str
    src_ids: tuple[int, ...]
    """(S,), eos last."""
    tgt_ids: tuple[int, ...]
    """(T,), eos last."""
    src: tuple[str, ...]
    """The pieces (S,) as SentencePiece writes them."""
    tgt: tuple[str, ...]
    log_probs: Tensor
    """(T,): the log-probability of each piece of the translation after those before it."""
    alternatives: tuple[tuple[tuple[str, float], ...], ...]
    """For each place the most probable pieces, with their probabilities."""
    trace: Trace
    """Hidden states and attention, on the CPU, in float32."""
    src_words: tuple[str, ...]
    tgt_words: tuple[str, ...]
    links: tuple[Link, ...]
    """Numbers of a source and of a target word that belong together, see `word_alignment`."""

    def as_json(self, with_attention: bool = True) -> dict[str, Any]:
        """What fits into JSON; `attention.decoder[l][h][t]` is over bos and the pieces before piece t.

        Without attention its place holds nothing: there may be many more weights than a reader wants.
        """
        attention = {
            "encoder": self.trace.encoder_attention,
            "decoder": self.trace.decoder_attention,
            "memory": self.trace.memory_attention,
        }
        return {
            "translation": self.translation,
            "src": list(self.src),
            "tgt": list(self.tgt),
            "probabilities": _rounded(self.log_probs.exp()),
            "attention": {name: _rounded(weights) for name, weights in attention.items()} if with_attention else None,
            "words": {
                "src": list(self.src_words),
                "tgt": list(self.tgt_words),
                "links": [list(link) for link in self.links],
            },
        }


def inspect_translation(translator: Translator, text: str, tgt: str | None = None) -> Inspection:
    """What happens when `translator` translates `text`, or when it is made to say `tgt`.

    Raises TransformerMTError for several models that vote, and DataError for a sentence that is blank or too long to
    be translated in one part, and for a translation that is too long for the model.
    """
    text = without_surrogates(text)
    segment = source_segment(translator, text)
    if tgt is None:
        ids = translator.searcher.search([segment])[0][0].tokens
    else:
        ids = translator.tokenizers.tgt.encode([without_surrogates(tgt)])[0]
        _check_length("translation", len(ids) + 1, translator.searcher.longest_sequence)
    return inspect_tokens(translator, text, segment, ids)


def only_model(translator: Translator) -> Transformer:
    """The model of the translator; raises TransformerMTError where several vote."""
    if len(translator.searcher.models) != 1:
        raise TransformerMTError("only one model can be looked into; load it without the others that vote with it")
    return translator.searcher.models[0]


def source_segment(translator: Translator, text: str) -> Segment:
    """What is searched for a sentence without surrogates.

    Raises TransformerMTError where several models vote, and DataError where the sentence is blank or too long.
    """
    only_model(translator)
    if not text.strip():
        raise DataError("the sentence is blank; write something to translate")
    ids = translator.tokenizers.src.encode([text])[0]
    _check_length("sentence", len(ids) + 1, translator.max_source_pieces)
    return Segment([*ids, EOS_ID])


def _check_length(what: str, num_pieces: int, limit: int | None) -> None:
    """Raise DataError where there are more pieces than the model takes at once."""
    if limit is not None and num_pieces > limit:
        raise DataError(
            f"the {what} has {num_pieces:,} pieces, its end included; this model takes at most {limit:,} in one part: "
            "look at a shorter one"
        )


@torch.inference_mode()
def inspect_tokens(translator: Translator, text: str, segment: Segment, tgt_ids: Sequence[int]) -> Inspection:
    """The inspection of a sentence, of which `segment` is what is searched, and a translation in ids without eos."""
    model, tokenizers, device = only_model(translator), translator.tokenizers, translator.device
    said = [*tgt_ids, EOS_ID]
    trace = model.trace(torch.tensor(segment.ids, device=device), torch.tensor([BOS_ID, *tgt_ids], device=device))
    log_probs = F.log_softmax(model.project(trace.hidden), dim=-1, dtype=torch.float32).cpu()  # (T, V)
    (decoded,) = tokenizers.tgt.decode([tgt_ids])
    trace = trace.on_host()
    return Inspection(
        text=text,
        translation=LINE_BREAKS.sub(" ", decoded).strip(),
        src_ids=tuple(segment.ids),
        tgt_ids=tuple(said),
        src=(*tokenizers.src.pieces(segment.ids[:-1]), SPECIAL_PIECES[EOS_ID]),
        tgt=(*tokenizers.tgt.pieces(tgt_ids), SPECIAL_PIECES[EOS_ID]),
        log_probs=log_probs[torch.arange(len(said)), said],
        alternatives=_alternatives(log_probs, tokenizers.tgt),
        trace=trace,
        src_words=tuple(WORD.findall(text)),
        tgt_words=tuple(WORD.findall(decoded)),
        links=tuple(_links(tokenizers, text, tgt_ids, trace.memory_attention.mean(dim=(0, 1)))),
    )


def _alternatives(log_probs: Tensor, tokenizer: Tokenizer) -> tuple[tuple[tuple[str, float], ...], ...]:
    """The most probable pieces of each place, from log-probabilities (T, V)."""
    best = log_probs.exp().topk(min(NUM_ALTERNATIVES, log_probs.shape[-1]))
    rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return tuple(tuple(zip(tokenizer.pieces(ids), probabilities, strict=True)) for ids, probabilities in rows)


def _links(tokenizers: TokenizerPair, text: str, tgt_ids: Sequence[int], weights: Tensor) -> list[Link]:
    """Words that belong together, from weights (T, S)."""
    (src_ends,), (tgt_ends,) = tokenizers.src.piece_ends([text]), tokenizers.tgt.decoded_ends([tgt_ids])
    src_words = word_of_each_piece(escape(text), src_ends)
    tgt_words = word_of_each_piece(escape(tokenizers.tgt.decode([tgt_ids])[0]), tgt_ends)
    return word_links(weights[:-1], [*src_words, -1], tgt_words)  # eos is no word


def _rounded(numbers: Tensor) -> Any:
    return numbers.double().round(decimals=_DIGITS).tolist()
