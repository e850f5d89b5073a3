"""Files that are sent to be translated, and kept for a while to be fetched; in memory only."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from transformer_mt.serving.fields import Fields, Upload
from transformer_mt.serving.refusals import Refusal, missing

FORMATS = {".txt": "text", ".htm": "html", ".html": "html"}
"""What a file is, by the end of its name."""
KEPT_SECONDS = 600
_MOST_BYTES = 16 << 20
"""Of all that are kept; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file, and what it is."""

    text: str
    suffix: str

    @property
    def format(self) -> str:
        """text or html."""
        return FORMATS[self.suffix]


def read_document(fields: Fields, most_characters: int) -> Document:
    """The file that was sent; raises Refusal 400."""
    if not isinstance(fields.file, Upload):
        raise missing("file")
    suffix = PurePosixPath(fields.file.name.lower()).suffix
    if suffix not in FORMATS:
        raise Refusal(400, f"Invalid request: file format not supported; there are {', '.join(FORMATS)}")
    try:
        text = fields.file.content.decode("utf-8-sig").replace("\0", "\ufffd")
    except UnicodeDecodeError:
        raise Refusal(400, "Invalid request: the file must be in UTF-8") from None
    if not text:
        raise Refusal(400, "Invalid request: empty file")
    if len(text) > most_characters:
        raise Refusal(
            400, f"Invalid request: file ({len(text)} characters) exceeds text limit ({most_characters} characters)"
        )
    return Document(text, suffix)


class Shelf:
    """Translated files under names that cannot be guessed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._documents: dict[str, tuple[float, Document]] = {}

    def put(self, document: Document) -> str:
        """The name under which it can be fetched for KEPT_SECONDS, if others leave it the room."""
        name = f"{secrets.token_urlsafe(18)}{document.suffix}"
        self._documents[name] = self._clock(), document
        self._tidy()
        return name

    def get(self, name: str) -> Document:
        """The file of this name; raises Refusal 404."""
        self._tidy()
        if name not in self._documents:
            raise Refusal(404, "There is no such file, or no longer")
        return self._documents[name][1]

    def _tidy(self) -> None:
        size = 0
        kept = {}
        for name, (put_at, document) in reversed(self._documents.items()):
            size += 4 * len(document.text)  # bytes, at most
            if size <= _MOST_BYTES and self._clock() - put_at < KEPT_SECONDS:
                kept[name] = put_at, document
        self._documents = dict(reversed(kept.items()))
