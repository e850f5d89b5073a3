"""The parts of the doctor against slow and simple ways to the same answers."""

import random
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer_mt.config.schema import DataConfig, SourceConfig
from transformer_mt.data.doctor import columns
from transformer_mt.data.doctor.blocks import Lines
from transformer_mt.data.doctor.diagnosis import diagnose
from transformer_mt.data.doctor.kinds import Kind, bit
from transformer_mt.data.doctor.languages import LanguageModel
from transformer_mt.data.doctor.parallel import ALARM, StretchFinder
from transformer_mt.data.doctor.repeats import SIMILAR, RepeatFinder
from transformer_mt.data.doctor.report import as_lines, as_report
from transformer_mt.data.doctor.surface import SpacingCustom, mend_line, place_of
from transformer_mt.data.synthetic.corpus import synthesize
from transformer_mt.errors import TransformerMTError

TEXT = st.text(st.sampled_from("aÀé1 '-?e\u0301漢字ß\u200b\u00ad\t"), max_size=12)


def words_of(line: str) -> list[str]:
    """Words without case and accents, as the hashes should have them."""
    line = re.sub("[\u0301\u200b\u00ad]", "", line)
    line = "".join(unicodedata.normalize("NFKD", c.lower())[0] for c in line)
    return re.findall(r"[漢字]|[a-zß0-9]+", line)


@given(st.lists(TEXT, min_size=1, max_size=6))
def test_hashes_of_words_are_equal_where_the_words_are(lines: list[str]) -> None:
    words = Lines.of(lines).words
    wanted = [words_of(line) for line in lines]
    assert words.counts.tolist() == [len(line) for line in wanted]
    flat = [word for line in wanted for word in line]
    hashes = dict(zip(flat, words.hashes.tolist(), strict=True))
    assert [hashes[word] for word in flat] == words.hashes.tolist()
    assert len(set(hashes.values())) == len(hashes)
    keys = words.keys().tolist()
    for one, first in zip(wanted, keys, strict=True):
        for other, second in zip(wanted, keys, strict=True):
            assert (one == other) == (first == second)


@pytest.mark.parametrize(
    ("line", "mended", "kinds"),
    [
        ("a &amp; b&#39;s", "a & b's", {Kind.ENTITY}),
        ("R&D, AT&T", "R&D, AT&T", set()),
        ("a\u200bb\x07c\u2028d\0", "abc d", {Kind.CONTROL}),
        ("e\u0301te\u0301 \ufb01n", "été fin", {Kind.UNICODE_FORM}),
        ("hеllo С'est", "hello C'est", {Kind.LOOK_ALIKE}),
        ("Москва на сон", "Москва на сон", set()),
        ("Quoi? Oui\u00a0!", "Quoi ? Oui !", {Kind.ODD_SPACE, Kind.SPACING}),
        ("à 10:30, http://a.b?c ;)", "à 10:30, http://a.b?c ;)", set()),
        (" a  b ", "a b", {Kind.SPACING}),
        ("Ã©tÃ©", "Ã©tÃ©", {Kind.GARBLED}),
    ],
)
def test_a_line_is_mended_and_its_defects_named(line: str, mended: str, kinds: set[Kind]) -> None:
    assert mend_line(line, " ") == (mended, sum(map(bit, kinds)))
    assert mend_line(line, " ", frozenset(Kind))[0] == line
    assert mend_line(mended, " ") == (mended, sum(map(bit, kinds & {Kind.GARBLED})))


@pytest.mark.parametrize(
    ("line", "kind", "place"),
    [
        ("Quoi\u00a0? Ah ? Oui\u2009!", Kind.ODD_SPACE, 15),
        ("Oui. ", Kind.SPACING, 4),
        ("&lt; c\0", Kind.CONTROL, 6),
        ("bon été, Ã©tÃ©", Kind.GARBLED, 9),
        ("bon", Kind.COPIED, 0),
    ],
)
def test_the_place_of_a_defect_is_told(line: str, kind: Kind, place: int) -> None:
    assert place_of(line, kind, "\u00a0") == place


def test_an_example_shows_the_place_of_its_defect(tmp_path: Path) -> None:
    pairs = [*synthesize(1, 300, 1, 1).train, ("the cat " * 30, "le chat " * 29 + "voit la\0 souris.")]
    for code, side in (("en", 0), ("fr", 1)):
        text = "".join(f"{pair[side].strip()}\n" for pair in pairs)
        (tmp_path / f"a.{code}").write_text(text, encoding="utf-8")
    source = SourceConfig(src=str(tmp_path / "a.en"), tgt=str(tmp_path / "a.fr"))
    with diagnose(DataConfig(train=(source,))) as diagnosis:
        report = as_report(diagnosis)
        lines = list(as_lines(report))
    assert "control" in report["roles"]["train"]["kinds"] and "garbled" not in report["roles"]["train"]["kinds"]
    (shown,) = (
        line for line in lines[lines.index(next(one for one in lines if "  control" in one)) :] if "\\u" in line
    )
    assert shown.startswith("      line 301: the cat") and shown.endswith(
        "| …hat le chat le chat le chat le chat le chat voit la\\u0000 souris."
    )


def test_the_custom_before_marks_is_that_of_the_text_and_without_text_that_of_the_language() -> None:
    customs = SpacingCustom("fr"), SpacingCustom("en"), SpacingCustom("fr")
    for _ in range(1000):
        customs[2].see("Quoi? Oui!")
    assert [custom.usual for custom in customs] == [" ", "", ""]
    for _ in range(500):
        customs[2].see("Quoi ? Oui\u202f!")
    assert customs[2].usual is None


@given(st.lists(st.floats(-6, 6), max_size=80))
def test_a_single_stretch_is_the_part_with_the_largest_sum(odds: list[float]) -> None:
    finder = StretchFinder()
    for start in range(0, len(odds), 7):
        finder.see(odds[start : start + 7])
    finder.finish()
    sums = [
        (-sum(odds[first : last + 1]), first, last) for first in range(len(odds)) for last in range(first, len(odds))
    ]
    best = max(sums, default=(0.0, 0, 0))
    assert bool(finder.found) == (best[0] >= ALARM - 1e-9) or abs(best[0] - ALARM) < 1e-6
    found = [-sum(odds[s.first : s.last + 1]) for s in finder.found]
    assert all(total >= ALARM - 1e-6 for total in found)
    if len(found) == 1:
        assert found[0] == pytest.approx(best[0])
    assert all(one.last < other.first for one, other in zip(finder.found, finder.found[1:], strict=False))


def test_repetitions_are_those_of_comparing_all_with_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "ROWS_TO_SORT", 100)  # so that they are sorted in parts
    draw = random.Random(1)
    vocabulary = [f"w{number}" for number in range(300)]
    lines = [" ".join(draw.choices(vocabulary, k=draw.randint(1, 50))) for _ in range(300)]
    for _ in range(300):
        words = draw.choice(lines).split()
        for _ in range(draw.randint(0, 3)):
            words[draw.randrange(len(words))] = draw.choice([draw.choice(vocabulary), words[0].upper()])
        lines.append(" ".join(words))
    finder = RepeatFinder(tmp_path)
    for start in range(0, len(lines), 64):
        words_of_block = Lines.of(lines[start : start + 64]).words
        exact = np.array([hash(line) for line in lines[start : start + 64]]).astype(np.uint64)
        finder.see(exact, words_of_block, words_of_block)
    flags, firsts = np.zeros(len(lines), np.uint64), np.full(len(lines), -1)
    finder.mark(flags, firsts, 0)
    shingles = [set(zip(["", *line.lower().split()], line.lower().split(), strict=False)) for line in lines]
    for row, line in enumerate(lines):
        is_same = [lines[before] == line for before in range(row)]
        is_near = [
            lines[before].lower() == line.lower()
            or min(len(lines[before].split()), len(line.split())) >= 15
            and len(shingles[before] & shingles[row]) / len(shingles[before] | shingles[row]) >= SIMILAR
            for before in range(row)
        ]
        wanted = Kind.DUPLICATE if any(is_same) else Kind.NEAR_DUPLICATE if any(is_near) else None
        assert int(flags[row]) == (0 if wanted is None else bit(wanted)), (line, lines[firsts[row]])
        assert wanted is None or (is_same if any(is_same) else is_near)[firsts[row]]


def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(TransformerMTError, match="disk full"):
        columns.Column(tmp_path / "full", np.uint64).append(np.zeros(1 << 16, np.uint64))


def test_third_languages_are_told_where_neither_side_is_of_them() -> None:
    corpus = synthesize(1, 3000, 1, 1).train
    src, tgt = (Lines.blocks_of([pair[side] for pair in corpus]) for side in (0, 1))
    model = LanguageModel(src, tgt, ("en", "fr"))
    foreign = ["Ich habe heute keine Zeit für dich, mein Freund.", "Где находится вокзал?", "狗在沙发上睡觉。"]
    for is_target, blocks in ((False, src), (True, tgt)):
        judgement = model.judge(Lines.of(foreign), is_target)
        assert (judgement.is_foreign | judgement.is_other).all()
        judged = [model.judge(lines, is_target) for lines in blocks]
        assert sum(int(one.is_foreign.sum() + one.is_other.sum()) for one in judged) < 0.002 * len(corpus)


def test_files_of_unequal_length_are_examined_as_far_as_they_go(tmp_path: Path) -> None:
    pairs = synthesize(1, 3000, 1, 1).train
    (tmp_path / "a.en").write_text("".join(f"{src}\n" for src, _ in pairs), encoding="utf-8")
    kept = [tgt for _, tgt in pairs[:1000] + pairs[1001:]]
    (tmp_path / "a.fr").write_text("".join(f"{tgt}\n" for tgt in kept), encoding="utf-8")
    source = SourceConfig(src=str(tmp_path / "a.en"), tgt=str(tmp_path / "a.fr"))
    with diagnose(DataConfig(train=(source,))) as diagnosis:
        report = as_report(diagnosis)
    unequal = report["sources"][0]["unequal_lines"]
    assert unequal["lines"] == [3000, 2999] and abs(unequal["first_suspicious_line"] - 1001) <= 5
    (stretch,) = report["roles"]["train"]["misaligned_stretches"]
    assert abs(stretch["first_line"] - 1001) <= 2 and stretch["last_line"] == 2999
    assert any("3,000 and 2,999 lines" in line for line in as_lines(report))


def test_sides_that_have_nothing_to_do_with_each_other_are_told(tmp_path: Path) -> None:
    pairs = synthesize(1, 3000, 1, 1).train
    targets = [tgt for _, tgt in pairs[1500:] + pairs[:1500]]
    (tmp_path / "a.en").write_text("".join(f"{src}\n" for src, _ in pairs), encoding="utf-8")
    (tmp_path / "a.fr").write_text("".join(f"{tgt}\n" for tgt in targets), encoding="utf-8")
    source = SourceConfig(src=str(tmp_path / "a.en"), tgt=str(tmp_path / "a.fr"))
    with diagnose(DataConfig(train=(source,))) as diagnosis:
        assert any("are the sources aligned?" in line for line in as_lines(as_report(diagnosis)))


@pytest.mark.parametrize("pairs", [[], [("", "")], [("a", "")], [("the cat", "le chat")] * 3, [("?", "!"), ("1", "2")]])
def test_tiny_corpora_are_examined(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    for code, side in (("en", 0), ("fr", 1)):
        (tmp_path / f"a.{code}").write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8")
    source = SourceConfig(src=str(tmp_path / "a.en"), tgt=str(tmp_path / "a.fr"))
    with diagnose(DataConfig(train=(source,))) as diagnosis:
        report = as_report(diagnosis)
        assert report["roles"]["train"]["pairs"] == len(pairs) and report["too_few_to_learn_from"]
        assert list(as_lines(report))
