"""Minimum Bayes risk: of several draws the one that is most like the others (Eikema and Aziz 2020)."""

from collections.abc import Sequence

from transformer_mt.evaluation.scores import sentence_chrf


def by_consensus(texts: Sequence[str]) -> list[int]:
    """The places of `texts`, the one with the highest mean chrF against all of them first; of equals, the earlier."""
    different = list(dict.fromkeys(texts))
    counts = [texts.count(text) for text in different]
    gains = {
        text: sum(count * sentence_chrf(text, other) for other, count in zip(different, counts, strict=True))
        for text in different
    }
    return sorted(range(len(texts)), key=lambda place: -gains[texts[place]])
