"""`report`: one page from any run, whole or damaged, with the figures of the run and nothing that could execute."""

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from transformer_mt.cli.main import main
from transformer_mt.evaluation.scores import corpus_scores

HARM = '<script>alert(1)</script><img src="https://example.org/x.png" onerror=alert(2)> & \u202e\u0007'


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def run_copy(tiny_run: Path, tmp_path: Path) -> Path:
    """The run without its checkpoints, to be spoilt."""
    copy = tmp_path / "run"
    shutil.copytree(tiny_run, copy, ignore=shutil.ignore_patterns("checkpoints", "evaluation*"))
    return copy


def report(run: Path, lines: int = 0) -> Page:
    """The page for a run, which has to be harmless."""
    assert main(["report", str(run), "--lines", str(lines), "--threads", "1"]) == 0
    html = (run / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"script", "img", "link", "iframe", "a", "object", "base", "form"})
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "srcset")]
    assert "@import" not in html and "url(" not in html and "\u202e" not in html
    return page


def test_figures_are_those_of_the_training(tiny_run: Path, run_copy: Path) -> None:
    page = report(run_copy, lines=100)
    records = metrics(tiny_run)
    best = [record for record in records if record.get("best")][-1]
    assert f"BLEU {best['bleu']:.2f} [" in page.text and "the first 20 of 30 validation pairs" in page.text
    assert f"kept: {best['bleu']:.2f}" in page.text
    assert f"{records[-1]['step']}updates" in page.text
    assert "1,000training pairs" in page.text and "No pair was left out." in page.text
    curves = [attributes for tag, attributes in page.tags if tag == "polyline"]
    train = [record for record in records if record["kind"] == "train"]
    assert len((curves[0]["points"] or "").split()) == len(train)
    assert "It looks sound after 240 updates" in page.text
    assert len([tag for tag, attributes in page.tags if attributes.get("class") == "case"]) == 12


def test_a_validation_notes_its_interval_and_the_same_samples_each_time(tiny_run: Path) -> None:
    found = [record for record in metrics(tiny_run) if record["kind"] == "validation"]
    folder = tiny_run.parent
    sides = [(folder / f"val.{side}").read_text().splitlines()[:20] for side in ("en", "fr")]
    assert len(found) > 1
    for record in found:
        assert record["bleu_low"] < record["bleu"] < record["bleu_high"]
        assert [sample["src"] for sample in record["samples"]] == [sides[0][place] for place in (0, 6, 12)]
        assert [sample["reference"] for sample in record["samples"]] == [sides[1][place] for place in (0, 6, 12)]


def test_the_interval_is_that_of_evaluate(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for side in ("en", "fr"):
        lines = (tiny_run.parent / f"val.{side}").read_text().splitlines()[:20]
        (tmp_path / f"head.{side}").write_text("".join(f"{line}\n" for line in lines))
    words = ["--src", str(tmp_path / "head.en"), "--ref", str(tmp_path / "head.fr"), "-o", str(tmp_path), "--json"]
    assert main(["evaluate", str(tiny_run), *words, "--beam-size", "2", "--threads", "1"]) == 0
    bleu = json.loads(capsys.readouterr().out)["bleu"]
    best = [record for record in metrics(tiny_run) if record.get("best")][-1]
    assert (best["bleu_low"], best["bleu_high"]) == pytest.approx((bleu["low"], bleu["high"]))
    hypotheses = (tmp_path / "hyp.txt").read_text().splitlines()
    references = (tmp_path / "ref.txt").read_text().splitlines()
    assert corpus_scores(hypotheses, references, "fr", 20).bleu.low == pytest.approx(best["bleu_low"])


def test_text_cannot_harm_wherever_it_comes_from(run_copy: Path) -> None:
    records = metrics(run_copy)
    for record in records:
        if record["kind"] == "validation":
            record["samples"] = [{"src": HARM, "hypothesis": HARM, "reference": f"{HARM} {HARM}"}, HARM, {"src": 1}]
        record[HARM] = HARM
    (run_copy / "metrics.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    (run_copy / "log.txt").write_text(f"warning: {HARM}\n{HARM}\n")
    config = (run_copy / "config.yaml").read_text()
    (run_copy / "config.yaml").write_text(
        config.replace("max_length: 32", f"max_length: 32  # {HARM}".replace("\a", ""))
    )
    page = report(run_copy)
    assert page.text.count("<script>alert(1)</script>") >= 6


def cut(run: Path) -> None:
    path = run / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-40])


def garble(run: Path) -> None:
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    lines[2:4] = [b'{"kind": "train", "st\n', b"\xff\xfe\x00\n"]
    (run / "metrics.jsonl").write_bytes(b"".join(lines))


def nan(run: Path) -> None:
    text = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(re.sub(r'"loss": [\d.]+', '"loss": NaN', text))


def keep(*kinds: str, most: int = 10**6) -> Callable[[Path], None]:
    def act(run: Path) -> None:
        records = [record for record in metrics(run) if record["kind"] in kinds][:most]
        (run / "metrics.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))

    return act


def without(*names: str) -> Callable[[Path], None]:
    def act(run: Path) -> None:
        for name in names:
            path = run / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return act


def break_bundle(run: Path) -> None:
    path = run / "bundle" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def move_data(run: Path) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(re.sub(r"src: \S+", "src: gone.en", text))


def odd_facts(run: Path) -> None:
    lines = [
        {**record, "src_pieces": 0, "tgt_pieces": 0, "tgt_bytes_per_piece": 0, "loss": -1e14} for record in metrics(run)
    ]
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (cut, "1 lines of metrics.jsonl could not be read (line "),
        (garble, "2 lines of metrics.jsonl could not be read (line 3: "),
        (nan, "The loss was no finite number in "),
        (keep("corpus", "train"), "There was no validation yet."),
        (keep("validation"), "No updates were logged yet."),
        (keep("train", most=1), "Too early to say: 30 updates are recorded"),
        (keep(), "Nothing to draw yet."),
        (without("metrics.jsonl"), "metrics.jsonl: no such file"),
        (without("bundle"), "this run has no bundle yet"),
        (without("log.txt", "concluded.json", "tokenizer"), "it is still running, or was stopped"),
        (break_bundle, "model.safetensors: is damaged"),
        (move_data, "call report where the training was started, so that it finds them."),
        (odd_facts, "Data"),
        (without("bundle", "metrics.jsonl", "log.txt", "concluded.json", "tokenizer"), "metrics.jsonl: no such file"),
    ],
)  # fmt: skip
def test_a_damaged_or_young_run_gives_a_page_that_says_so(
    run_copy: Path, spoil: Callable[[Path], None], told: str
) -> None:
    spoil(run_copy)
    assert told in report(run_copy, lines=3 if spoil is move_data else 0).text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{folder}/none"], "is no run directory (it has no config.yaml)"),
        (["{folder}/run/bundle"], "a bundle has no metrics; name the run directory"),
        (["{folder}/run", "-o", "{folder}"], "is a directory"),
        (["{folder}/run", "-o", "{folder}/tiny.yaml/x.html"], "is a file, a directory is needed"),
        (["{folder}/run", "--lines", "-1"], "--lines must be 0 or more"),
        (["{folder}/run", "--threads", "0"], "--threads 1 or more"),
    ],
)
def test_what_cannot_be_reported_is_one_clear_line(
    tiny_run: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tiny_run.iterdir())
    filled = [word.format(folder=tiny_run.parent) for word in words]
    assert main(["report", *filled]) == 2
    message = capsys.readouterr().err
    assert told in message and message.count("\n") == 1
    assert sorted(tiny_run.iterdir()) == before


def test_a_configuration_that_cannot_be_read_is_one_clear_line(
    run_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_copy / "config.yaml").write_text("model: {d_modle: 3}\n")
    assert main(["report", str(run_copy)]) == 2
    assert "did you mean d_model" in capsys.readouterr().err
    assert not (run_copy / "report.html").exists()
