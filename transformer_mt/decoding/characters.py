"""Characters that no line of text may have, on its way in and out."""

import re

LINE_BREAKS = re.compile("[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]+")
"""What some programs take for the end of a line; none of it may occur in an output line."""
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


def without_surrogates(line: str) -> str:
    """`line` with U+FFFD for what cannot be written as UTF-8, and for NUL, which training replaces too."""
    return _NOT_TEXT.sub("\ufffd", line)
