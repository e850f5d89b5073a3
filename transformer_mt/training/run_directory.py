"""The directory of one training: what is in it, who may write to it, and whether it may go on."""

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformer_mt.config.loading import differences, load_config, to_yaml
from transformer_mt.config.schema import Config
from transformer_mt.errors import TrainingError, TransformerMTError
from transformer_mt.files import atomic_file, read_json, sweep, write_json, write_problem
from transformer_mt.training.checkpoint import list_checkpoints

MAY_DIFFER = (
    "logging.",
    "checkpoint.",
    "evaluation.",
    "decoding.",
    "data.test",
    "data.cache_dir",
    "training.run_dir",
    "training.threads",
    "training.max_steps",
    "training.max_epochs",
    "training.max_minutes",
)
"""Settings that a resumed training may change: they end, watch or store it, and the path of the weights stays."""


MUST_NOT_DIFFER = (
    "tokenizer.",
    "model.d_model",
    "model.d_ff",
    "model.num_",
    "model.norm",
    "model.positions",
    "model.max_positions",
    "model.activation:",
    "model.tied_embeddings",
)
"""Settings that not even --override-resume may change: they made the weights, and the vocabulary of these."""


class RunDirectory:
    """Paths inside of a run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.tokenizer = path / "tokenizer"
        self.checkpoints = path / "checkpoints"
        self.bundle = path / "bundle"
        self.metrics = path / "metrics.jsonl"
        self.results = path / "results.json"
        self.concluded = path / "concluded.json"

    @contextmanager
    def opened(self, config: Config, override: bool) -> Iterator[None]:
        """Hold the directory for this process.

        Raises TrainingError when another process trains in it, when it holds something else, or when it
        was made with another configuration (unless `override`); nothing in it is changed then.
        """
        self.check(config, override)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("a+")
        except OSError as error:
            raise write_problem(self.path, error) from error
        with lock:
            self._take(lock.fileno())
            self.check(config, override)  # again: another process may have been before us
            if not self.has_begun:
                self._start_with(config)
            for directory in (self.path, self.checkpoints):
                sweep(directory)
            yield

    def is_concluded(self, step: int) -> bool:
        """Whether all was done that comes after the last update, which had this number."""
        return self.concluded.is_file() and read_json(self.concluded) == {"step": step}

    def conclude(self, step: int) -> None:
        """Note that nothing is left to do after the update of this number."""
        write_json(self.concluded, {"step": step})

    @property
    def has_begun(self) -> bool:
        """Whether something was trained here, which another configuration would spoil."""
        return self.bundle.exists() or bool(list_checkpoints(self.checkpoints))

    def write_config(self, config: Config) -> None:
        """Make `config` the one that this directory is trained with."""
        with atomic_file(self.config) as file:
            file.write(to_yaml(config).encode())

    def _start_with(self, config: Config) -> None:
        """Take `config` before anything was trained; a tokenizer made for another one is made anew."""
        if self.config.is_file() and self.tokenizer.is_dir() and differences(load_config(self.config), config):
            shutil.rmtree(self.tokenizer)
        self.write_config(config)

    def check(self, config: Config, override: bool) -> None:
        """Raise TrainingError when this directory cannot serve a training with `config`; changes nothing."""
        self._check_content()
        self._check_config(config, override)

    def _check_content(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise TrainingError(f"training.run_dir: {self.path} is a file; choose another name")
        if self.path.is_dir() and not self.config.is_file():
            others = sorted(p.name for p in self.path.iterdir() if p.name != ".lock")
            if others:
                raise TrainingError(
                    f"training.run_dir: {self.path} is no run directory but holds {', '.join(others[:3])}; "
                    "nothing is overwritten, choose another name"
                )

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            raise TrainingError(f"training.run_dir: {self.path} is in use by {owner}; wait for it or stop it") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def _check_config(self, config: Config, override: bool) -> None:
        if not self.has_begun:
            return
        changed = [line for line in differences(load_config(self.config), config) if not line.startswith(MAY_DIFFER)]
        is_possible = not any(line.startswith(MUST_NOT_DIFFER) for line in changed)
        if changed and not (override and is_possible):
            raise TrainingError(
                f"training.run_dir: {self.path} was made with another configuration:\n"
                + "\n".join(f"  {line}" for line in changed)
                + "\nchoose another training.run_dir"
                + (", or go on all the same with --override-resume" if is_possible else "")
            )


def existing_run(path: Path) -> RunDirectory:
    """The run directory at `path`; raises TransformerMTError when there is none."""
    run = RunDirectory(path)
    if not run.config.is_file():
        raise TransformerMTError(f"{path}: is no run directory (it has no config.yaml)")
    return run
