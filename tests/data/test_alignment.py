"""The first suspicious line of files that are not aligned."""

import random
from pathlib import Path

import pytest

from transformer_mt.data.alignment import first_suspicious_line


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


@pytest.mark.parametrize("name", ["tatoeba/val", "multi30k/val", "tico19/dev"])
@pytest.mark.parametrize("num_deleted", [1, 4])
def test_drift_is_found_within_a_few_lines(shared_data: Path, name: str, num_deleted: int) -> None:
    src, tgt = (lines_of(shared_data / f"{name}.{language}") for language in ("en", "fr"))
    draw = random.Random(7)
    misses = []
    for _ in range(12):
        places = sorted(draw.sample(range(len(src)), num_deleted))
        kept = [index not in places for index in range(len(src))]
        shorter = [line for line, keep in zip(tgt, kept, strict=True) if keep]
        found = first_suspicious_line(src, shorter, num_deleted)
        mirrored = first_suspicious_line(shorter, src, -num_deleted)
        assert found == mirrored and found is not None
        misses.append(abs(found - 1 - places[0]))
    assert sorted(misses)[8] <= 5, misses


def test_missing_block_is_found(shared_data: Path) -> None:
    src, tgt = (lines_of(shared_data / f"tico19/dev.{language}") for language in ("en", "fr"))
    found = first_suspicious_line(src, tgt[:300] + tgt[360:], 60)
    assert found is not None and abs(found - 301) <= 5


def test_missing_tail_is_where_the_shorter_file_ends() -> None:
    src = ["a" * (1 + number * 7 % 50) for number in range(40)]
    assert first_suspicious_line(src, src[:-1], 1) == 40


@pytest.mark.parametrize("name", ["tatoeba/val", "multi30k/val", "tico19/dev"])
@pytest.mark.parametrize("num_missing", [1, 10, 20])
def test_a_file_that_was_cut_off_is_told_so(shared_data: Path, name: str, num_missing: int) -> None:
    src, tgt = (lines_of(shared_data / f"{name}.{language}")[:900] for language in ("en", "fr"))
    for start in range(0, len(src) - 400, 100):
        one, other = src[start : start + 400], tgt[start : start + 400 - num_missing]
        assert first_suspicious_line(one, other, num_missing) == 401 - num_missing
        assert first_suspicious_line(other, one, -num_missing) == 401 - num_missing


def test_nothing_to_say_of_empty_or_cut_off_files() -> None:
    assert first_suspicious_line([], ["a"], -1) is None
    assert first_suspicious_line(["a", "b"], ["a"], 5) is None
    same = ["a" * (1 + number * 7 % 50) for number in range(40)]
    assert first_suspicious_line(same, same, 3) is None  # the difference is beyond what is given
