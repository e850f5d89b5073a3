"""Orders to answers: which translator, which lines, and what clients read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformer_mt.decoding.translation import Translation, Wishes
from transformer_mt.serving.asking import Order
from transformer_mt.serving.languages import AUTO, Detection, Directions
from transformer_mt.serving.limits import Limits
from transformer_mt.serving.metrics import Metrics
from transformer_mt.serving.model_thread import ModelThread, Translating
from transformer_mt.serving.texts import Text


@dataclass(frozen=True, slots=True)
class Service:
    """All that answers are made with."""

    directions: Directions
    thread: ModelThread
    limits: Limits
    metrics: Metrics
    protect: bool = False
    """See `Wishes.protect`; for every text."""

    def detected(self, source: str, texts: Sequence[str]) -> Detection | None:
        """The language of texts whose language is not told."""
        return self.directions.detect(texts)[0] if source == AUTO else None

    async def translate(self, order: Order) -> dict[str, Any]:
        """The answer to an order; raises Refusal."""
        detected = self.detected(order.source, order.asked.texts)
        source = detected.language if detected else self.directions.source(order.source)
        translator = self.directions.translator(source, self.directions.target(order.target))
        wishes = Wishes(
            n_best=min(1 + order.alternatives, translator.settings.beam_size),
            protect=self.protect,
            markup=order.format == "html",
        )
        found = await self.translations(order.texts, Translating(translator, wishes))
        texts = [
            text.joined([one.text for one in translations])
            for text, translations in zip(order.texts, found, strict=True)
        ]
        answer = {"translatedText": order.asked.mirrored(texts)}
        if order.alternatives:
            others = [_alternatives(one, order) for one in found]
            answer["alternatives"] = order.asked.mirrored(others)
        if detected is not None:
            answer["detectedLanguage"] = order.asked.mirrored([detected.as_json()] * len(texts))
        return answer

    async def translations(self, texts: Sequence[Text], work: Translating) -> list[list[Translation]]:
        """Those of the lines of each text; raises Refusal."""
        lines = [line for text in texts for line in text.lines]
        self.metrics.characters(sum(map(len, lines)))
        answers = iter(await self.thread.results(work, lines))
        return [[next(answers) for _ in text.lines] for text in texts]


def _alternatives(translations: Sequence[Translation], order: Order) -> list[str]:
    """Other translations of a text of one line; those of several lines would have to be combined."""
    if len(translations) != 1 or order.format != "text":
        return []
    best, others = translations[0].text, (text for text, _ in translations[0].alternatives)
    return [text for text in dict.fromkeys(others) if text != best]
