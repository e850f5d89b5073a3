"""Which languages a server translates between, and which one a text is in."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from transformer_mt.data.language_names import language_name
from transformer_mt.data.suspicion import FUNCTION_WORDS
from transformer_mt.decoding.translator import Translator
from transformer_mt.errors import TransformerMTError
from transformer_mt.serving.refusals import Refusal

AUTO = "auto"
_WORD = re.compile(r"[^\W\d_]+")
_MOST_WORDS = 1_000
_WORDS = {code: frozenset(words.split()) for code, words in FUNCTION_WORDS.items()}
_DOUBT = 0.5
"""Frequent words that each language is given before one is seen."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A language that a text may be in, and how sure that is, from 0 to 100."""

    language: str
    confidence: float

    def as_json(self) -> dict[str, str | float]:
        """As clients read it."""
        return {"confidence": self.confidence, "language": self.language}


class Directions:
    """Translators by source and target language."""

    def __init__(self, translators: Iterable[tuple[str, str, Translator]]) -> None:
        """Raises TransformerMTError where there are two for one direction."""
        self._translators: dict[tuple[str, str], Translator] = {}
        for source, target, translator in translators:
            if (source, target) in self._translators:
                raise TransformerMTError(f"two bundles translate from {source} to {target}; give one of them")
            self._translators[source, target] = translator
        self.sources = list(dict.fromkeys(source for source, _ in self._translators))
        self.targets = list(dict.fromkeys(target for _, target in self._translators))

    @property
    def translators(self) -> Mapping[tuple[str, str], Translator]:
        """All of them."""
        return self._translators

    def as_json(self) -> list[dict[str, object]]:
        """The languages with what they can be translated to, as clients read them."""
        codes = dict.fromkeys([*self.sources, *self.targets])
        return [
            {
                "code": code,
                "name": language_name(code),
                "targets": [target for source, target in self._translators if source == code],
            }
            for code in codes
        ]

    def source(self, code: str) -> str:
        """Our code for a source language, such as en for en-GB; raises Refusal."""
        return self._known(code, "source")

    def target(self, code: str) -> str:
        """Our code for a target language; raises Refusal."""
        return self._known(code, "target")

    def translator(self, source: str, target: str) -> Translator:
        """The one for these languages, which are ours; raises Refusal where there is none."""
        found = self._translators.get((source, target))
        if found is None:
            raise Refusal(
                400,
                f"{language_name(target)} ({target}) is not available as a target language from "
                f"{language_name(source)} ({source})",
            )
        return found

    def detect(self, texts: Sequence[str]) -> list[Detection]:
        """The source languages that the texts may be in, the likeliest first; frequent words tell them from others."""
        words = [match.group().lower() for text in texts for match in _first_words(text)][:_MOST_WORDS]
        codes = dict.fromkeys([*self.sources, *self.targets])
        seen = {code: _DOUBT + sum(word in _WORDS.get(_base(code), ()) for word in words) for code in codes}
        found = [(code, seen[code] / sum(seen.values())) for code in self.sources]
        found.sort(key=lambda pair: -pair[1])  # the order given decides between equals
        return [Detection(code, round(100 * share, 1)) for code, share in found]

    def _known(self, code: str, role: str) -> str:
        ours = {one.lower(): one for one in (*self.sources, *self.targets)}
        for name in (code.lower(), _base(code)):
            if name in ours:
                return ours[name]
        raise Refusal(
            400, f"Invalid request: the {role} language is not supported; there are {', '.join(ours.values())}"
        )


def _first_words(text: str) -> Iterable[re.Match[str]]:
    return (match for match, _ in zip(_WORD.finditer(text), range(_MOST_WORDS), strict=False))


def _base(code: str) -> str:
    return re.split(r"[-_]", code.lower(), maxsplit=1)[0]
