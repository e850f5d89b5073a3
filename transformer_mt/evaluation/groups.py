"""Where a translator is good and where it is not: scores by the length of the source and by how rare words are."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transformer_mt.evaluation.scores import bleu_and_chrf

Ranges = Sequence[tuple[float, str]]
"""Groups of numbers: the largest of each, and its name."""

LENGTHS: Ranges = (
    (5, "up to 5 words"),
    (10, "6–10 words"),
    (15, "11–15 words"),
    (20, "16–20 words"),
    (30, "21–30 words"),
    (50, "31–50 words"),
    (math.inf, "more than 50 words"),
)
FREQUENCIES: Ranges = (
    (0, "never"),
    (1, "once"),
    (4, "2–4 times"),
    (19, "5–19 times"),
    (99, "20–99 times"),
    (999, "100–999 times"),
    (math.inf, "1,000 times or more"),
)

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that have something in common, and their scores as a corpus of their own."""

    name: str
    lines: int
    bleu: float
    chrf: float
    other_bleu: float | None = None
    other_chrf: float | None = None
    """Of the system that is compared with."""


@dataclass(frozen=True, slots=True)
class WordGroup:
    """Words of the references that are about as frequent, and the share of them that the translations have."""

    name: str
    words: int
    found: float
    other_found: float | None = None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The scores of one set of translations, or of two, in groups."""

    by_length: Sequence[Group]
    """By the words of the source, of which blanks are the ends."""
    by_rarest_word: Sequence[Group]
    """By the rarest word of the reference."""
    by_frequency: Sequence[WordGroup]
    """Of single words of the references, by their frequency."""
    counted_in: str
    """What the frequency is that of, as people read it."""

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Lines:
    """What is scored, line by line."""

    sources: Sequence[str]
    references: Sequence[str]
    hypotheses: Sequence[str]
    others: Sequence[str] | None = None
    """Of another system."""


@dataclass(frozen=True, slots=True)
class Frequencies:
    """How often words occur in some text."""

    counts: Mapping[str, int]
    counted_in: str
    """Which text, as people read it."""


def words(text: str) -> list[str]:
    """The words of a text for counting: runs of letters and digits, without regard to case."""
    return _WORD.findall(text.lower())


def word_counts(lines: Iterable[str]) -> Counter[str]:
    """How often each word occurs in `lines`."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(words(line))
    return counts


def break_down(lines: Lines, frequencies: Frequencies | None = None) -> Breakdown:
    """Score `lines` in groups; without `frequencies` words are counted in the references themselves."""
    if frequencies is None:
        frequencies = Frequencies(word_counts(lines.references), "the references")
    counts = frequencies.counts
    rarest = [min((counts.get(word, 0) for word in words(text)), default=None) for text in lines.references]
    lengths = [len(source.split()) for source in lines.sources]
    return Breakdown(
        _groups(lines, lengths, LENGTHS),
        _groups(lines, rarest, FREQUENCIES),
        _word_groups(lines, counts),
        frequencies.counted_in,
    )


def _groups(lines: Lines, values: Sequence[int | None], ranges: Ranges) -> list[Group]:
    """Groups of lines by their value, none of them empty; lines without a value are in none."""
    members: list[list[int]] = [[] for _ in ranges]
    for number, value in enumerate(values):
        if value is not None:
            members[_place(value, ranges)].append(number)
    found = []
    for (_, name), numbers in zip(ranges, members, strict=True):
        if numbers:
            bleu, chrf = _scores(lines.hypotheses, lines.references, numbers)
            others = _scores(lines.others, lines.references, numbers) if lines.others is not None else (None, None)
            found.append(Group(name, len(numbers), bleu, chrf, *others))
    return found


def _word_groups(lines: Lines, counts: Mapping[str, int]) -> list[WordGroup]:
    """Each word of a reference is found as often as the translation has it, and no more."""
    totals, found, other_found = ([0] * len(FREQUENCIES) for _ in range(3))
    others = lines.others if lines.others is not None else lines.hypotheses
    for reference, hypothesis, other in zip(lines.references, lines.hypotheses, others, strict=True):
        wanted = Counter(words(reference))
        ours, theirs = Counter(words(hypothesis)), Counter(words(other))
        for word, times in wanted.items():
            place = _place(counts.get(word, 0), FREQUENCIES)
            totals[place] += times
            found[place] += min(times, ours[word])
            other_found[place] += min(times, theirs[word])
    return [
        WordGroup(
            FREQUENCIES[place][1],
            total,
            found[place] / total,
            other_found[place] / total if lines.others is not None else None,
        )
        for place, total in enumerate(totals)
        if total
    ]


def _place(value: int, ranges: Ranges) -> int:
    """The number of the range that holds `value`."""
    return next(place for place, (largest, _) in enumerate(ranges) if value <= largest)


def _scores(hypotheses: Sequence[str], references: Sequence[str], numbers: Sequence[int]) -> tuple[float, float]:
    """BLEU and chrF of the lines `numbers`."""
    return bleu_and_chrf([hypotheses[number] for number in numbers], [references[number] for number in numbers])
