"""Text hygiene: what no sentence may hold, whatever file it came from."""

import re

_FORBIDDEN = re.compile("[\x00\n\r\ud800-\udfff]")
_BREAKS = re.compile("\r\n|[\n\r]")
_BROKEN = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    r"""One line of valid text: NUL and lone surrogates become U+FFFD, "\n" and "\r" a blank.

    Line breaks occur inside quoted csv fields, JSON strings and parquet; a sentence is one line of output.
    NUL is replaced because SentencePiece and C strings treat it as an end. All else stays: U+2028, \x0b, \x85,
    zero-width and soft characters are left to the tokenizer's normalisation.
    """
    if _FORBIDDEN.search(text) is None:
        return text
    return _BROKEN.sub("\N{REPLACEMENT CHARACTER}", _BREAKS.sub(" ", text))
