"""What preparing found, told to the user: counts, warnings, and what stops a training."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transformer_mt.data.encoding import BAD, BLANK, LEAK, TOO_LONG
from transformer_mt.data.pairs import BadLine, ReadingNotes
from transformer_mt.data.suspicion import SMALLEST_CORPUS
from transformer_mt.errors import DataError

MAX_BLANK_SHARE = 0.05
"""A source with more blank pairs gets a warning: its files may not be aligned."""
MAX_SUSPICIOUS_SHARE = 0.2
"""More copies or swapped pairs than this stop the training."""
WORTH_TELLING = 0.01

_LEFT_OUT = {BLANK: "blank on a side", TOO_LONG: "too long", LEAK: "in validation or test", BAD: "unreadable"}


def found_lines(found: dict[str, Any], names: Sequence[str], skipped_path: Path) -> Iterator[str]:
    """The report of `prepare`, one line for each source and each warning; `names` are those of the sources."""
    for name, counts in zip(names, found["sources"], strict=True):
        bad = [BadLine(line, problem) for line, problem in counts["bad_lines"]]
        yield from ReadingNotes(name, len(bad), bad, counts["replaced"]).summary()
        left_out = [f"{counts[reason]:,} {text}" for reason, text in _LEFT_OUT.items() if counts[reason]]
        yield f"{name}: {counts['kept']:,} pairs" + (f", left out: {', '.join(left_out)}" if left_out else "")
        total = max(_num_read(counts), 1)
        if counts[BLANK] > MAX_BLANK_SHARE * total:
            share = f"{counts[BLANK] / total:.1%}"
            yield f"warning: {name}: {share} of the pairs are blank on a side; are its files aligned?"
        if counts["leaks"]:
            mend = "" if counts[LEAK] else "; data.drop_leaks: true leaves them out"
            yield f"warning: {name}: {counts['leaks']:,} pairs have a side that is also in validation or test{mend}"
    if any(found["skipped"].values()):
        yield f"the pairs left out are listed in {skipped_path}"
    shares = found["shares"]
    if shares["copies"] > WORTH_TELLING:
        yield f"warning: {shares['copies']:.1%} of the training pairs have the same text on both sides"
    if shares["swapped"] > WORTH_TELLING:
        yield f"warning: about {shares['swapped']:.0%} of the training pairs seem to have their languages swapped"
    if shares["duplicates"] > WORTH_TELLING:
        yield f"warning: {shares['duplicates']:.1%} of the training pairs are repetitions of another one"


def check_usable(found: dict[str, Any], allow_suspicious: bool, skipped_path: Path) -> None:
    """Raise DataError when no pair is left, or too many look wrong and that is not allowed."""
    if found["kept"] == 0:
        left_out = ", ".join(f"{count:,} {_LEFT_OUT[reason]}" for reason, count in found["skipped"].items() if count)
        where = f"; see {skipped_path}" if left_out else ""
        raise DataError(f"data.train: no pairs are left to train on ({left_out or 'the sources are empty'}){where}")
    if not allow_suspicious:
        check_shares(found["shares"], sum(map(_num_read, found["sources"])))


def check_shares(shares: dict[str, float], num_pairs: int) -> None:
    """Raise DataError when so many pairs look wrong that they are not what they are said to be."""
    if num_pairs < SMALLEST_CORPUS:
        return
    for share, what, mend in (
        (shares["copies"], "have the same text on both sides", "mend the sources"),
        (shares["swapped"], "seem to have their languages swapped", "exchange src and tgt, or mend the sources"),
    ):
        if share > MAX_SUSPICIOUS_SHARE:
            raise DataError(f"data.train: {share:.0%} of the pairs {what}; {mend}, or set data.allow_suspicious: true")


def _num_read(counts: dict[str, Any]) -> int:
    return sum(counts[reason] for reason in ("kept", *_LEFT_OUT))
