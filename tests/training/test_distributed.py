"""Several processes train what one process trains; exactly so where that is asked for."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests import tiny
from transformer_mt.config.schema import TrainingConfig
from transformer_mt.data.batching import BatchLimit, plan_epoch
from transformer_mt.errors import TrainingError
from transformer_mt.tensors import load_tensors
from transformer_mt.training.checkpoint import list_checkpoints
from transformer_mt.training.distributed import Tree, check_sharing
from transformer_mt.world import World

SETTINGS = (
    "training.max_steps=14", "training.accumulation_steps=4", "training.batch_size=512", "model.dropout=0.2",
    "evaluation.every_steps=7", "checkpoint.every_steps=7", "checkpoint.average_last=2", "logging.every_steps=1",
    "optimizer.name=sgd", "optimizer.lr=0.3",
)  # fmt: skip
"""An epoch has some twenty batches: its last update has fewer than four. SGD, because Adam would make large steps of
gradients that are nothing but rounding."""
SHORT_OF_MEMORY = str(Path(__file__).with_name("short_of_memory.py"))
STOPPED_IN_VALIDATION = str(Path(__file__).with_name("stopped_in_validation.py"))
EXACT = ("training.reproducible=exact", "optimizer.name=adamw", "optimizer.lr=5e-3", "tokenizer.sampling=0.3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributed")
    tiny.write_config(folder)
    return folder


def start(
    folder: Path, name: str, num_processes: int, *settings: str, program: tuple[str, ...] = ("-m", "transformer_mt")
) -> "subprocess.Popen[str]":
    """Start a training in `folder`/`name` in several processes."""
    words = [*program, "train", str(folder / "tiny.yaml")]
    for setting in (f"training.run_dir={folder / name}", *SETTINGS, *settings):
        words += ["--set", setting]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_processes)]
    command = [sys.executable, *(launcher if num_processes > 1 else []), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def train(folder: Path, name: str, num_processes: int, *settings: str) -> str:
    """Train to the end; returns what was said."""
    process = start(folder, name, num_processes, *settings)
    told = process.communicate(timeout=300)[1]
    assert process.returncode == 0, told[-3000:]
    return told


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_tensors(list_checkpoints(folder / name / "checkpoints")[-1] / "model.safetensors")


def metrics(folder: Path, name: str) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]


def assert_same_course(folder: Path, name: str, other: str) -> None:
    """Every update had the same loss and gradient."""
    for one, two in zip(metrics(folder, name), metrics(folder, other), strict=True):
        assert one["step"] == two["step"] and one["epoch"] == two["epoch"]
        for key in one.keys() & {"loss", "objective", "grad_norm", "padding"}:
            assert one[key] == pytest.approx(two[key], rel=2e-3), (one, two)


@pytest.fixture(scope="module")
def alone(folder: Path) -> dict[str, torch.Tensor]:
    train(folder, "alone", 1)
    return weights(folder, "alone")


@pytest.mark.parametrize("size", [2, 4])
def test_processes_share_an_update_and_end_with_the_weights_of_one(
    size: int, folder: Path, alone: dict[str, torch.Tensor]
) -> None:
    told = train(folder, f"fast{size}", size, f"data.cache_dir={folder}/cache{size}")
    assert told.count("trained 14 steps") == told.count("Next:") == 1 and f"in each of {size} processes" in told
    for name, weight in weights(folder, f"fast{size}").items():
        torch.testing.assert_close(weight, alone[name], rtol=1e-4, atol=1e-5)
    assert_same_course(folder, f"fast{size}", "alone")


def test_sharded_processes_end_with_the_weights_of_one_and_go_on_as_one(
    folder: Path, alone: dict[str, torch.Tensor]
) -> None:
    train(folder, "sharded", 2, "training.sharded=true", "training.max_steps=7")
    assert "going on from step 7" in train(folder, "sharded", 1, "training.sharded=true")
    for name, weight in weights(folder, "sharded").items():
        torch.testing.assert_close(weight, alone[name], rtol=1e-4, atol=1e-5)
    assert_same_course(folder, "sharded", "alone")


def test_sharded_optimizer_state_and_average_go_on_with_the_same_bits(folder: Path) -> None:
    adam = ("training.sharded=true", "training.ema_decay=0.9", "optimizer.name=adamw", "optimizer.lr=5e-3")
    train(folder, "sharded_whole", 2, *adam)
    train(folder, "sharded_twice", 2, *adam, "training.max_steps=7")
    train(folder, "sharded_twice", 2, *adam)
    last = [list_checkpoints(folder / name / "checkpoints")[-1] for name in ("sharded_whole", "sharded_twice")]
    for file in ("model", "average", "optimizer"):
        whole, twice = (load_tensors(path / f"{file}.safetensors") for path in last)
        assert whole.keys() == twice.keys() and all(torch.equal(whole[name], twice[name]) for name in whole)


def test_a_process_that_is_short_of_memory_takes_longer_and_the_weights_are_those_of_one(folder: Path) -> None:
    """Without dropout, as pieces draw masks of their own."""
    settings = ("model.dropout=0", "model.embedding_dropout=0", "training.max_steps=7")
    train(folder, "plenty", 1, *settings)
    process = start(folder, "short", 2, *settings, program=(SHORT_OF_MEMORY, "forward"))
    told = process.communicate(timeout=300)[1]
    assert process.returncode == 0 and "in pieces, with the same gradient" in told, told[-3000:]
    expected = weights(folder, "plenty")
    for name, weight in weights(folder, "short").items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-4, atol=1e-5)
    assert_same_course(folder, "short", "plenty")


def test_memory_that_runs_out_while_others_wait_ends_all_at_once(folder: Path) -> None:
    """Every process has one batch, whose gradients are exchanged while they are computed."""
    settings = ("training.accumulation_steps=2", "training.max_steps=100000")
    process = start(folder, "waiting", 2, *settings, program=(SHORT_OF_MEMORY, "backward"))
    told = process.communicate(timeout=120)[1]
    assert process.returncode != 0
    assert "process 1: error: training.batch_size: memory does not hold a batch of" in told, told[-3000:]


@pytest.fixture(scope="module")
def exactly_alone(folder: Path) -> dict[str, torch.Tensor]:
    train(folder, "exact1", 1, *EXACT)
    return weights(folder, "exact1")


def test_exact_sums_give_the_same_bits_on_two_processes(folder: Path, exactly_alone: dict[str, torch.Tensor]) -> None:
    train(folder, "exact2", 2, *EXACT)
    found = weights(folder, "exact2")
    assert all(torch.equal(weight, found[name]) for name, weight in exactly_alone.items())


def test_a_run_that_goes_on_with_another_number_of_processes_ends_with_the_same_bits(
    folder: Path, exactly_alone: dict[str, torch.Tensor]
) -> None:
    for steps, size in ((7, 4), (10, 1), (14, 2)):
        train(folder, "changing", size, *EXACT, f"training.max_steps={steps}")
    found = weights(folder, "changing")
    assert all(torch.equal(weight, found[name]) for name, weight in exactly_alone.items())


def workers_of(process: "subprocess.Popen[str]") -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [pid for pid in map(int, children) if b"transformer_mt" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def wait_until_trained(folder: Path, name: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not (folder / name / "metrics.jsonl").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def test_sigterm_to_the_launcher_saves_and_the_same_command_goes_on(
    folder: Path, alone: dict[str, torch.Tensor]
) -> None:
    process = start(folder, "stopped", 2)
    wait_until_trained(folder, "stopped", process)
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=60)[1]
    assert process.returncode != 0 and "stopped: SIGTERM: saved step" in told
    assert "going on from step" in train(folder, "stopped", 2)
    assert_same_course(folder, "stopped", "alone")


def test_a_stop_of_one_process_in_a_validation_stops_all_before_it_ends(
    folder: Path, alone: dict[str, torch.Tensor]
) -> None:
    process = start(folder, "validating", 2, program=(STOPPED_IN_VALIDATION,))
    told = process.communicate(timeout=60)[1]
    assert process.returncode != 0 and told.count("stopped: SIGTERM: saved step 7") == 2, told[-3000:]
    train(folder, "validating", 2)
    assert_same_course(folder, "validating", "alone")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the processes in /proc")
def test_when_a_process_dies_the_others_end_and_none_stays(folder: Path) -> None:
    process = start(folder, "lost", 2, "training.max_steps=100000")
    wait_until_trained(folder, "lost", process)
    workers = workers_of(process)
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@pytest.mark.parametrize(
    ("number", "size", "problem"), [(1, 2, "accumulation_steps=2"), (6, 4, "accumulation_steps=8")]
)
def test_what_cannot_be_shared_is_refused_with_what_to_set(number: int, size: int, problem: str) -> None:
    with pytest.raises(TrainingError, match=problem):
        check_sharing(TrainingConfig(max_steps=1, accumulation_steps=number), World(0, size))
    check_sharing(TrainingConfig(max_steps=1, accumulation_steps=8), World(0, 4))


@pytest.mark.parametrize("variable", ["WORLD_SIZE", "RANK"])
def test_row_69_half_of_torchruns_environment_is_one_line(variable: str, folder: Path) -> None:
    command = [sys.executable, "-m", "transformer_mt", "train", str(folder / "tiny.yaml")]
    done = subprocess.run(command, env={**os.environ, variable: "2"}, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "torchrun --nproc-per-node" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_tree_sums_neighbours_first() -> None:
    generator = torch.Generator().manual_seed(1)
    a, b, c, d = torch.randn(4, 1000, generator=generator)
    tree = Tree()
    for leaf in (a, b, c, d):
        tree.add(leaf.clone())
    assert torch.equal(tree.root(), (a + b) + (c + d))


def test_shares_are_blocks_that_cover_everything() -> None:
    for count in range(12):
        blocks = [list(World(rank, 4).share(count)) for rank in range(4)]
        assert sum(blocks, []) == list(range(count))
        assert max(map(len, blocks)) - min(map(len, blocks)) <= 1


def test_batches_of_an_update_are_neighbours_in_length() -> None:
    class Table:
        weights = None

        def __init__(self) -> None:
            generator = torch.Generator().manual_seed(1)
            self.src_lengths, self.tgt_lengths = torch.randint(2, 60, (2, 3000), generator=generator).int().numpy()

    table = Table()
    plan = plan_epoch(table, BatchLimit(512, True), 1, 0, 4)  # type: ignore[arg-type]
    assert sorted(plan.order.tolist()) == list(range(len(plan)))
    longest = [table.tgt_lengths[plan.batch_pairs(position)].max() for position in range(len(plan))]
    spreads = [max(longest[i : i + 4]) - min(longest[i : i + 4]) for i in range(0, len(plan) - 3, 4)]
    assert max(spreads) <= 8 and max(longest) - min(longest) > 40
