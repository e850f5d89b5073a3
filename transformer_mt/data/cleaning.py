"""Text hygiene: what no sentence may hold, whatever file it came from."""

import re

_BREAKS = re.compile("\r\n|[\n\r]")
_BROKEN = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    r"""One line of valid text: NUL and lone surrogates become U+FFFD, "\n" and "\r" a blank.

    Line breaks occur inside quoted csv fields, JSON strings and parquet; a sentence is one line of output.
    NUL is replaced because SentencePiece and C strings treat it as an end. All else stays: U+2028, \x0b, \x85,
    zero-width and soft characters are left to the tokenizer's normalisation.
    """
    if "\n" in text or "\r" in text:
        text = _BREAKS.sub(" ", text)
    if "\x00" in text or not text.isascii():
        return _BROKEN.sub("\N{REPLACEMENT CHARACTER}", text)
    return text
