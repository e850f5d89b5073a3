"""How much one client may ask of a server, so that the others are served too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

from transformer_mt.errors import TransformerMTError


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds that are on by default; what goes beyond is refused, never cut."""

    body_bytes: int = 1 << 20
    """Of one request (413)."""
    held_bytes: int = 32 << 20
    """Of all requests that are being read (503)."""
    text_characters: int = 5_000
    """Of one text (400)."""
    request_characters: int = 50_000
    """Of all texts of a request together, times the translations asked for of each (400)."""
    items: int = 128
    """Texts in a request (400)."""
    lines: int = 1_000
    """Lines, or paragraphs of HTML, in a request (400): each is translated for itself."""
    alternatives: int = 5
    """Translations of a text beside the best (400)."""
    waiting: int = 64
    """Requests that wait for the model (503)."""
    seconds: int = 30
    """From when a request has arrived to its answer (504)."""
    arrival_seconds: int = 10
    """For the head of a request, and again for its body (408)."""
    connections: int = 1_000
    """Open at a time; of more, those are closed whose request has been coming for the longest time (or 503)."""

    def problems(self) -> Iterator[str]:
        """What is wrong with them, each as `name: rule`."""
        for one in fields(self):
            least = 0 if one.name == "alternatives" else 1
            if (value := getattr(self, one.name)) < least:
                yield f"{one.name}: must be at least {least}, got {value}"


def parse_limits(settings: Sequence[str]) -> Limits:
    """The limits with some changed as `name=value`; raises TransformerMTError."""
    names = [one.name for one in fields(Limits)]
    changed = {}
    for setting in settings:
        name, sign, value = setting.partition("=")
        if not sign:
            raise TransformerMTError(f"--limit {setting}: write it as NAME=NUMBER")
        if name not in names:
            raise TransformerMTError(f"--limit: there is none of this name: {name}; there are {', '.join(names)}")
        try:
            changed[name] = int(value)
        except ValueError:
            raise TransformerMTError(f"--limit {name}: must be a whole number, got {value!r}") from None
    limits = replace(Limits(), **changed)
    if problems := list(limits.problems()):
        raise TransformerMTError("; ".join(f"--limit {problem}" for problem in problems))
    return limits
