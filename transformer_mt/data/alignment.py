"""Where two files that should be line-aligned part company."""

from collections.abc import Sequence


def first_suspicious_line(src: Sequence[str], tgt: Sequence[str]) -> int | None:
    """The line (from 1) at which lines seem to be missing on one side."""
    return None
