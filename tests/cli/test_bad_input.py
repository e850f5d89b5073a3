"""Bad input through the real commands: an exit code, one clear line, nothing lost.

The numbers are those of the list in tests/test_bad_input_rows.py, which names the tests of each row.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shop import Shop, the_error
from transformer_mt.cli.main import main

REPOSITORY = Path(__file__).resolve().parent.parent.parent

ENGLISH, FRENCH = "the cat\n" * 9, "le chat\n" * 9
PATH = "data.train={{path: {folder}/"
BAD_DATA = {
    "row-1-unequal": ({"train.fr": FRENCH}, [], "has 1000 lines.* has 9;.*about line"),
    "row-2-empty": (
        {"train.en": "", "train.fr": ""},
        [],
        r"data.train: there are no sentence pairs .*train\.en \+ train\.fr",
    ),
    "row-2-blank": ({"train.en": "\n \n", "train.fr": "\n\n"}, [], "data.train: there is no text"),
    "row-2-empty-validation": ({"val.en": "", "val.fr": ""}, [], "data.validation: no usable pairs in .*val"),
    "row-4-latin-1": ({"train.fr": b"le chat\n\xe9t\xe9\n"}, [], r"fr:2: byte 1 \(0xe9\).*latin-1.*set `encoding:"),
    "row-4-utf-16": ({"train.fr": FRENCH.encode("utf-16")}, [], "fr:1: byte 1 .*utf-16"),
    "row-14-missing-column": ({"a.csv": "id,fr\n1,b\n"}, [PATH + "a.csv}}"], "no column en; the columns are: id, fr"),
    "row-14-extra-column": ({"a.csv": "en,fr\na,b,c\n"}, [PATH + "a.csv}}"], "a.csv:2: 3 columns, the header has 2"),
    "row-15-list": ({"a.jsonl": '{"en": ["a"], "fr": "b"}\n'}, [PATH + "a.jsonl}}"], "a.jsonl:1: en is a list"),
    "row-15-null": ({"a.jsonl": '{"en": "a", "fr": null}\n'}, [PATH + "a.jsonl}}"], "a.jsonl:1: fr is null"),
    "row-15-no-json": ({"a.jsonl": '\n{"en":\n'}, [PATH + "a.jsonl}}"], "a.jsonl:2: not valid JSON.*skip_bad_lines"),
    "row-16-no-parquet": ({"a.parquet": "text"}, [PATH + "a.parquet}}"], "a.parquet: cannot be read as parquet"),
    "row-16-truncated-gz": ({"a.tsv.gz": b"\x1f\x8b\x08\0\0"}, [PATH + "a.tsv.gz}}"], "a.tsv.gz: is no whole gzip"),
    "row-16-zst": ({"a.tsv.zst": b"(\xb5/\xfd"}, [PATH + "a.tsv.zst}}"], "its ending tells no format"),
    "row-24-directory": ({}, [PATH[:-1] + ", format: tsv}}"], "is a directory, a file is needed"),
    "row-24-missing": ({}, [PATH + "none.tsv}}"], "none.tsv: no such file"),
    "row-24-below-a-file": ({}, [PATH + "val.en/x.tsv}}"], "val.en/x.tsv: cannot be read"),
    "row-24-name-too-long": ({}, [PATH + "x" * 300 + ".tsv}}"], "cannot be read .File name too long"),
    "row-55-vocabulary": ({"train.en": ENGLISH, "train.fr": FRENCH}, [], "vocab_size: 309 is more .* at most 270"),
    "row-56-one-character": ({"train.en": "a\n" * 9, "train.fr": "a\n" * 9}, [], "vocab_size: 309 .* at most 263"),
    "no-training-data": ({}, ["data.train=[]"], r"tiny.yaml: data.train: names no source of sentence pairs"),
}


@pytest.mark.parametrize(("files", "settings", "wanted"), BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data_is_refused_before_training_and_can_be_mended(
    shop: Shop, files: dict[str, str | bytes], settings: list[str], wanted: str
) -> None:
    for name, content in files.items():
        shop.write(name, content)
    assert re.search(wanted, shop.refused(*settings))
    assert shop.steps() == [] and not (shop.run / "bundle").exists()
    assert not [path for path in shop.folder.rglob("*") if ".tmp-" in path.name]


def test_a_refused_run_directory_takes_the_mended_configuration(shop: Shop) -> None:
    """Nothing was trained in it, so that another configuration spoils nothing; the tokenizer is made anew."""
    shop.write("val.en", "")
    assert "has 0 lines" in shop.refused()
    tokenizer = (shop.run / "tokenizer" / "joint.model") if (shop.run / "tokenizer").exists() else None
    shop.train("tokenizer.vocab_size=300", "data.validation=[]", "training.max_steps=1")
    assert shop.steps() == [1]
    assert tokenizer is None or tokenizer.stat().st_size > 0
    assert "vocab_size: 300" in (shop.run / "config.yaml").read_text()


@pytest.mark.parametrize("kind", ["row-23-fifo", "row-23-stdin", "row-24-symlink-loop"])
def test_what_is_no_file_that_can_be_read_again_is_refused(shop: Shop, kind: str) -> None:
    path = shop.folder / "train.tsv"
    if kind == "row-23-fifo":
        os.mkfifo(path)
    elif kind == "row-23-stdin":
        path.symlink_to("/dev/null")
    else:
        path.symlink_to(path)
    wanted = "Too many levels" if "loop" in kind else "is a pipe or device; .* write it to a file first"
    assert re.search(wanted, shop.refused(PATH + "train.tsv}}"))


def swap(shop: Shop) -> None:
    for name in ("en", "fr"):
        (shop.folder / f"train.{name}").rename(shop.folder / f"old.{name}")
    (shop.folder / "old.en").rename(shop.folder / "train.fr")
    (shop.folder / "old.fr").rename(shop.folder / "train.en")


def copy(shop: Shop) -> None:
    shutil.copy(shop.folder / "train.fr", shop.folder / "train.en")


@pytest.mark.parametrize(("spoil", "wanted"), [(swap, "languages swapped"), (copy, "the same text on both sides")])
def test_row_18_suspicious_pairs_stop_a_training_unless_allowed(shop: Shop, spoil: object, wanted: str) -> None:
    spoil(shop)  # type: ignore[operator]
    settings = ("tokenizer.vocab_size=290", "training.max_steps=1")
    assert re.search(rf"100% of the pairs .*{wanted}; .*allow_suspicious", shop.refused(*settings))
    assert wanted in shop.train(*settings, "data.allow_suspicious=true")


def test_rows_3_12_13_18_19_20_odd_pairs_are_counted_and_the_rest_is_trained_on(shop: Shop) -> None:
    lines = {code: (shop.folder / f"train.{code}").read_text().splitlines() for code in ("en", "fr")}
    val = {code: (shop.folder / f"val.{code}").read_text().splitlines() for code in ("en", "fr")}
    for code, side in lines.items():
        side[0] = "word " * 200_000  # a line of 1 MB
        side[1] = "x" * 100_000
        side[2] = "e" + "\u0301" * 1000
        side[3] = "\u202e cat \U0001f468\u200d\U0001f469\u200d\U0001f467"
        side[100:170] = lines["en"][100:170]
        side[200:230] = val[code]
        side[300:370] = [" "] * 70 if code == "fr" else side[300:370]
        shop.write(f"train.{code}", "".join(f"{line}\n" for line in side))
    told = shop.train("training.max_steps=1")
    for wanted in (
        r"926 pairs, left out: 70 blank on a side, 4 too long",
        r"warning: .*7\.0% of the pairs are blank on a side",
        r"warning: .* \d+ pairs have a side that is also in validation or test; data.drop_leaks",
        r"warning: \d+\.\d% of the training pairs have the same text on both sides",
        r"warning: \d+\.\d% of the training pairs are repetitions of another one",
    ):
        assert re.search(wanted, told), (wanted, told)


@pytest.mark.parametrize("count", [1, 3])
def test_row_21_fewer_pairs_than_a_batch_train_and_translate(shop: Shop, count: int) -> None:
    shop.write("train.en", "the cat\n" * count)
    shop.write("train.fr", "le chat\n" * count)
    shop.train("tokenizer.vocab_size=269")
    assert main(["translate", str(shop.run), str(shop.folder / "train.en"), "--threads", "1"]) == 0
    assert shop.capsys.readouterr().out.count("\n") == count


def test_a_dictionary_smaller_than_its_vocabulary_is_trained_on(shop: Shop) -> None:
    shop.write("words.txt", "house\tmaison\ncat = chat; minou\n# a comment\nbread\tpain\n")
    shop.config = REPOSITORY / "configs" / "dictionary.yaml"
    source = "={{path: {folder}/words.txt, format: dictionary}}"
    where = ("data.cache_dir={folder}/cache", "training.run_dir={folder}/run", "training.threads=1")
    shop.train(f"data.train{source}", f"data.test{source}", *where, "training.max_steps=5", "model.d_model=16")
    assert shop.steps() == [5]


# --- configuration ---

BAD_CONFIGS = {
    "row-30-negative": "optimizer: {lr: -1}",
    "row-30-infinite": "optimizer: {lr: 1e999}",
    "row-31-heads": "model: {num_heads: 7}",
    "row-32-length": "data: {max_length: 0}",
    "row-32-beam": "decoding: {beam_size: 0}",
    "row-33-batch": "training: {batch_size: 9, max_steps: 1}",
    "row-34-empty": "",
    "row-34-list": "- a",
    "row-34-no-yaml": "{{{",
    "row-34-brackets": "model: " + "[" * 5000,
    "row-34-nul": "model: \0",
}


@pytest.mark.parametrize("command", ["train", "config show", "model summary"])
@pytest.mark.parametrize("text", BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_a_bad_configuration_is_refused_by_every_command(
    text: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = "" if "max_steps" in text or not text or text[0] in "-{" else "training: {max_steps: 1}\n"
    (tmp_path / "x.yaml").write_text(limit + text)
    assert main([*command.split(), str(tmp_path / "x.yaml")]) == 2
    assert f"{tmp_path}/x.yaml" in the_error(capsys.readouterr().err)


@pytest.mark.parametrize("kind", ["row-34-huge", "row-35-missing", "row-35-directory", "row-35-fifo"])
def test_a_configuration_that_is_no_small_file_is_refused_at_once(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.yaml"
    if kind == "row-34-huge":
        path.write_bytes(b"")
        os.truncate(path, 100_000_000)
    elif kind == "row-35-directory":
        path.mkdir()
    elif kind == "row-35-fifo":
        os.mkfifo(path)
    assert main(["train", str(path)]) == 2
    wanted = {"huge": "100.0 MB", "missing": "no such file", "directory": "is a directory", "fifo": "pipe or device"}
    assert wanted[kind.rpartition("-")[2]] in the_error(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        pytest.param(["training.device=cuda:7"], "cuda:7 is not available here; choose one of cpu", id="row-40"),
        pytest.param(["training.device=cuda"], "cuda is not available here; choose one of cpu", id="row-40-any"),
        pytest.param(["training.device=mps"], "mps is not available here; choose one of cpu", id="row-40-mps"),
        pytest.param(["training.precision=fp16"], "fp16 needs CUDA.*(bf16|fp32)", id="row-41"),
        pytest.param(["training.device=cpu", "training.precision=fp16"], "fp16 needs CUDA", id="row-41-cpu"),
    ],
)
def test_what_this_machine_lacks_is_refused_before_anything_is_made(
    shop: Shop, settings: list[str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert re.search(wanted, shop.refused(*settings))
    assert not shop.run.exists()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--beam-size", "100000"], "--beam-size: must be at most the vocabulary"),
        (["--threads", "-1"], "--threads: must be at least 1"),
        (["--seed", "2"], "--seed: goes with --sample"),
        (["--temperature", "2"], "--temperature: goes with --sample"),
        (["--sample", "--beam-size", "2"], "--beam-size: does not go with --sample"),
        (["--sample", "--seed", "-1"], "--seed: must be 0 or above"),
        (["--sample", "--temperature", "nan"], "--temperature: must be a finite number"),
        (["--sample", "--top-p", "0"], r"--top-p: must be in \(0, 1\]"),
        (["-o", "{folder}"], "--output: .* is a directory"),
        (["-o", "{folder}/new", "--report", "{folder}/new"], "--report: .* is the file of --output"),
        (["-o", "{folder}/test.en/new"], "test.en/new: cannot be written"),
    ],
)
def test_rows_32_39_options_of_translate_that_make_no_sense_are_refused(
    tiny_run: Path, words: list[str], wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [word.format(folder=tiny_run.parent) for word in words]
    assert main(["translate", str(tiny_run), str(tiny_run.parent / "test.en"), *filled]) == 2
    assert re.search(wanted, the_error(capsys.readouterr().err))
    assert not (tiny_run.parent / "new").exists()


@pytest.mark.parametrize("command", ["bench", "data check"])
def test_reports_that_cannot_be_written_are_refused_before_the_work(
    tiny_run: Path, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformer_mt.decoding.bench.measure_all", None)  # is not called
    monkeypatch.setattr("transformer_mt.data.doctor.diagnosis.diagnose", None)
    given = tiny_run if command == "bench" else tiny_run / "config.yaml"
    assert main([*command.split(), str(given), "-o", str(tiny_run.parent / "test.en")]) == 2
    assert "test.en: is a file, a directory is needed" in the_error(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"cat\tchat\n\xe9t\xe9\tsummer\n", "terms.txt:2: .* it looks like latin-1: convert the file to UTF-8$"),
        (b"no tab\n" * 20, "terms.txt:3: needs .*\n.*terms.txt: 17 more lines have a fault$"),
    ],
)
def test_a_glossary_with_a_fault_is_told_before_the_model_is_loaded(
    tiny_run: Path, tmp_path: Path, content: bytes, wanted: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "terms.txt").write_bytes(content)
    monkeypatch.setattr("transformer_mt.cli.translate.load_translator", None)  # is not called
    words = ["translate", str(tiny_run), str(tiny_run.parent / "test.en"), "--glossary", str(tmp_path / "terms.txt")]
    assert main(words) == 2
    assert re.search(wanted, capsys.readouterr().err.rstrip())


def test_results_that_cannot_be_written_are_refused_before_the_work(
    tiny_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformer_mt.decoding.translator.Translator.stream", None)  # is not called
    assert main(["evaluate", str(tiny_run), "-o", str(tiny_run.parent / "test.en")]) == 2
    assert "test.en: is a file, a directory is needed" in the_error(capsys.readouterr().err)
    assert main(["evaluate", str(tiny_run), "--multi-ref", str(tiny_run.parent / "train.en")]) == 2
    assert "train.en: has 1000 lines, 30 are needed" in the_error(capsys.readouterr().err)


def test_the_embedded_corpus_overwrites_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "val.fr").write_text("mine\n")
    sizes = ["--train", "20", "--validation", "2", "--test", "2"]
    assert main(["data", "synthesize", str(tmp_path), *sizes]) == 2
    assert "val.fr: holds something else" in the_error(capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["val.fr"]
    (tmp_path / "val.fr").unlink()
    assert main(["data", "synthesize", str(tmp_path), *sizes]) == 0
    assert main(["data", "synthesize", str(tmp_path), *sizes]) == 0
    assert main(["data", "synthesize", str(tmp_path / "val.fr"), *sizes]) == 2


# --- streams ---


def shell(command: str, **env: str) -> "subprocess.CompletedProcess[str]":
    command = command.replace("transformer-mt", f"'{sys.executable}' -m transformer_mt")
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "", **env}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=variables, check=False)


def test_rows_38_43_a_reader_that_has_gone_is_no_error() -> None:
    done = shell("transformer-mt config describe logging | true; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_behind_standard_output_is_one_line() -> None:
    done = shell("transformer-mt config describe logging > /dev/full")
    assert done.returncode == 2 and "standard output: No space left" in the_error(done.stderr)


def test_row_42_a_terminal_gets_a_hint(
    tiny_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main_end, terminal = os.openpty()
    os.write(main_end, b"the cat\n\x04")
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert main(["translate", str(tiny_run), "-", "--threads", "1"]) == 0
    os.close(main_end)
    captured = capsys.readouterr()
    assert "Ctrl-D ends" in captured.err and captured.out.count("\n") == 1


def test_row_45_without_a_utf_8_locale_all_is_utf_8(shop: Shop) -> None:
    for name in ("train", "val"):
        shop.write(f"{name}.en", "the élève\n" * 9)
        shop.write(f"{name}.fr", "l'élève\n" * 9)
    settings = ("--set=training.max_steps=1", "--set=tokenizer.vocab_size=270")
    words = [sys.executable, "-m", "transformer_mt", "train", str(shop.config), *settings]
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    for text in (done.stderr, (shop.run / "log.txt").read_bytes()):
        assert "the élève" in text.decode("utf-8")


@pytest.mark.parametrize("name", ["two words", 'l\'été "Ève"', "-dash", "\u6f22\u5b57 $HOME;#", "a/b/c"])
def test_a_run_directory_may_have_any_name(shop: Shop, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the command that is suggested in the end finds it, typed as it stands."""
    monkeypatch.chdir(shop.folder)
    told = shop.train(f"training.run_dir={json.dumps(name)}", "training.max_steps=1", "evaluation.max_lines=1")
    (hint,) = [line for line in told.splitlines() if " translate " in line]
    words = shlex.split(hint.replace("INPUT.txt -o OUTPUT.txt", "val.en -o val.out --threads 1"))
    assert words[0] == "transformer-mt" and main(words[1:]) == 0
    assert (shop.folder / "val.out").read_text().count("\n") == 30
