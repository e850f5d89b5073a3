"""`translate`: N lines in, N lines out, whatever comes in and wherever it goes."""

import json
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from transformer_mt.cli.main import main

COMMAND = [sys.executable, "-m", "transformer_mt", "translate"]


def translate(tiny_run: Path, *words: str, stdin: bytes = b"", **env: str) -> "subprocess.CompletedProcess[bytes]":
    """Run the real command in a process of its own."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    return subprocess.run(
        [*COMMAND, str(tiny_run), *words], input=stdin, capture_output=True, env=variables, check=False
    )


def test_file_standard_input_and_python_give_the_same(tiny_run: Path, tmp_path: Path) -> None:
    from transformer_mt.decoding.translator import Translator

    source = tiny_run.parent / "test.en"
    assert main(["translate", str(tiny_run), str(source), "-o", str(tmp_path / "out.fr"), "--threads", "1"]) == 0
    piped = translate(tiny_run, stdin=source.read_bytes(), LC_ALL="C", PYTHONUTF8="0")
    assert piped.returncode == 0
    assert piped.stdout == (tmp_path / "out.fr").read_bytes()
    lines = Translator.load(tiny_run, threads=1).translate(source.read_text().splitlines())
    assert (tmp_path / "out.fr").read_text() == "".join(f"{line}\n" for line in lines)


def test_hard_input_keeps_its_lines_and_is_reported(tiny_run: Path, tmp_path: Path) -> None:
    lines = [
        b"the cat",
        b"",
        b"\xff\xfe broken",
        "a\u2028b\x85c".encode(),
        b"the dog." * 100,
        b"\x00",
        "😀".encode(),
        b"last",
    ]
    (tmp_path / "in").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))  # BOM, CRLF, no final line end
    report = tmp_path / "report.jsonl"
    done = translate(tiny_run, str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--report", str(report))
    assert done.returncode == 0
    assert (tmp_path / "out").read_bytes().count(b"\n") == len(lines)
    entries = [json.loads(line) for line in report.read_text().splitlines()]
    assert [entry["line"] for entry in entries] == list(range(1, len(lines) + 1))
    assert "replaced" in entries[2]["flags"] and "split" in entries[4]["flags"]
    assert entries[0]["flags"] == entries[1]["flags"] == []
    assert b"lines are flagged" in done.stderr


def test_an_empty_input_gives_an_empty_output_and_says_so(tiny_run: Path) -> None:
    done = translate(tiny_run)
    assert done.returncode == 0 and done.stdout == b"" and b"no lines" in done.stderr


def test_utf_16_is_refused_and_says_how_to_convert_it(tiny_run: Path) -> None:
    done = translate(tiny_run, stdin="the cat\n".encode("utf-16"))
    assert done.returncode == 2 and done.stdout == b"" and b"iconv -f UTF-16" in done.stderr


def test_strict_exits_with_3_when_a_line_is_flagged(tiny_run: Path) -> None:
    assert translate(tiny_run, "--strict", stdin=b"\xff\n").returncode == 3
    assert translate(tiny_run, "--strict", stdin=b"the cat sees the dog\n").returncode == 0


def test_no_lines_give_no_lines(tiny_run: Path) -> None:
    done = translate(tiny_run)
    assert (done.returncode, done.stdout) == (0, b"")


def test_a_reader_that_goes_away_is_no_error(tiny_run: Path) -> None:
    command = f"'{sys.executable}' -m transformer_mt translate '{tiny_run}' --batch-tokens 64 | head -n 1"
    done = subprocess.run(command, shell=True, input=b"the cat\n" * 6000, capture_output=True, check=False)
    assert done.stdout.count(b"\n") == 1
    assert b"Traceback" not in done.stderr and b"rror" not in done.stderr


def interrupted(command: list[str], when: Path, number: int) -> "subprocess.CompletedProcess[str]":
    """Run a command until a file is there, then send it a signal."""
    heeds_interrupts = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores them
    process = subprocess.Popen(command, preexec_fn=heeds_interrupts, stderr=subprocess.PIPE, text=True)
    try:
        while not list(when.parent.glob(when.name)):
            assert process.poll() is None
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    return subprocess.CompletedProcess(command, process.returncode, stderr=told)


def test_an_interrupted_translation_of_a_few_lines_leaves_nothing(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("the cat sees the dog\n" * 1500)
    command = [*COMMAND, str(tiny_run), str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    done = interrupted(command, tmp_path / "out.partial", signal.SIGTERM)
    assert done.returncode == 130 and "interrupted" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


@pytest.fixture(scope="module")
def long_file(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two and a half windows of lines, the first of them to be flagged."""
    path = tmp_path_factory.mktemp("long") / "in"
    path.write_bytes(b"the \xff cat\n" + (tiny_run.parent / "test.en").read_bytes() * 170)
    return path


def run_long(tiny_run: Path, long_file: Path, folder: Path, *words: str) -> list[str]:
    files = ["-o", str(folder / "out"), "--report", str(folder / "report"), "--alignments", str(folder / "links")]
    return [str(tiny_run), str(long_file), *files, "--beam-size", "1", "--threads", "1", *words]


@pytest.fixture(scope="module")
def whole(tiny_run: Path, long_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    assert main(["translate", *run_long(tiny_run, long_file, folder)]) == 0
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_resumed_translation_is_the_same_to_the_byte(
    tiny_run: Path, long_file: Path, whole: dict[str, bytes], tmp_path: Path, number: signal.Signals
) -> None:
    words = run_long(tiny_run, long_file, tmp_path)
    killed = interrupted([*COMMAND, *words], tmp_path / "out.partial.json", number)
    assert killed.returncode == (-9 if number == signal.SIGKILL else 130)
    assert number == signal.SIGKILL or "2,048 lines are kept; the same command with --resume" in killed.stderr
    with (tmp_path / "out.partial").open("ab") as file:
        file.write(b"half a li")  # as a kill in the middle of writing leaves it
    again = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
    assert again.returncode == 2 and "add --resume" in again.stderr
    other = subprocess.run([*COMMAND, *words, "--resume", "--length-penalty", "0"], capture_output=True, text=True)
    assert other.returncode == 2 and "had another length_penalty" in other.stderr
    resumed = subprocess.run([*COMMAND, *words, "--resume"], capture_output=True, text=True, check=False)
    assert resumed.returncode == 0 and "going on after 2,048 lines" in resumed.stderr
    assert "1 of 5101 lines are flagged: 1 replaced" in resumed.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole


def test_several_processes_write_the_same(
    tiny_run: Path, long_file: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    words = run_long(tiny_run, long_file, tmp_path, "--workers", "2")
    assert subprocess.run([*COMMAND, *words], check=False).returncode == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole


def test_protected_lines_are_the_same_in_several_processes_and_when_resumed(tiny_run: Path, tmp_path: Path) -> None:
    lines = [*(tiny_run.parent / "test.en").read_text().splitlines()] * 75  # more than a window
    planted = ["the {0} cat", "", "<b>the</b> dog sees 42 cats", "see http://a.b/c?d=1."]
    for number in range(0, len(lines), 50):
        lines[number] = planted[number // 50 % 4]
    (tmp_path / "in").write_text("".join(f"{line}\n" for line in lines))
    options = ["--protect", "--beam-size", "1", "--threads", "1"]

    def words(name: str) -> list[str]:
        return [str(tiny_run), str(tmp_path / "in"), "-o", str(tmp_path / name), *options]

    assert main(["translate", *words("whole"), "--report", str(tmp_path / "report")]) == 0
    whole = (tmp_path / "whole").read_text()
    translations = whole.split("\n")[:-1]
    assert len(translations) == len(lines)
    for number, line in enumerate(lines):
        assert all(kept in translations[number] for kept in re.findall(r"\{0\}|<b>|</b>|42|http\S+1", line))
    assert subprocess.run([*COMMAND, *words("shared"), "--workers", "2"], check=False).returncode == 0
    assert (tmp_path / "shared").read_text() == whole
    interrupted([*COMMAND, *words("resumed")], tmp_path / "resumed.partial.json", signal.SIGKILL)
    other = subprocess.run([*COMMAND, *words("resumed")[:-5], "--resume"], capture_output=True, text=True, check=False)
    assert other.returncode == 2 and "protect" in other.stderr
    assert main(["translate", *words("resumed"), "--resume"]) == 0
    assert (tmp_path / "resumed").read_text() == whole


def test_every_alternative_is_protected(tiny_run: Path) -> None:
    source = b"the {0} cat\n\n%s sees 1,000.5 dogs\n"
    done = translate(tiny_run, "--json", "--n-best", "2", "--protect", "--token-scores", stdin=source)
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(entries) == 3 and not any(entry["flags"] for entry in entries)
    for entry, kept in ((entries[0], "{0}"), (entries[2], "%s")):
        assert len(entry["alternatives"]) == 2 and all(kept in one["translation"] for one in entry["alternatives"])


@pytest.mark.parametrize("words", [[], ["--quiet"]])
def test_where_no_bar_is_shown_lines_tell_how_far_it_is(
    tiny_run: Path,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("transformer_mt.cli.translate.TELLING_SECONDS", 0)
    source = tiny_run.parent / "test.en"
    assert main(["translate", str(tiny_run), str(source), "-o", str(tmp_path / "out"), *words]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if re.search(r"\d lines done, [\d,.]+ lines/s", line)]
    assert len(told) == (0 if words else len(source.read_text().splitlines()))


def test_processes_end_with_the_one_that_was_killed(tiny_run: Path, long_file: Path, tmp_path: Path) -> None:
    words = run_long(tiny_run, long_file, tmp_path, "--workers", "2")
    killed = interrupted([*COMMAND, *words], tmp_path / "out.partial.json", signal.SIGKILL)
    assert killed.returncode == -9  # it was waited for until no process held its standard error any more


def test_an_ensemble_of_a_model_with_itself_translates_as_it_does_alone(tiny_run: Path, tmp_path: Path) -> None:
    source = str(tiny_run.parent / "test.en")
    for name, words in (("alone", []), ("twice", ["--ensemble", str(tiny_run)])):
        assert main(["translate", str(tiny_run), source, "-o", str(tmp_path / name), *words]) == 0
    assert (tmp_path / "alone").read_bytes() == (tmp_path / "twice").read_bytes()


def test_score_gives_what_translate_reports(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out, report = str(tiny_run.parent / "test.en"), tmp_path / "out", tmp_path / "report"
    words = ["-o", str(out), "--report", str(report), "--precision", "fp32"]
    assert main(["translate", str(tiny_run), source, *words]) == 0
    capsys.readouterr()
    assert main(["score", str(tiny_run), source, str(out), "--precision", "fp32"]) == 0
    scores = [float(line) for line in capsys.readouterr().out.splitlines()]
    reported = [json.loads(line)["score"] for line in report.read_text().splitlines()]
    assert scores == pytest.approx(reported, abs=2e-3)
    assert main(["score", str(tiny_run), source, str(out), "--json", "-o", str(tmp_path / "scores")]) == 0
    entries = [json.loads(line) for line in (tmp_path / "scores").read_text().splitlines()]
    assert all(len(entry["tokens"]) and entry["tokens"][-1]["piece"] == "</s>" for entry in entries)
    out.write_text("one line\n")
    assert main(["score", str(tiny_run), source, str(out)]) == 2
    assert f"{out}: ends after 1 lines" in capsys.readouterr().err


def test_alternatives_and_scores_come_as_json(tiny_run: Path) -> None:
    done = translate(tiny_run, "--json", "--n-best", "2", stdin=b"the cat\nthe dog\n")
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(entries) == 2
    assert all(len(entry["alternatives"]) == 2 for entry in entries)
    assert entries[0]["alternatives"][0]["translation"] == entries[0]["translation"]


def test_as_many_beginnings_as_lines_are_needed(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, beginnings = tmp_path / "in", tmp_path / "beginnings"
    source.write_text("the cat\nthe dog\n")
    for text in ("le\n", "le\n\nla\n"):
        beginnings.write_text(text)
        assert main(["translate", str(tiny_run), str(source), "--beginnings", str(beginnings)]) == 2
        assert f"{beginnings} has {text.count(chr(10))} lines and {source} has 2 lines" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--beam-size", "0"], "--beam-size: must be at least 1, got 0"),
        (["--length-penalty", "nan"], "--length-penalty"),
        (["--n-best", "3"], "--n-best"),
        (["--n-best", "9", "--json"], "--n-best"),
        (["--device", "cuda:7"], "choose one of cpu"),
        (["--sample", "--temperature", "0"], "--temperature"),
        (["--workers", "0"], "--workers: must be at least 1"),
        (["--resume"], "--resume: needs an input file and -o"),
        (["--token-scores"], "--token-scores: need --json"),
        (["--mbr", "4", "--beam-size", "2"], "--beam-size: does not go with"),
        (["--mbr", "4", "--n-best", "2", "--json"], "--mbr: has its own number"),
        (["--no-repeat-ngram", "0"], "--no-repeat-ngram: must be at least 1"),
        (["--glossary", "missing.tsv"], "missing.tsv: no such file"),
        (["--ensemble", "missing"], "missing: no such directory"),
        (["missing.txt"], "missing.txt: no such file"),
        (["/"], "/: is a directory"),
    ],
)
def test_a_wrong_option_is_one_clear_line(
    tiny_run: Path, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", str(tiny_run), *words]) == 2
    message = capsys.readouterr().err
    assert problem in message and message.count("\n") == 1


def test_the_input_is_never_overwritten(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "same").write_text("the cat\n")
    for option in ("-o", "--report"):
        assert main(["translate", str(tiny_run), str(tmp_path / "same"), option, str(tmp_path / "same")]) == 2
    assert (tmp_path / "same").read_text() == "the cat\n"


def test_a_device_is_written_to_and_not_replaced(tiny_run: Path) -> None:
    assert translate(tiny_run, "-o", "/dev/null", stdin=b"the cat\n").returncode == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("name", ["a b.txt", "été.txt", "quo'te\".txt", "-dash.txt", "new\nline.txt", "x" * 200])
def test_any_output_name_works(tiny_run: Path, tmp_path: Path, name: str) -> None:
    done = translate(tiny_run, f"--output={tmp_path / name}", stdin=b"the cat\n")
    assert done.returncode == 0
    assert (tmp_path / name).read_bytes().count(b"\n") == 1


def test_an_output_that_cannot_be_written_is_one_clear_line(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = translate(tiny_run, "-o", str(tmp_path / "file" / "out"), stdin=b"the cat\n")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1 and b"cannot be written" in done.stderr
    done = translate(tiny_run, "-o", str(tmp_path / ("x" * 300)), stdin=b"the cat\n")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1 and b"File name too long" in done.stderr
