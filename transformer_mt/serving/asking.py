"""What is asked of a server, checked against its limits before anything is done."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transformer_mt.decoding.characters import without_surrogates
from transformer_mt.serving.fields import Fields
from transformer_mt.serving.languages import AUTO
from transformer_mt.serving.limits import Limits
from transformer_mt.serving.markup import Html
from transformer_mt.serving.refusals import Refusal, missing, too_large
from transformer_mt.serving.texts import PlainText, Text

FORMATS: dict[str, Callable[[str], Text]] = {"text": PlainText, "html": Html}


@dataclass(frozen=True, slots=True)
class Texts:
    """One text, or a list of them."""

    texts: list[str]
    is_list: bool

    def mirrored(self, answers: list[Any]) -> Any:
        """A list for a list, and one answer for one text."""
        return answers if self.is_list else answers[0]


@dataclass(frozen=True, slots=True)
class Order:
    """Texts to be translated."""

    asked: Texts
    source: str
    """As the client calls it; may be auto."""
    target: str
    format: str
    alternatives: int
    texts: list[Text]
    """What is asked for, taken apart."""


def read_order(fields: Fields, limits: Limits) -> Order:
    """What `fields` ask to be translated; raises Refusal 400."""
    asked = read_texts(fields, limits)
    source, target = read_languages(fields)
    format = _text(fields, "format") or "text"
    if format not in FORMATS:
        raise Refusal(400, "Invalid request: this format is not supported; there are text and html")
    alternatives = _alternatives(fields, limits)
    wanted = sum(map(len, asked.texts)) * (1 + alternatives)
    if wanted > limits.request_characters:
        times = f"characters x {1 + alternatives} translations" if alternatives else "characters"
        raise too_large(wanted, limits.request_characters, times)
    return Order(asked, source, target, format, alternatives, take_apart(asked.texts, format, limits))


def read_languages(fields: Fields) -> tuple[str, str]:
    """Source and target as the client calls them; raises Refusal 400."""
    source, target = _text(fields, "source"), _text(fields, "target")
    for name, value in (("source", source), ("target", target)):
        if not value:
            raise missing(name)
    if target == AUTO:
        raise Refusal(400, "Invalid request: auto is not supported as a target language")
    return source, target


def read_texts(fields: Fields, limits: Limits) -> Texts:
    """The parameter q: a text or a list of texts, within the limits of each; raises Refusal 400."""
    given = fields.values.get("q")
    if given is None or given in ("", []):
        raise missing("q")
    texts = given if isinstance(given, list) else [given]
    if len(texts) > limits.items:
        raise too_large(len(texts), limits.items, "texts")
    if not all(isinstance(text, str) for text in texts):
        raise Refusal(400, "Invalid request: q parameter must be a text or a list of texts")
    if (longest := max(map(len, texts))) > limits.text_characters:
        raise too_large(longest, limits.text_characters, "characters")
    return Texts([without_surrogates(text) for text in texts], isinstance(given, list))


def take_apart(texts: list[str], format: str, limits: Limits) -> list[Text]:
    """The texts as what their format makes of them; raises Refusal 400 where they have too many lines."""
    parted = [FORMATS[format](text) for text in texts]
    if (count := sum(len(text.lines) for text in parted)) > limits.lines:
        raise too_large(count, limits.lines, "lines")
    return parted


def _alternatives(fields: Fields, limits: Limits) -> int:
    given = fields.values.get("alternatives", 0)
    try:
        number = int(given) if type(given) in (int, str) and len(str(given)) <= 18 else None
    except ValueError:
        number = None
    if number is None:
        raise Refusal(400, "Invalid request: alternatives parameter is not a number")
    if not 0 <= number <= limits.alternatives:
        raise Refusal(400, f"Invalid request: alternatives parameter must be >= 0 and <= {limits.alternatives}")
    return number


def _text(fields: Fields, name: str) -> str:
    value = fields.values.get(name)
    if value is not None and not isinstance(value, str):
        raise Refusal(400, f"Invalid request: {name} parameter must be a text")
    return value or ""
