"""`transformer-mt data check` and `data clean`: reports, exit codes, new files, and nothing changed in place."""

import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.data.planting import Planted
from tests.shop import the_error
from transformer_mt.cli.main import main
from transformer_mt.config.loading import load_config
from transformer_mt.data.doctor.kinds import STYLE, Kind
from transformer_mt.data.synthetic.corpus import synthesize

CONFIG = """\
data:
  train: {train}
  validation: {{src: {folder}/val.en, tgt: {folder}/val.fr}}
training: {{max_steps: 1, run_dir: {folder}/run}}
"""
SCRIPT = "<script>alert(1)</script>"


class Patient:
    """A folder with a sick corpus and its configuration."""

    def __init__(self, folder: Path) -> None:
        corpus = synthesize(1, 4000, 200, 1)
        train, validation = ([(pair[0], pair[1]) for pair in part] for part in (corpus.train, corpus.validation))
        self.folder = folder
        self.planted = Planted(train, validation)
        first = self.planted.lines[Kind.COPIED][0] - 1
        self.planted.pairs[first] = (f"{SCRIPT} the cat", f"{SCRIPT} the cat")
        self.planted.write(folder)
        self.config = folder / "sick.yaml"
        self.config.write_text(
            CONFIG.format(train=f"{{src: {folder}/train.en, tgt: {folder}/train.fr}}", folder=folder)
        )

    def hashes(self) -> dict[str, str]:
        names = [f"{name}.{code}" for name in ("train", "val") for code in ("en", "fr")]
        return {name: hashlib.sha256((self.folder / name).read_bytes()).hexdigest() for name in names}


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Patient:
    return Patient(tmp_path_factory.mktemp("patient"))


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def listed(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines_of(path)]


def test_check_reports_on_screen_as_json_and_as_a_page(
    patient: Patient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = patient.hashes()
    assert main(["data", "check", str(patient.config), "-o", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    kinds = report["roles"]["train"]["kinds"]
    assert set(kinds) >= {kind.label for kind in (*patient.planted.lines, Kind.MISALIGNED)}
    assert all(label in shown for label in kinds)
    findings = listed(tmp_path / "findings.jsonl")
    for kind, lines in patient.planted.lines.items():
        assert len(set(lines) - {f["line"] for f in findings if kind.label in f["kinds"]}) <= len(lines) // 10  # type: ignore[operator]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(page)
    assert "script" not in tags and "&lt;script&gt;" in page and all(label in page for label in kinds)
    assert patient.hashes() == before


def test_strict_exits_with_3_where_there_is_a_defect(patient: Patient) -> None:
    assert main(["data", "check", str(patient.config), "--strict"]) == 3
    sound = ["--set", f"data.train={{src: {patient.folder}/val.en, tgt: {patient.folder}/val.fr}}"]
    assert main(["data", "check", str(patient.config), "--strict", *sound, "--set", "data.validation=[]"]) == 0


def test_clean_writes_new_files_and_lists_every_change(patient: Patient, tmp_path: Path) -> None:
    before, new = patient.hashes(), tmp_path / "new"
    assert main(["data", "clean", str(patient.config), str(new)]) == 0
    assert patient.hashes() == before
    changes = {change["line"]: change for change in listed(new / "changes.jsonl")}
    src, tgt = (lines_of(new / f"train.{code}") for code in ("en", "fr"))
    number = 0
    for line, pair in enumerate(patient.planted.pairs, start=1):
        change = changes.get(line, {"did": "nothing"})
        if change["did"] == "left out":
            continue
        number += 1
        written = (src[number - 1], tgt[number - 1])
        if change["did"] == "mended":
            assert change["new_line"] == number
            assert tuple(side[1] for side in (change["src"], change["tgt"])) == written  # type: ignore[union-attr]
        else:
            assert written == pair
    assert number == len(src) == len(tgt)
    mended = {line for line, change in changes.items() if change["did"] == "mended"}
    assert set(patient.planted.lines[Kind.ENTITY]) <= mended
    assert load_config(new / "config.yaml").data.train[0].src == str(new / "train.en")


def test_what_was_cleaned_is_sound(patient: Patient, tmp_path: Path) -> None:
    assert main(["data", "clean", str(patient.config), str(tmp_path / "new")]) == 0
    assert main(["data", "check", str(tmp_path / "new" / "config.yaml"), "-o", str(tmp_path / "report")]) == 0
    train = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))["roles"]["train"]
    assert train["defective_pairs"] < 0.002 * train["pairs"], train["kinds"]
    assert not {kind.label for kind in STYLE} & set(train["kinds"])


def test_kept_kinds_are_left_as_they_are(patient: Patient, tmp_path: Path) -> None:
    keep = [word for kind in Kind for word in ("--keep", kind.label)]
    assert main(["data", "clean", str(patient.config), str(tmp_path / "new"), *keep]) == 0
    for code in ("en", "fr"):
        assert (tmp_path / "new" / f"train.{code}").read_bytes() == (patient.folder / f"train.{code}").read_bytes()
    assert listed(tmp_path / "new" / "changes.jsonl") == []


def test_other_formats_keep_the_line_numbers_of_their_files(
    patient: Patient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.dumps({"en": src, "fr": tgt}) for src, tgt in patient.planted.pairs]
    rows.insert(0, "{broken")
    (tmp_path / "a.jsonl").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    changed = ["--set", f"data.train={{path: {tmp_path}/a.jsonl}}"]
    assert main(["data", "check", str(patient.config), *changed, "-o", str(tmp_path / "report")]) == 0
    assert "line 1 cannot be read" in capsys.readouterr().out
    found = {f["line"] for f in listed(tmp_path / "report" / "findings.jsonl") if "blank" in f["kinds"]}  # type: ignore[operator]
    assert found == {line + 1 for line in patient.planted.lines[Kind.BLANK]}
    assert main(["data", "clean", str(patient.config), *changed, str(tmp_path / "new")]) == 0
    bad = [change for change in listed(tmp_path / "new" / "changes.jsonl") if change["because"] == ["unreadable"]]
    assert [change["line"] for change in bad] == [1]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["clean", "CONFIG", "FOLDER"], "exists already; name a new directory"),
        (["clean", "CONFIG", "FOLDER/new", "--keep", "dirt"], "dirt: no kind of defect; the kinds are: blank, "),
        (["clean", "CONFIG", "FOLDER/new", "--set", "data.train=[]"], "names no source"),
        (["check", "CONFIG", "--set", "data.train={path: FOLDER/none.tsv}"], "none.tsv: no such file"),
    ],
)
def test_mistakes_are_told_in_one_line(
    patient: Patient, words: list[str], wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [word.replace("CONFIG", str(patient.config)).replace("FOLDER", str(patient.folder)) for word in words]
    assert main(["data", *filled]) == 2
    assert wanted in the_error(capsys.readouterr().err)
    assert not (patient.folder / "new").exists()
