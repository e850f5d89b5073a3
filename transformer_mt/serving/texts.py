"""A text to be translated: the lines that a translator takes, and how their translations become a text again."""

import re
from collections.abc import Sequence
from typing import Protocol

_LINE_BREAK = re.compile(r"(\r\n|\r|\n)")


class Text(Protocol):
    """What is known of a text in every format."""

    @property
    def lines(self) -> Sequence[str]:
        """What is to be translated, each for itself."""

    def joined(self, translations: Sequence[str]) -> str:
        """The text with a translation in place of each line."""


class PlainText:
    """Text whose line breaks stay where they are; what is between two is translated as a line of a file is."""

    def __init__(self, text: str) -> None:
        self._parts = _LINE_BREAK.split(text)  # lines at even places, breaks at odd ones
        self._places = [place for place, part in enumerate(self._parts) if place % 2 == 0 and part]
        self.lines = [self._parts[place] for place in self._places]

    def joined(self, translations: Sequence[str]) -> str:
        """The translations with the breaks between them."""
        parts = list(self._parts)
        for place, translation in zip(self._places, translations, strict=True):
            parts[place] = translation
        return "".join(parts)
