"""The Slurm job, run by bash with stand-ins for Slurm's commands; the training in it is a real one of two processes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import tiny
from transformer_mt.training.checkpoint import list_checkpoints

REPOSITORY = Path(__file__).resolve().parent.parent.parent
JOB = REPOSITORY / "scripts" / "slurm.sh"
STUBS = {
    "scontrol": 'echo "scontrol $*" >> "$CALLS"\nif [ "$1" = show ]; then echo localhost; fi\n',
    # as Slurm does with a signal for the steps of a job: the step gets it, the job's shell does not
    "srun": 'echo "srun $*" >> "$CALLS"\nwhile [ "${1#--}" != "$1" ]; do shift; done\necho $$ > "$STEP"\nexec "$@"\n',
    "torchrun": f'exec "{sys.executable}" -m torch.distributed.run "$@"\n',
}
ENVIRONMENT = {
    "SLURM_JOB_NODELIST": "localhost", "SLURM_NNODES": "1", "SLURM_CPUS_PER_TASK": "1", "OMP_NUM_THREADS": "1",
    "SLURM_GPUS_PER_NODE": "h200:2",
}  # fmt: skip


@pytest.fixture
def job(tmp_path: Path) -> list[str]:
    """The command that Slurm would run, in an environment with the stand-ins first."""
    if shutil.which("bash") is None:
        pytest.skip("needs bash, as Slurm does")
    (tmp_path / "bin").mkdir()
    for name, text in STUBS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}")
        (tmp_path / "bin" / name).chmod(0o755)
    path = f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    known = {"CALLS": tmp_path / "calls", "STEP": tmp_path / "step", "PATH": path, "PYTHONPATH": REPOSITORY}
    known |= {**ENVIRONMENT, "SLURM_JOB_ID": os.getpid()}
    return ["env", *(f"{name}={value}" for name, value in known.items()), "bash", str(JOB)]


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def start(job: list[str], config: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([*job, str(config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_it_asks_for_time_to_save_and_to_be_queued_again() -> None:
    asked = set(re.findall(r"^#SBATCH (--\S+)", JOB.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"--signal=TERM@120", "--requeue", "--open-mode=append", "--ntasks-per-node=1"} <= asked
    wait = re.search(r"SHUTDOWN_TIMEOUT=(\d+)", JOB.read_text(encoding="utf-8"))
    assert wait is not None and int(wait[1]) < 120


def test_a_job_that_is_stopped_is_queued_again_and_goes_on(
    job: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny.write_config(tmp_path)
    text = config.read_text().replace("max_steps: 40", "max_steps: 4000, accumulation_steps: 2")
    config.write_text(
        text.replace("every_steps: 5,", "every_steps: 1,").replace("every_steps: 20", "every_steps: 4000")
    )
    process = start(job, config)
    metrics, deadline = tmp_path / "run" / "metrics.jsonl", time.monotonic() + 100
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.exists() and metrics.read_text().count("\n") > 5:
            break
        time.sleep(0.05)
    os.kill(int((tmp_path / "step").read_text()), signal.SIGTERM)
    said = process.communicate(timeout=100)[0]
    assert process.returncode != 0
    assert calls(tmp_path)[-1] == f"scontrol requeue {os.getpid()}", said
    assert "the job queues again" in said
    (stopped,) = (int(path.name[5:]) for path in list_checkpoints(tmp_path / "run" / "checkpoints")[-1:])

    assert tiny.train(config, [f"training.max_steps={stopped + 2}"]) == 0
    assert f"going on from step {stopped}" in capsys.readouterr().err
    assert calls(tmp_path)[1].startswith("srun --cpus-per-task=1 torchrun --nnodes 1 --nproc-per-node 2 ")


def test_a_training_that_fails_is_not_queued_again(job: list[str], tmp_path: Path) -> None:
    config = tiny.write_config(tmp_path)
    (tmp_path / "bin" / "srun").write_text('#!/bin/sh\necho "srun $*" >> "$CALLS"\nexit 1\n')
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.txt").write_text("transformer-mt: error: disk full\n")
    process = start(job, config)
    process.communicate(timeout=100)
    assert process.returncode == 1
    assert [call for call in calls(tmp_path) if "requeue" in call] == []


def test_a_job_without_a_configuration_says_so(job: list[str]) -> None:
    done = subprocess.run(job, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode != 0 and "give a configuration: sbatch scripts/slurm.sh my.yaml" in done.stderr
