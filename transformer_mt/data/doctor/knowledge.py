"""What is usual in a corpus, learnt from a sample of it: against this its pairs are judged."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from transformer_mt.data.doctor.blocks import Lines
from transformer_mt.data.doctor.languages import LanguageModel
from transformer_mt.data.doctor.parallel import ParallelModel
from transformer_mt.data.doctor.surface import SpacingCustom
from transformer_mt.data.pairs import Pair

SAMPLE_SIZE = 25_000
"""Between this and twice as many pairs of a larger corpus are learnt from."""
SMALLEST_SAMPLE = 200
"""Fewer usable pairs teach neither languages nor words."""
MAX_CHARACTERS = 20_000
"""No more of a line is looked at, except for what its characters are."""
_ENOUGH_MARKS = 5_000
"""Marks `? ! ; :` that show which space stands before them."""
_FAR_TOO_LONG = 5.0
"""Times the length that 95 % of the lines have at most."""
_LONG = 200
"""Characters up to which no line is too long."""


class Lengths(NamedTuple):
    """Usual lengths in characters."""

    log_ratio: float
    """Of target to source, `PADDING` added to each: the median of the logarithms."""
    longest: tuple[float, float]
    """Of a source and of a target that is not too long."""


PADDING = 8
"""Characters that are added to lengths before they are compared: short lines vary more."""


@dataclass(frozen=True)
class Knowledge:
    """What is usual."""

    spacing: tuple[SpacingCustom, SpacingCustom]
    lengths: Lengths
    languages: LanguageModel | None
    """None, as is `parallel`, where the sample is too small."""
    parallel: ParallelModel | None


def learn(sample: Sequence[Pair], languages: tuple[str, str]) -> Knowledge:
    """What the pairs of a sample have in common; `languages` are the codes of source and target."""
    spacing = (SpacingCustom(languages[0]), SpacingCustom(languages[1]))
    usable = [pair for pair in sample if pair.src.strip() and pair.tgt.strip() and pair.src != pair.tgt]
    random.Random(0).shuffle(usable)
    for _, *sides in usable:
        for line, custom in zip(sides, spacing, strict=True):
            if custom.counts.total() < _ENOUGH_MARKS:
                custom.see(line)
    src, tgt = ([line[:MAX_CHARACTERS] for line in side] for side in ([p.src for p in usable], [p.tgt for p in usable]))
    lengths = _lengths(src, tgt)
    if len(usable) < SMALLEST_SAMPLE:
        return Knowledge(spacing, lengths, None, None)
    model = LanguageModel(Lines.blocks_of(src), Lines.blocks_of(tgt), languages)
    return Knowledge(spacing, lengths, model, ParallelModel(src, tgt))


def _lengths(src: Sequence[str], tgt: Sequence[str]) -> Lengths:
    if not src:
        return Lengths(0.0, (np.inf, np.inf))
    counts = [np.fromiter(map(len, side), np.float64) for side in (src, tgt)]
    ratio = float(np.median(np.log((counts[1] + PADDING) / (counts[0] + PADDING))))
    longest = [max(_LONG, _FAR_TOO_LONG * float(np.quantile(side, 0.95))) for side in counts]
    return Lengths(ratio, (longest[0], longest[1]))
