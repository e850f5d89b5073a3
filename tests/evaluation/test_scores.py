"""Scores equal an independent BLEU, the `sacrebleu` command on the written files, and a by-hand lc-tok."""

import json
import math
import random
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from transformer_mt.errors import DataError
from transformer_mt.evaluation.scores import LcTok, corpus_bleu, corpus_scores, sacrebleu_command, write_scored_files

WORDS = "le la chat chien mange dort grand petit et avec".split()


def ngrams(tokens: Sequence[str], order: int) -> Counter:
    return Counter(tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1))


def bleu_by_formula(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Papineni et al. 2002 on tokens between blanks; every order must have a match (no smoothing here)."""
    matches, totals, hyp_length, ref_length = [0] * 4, [0] * 4, 0, 0
    for hypothesis, alternatives in zip(hypotheses, references, strict=True):
        hyp, refs = hypothesis.split(), [reference.split() for reference in alternatives]
        hyp_length += len(hyp)
        ref_length += min((abs(len(ref) - len(hyp)), len(ref)) for ref in refs)[1]
        for order in range(1, 5):
            counts = ngrams(hyp, order)
            totals[order - 1] += sum(counts.values())
            matches[order - 1] += sum(min(n, max(ngrams(ref, order)[g] for ref in refs)) for g, n in counts.items())
    precision = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return 100 * precision * min(1.0, math.exp(1 - ref_length / hyp_length))


def random_lines(rng: random.Random, count: int) -> list[str]:
    return [" ".join(rng.choices(WORDS, k=rng.randint(5, 12))) for _ in range(count)]


def perturbed(lines: Sequence[str], rng: random.Random) -> list[str]:
    """Each line with a quarter of its words swapped, replaced, doubled or dropped."""
    result = []
    for line in lines:
        words = line.split(" ")
        for _ in range(len(words) // 4 + 1):
            i, j = rng.randrange(len(words)), rng.randrange(len(words))
            change = rng.randrange(4)
            if change == 0:
                words[i], words[j] = words[j], words[i]
            elif change == 1:
                words[i] = rng.choice(WORDS)
            elif change == 2:
                words.insert(i, words[j])
            elif len(words) > 1:
                del words[i]
        result.append(" ".join(words))
    return result


def run_command(command: str) -> dict[str, dict]:
    """What the `sacrebleu` command prints, by metric."""
    program, *arguments = shlex.split(command)
    assert program == "sacrebleu"
    done = subprocess.run(
        [sys.executable, "-m", "sacrebleu", *arguments], capture_output=True, text=True, encoding="utf-8", check=True
    )
    return {entry["name"]: entry for entry in json.loads(done.stdout)}


def assert_same_as_command(hypotheses: list[str], references: list[str], directory: Path, samples: int) -> None:
    scores = corpus_scores(hypotheses, references, "fr", samples)
    write_scored_files(directory, hypotheses, references)
    printed = run_command(sacrebleu_command(directory, samples))
    for name, score in (("BLEU", scores.bleu), ("chrF2", scores.chrf), ("TER", scores.ter)):
        assert f"{score.score:.6f}" == f"{printed[name]['score']:.6f}"
        assert score.signature == printed[name]["signature"]
        if samples:
            mean, half = printed[name]["confidence_mean"], printed[name]["confidence_var"]
            assert (score.low, score.high) == pytest.approx((mean - half, mean + half), abs=2e-6)


@pytest.mark.parametrize("seed", range(5))
def test_bleu_equals_the_formula(seed: int) -> None:
    rng = random.Random(seed)
    references = random_lines(rng, 40)
    hypotheses = perturbed(references, rng)
    expected = bleu_by_formula(hypotheses, [[line] for line in references])
    assert corpus_scores(hypotheses, references, "fr").bleu.score == pytest.approx(expected, abs=1e-9)
    assert corpus_bleu(hypotheses, [[line] for line in references]).score == pytest.approx(expected, abs=1e-9)


def test_too_short_translations_are_penalised_as_in_the_formula() -> None:
    rng = random.Random(7)
    references = random_lines(rng, 40)
    hypotheses = [" ".join(line.split()[:-1]) for line in references]
    expected = bleu_by_formula(hypotheses, [[line] for line in references])
    assert expected < 95
    assert corpus_scores(hypotheses, references, "fr").bleu.score == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_bleu_with_different_numbers_of_references_equals_the_formula(seed: int) -> None:
    rng = random.Random(seed)
    truth = random_lines(rng, 40)
    references = [[line, *perturbed([line] * rng.randint(0, 3), rng)] for line in truth]
    hypotheses = perturbed(truth, rng)
    score = corpus_bleu(hypotheses, references)
    assert score.score == pytest.approx(bleu_by_formula(hypotheses, references), abs=1e-9)
    assert "nrefs:var" in score.signature


def test_bleu_with_as_many_references_on_each_line_says_how_many() -> None:
    assert "nrefs:2" in corpus_bleu(["le chat dort bien"], [["le chat dort bien", "un chat dort"]]).signature


def test_identical_text_has_the_best_scores() -> None:
    lines = ["L'été, où est-il ?", "Il n'y a qu'un chat.", "J'ai 3,5 €, M. Dupont !"]
    scores = corpus_scores(lines, lines, "fr", bootstrap_samples=20)
    for score in (scores.bleu, scores.chrf, scores.lc_tok_bleu):
        assert score.score == pytest.approx(100)
        assert (score.low, score.high) == pytest.approx((100, 100))
    assert scores.ter.score == 0


def test_scores_equal_the_command_on_real_text(shared_data: Path, tmp_path: Path) -> None:
    text = (shared_data / "multi30k" / "test_2016_flickr.fr").read_text(encoding="utf-8")
    references = text.removesuffix("\n").split("\n")
    hypotheses = perturbed(references, random.Random(1))
    assert_same_as_command(hypotheses, references, tmp_path / "with a blank", samples=0)
    assert_same_as_command(hypotheses[:300], references[:300], tmp_path / "resampled", samples=100)


def test_scores_equal_the_command_on_odd_text(tmp_path: Path) -> None:
    rng = random.Random(3)
    odd = ["", " ", "a\u2028b c d e", "x\x0by\x85z\x1c.", "deux\r", "\ufeffbom", "été\u00a0! \u202f?", "😀 😀", "a-\nb"]
    references = [line for plain in random_lines(rng, 30) for line in (plain, rng.choice(odd))]
    hypotheses = [line if rng.random() < 0.7 else rng.choice(odd) for line in perturbed(references, rng)]
    assert_same_as_command(hypotheses, references, tmp_path, samples=0)


def test_written_files_have_one_line_for_each_whoever_counts(tmp_path: Path) -> None:
    hypotheses = ["a\u2028b", "c\x0bd\x0c", "e\r", "", "f\x85\x1d\x1e\u2029g"]
    write_scored_files(tmp_path, hypotheses, [""] * 5)
    for name in ("hyp.txt", "ref.txt"):
        raw = (tmp_path / name).read_bytes()
        assert raw.count(b"\n") == len(raw.decode().splitlines()) == 5
        assert b"\r" not in raw


def test_lc_tok_equals_the_pipeline_by_hand() -> None:
    hypotheses = ["L'homme n'a pas 3,5 euros, M. Dupont.", "Où va-t-il aujourd'hui ?", "Le chat DORT (bien)"]
    references = ["L'homme n'a pas 3,5 euros, M. Durand.", "Où va-t-il demain ?", "Le chat dort (très bien)"]
    tokenized_hypotheses = [
        "l' homme n' a pas 3,5 euros , m. dupont .",
        "où va-t-il aujourd' hui ?",
        "le chat dort ( bien )",
    ]
    tokenized_references = [
        "l' homme n' a pas 3,5 euros , m. durand .",
        "où va-t-il demain ?",
        "le chat dort ( très bien )",
    ]
    tokenizer = LcTok("fr")
    assert [tokenizer.tokenize(line) for line in hypotheses] == tokenized_hypotheses
    assert [tokenizer.tokenize(line) for line in references] == tokenized_references
    score = corpus_scores(hypotheses, references, "fr").lc_tok_bleu
    expected = bleu_by_formula(tokenized_hypotheses, [[line] for line in tokenized_references])
    assert score.score == pytest.approx(expected, abs=1e-9)
    assert f"lc-tok.moses.fr.sacremoses-{version('sacremoses')}" in score.signature
    assert "case:lc" in score.signature


def test_lc_tok_ignores_case_and_bleu_does_not() -> None:
    scores = corpus_scores(["LE CHAT DORT BIEN."], ["Le chat dort bien."], "fr")
    assert scores.lc_tok_bleu.score == pytest.approx(100)
    assert scores.bleu.score < 50
    assert "case:mixed" in scores.bleu.signature and "tok:13a" in scores.bleu.signature


@pytest.mark.parametrize(
    ("hypotheses", "references"),
    [
        (["", ""], ["", ""]),
        (["", "  "], ["un chat", "deux"]),
        (["un chat", "deux"], ["", ""]),
        (["un", ""], ["", "un"]),
    ],
)
def test_blank_lines_are_scored(hypotheses: list[str], references: list[str]) -> None:
    scores = corpus_scores(hypotheses, references, "fr", bootstrap_samples=10)
    for score in (scores.bleu, scores.chrf, scores.lc_tok_bleu):
        assert score.score == 0
    assert math.isfinite(scores.ter.score)


def test_a_language_that_moses_does_not_know_is_still_scored() -> None:
    assert corpus_scores(["a b c d e"], ["a b c d e"], "xx").lc_tok_bleu.score == pytest.approx(100)


def test_different_numbers_of_lines_are_refused_with_both_numbers(tmp_path: Path) -> None:
    for call in (
        lambda: corpus_scores(["a", "b", "c"], ["a", "b"], "fr"),
        lambda: corpus_bleu(["a", "b", "c"], [["a"], ["b"]]),
        lambda: write_scored_files(tmp_path, ["a", "b", "c"], ["a", "b"]),
    ):
        with pytest.raises(DataError, match="3 translations but 2 references"):
            call()


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(DataError, match="no lines"):
        corpus_scores([], [], "fr")
    with pytest.raises(DataError, match="no lines"):
        corpus_bleu([], [])


def test_a_line_without_reference_is_refused_by_its_number() -> None:
    with pytest.raises(DataError, match="line 2"):
        corpus_bleu(["a", "b"], [["a"], []])


def test_json_has_the_promised_keys() -> None:
    value = corpus_scores(["un chat"], ["un chien"], "fr", bootstrap_samples=10).to_json()
    assert json.loads(json.dumps(value)) == value
    assert set(value) == {"bleu", "chrf", "ter", "lc_tok_bleu"}
    assert all(set(entry) == {"score", "signature", "low", "high"} for entry in value.values())
    assert value["bleu"]["low"] <= value["bleu"]["high"]
    assert corpus_scores(["un"], ["un"], "fr").to_json()["ter"]["low"] is None
