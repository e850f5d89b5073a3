"""The inside of one translation, as the page shows it: words and how sure the model is of them, pieces, attention."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

from transformer_mt.data.tokenizer import escape
from transformer_mt.decoding.inspection import Inspection, inspect_translation
from transformer_mt.decoding.translator import Translator
from transformer_mt.decoding.word_alignment import word_of_each_piece
from transformer_mt.errors import TransformerMTError
from transformer_mt.serving.refusals import Refusal

MOST_CHARACTERS = 1_000
"""Of a text, and of a translation that is given with it (400)."""
MOST_WEIGHTS = 1_000_000
"""Attention weights that are sent at once (400); a hundred words have about as many in a model of 6 layers."""
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Inspecting:
    """The work of the model thread for `POST /inspect`; the results are JSON already, or refusals of single texts."""

    translator: Translator
    translation: str | None = None
    """What the model is made to say; None for what it says by itself."""
    attention: bool = True
    """Whether the weights are wanted."""

    def __call__(self, texts: list[str]) -> Sequence[str | Refusal]:
        """What happens inside for each text."""
        return [self._inspected(text) for text in texts]

    def _inspected(self, text: str) -> str | Refusal:
        try:
            inspection = inspect_translation(self.translator, text, self.translation)
        except TransformerMTError as error:
            return Refusal(400, f"Invalid request: {error}")
        trace = inspection.trace
        weights = (trace.encoder_attention, trace.decoder_attention, trace.memory_attention)
        size = sum(weight.numel() for weight in weights)
        if self.attention and size > MOST_WEIGHTS:
            return Refusal(
                400, f"Invalid request: {size:,} attention weights; at most {MOST_WEIGHTS:,} are told: take a shorter line"
            )
        answer = inspection.as_json(with_attention=self.attention)
        answer["probability"] = word_probabilities(self.translator, inspection)
        return json.dumps(answer, ensure_ascii=False)


def word_probabilities(translator: Translator, inspection: Inspection) -> list[float]:
    """For each word of the translation the product of the probabilities of its pieces."""
    tokenizer, ids = translator.tokenizers.tgt, inspection.tgt_ids[:-1]
    (ends,), (text,) = tokenizer.decoded_ends([ids]), tokenizer.decode([ids])
    totals = [0.0] * len(inspection.tgt_words)
    words = word_of_each_piece(escape(text), ends)
    for word, log_prob in zip(words, inspection.log_probs.tolist(), strict=False):  # the end is of no word
        if word >= 0:
            totals[word] += log_prob
    return [round(exp(total), _DIGITS) for total in totals]


def one_line(values: dict[str, Any], name: str) -> str:
    """A parameter that is one line of text; raises Refusal."""
    text = values.get(name)
    if not isinstance(text, str) or not text.strip():
        raise Refusal(400, f"Invalid request: {name} must be a text that is not blank")
    if len(text) > MOST_CHARACTERS:
        raise Refusal(
            400, f"Invalid request: request ({len(text)}) exceeds text limit ({MOST_CHARACTERS}) of an inspection"
        )
    if "\n" in text or "\r" in text:
        raise Refusal(400, f"Invalid request: {name} must be one line")
    return text
