"""The proof that a training which is stopped ends with the same bits: train, stop at random, go on, compare hashes."""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

from transformer_mt.bundle import CALIBRATION_FILE
from transformer_mt.config.loading import load_config, to_yaml
from transformer_mt.config.schema import Config, LoggingConfig
from transformer_mt.errors import Interrupted, TrainingError, TransformerMTError
from transformer_mt.files import atomic_file, sha256_of
from transformer_mt.interrupts import interrupted_by
from transformer_mt.training.checkpoint import list_checkpoints
from transformer_mt.training.run_directory import RunDirectory

TIMES = ("minutes", "tokens_per_second", "data_wait")
"""What metrics.jsonl tells of the clock; all else in it must be the same."""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_PYTHON_STARTED = 1
"""Exit code of a process that SIGINT meets before `_train`."""
_SHARE_OF_STARTS = 0.2
"""Of the stops: they come some time after the start, without waiting for an update."""
_PATIENCE, _POLL = 300.0, 0.005
"""Seconds that a training may take longer than the one that was not stopped; between looks at it."""


@dataclass(frozen=True, slots=True)
class Stop:
    """How a training was stopped."""

    signal_name: str
    step: int
    """The last update in metrics.jsonl, 0 before the first."""
    seconds: float
    """From the signal to the end of the process."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of it."""

    hashes: dict[str, str]
    """SHA-256 of each result of the training that was not stopped."""
    stops: Sequence[Stop]
    differences: Sequence[str]
    """The results of the stopped training that are other bits."""


def prove_resume(
    config: Config, folder: Path, num_steps: int, num_stops: int, seed: int, report: Callable[[str], None]
) -> Proof:
    """Train `config` for `num_steps` below `folder`, once whole and once stopped so many times, and compare.

    Steps and signals are drawn by `seed`; a stop may fall into the start, a validation or a save as well. Raises
    TrainingError when a training does not end as it should.
    """
    whole = _Rehearsal(config, folder / "whole", num_steps)
    seconds = whole.run()
    report(f"not stopped: {num_steps} updates in {seconds:.0f} s")
    stopped, draws = _Rehearsal(config, folder / "stopped", num_steps), random.Random(seed)
    seconds_of_step = whole.seconds_of_step()
    stops: list[Stop] = []
    for step in sorted(draws.randint(0, num_steps) for _ in range(num_stops)):
        is_starting = draws.random() < _SHARE_OF_STARTS
        delay = draws.uniform(0, seconds / 4 if is_starting else 2 * seconds_of_step)
        step = 0 if is_starting else step
        stop = stopped.run_until(step, delay, draws.choice(SIGNALS), seconds + _PATIENCE)
        if stop is None:  # it was faster than the delay
            report(f"it came to its end after {len(stops)} of {num_stops} stops; more updates leave time for more")
            break
        stops.append(stop)
        report(f"stopped by {stop.signal_name} after step {stop.step}; ended {stop.seconds:.1f} s later")
    stopped.run()
    expected, found = whole.hashes(), stopped.hashes()
    return Proof(expected, stops, [name for name in expected | found if expected.get(name) != found.get(name)])


class _Rehearsal:
    """A short training of a configuration in a directory of its own, which can be stopped."""

    def __init__(self, config: Config, folder: Path, num_steps: int) -> None:
        often = max(1, num_steps // 6)
        config = replace(
            config,
            training=replace(
                config.training, run_dir=str(folder / "run"), max_steps=num_steps, max_epochs=None, max_minutes=None
            ),
            checkpoint=replace(config.checkpoint, every_steps=often),
            evaluation=replace(config.evaluation, every_steps=2 * often, patience=None),
            logging=LoggingConfig(every_steps=1, tensorboard=False, curves=False),
        )
        self.run_directory = RunDirectory(Path(config.training.run_dir))
        self.config, self.screen = folder / "config.yaml", folder / "screen.txt"
        with atomic_file(self.config) as file:
            file.write(to_yaml(config).encode())

    def run(self) -> float:
        """Train to the end; returns the seconds."""
        started = time.perf_counter()
        process = self._start()
        process.join()
        if process.exitcode != 0:
            raise self._failure(process)
        return time.perf_counter() - started

    def run_until(self, step: int, delay: float, number: signal.Signals, patience: float) -> Stop | None:
        """Train until `delay` seconds after `step` and send the signal; None where it ended before."""
        before, deadline = self._written(), time.monotonic() + patience
        process = self._start()
        try:
            while process.is_alive() and time.monotonic() < deadline:
                if self._newest_step() >= step and (step == 0 or self._written() != before):
                    break
                time.sleep(_POLL)
            process.join(delay)
            if process.exitcode is None:
                return self._stop(process, number, patience)
        finally:
            process.kill()
            process.join()
        if process.exitcode != 0:
            raise self._failure(process)
        return None

    def hashes(self) -> dict[str, str]:
        """SHA-256 of weights, optimizer state, averages, bundle and metrics."""
        run = self.run_directory
        newest = list_checkpoints(run.checkpoints)[-1]
        paths = [*sorted(newest.glob("*.safetensors")), *sorted(run.bundle.rglob("*.safetensors"))]
        paths += [path for path in (run.bundle / CALIBRATION_FILE,) if path.exists()]
        found = {f"{path.relative_to(run.path)}": sha256_of(path) for path in paths}
        records = (json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines())
        told = [{key: value for key, value in record.items() if key not in TIMES} for record in records]
        found["metrics, without times"] = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        return found

    def seconds_of_step(self) -> float:
        """What an update took on average, with its share of the validations, once it is trained."""
        last = json.loads(self.run_directory.metrics.read_text(encoding="utf-8").splitlines()[-1])
        return float(last["minutes"]) * 60 / float(last["step"])

    def _start(self) -> BaseProcess:
        context = multiprocessing.get_context("forkserver")  # whose children need not import torch again
        context.set_forkserver_preload(["__main__", "transformer_mt.training.session"])
        process = context.Process(target=_train, args=(self.config, self.screen))
        process.start()
        return process

    def _stop(self, process: BaseProcess, number: signal.Signals, patience: float) -> Stop:
        assert process.pid is not None
        step, sent = self._newest_step(), time.perf_counter()
        os.kill(process.pid, number)
        process.join(patience)
        seconds = time.perf_counter() - sent
        if process.exitcode not in (-number, 0, 130, _PYTHON_STARTED):  # 0: it had just come to its end
            raise self._failure(process)
        return Stop(number.name, step, seconds)

    def _written(self) -> int:
        """When the metrics were written last, in nanoseconds; those of a stop before are cut by the next training."""
        path = self.run_directory.metrics
        return path.stat().st_mtime_ns if path.exists() else 0

    def _newest_step(self) -> int:
        """The step of the last whole line of the metrics."""
        try:
            lines = self.run_directory.metrics.read_bytes().split(b"\n")[:-1]
        except OSError:
            return 0
        return int(json.loads(lines[-1])["step"]) if lines else 0

    def _failure(self, process: BaseProcess) -> TrainingError:
        lines = self.screen.read_text(encoding="utf-8", errors="replace").splitlines() if self.screen.exists() else []
        how = "did not end" if process.exitcode is None else f"ended with {process.exitcode}"
        return TrainingError(f"the training {how}: {lines[-1] if lines else 'it said nothing'}")


def _train(config: Path, screen: Path) -> None:
    """Train in this process, with what it says going to `screen`; exit codes are those of the command."""
    signal.signal(signal.SIGINT, interrupted_by(lambda: None))
    from transformer_mt.training.session import train

    with screen.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    try:
        train(load_config(config))
        code = 0
    except (Interrupted, KeyboardInterrupt):
        code = 130
    except TransformerMTError as error:
        print(error, file=sys.stderr)
        code = 2
    except BaseException:  # a bug of ours
        traceback.print_exc()
        code = 70
    sys.stderr.flush()
    os._exit(code)
