"""Which words of a translation a reference has."""

from collections import Counter

from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

_tokenize = Tokenizer13a()


def words_in_reference(translation: str, reference: str) -> list[bool]:
    """For each word of `translation` (all between blanks) whether `reference` has it.

    Words are compared as sacreBLEU compares them: cut into tokens of 13a, of which all must be there. A token counts as
    often as the reference has it, as BLEU clips; the first ones of the translation do.
    """
    left = Counter(_tokenize(reference).split())
    found = []
    for word in translation.split():
        tokens = Counter(_tokenize(word).split())
        is_right = bool(tokens) and tokens <= left
        if is_right:
            left -= tokens
        found.append(is_right)
    return found
