"""Translations that repeat themselves: models fall into loops, mostly on text unlike what they were trained on."""

from collections.abc import Sequence

MOST_IN_A_ROW = 4
"""As often an n-gram of any length has to come in a row for a translation to be suspected."""
NO_REPEAT_NGRAM = 3
"""What the second search for a translation that repeats itself forbids, see `DecodingConfig.no_repeat_ngram`."""


def repeats_itself(tokens: Sequence[int], source: Sequence[int]) -> bool:
    """Whether a run of `tokens` comes at least four times in a row, and more than twice as often as any of `source`."""
    if len(tokens) - len(set(tokens)) < MOST_IN_A_ROW - 1:
        return False  # as nearly all are
    count = times_in_a_row(tokens)
    return count >= MOST_IN_A_ROW and count > 2 * times_in_a_row(source)


def times_in_a_row(tokens: Sequence[int]) -> int:
    """How often the n-gram, of whatever length, that comes most often in a row does so: 3 for [5, 1, 2, 1, 2, 1, 2]."""
    most = min(1, len(tokens))
    for size in range(1, len(tokens) // 2 + 1):
        if len(tokens) // size <= most:
            break
        run = 0  # tokens in a row that are equal to the one `size` before
        for token, other in zip(tokens, tokens[size:], strict=False):
            run = run + 1 if token == other else 0
            most = max(most, run // size + 1)
    return most
