"""The rules that sections share: each yields `key: rule, got value` when its value breaks it."""

import math
import re
from collections.abc import Iterator


def at_least(name: str, value: float | None, minimum: float) -> Iterator[str]:
    """None is let through: it stands for no limit."""
    if value is not None and not value >= minimum:
        yield f"{name}: must be at least {minimum}, got {value}"


def above_zero(name: str, value: float | None) -> Iterator[str]:
    """None is let through: it stands for no limit."""
    if value is not None and not 0 < value < math.inf:
        yield f"{name}: must be a finite number above 0, got {value:g}"


def zero_or_above(name: str, value: float) -> Iterator[str]:
    if not 0 <= value < math.inf:
        yield f"{name}: must be a finite number, 0 or above, got {value:g}"


def probability(name: str, value: float) -> Iterator[str]:
    if not 0.0 <= value < 1.0:
        yield f"{name}: must be in [0, 1), got {value:g}"


def not_empty(name: str, value: str | None) -> Iterator[str]:
    """None is let through: it stands for nothing given."""
    if value is not None and not value.strip():
        yield f"{name}: must not be empty"


def language(name: str, value: str) -> Iterator[str]:
    if not re.fullmatch(r"[a-z]{2,3}([-_][A-Za-z0-9]+)*", value):
        yield f"{name}: must be the code of a language, such as en or fr, got {value!r}"


def text_encoding(name: str, value: str) -> Iterator[str]:
    try:
        "a".encode(value)  # an empty text would not ask for the encoding
    except (LookupError, ValueError):
        yield f"{name}: must be an encoding that Python knows, such as utf-8 or cp1252, got {value}"


def device(name: str, value: str) -> Iterator[str]:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]{1,4})?", value):
        yield f"{name}: must be auto, cpu, cuda, cuda:N or mps, got {value}"
