"""Where two files that should be line-aligned part company.

A line and its translation have similar lengths, end in the same mark and hold the same numbers. Leaving out lines
of the longer file, in order, until the counts agree, the cheapest way is the likeliest one; the first line it
leaves out is the first suspicious one. (Alignment by length: Gale and Church 1993, here without merges.)
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Costs = npt.NDArray[np.float32]

MAX_LINES = 2_000_000
"""No more lines of each file need be looked at."""
MAX_GAPS = 24
"""More missing lines than this are taken to be missing in one place."""
_SURPRISE = 1.0
"""Cost of a final mark or of numbers that differ, in the unit of a length ratio of e."""

_DOUBT = 4.0
"""By so much another way has to be cheaper than that the end alone is missing, as in a file that was cut off."""


def first_suspicious_line(src: Sequence[str], tgt: Sequence[str], num_missing: int) -> int | None:
    """The line (from 1) from which `src` and `tgt` seem to be shifted; None without a sign.

    `num_missing` is how many lines more the whole of `src` has than the whole of `tgt`, or less when negative;
    of long files only the beginnings need be given. Exact to a few lines when only one file lacks lines.
    """
    longer, shorter = (src, tgt) if num_missing > 0 else (tgt, src)
    shift = abs(num_missing)
    rows = min(len(shorter), len(longer) - shift)
    if shift == 0 or rows < 1:
        return None
    is_whole = len(longer) == len(shorter) + shift
    longer_features, shorter_features = _features(longer), _features(shorter[:rows])
    best = _total_costs(longer_features[:rows], shorter_features)
    first = np.full(rows + 1, rows)  # where the cheapest way to be here, with what is left out, first left out a line
    ends = [(np.inf if is_whole else best[-1], rows)]
    end_alone = best[-1] - _DOUBT  # all is left out at the end
    for offset in range(1, shift + 1) if shift <= MAX_GAPS else (shift,):
        own = _total_costs(longer_features[offset : offset + rows], shorter_features)
        gain = best - own
        lowest = np.minimum.accumulate(gain)
        place = np.maximum.accumulate(np.where(gain == lowest, np.arange(rows + 1), 0))
        first = place if len(ends) == 1 else first[place]
        best = lowest + own
        ends.append((np.inf if is_whole and offset < shift else best[-1], int(first[-1])))
    cost, line = min(ends)
    if is_whole and end_alone <= cost:
        return rows + 1
    return None if line == rows and not is_whole else line + 1


def _total_costs(longer: Costs, shorter: Costs) -> Costs:
    """Cost of pairing the first k lines with each other, for k = 0 to all: (K + 1,) from features (K, 3)."""
    cost = np.minimum(np.abs(longer[:, 0] - shorter[:, 0]), 1.0)
    cost += _SURPRISE * (longer[:, 1] != shorter[:, 1])
    cost += _SURPRISE * (longer[:, 2] != shorter[:, 2])
    return np.concatenate([[0.0], np.cumsum(cost, dtype=np.float64)])


def _features(lines: Sequence[str]) -> Costs:
    """For each line the logarithm of its length, its final mark, and its digits: (N, 3)."""
    rows = [(len(line) + 1, _final_mark(line), _digits(line)) for line in lines]
    features = np.array(rows, np.float32)
    features[:, 0] = np.log(features[:, 0])
    return features


def _final_mark(line: str) -> int:
    line = line.rstrip()
    return ord(line[-1]) if line and not line[-1].isalnum() else 0


def _digits(line: str) -> int:
    """A number for the multiset of the digits in `line`, whose order and grouping languages change."""
    return sum(ord(character) ** 2 for character in line if character.isdecimal()) % (1 << 24)
