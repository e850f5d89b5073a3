"""The inside of one translation, as the page shows it: words and how sure the model is of them, pieces, attention."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformer_mt.decoding.characters import LINE_BREAKS, without_surrogates
from transformer_mt.decoding.inspection import Inspection, inspect_translation
from transformer_mt.decoding.translator import Translator
from transformer_mt.decoding.word_alignment import WORD
from transformer_mt.decoding.word_probs import word_probs
from transformer_mt.errors import TransformerMTError
from transformer_mt.serving.asking import read_languages
from transformer_mt.serving.fields import Fields
from transformer_mt.serving.model_thread import Check
from transformer_mt.serving.refusals import Refusal, missing, too_large
from transformer_mt.serving.service import Service

MOST_CHARACTERS = 1_000
"""Of a text, and of a translation that is given with it (400)."""
MOST_PIECES = 256
"""Of a text, and of a translation that is given with it (400): attention takes memory by their squares."""
MOST_WEIGHTS = 1_000_000
"""Attention weights that are sent at once (400); a hundred words have about as many in a model of 6 layers."""
_DIGITS = 4


@dataclass(frozen=True, slots=True, eq=False)  # no two are equal: each is a batch of its own, and others get their turn
class Inspecting:
    """The work of the model thread for `POST /inspect`; the results are JSON already, or refusals of single texts."""

    translator: Translator
    translation: str | None = None
    """What the model is made to say; None for what it says by itself."""
    attention: bool = True
    """Whether the weights are wanted."""

    def __call__(self, texts: list[str], check: Check) -> Sequence[str | Refusal]:
        """What happens inside for each text."""
        translator = self.translator.checked(check)
        return [self._inspected(translator, text) for text in texts]

    def _inspected(self, translator: Translator, text: str) -> str | Refusal:
        tokenizers = self.translator.tokenizers
        for tokenizer, one in ((tokenizers.src, text), (tokenizers.tgt, self.translation or "")):
            if (count := len(tokenizer.encode([one])[0])) > MOST_PIECES:
                return too_large(count, MOST_PIECES, "pieces")
        try:
            inspection = inspect_translation(translator, text, self.translation)
        except TransformerMTError as error:
            return Refusal(400, f"Invalid request: {error}")
        trace = inspection.trace
        weights = (trace.encoder_attention, trace.decoder_attention, trace.memory_attention)
        size = sum(weight.numel() for weight in weights)
        if self.attention and size > MOST_WEIGHTS:
            return too_large(size, MOST_WEIGHTS, "attention weights")
        answer = inspection.as_json(with_attention=self.attention) | words_worth(self.translator, inspection)
        return json.dumps(answer, ensure_ascii=False)


def words_worth(translator: Translator, inspection: Inspection) -> dict[str, list[float]]:
    """The probability of each word of the translation and, where that is known, what it is worth."""
    ids, log_probs = inspection.tgt_ids[:-1], inspection.log_probs[:-1].tolist()
    (probs,) = word_probs(translator.tokenizers.tgt, [ids], [log_probs], [WORD])
    found = {"probability": probs}
    if translator.calibration is not None:
        found["confidence"] = translator.calibration.of_words(probs)
    return {name: [round(one, _DIGITS) for one in of_words] for name, of_words in found.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of `/inspect`."""

    text: str
    source: str
    """As the client calls it; may be auto."""
    target: str
    translation: str | None
    attention: bool


def read_inspection(fields: Fields) -> Asked:
    """What `fields` ask to be looked into; raises Refusal 400."""
    values = fields.values
    attention = values.get("attention", True)
    if isinstance(attention, str):  # as forms have it
        attention = {"true": True, "false": False}.get(attention.lower())
    if not isinstance(attention, bool):
        raise Refusal(400, "Invalid request: attention parameter must be true or false")
    source, target = read_languages(fields)
    translation = None if values.get("translation") is None else _line(values, "translation")
    return Asked(_line(values, "q"), source, target, translation, attention)


def _line(values: dict[str, Any], name: str) -> str:
    text = values.get(name)
    if text is None or text == "":
        raise missing(name)
    if not isinstance(text, str):
        raise Refusal(400, f"Invalid request: {name} parameter must be a text")
    if len(text) > MOST_CHARACTERS:
        raise too_large(len(text), MOST_CHARACTERS, "characters to look into")
    if not text.strip() or LINE_BREAKS.search(text.strip()):
        raise Refusal(400, f"Invalid request: {name} parameter must be one line that is not blank")
    return without_surrogates(text)


async def inspected(service: Service, asked: Asked) -> str:
    """The answer as JSON, computed in the model thread within its limits; raises Refusal."""
    detected = service.detected(asked.source, [asked.text])
    source = detected.language if detected else service.directions.source(asked.source)
    translator = service.directions.translator(source, service.directions.target(asked.target))
    work = Inspecting(translator, asked.translation, asked.attention)
    (found,) = await service.thread.results(work, [asked.text])
    if isinstance(found, Refusal):
        raise found
    return found
