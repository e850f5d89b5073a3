"""The benchmark scripts measure what they say, in the units of the others; their speeds are not judged here."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import tiny

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "benchmarks"
NUM_LINES = 60
TRAIN = ("train", "--size", "tiny", "--threads", 1, "--skip", 1)
PARTS = ("matrix products", "dropout", "layer norm", "softmax", "loss", "optimizer", "Python", "padding", "floor")

PEER = """
import json, sys
name, task = sys.argv[1:3]
slow = {"toolkit": name, "task": task, "size": "tiny", "tgt_tok_s": 1, "all_tok_s": 2, "peak_rss_mb": 1000000,
        "pad_share": 0.0, "precision": "fp32", "other_cpu": 0.0}
print("some line of its own")
print(json.dumps(slow))
"""


def measured(*words: object) -> list[str]:
    run = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder as the side-by-side benchmark makes it, with lines of 3 to 9 pieces."""
    folder = tmp_path_factory.mktemp("work")
    generator, pieces = random.Random(1), [f"p{number}" for number in range(50)]
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    for language in ("en", "fr"):
        lines = (" ".join(generator.choices(pieces, k=generator.randint(3, 9))) for _ in range(NUM_LINES))
        (folder / f"train.sp.{language}").write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_training_speed_counts_pieces_and_the_end_marks_of_targets_only(work: Path) -> None:
    words = (*TRAIN, "--work", work, "--seconds", 0.5, "--no-wait", "--json")
    row: dict[str, Any] = json.loads(measured(*words)[-1])
    assert (row["toolkit"], row["task"], row["size"]) == ("transformer_mt", "train", "tiny")
    pieces = {side: len((work / f"train.sp.{side}").read_text().split()) for side in ("en", "fr")}
    # every update is the whole text, which is smaller than a batch
    assert row["tgt_tok_per_update"] == pieces["fr"] + NUM_LINES
    assert row["all_tok_s"] / row["tgt_tok_s"] == pytest.approx(1 + pieces["en"] / row["tgt_tok_per_update"], rel=0.01)
    assert row["tgt_tok_s"] == pytest.approx(row["updates"] * row["tgt_tok_per_update"] / row["window_s"], rel=0.2)
    assert 0 <= row["pad_share"] < 0.6 and 0 <= row["data_wait"] < 1 and row["peak_rss_mb"] > 100


def test_ours_and_a_peer_take_turns_and_the_ratios_are_of_their_medians(work: Path, tmp_path: Path) -> None:
    (tmp_path / "bench.py").write_text(PEER)
    words = (*TRAIN, "--work", work, "--seconds", 0.2, "--no-wait", "--json")
    *rows, ratios = map(json.loads, measured(*words, "--peers", tmp_path, "--toolkits", "ours,slow"))
    assert [row["toolkit"] for row in rows] == ["transformer_mt", "slow"] * 2
    mean = (rows[0]["tgt_tok_s"] + rows[2]["tgt_tok_s"]) / 2
    assert ratios["speed_ratio"]["slow"] == pytest.approx(mean, abs=0.01)
    assert ratios["memory_ratio"]["slow"] < 0.1


def test_the_parts_of_a_profile_are_named_with_the_floor(work: Path) -> None:
    text = "\n".join(measured(*TRAIN, "--work", work, "--no-wait", "--profile"))
    assert [part for part in PARTS if part not in text] == []


def test_preparing_and_ordering_are_measured_beside_sentencepiece_and_a_sort() -> None:
    row = json.loads(measured("data", "prepare", "--pairs", 6000, "--json")[-1])
    assert row["kept"] == 6000 and row["ratio"] == pytest.approx(row["seconds"] / row["sentencepiece_seconds"], rel=0.1)
    row = json.loads(measured("data", "doctor", "--pairs", 6000, "--json")[-1])
    assert row["ratio"] == pytest.approx(row["cpu_seconds"] / row["sentencepiece_cpu_seconds"], rel=0.1)
    row = json.loads(measured("data", "order", "--pairs", 200_000, "--json")[-1])
    assert row["batches"] > 1000 and row["sort_seconds"] > 0


def test_a_soak_tells_what_is_held_and_ends_in_time(tiny_run: Path) -> None:
    words = ("soak", "--bundle", tiny_run, "--src", tiny_run.parent / "val.en", "--threads", 1)
    *rows, total = map(json.loads, measured(*words, "--minutes", 0.05, "--every", 0.5, "--json"))
    assert rows[0]["rounds"] == 0 < rows[-1]["rounds"] and 3 <= rows[-1]["seconds"]
    assert all(100 < row["rss_mb"] < 4000 and 3 <= row["open_files"] < 30 and row["threads"] >= 1 for row in rows)
    assert total["open_files_per_hour"] == 0 and total["rounds"] == rows[-1]["rounds"]


def test_a_soak_of_a_training_sees_it_validate_and_ends_it(tmp_path: Path) -> None:
    words = ("soak", "--train", tiny.write_config(tmp_path), "--threads", 1)
    *rows, total = map(json.loads, measured(*words, "--minutes", 0.3, "--every", 1, "--json"))
    assert total["rounds"] == rows[-1]["rounds"] > 0 and rows[-1]["rss_mb"] > 100


def test_decoding_beside_ctranslate2_gives_the_same_lines_and_counts_them(tiny_run: Path) -> None:
    """In float32 and greedily; with a beam CTranslate2 stops sooner, and some of its lines score less."""
    pytest.importorskip("ctranslate2", reason="CTranslate2 is installed on Linux only")
    folder = tiny_run.parent
    words = ("decode", "--bundle", tiny_run, "--src", folder / "val.en", "--ref", folder / "val.fr")
    words = (*words, "--threads", 1, "--beam", 1)
    engines = "ours:fp32:512,ctranslate2:float32:16"
    lines = measured(*words, "--json", "--no-wait", "--against", "--engines", engines)
    *rows, ratios, starts = map(json.loads, lines)
    assert starts["import_torch_s"] > 0 < starts["first_translation_s"]
    assert [row["toolkit"] for row in rows] == ["transformer_mt", "ctranslate2"] * 2
    num_lines = len((folder / "val.en").read_text().splitlines())
    for row in rows:
        assert row["sent_s"] == pytest.approx(num_lines / row["seconds"], rel=0.3)
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert row["bleu"] == rows[0]["bleu"] > 80
    assert ratios["same_lines"] == 1.0
    assert ratios["sent_s"] == pytest.approx(
        (rows[0]["sent_s"] + rows[2]["sent_s"]) / (rows[1]["sent_s"] + rows[3]["sent_s"]), abs=0.02
    )


def test_a_long_file_is_translated_beside_lines_in_memory(tiny_run: Path) -> None:
    words = ("long-file", "--bundle", tiny_run, "--src", tiny_run.parent / "val.en", "--lines", 3000, "--threads", 1)
    row = json.loads(measured(*words, "--json")[-1])
    assert row["lines"] == 3000 and row["in_order"] and row["exit_code"] == 0 and row["rss_mb_at_most"] > 100
    assert row["rate_ratio"] == pytest.approx(row["lines_s"] / (sum(row["in_memory_lines_s"]) / 2), rel=0.02)


def test_what_protection_keeps_is_counted(tiny_run: Path) -> None:
    folder = tiny_run.parent
    words = ("protect", "--bundle", tiny_run, "--src", folder / "val.en", "--ref", folder / "val.fr")
    row = json.loads(measured(*words, "--planted", 20, "--threads", 1, "--json")[-1])
    assert row["kept_plain"] < row["kept_protect"] == row["planted"] == 20
    assert row["lost_unflagged_plain"] == 0 and row["clean_equal"] == row["clean"] == 30
    assert row["bleu_clean_plain"] == row["bleu_clean_protect"] > 80 and row["guards_us"] > 0


def test_a_server_under_load_gives_every_answer_to_its_owner(tiny_run: Path) -> None:
    pytest.importorskip("uvicorn", reason="the extra serve has it")
    words = ("load", "--bundle", tiny_run, "--src", tiny_run.parent / "val.en", "--precision", "fp32", "--no-wait")
    rows = [json.loads(line) for line in measured(*words, "--requests", 60, "--clients", 1, 8, "--json")]
    assert [row["clients"] for row in rows] == [1, 8]
    for row in rows:
        assert (row["wrong"], row["lost"]) == (0, 0) and row["right"] + row["bad_refused"] == row["requests"] == 60
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] and row["right"] > 50
