"""Text hygiene: what no sentence may hold, whatever file it came from."""

import re

_BREAKS = re.compile("\r\n|[\n\r]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def clean_text(text: str) -> str:
    r"""One line of text: NUL becomes U+FFFD, "\n" and "\r" a blank.

    Line breaks occur inside quoted csv fields, JSON strings and parquet; a sentence is one line of output.
    NUL is replaced because SentencePiece and C strings treat it as an end. All else stays: U+2028, \x0b, \x85,
    zero-width and soft characters are left to the tokenizer's normalisation.
    """
    return without_breaks(text).replace("\x00", _REPLACEMENT)


def without_breaks(text: str) -> str:
    """One line of text, all else as it is."""
    return _BREAKS.sub(" ", text)


def replace_surrogates(text: str) -> str:
    """Lone surrogates, which JSON escapes can write and no encoding can, become U+FFFD."""
    return _SURROGATES.sub(_REPLACEMENT, text)
