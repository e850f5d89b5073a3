"""The paired tests say what the `sacrebleu` command says of the same files, to the digit that it prints."""

import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evaluation.test_scores import perturbed, random_lines
from transformer_mt.errors import DataError
from transformer_mt.evaluation.scores import corpus_scores, write_lines, write_scored_files
from transformer_mt.evaluation.significance import OTHER_NAME, Paired, paired_commands, paired_tests

SAMPLES = 200
ODD = ["", " ", "a\u2028b c d e", "x\x0by\x85z\x1c.", "deux\r", "été\u00a0! \u202f?", "😀 😀"]


def printed(command: str) -> str:
    """What the command prints, without its frames."""
    program, *arguments = shlex.split(command)
    assert program == "sacrebleu"
    done = subprocess.run(
        [sys.executable, "-m", "sacrebleu", *arguments],
        env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    return re.sub(r"\x1b\[[\d;]*m", "", done.stdout)


def rows(table: str) -> list[list[str]]:
    """The cells of the lines of a table that have any."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if line.startswith("│")]


def assert_as_printed(found: dict[str, Paired], directory: Path) -> None:
    bootstrap, randomisation = (printed(command) for command in paired_commands(directory, SAMPLES))
    _, other, ours, p_values = rows(bootstrap)[:4]
    _, ar_other, ar_ours, ar_p_values = rows(randomisation)[:4]
    for column, name in enumerate(("bleu", "chrf"), start=1):
        test = found[name]
        assert other[column] == f"{test.other:.6f} ({test.other_mean:.6f} ± {test.other_half:.6f})"
        assert ours[column] == f"{test.score:.6f} ({test.mean:.6f} ± {test.half:.6f})"
        assert (ar_other[column], ar_ours[column]) == (f"{test.other:.6f}", f"{test.score:.6f}")
        assert p_values[column].startswith(f"(p = {test.p_bootstrap:.4f})")
        assert ar_p_values[column].startswith(f"(p = {test.p_randomisation:.4f})")
        assert f" {test.bootstrap_signature}\n" in bootstrap and "|bs:" in test.bootstrap_signature
        assert f" {test.randomisation_signature}\n" in randomisation and "|ar:" in test.randomisation_signature


def test_scores_p_values_and_signatures_are_those_that_sacrebleu_prints(tmp_path: Path) -> None:
    rng = random.Random(1)
    references = random_lines(rng, 60)
    ours, others = perturbed(references, rng), perturbed(references, rng)
    found = paired_tests(ours, others, references, SAMPLES)
    write_scored_files(tmp_path, ours, references)
    write_lines(tmp_path / OTHER_NAME, others)
    assert_as_printed(found, tmp_path)
    assert found["bleu"].score == corpus_scores(ours, references, "fr").bleu.score


def test_odd_lines_are_the_same_lines_for_both(tmp_path: Path) -> None:
    rng = random.Random(3)
    references = [line for plain in random_lines(rng, 20) for line in (plain, rng.choice(ODD))]
    ours, others = ([line if rng.random() < 0.7 else rng.choice(ODD) for line in references] for _ in range(2))
    directory = tmp_path / "with a blank"
    write_scored_files(directory, ours, references)
    write_lines(directory / OTHER_NAME, others)
    assert_as_printed(paired_tests(ours, others, references, SAMPLES), directory)


def test_worse_on_every_line_is_significant_and_noise_is_not() -> None:
    rng = random.Random(5)
    references = random_lines(rng, 80)
    broken = [" ".join(reversed(line.split())) for line in references]
    assert all(test.is_significant for test in paired_tests(references, broken, references, SAMPLES).values())
    one, two = perturbed(references, random.Random(7)), perturbed(references, random.Random(8))
    assert not paired_tests(one, two, references, SAMPLES)["bleu"].is_significant


@pytest.mark.parametrize("counts", [(3, 2, 3), (3, 3, 2), (0, 0, 0)])
def test_texts_of_different_length_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(DataError, match="one of each for each line"):
        paired_tests(*(["a b"] * count for count in counts))
