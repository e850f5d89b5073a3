"""`translate`: N lines in, N lines out, whatever comes in and wherever it goes."""

import json
import os
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


def test_an_interrupted_translation_leaves_no_half_file(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("the cat sees the dog\n" * 200_000)
    command = [*COMMAND, str(tiny_run), str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    heeds_interrupts = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores them
    process = subprocess.Popen(command, preexec_fn=heeds_interrupts)
    try:
        while not list(tmp_path.glob(".out.tmp-*")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_alternatives_and_scores_come_as_json(tiny_run: Path) -> None:
    done = translate(tiny_run, "--json", "--n-best", "2", stdin=b"the cat\nthe dog\n")
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(entries) == 2
    assert all(len(entry["alternatives"]) == 2 for entry in entries)
    assert entries[0]["alternatives"][0]["translation"] == entries[0]["translation"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--beam-size", "0"], "--beam-size: must be at least 1, got 0"),
        (["--length-penalty", "nan"], "--length-penalty"),
        (["--n-best", "3"], "--n-best"),
        (["--n-best", "9", "--json"], "--n-best"),
        (["--device", "cuda:7"], "choose one of cpu"),
        (["--sample", "--temperature", "0"], "--temperature"),
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


@pytest.mark.parametrize("name", ["a b.txt", "été.txt", "quo'te\".txt", "-dash.txt"])
def test_any_output_name_works(tiny_run: Path, tmp_path: Path, name: str) -> None:
    done = translate(tiny_run, f"--output={tmp_path / name}", stdin=b"the cat\n")
    assert done.returncode == 0
    assert (tmp_path / name).read_bytes().count(b"\n") == 1


def test_an_output_that_cannot_be_written_is_one_clear_line(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = translate(tiny_run, "-o", str(tmp_path / "file" / "out"), stdin=b"the cat\n")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1 and b"cannot be written" in done.stderr
