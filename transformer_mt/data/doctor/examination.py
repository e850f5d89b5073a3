"""Looks at every pair of some sources and writes down what is wrong with it.

Legend: N pairs of a block, R pairs of all sources together.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from transformer_mt.data.doctor.blocks import Hashes, Lines, mixed
from transformer_mt.data.doctor.characters import LETTER
from transformer_mt.data.doctor.columns import Column
from transformer_mt.data.doctor.kinds import TARGET, Kind, bit, left_out
from transformer_mt.data.doctor.knowledge import MAX_CHARACTERS, PADDING, Knowledge
from transformer_mt.data.doctor.parallel import Stretch, StretchFinder
from transformer_mt.data.doctor.repeats import RepeatFinder
from transformer_mt.data.doctor.sources import Source
from transformer_mt.data.doctor.surface import mend_lines
from transformer_mt.data.pairs import Pair

Flags = npt.NDArray[np.uint64]

MAX_RATIO = 2.5
"""Times that one side may be longer than usual for the other."""
_UNJUDGED = bit(Kind.BLANK) | bit(Kind.SWAPPED) | bit(Kind.COPIED) | bit(Kind.WRONG_LANGUAGE)
_NO_STRETCH = _UNJUDGED | _UNJUDGED << TARGET
"""Pairs whose words say nothing of whether their sides belong together."""
_SPACES = (bit(Kind.ODD_SPACE) | bit(Kind.SPACING)) * (1 + (1 << TARGET))
"""What another language's custom would make of a line."""
_TARGET = np.uint64(TARGET)


class HeldOutKeys:
    """Hashes of the sentences of validation and test."""

    def __init__(self) -> None:
        self._sides = (np.zeros(0, np.uint64), np.zeros(0, np.uint64))

    def hold(self, src: Hashes, tgt: Hashes) -> None:
        """Add the sentences of some pairs."""
        left, right = (np.union1d(old, new[new != 0]) for old, new in zip(self._sides, (src, tgt), strict=True))
        self._sides = (left, right)

    def holds(self, src: Hashes, tgt: Hashes) -> npt.NDArray[np.bool_]:
        """(N,): whether a side of each pair is among them."""
        left, right = (_contains(held, keys) for held, keys in zip(self._sides, (src, tgt), strict=True))
        return left | right


def _contains(held: Hashes, keys: Hashes) -> npt.NDArray[np.bool_]:
    if not len(held):
        return np.zeros(len(keys), bool)
    return held[np.minimum(np.searchsorted(held, keys), len(held) - 1)] == keys


class Examination:
    """What is wrong with the pairs of one role, all its sources together."""

    def __init__(self, sources: Sequence[Source], knowledge: Knowledge, held_out: HeldOutKeys, directory: Path) -> None:
        """Read and judge all pairs; what is found lies in `directory`, 24 bytes a pair."""
        directory.mkdir()
        self.sources = list(sources)
        self.stretches: list[Stretch] = []
        """Pairs that do not belong together, by their number among those of all sources."""
        self._knowledge = knowledge
        self._held_out = held_out
        self._repeats = RepeatFinder(directory)
        self._flags = Column(directory / "flags", np.uint64)
        self._lines = Column(directory / "lines", np.int64)
        self._firsts = Column(directory / "firsts", np.int64)
        self._keys: list[tuple[Hashes, Hashes]] = []  # of validation and test
        for source in sources:
            self._read(source)
        self.flags: Flags = self._flags.array()
        """(R,): by bits of `Kind`, those of the target shifted by TARGET."""
        self.lines: npt.NDArray[np.int64] = self._lines.array()
        """(R,): line of each pair in its source."""
        self.firsts: npt.NDArray[np.int64] = self._firsts.array()
        """(R,): for repetitions the number of the pair that they repeat, else -1."""
        for stretch in self.stretches:
            self.flags[stretch.first : stretch.last + 1] |= np.uint64(bit(Kind.MISALIGNED))
        self._repeats.mark(self.flags, self.firsts, left_out())
        for keys in self._keys:
            held_out.hold(*keys)

    def _read(self, source: Source) -> None:
        finder = StretchFinder()
        first = self._flags.num_rows
        for pairs in source.read_again():
            flags, log_odds = self._judge(pairs)
            self._flags.append(flags)
            self._lines.append(np.fromiter((pair.line for pair in pairs), np.int64, len(pairs)))
            self._firsts.append(np.full(len(pairs), -1))
            finder.see(log_odds)
        finder.finish()
        self.stretches += [Stretch(first + found.first, first + found.last) for found in finder.found]

    def _judge(self, pairs: Sequence[Pair]) -> tuple[Flags, list[float]]:
        """The flags of some pairs, but for those of stretches and repetitions, and log-odds that they are parallel."""
        src, src_flags = self._without_defects([pair.src[:MAX_CHARACTERS] for pair in pairs], 0)
        tgt, tgt_flags = self._without_defects([pair.tgt[:MAX_CHARACTERS] for pair in pairs], 1)
        flags = src_flags | tgt_flags << _TARGET
        is_judged = flags & np.uint64(bit(Kind.BLANK) | bit(Kind.BLANK) << TARGET) == 0
        keys = src.words.keys(), tgt.words.keys()
        is_copy = (keys[0] == keys[1]) & (src.found & LETTER > 0) & is_judged  # numbers are their own translation
        flags |= _flagged(Kind.COPIED, is_copy)
        flags |= self._length_flags(src, tgt, is_judged)
        languages = self._language_flags(src, tgt, is_judged & ~is_copy)
        flags = np.where(languages > 0, flags & np.uint64(~_SPACES & (1 << 64) - 1), flags) | languages
        flags |= _flagged(Kind.LEAK, self._held_out.holds(*keys))
        exact = np.fromiter((hash((pair.src, pair.tgt)) for pair in pairs), np.int64, len(pairs)).view(np.uint64)
        own = self._flags.num_rows + np.arange(1, len(pairs) + 1)  # blank pairs repeat nothing
        self._repeats.see(np.where(is_judged, exact, mixed(own.astype(np.uint64))), src.words, tgt.words)
        if self.sources[0].role != "train":
            self._keys.append(keys)
        log_odds = np.zeros(len(pairs))
        if self._knowledge.parallel is not None:
            log_odds = self._knowledge.parallel.log_odds(src, tgt)
            log_odds[flags & np.uint64(_NO_STRETCH) > 0] = 0.0
        return flags, log_odds.tolist()

    def _without_defects(self, lines: list[str], side: int) -> tuple[Lines, Flags]:
        """Lines as they are once mended, and the flags of what they and their characters show."""
        block = Lines.of(lines)
        mended, flags = mend_lines(lines, block, self._knowledge.spacing[side].usual)
        flags |= _flagged(Kind.BLANK, np.fromiter((not line.strip() for line in mended), bool, len(mended)))
        flags |= _flagged(Kind.TOO_LONG, block.lengths > self._knowledge.lengths.longest[side])
        return block if mended == lines else Lines.of(mended), flags

    def _length_flags(self, src: Lines, tgt: Lines, is_judged: npt.NDArray[np.bool_]) -> Flags:
        ratio = np.log((tgt.lengths + PADDING) / (src.lengths + PADDING)) - self._knowledge.lengths.log_ratio
        return _flagged(Kind.RATIO, is_judged & (np.abs(ratio) > np.log(MAX_RATIO)))

    def _language_flags(self, src: Lines, tgt: Lines, is_judged: npt.NDArray[np.bool_]) -> Flags:
        if self._knowledge.languages is None:
            return np.zeros(len(is_judged), np.uint64)
        left, right = (self._knowledge.languages.judge(lines, bool(side)) for side, lines in enumerate((src, tgt)))
        is_swapped = left.is_other & right.is_other
        flags = _flagged(Kind.SWAPPED, is_swapped & is_judged)
        for judgement, shift in ((left, 0), (right, TARGET)):
            is_wrong = (judgement.is_other | judgement.is_foreign) & ~is_swapped & is_judged
            flags |= _flagged(Kind.WRONG_LANGUAGE, is_wrong) << np.uint64(shift)
        return flags


def _flagged(kind: Kind, where: npt.NDArray[np.bool_]) -> Flags:
    return where.astype(np.uint64) << np.uint64(kind)
