"""The process of one logger, see `loggers`: it reads a line of JSON for each message, and says what people should know.

Keys and addresses come from the environment, where these packages look for them; nothing of that is repeated.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from transformer_mt.files import read_json, write_json

_LONGEST_REASON = 300
_MOST_PARAMETERS, _LONGEST_PARAMETER = 100, 500
"""That MLflow takes at once; characters that are kept of one."""
_SECRET = re.compile("KEY|TOKEN|PASSWORD|SECRET|CREDENTIAL", re.IGNORECASE)
_QUIET = {
    "WANDB_ERROR_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # else newer versions refuse a directory, which somebody asked for
}
"""No network but what was asked for; the environment's own settings stay."""


class Target(Protocol):
    """Where records go; anything may raise anything."""

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Take the numbers of one record."""
        ...

    def end(self, state: str) -> None:
        """Send what is left; `state` is finished, stopped or failed."""
        ...


def main() -> None:
    """Serve one training, from its first message to its last."""
    messages, answers = _pipes()

    def say(text: str) -> None:
        with suppress(OSError):  # nobody listens any more
            answers.write(json.dumps(_without_secrets(text)).encode() + b"\n")

    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    opening = json.loads(messages.readline())
    threading.Thread(target=_end_alone, args=(opening["process"], opening["seconds_alone"]), daemon=True).start()
    try:
        target: Target = Wandb(opening, say) if opening["logger"] == "wandb" else MLflow(opening, say)
    except BaseException as error:  # some packages leave by SystemExit
        say(f"cannot be used: {_reason(error)} (the training goes on)")
        return
    serve(messages, target, say)


def serve(messages: BinaryIO, target: Target, say: Callable[[str], None]) -> None:
    """Hand the records of `messages` to `target`; a failure is told once."""
    has_failed = False
    state = "stopped"  # what a training is that vanishes
    for line in messages:
        message = json.loads(line)
        if message["kind"] == "end":
            state = message["state"]
            break
        try:
            target.write(message["kind"], message["step"], message["values"])
        except Exception as error:
            if not has_failed:
                say(f"a record was not taken: {_reason(error)} (the training goes on)")
            has_failed = True
    try:
        target.end(state)
    except Exception as error:
        say(f"could not be ended: {_reason(error)}")


def _end_alone(training: int, seconds: float) -> None:
    """End this process so many seconds after that of the training has vanished, wherever it hangs."""
    parent = os.getppid()  # another one where Python was started by a script
    with suppress(ProcessLookupError):
        while os.getppid() == parent:
            os.kill(training, 0)  # sends nothing
            time.sleep(1.0)
    time.sleep(seconds)
    os._exit(1)


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, which are then others: what packages print or ask would spoil the messages."""
    messages, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return messages, answers


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__  # the first line of some says nothing yet
    return _without_secrets(text)[:_LONGEST_REASON]  # in this order: half of a secret would not be known again


def _without_secrets(text: str) -> str:
    for name, value in os.environ.items():
        if len(value) > 3 and _SECRET.search(name):
            text = text.replace(value, "***")
    return re.sub(r"://[^/@\s]+@", "://***@", text)


class Identity:
    """Which run of a logger belongs to a run directory: one that is resumed goes on in the same one."""

    def __init__(self, directory: Path, name: str, project: str) -> None:
        self._path = directory / "loggers" / f"{name}.json"
        self._project = project

    def read(self) -> str | None:
        """The id of the run that was begun, if there was one in this project."""
        with suppress(Exception):  # what cannot be read is begun anew
            found = read_json(self._path)
            if found["project"] == self._project and isinstance(found["id"], str):
                return str(found["id"])
        return None

    def write(self, run_id: str) -> None:
        """Keep the id of a new run."""
        write_json(self._path, {"project": self._project, "id": run_id})


class Wandb:
    """Weights & Biases; WANDB_MODE=offline keeps all on this machine."""

    def __init__(self, opening: dict[str, Any], say: Callable[[str], None]) -> None:
        import wandb

        directory = Path(opening["directory"])
        identity = Identity(directory, "wandb", opening["project"])
        self._run = wandb.init(
            project=opening["project"],
            id=identity.read(),
            resume="allow",
            name=directory.name,
            dir=directory,
            config=opening["config"],
            settings=wandb.Settings(console="off", silent=True, disable_git=True, save_code=False),
        )
        identity.write(self._run.id)
        say(f"run {self._run.id}, {self._run.url or f'to be sent by: wandb sync {Path(self._run.dir).parent}'}")

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        self._run.log({f"{kind}/{name}": value for name, value in values.items()}, step=step)

    def end(self, state: str) -> None:
        self._run.finish(exit_code=0 if state == "finished" else 1)


class MLflow:
    """MLflow; MLFLOW_TRACKING_URI says where to, which is mlflow.db of this directory otherwise."""

    def __init__(self, opening: dict[str, Any], say: Callable[[str], None]) -> None:
        from mlflow.tracking import MlflowClient

        directory = Path(opening["directory"])
        identity = Identity(directory, "mlflow", opening["project"])
        self._client = MlflowClient()
        before = identity.read()
        if before is not None and self._can_go_on(before):
            self._run_id = before
        else:
            self._run_id = self._begun(opening["project"], directory.name, opening["config"])
            identity.write(self._run_id)
        say(f"run {self._run_id} at {self._client.tracking_uri}")

    def _can_go_on(self, run_id: str) -> bool:
        """Whether there still is such a run, which then is running again."""
        try:
            self._client.update_run(run_id, status="RUNNING")
        except Exception:  # deleted, or elsewhere
            return False
        return True

    def _begun(self, experiment: str, name: str, config: dict[str, Any]) -> str:
        from mlflow.entities import Param

        found = self._client.get_experiment_by_name(experiment)
        place = found.experiment_id if found else self._client.create_experiment(experiment)
        run_id = str(self._client.create_run(place, run_name=name).info.run_id)
        keys = {f"{section}.{key}": value for section, keys in config.items() for key, value in keys.items()}
        told = [Param(name, json.dumps(value)[:_LONGEST_PARAMETER]) for name, value in keys.items()]
        for start in range(0, len(told), _MOST_PARAMETERS):
            self._client.log_batch(run_id, params=told[start : start + _MOST_PARAMETERS])
        return run_id

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(f"{kind}/{name}", value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run_id, metrics=metrics)

    def end(self, state: str) -> None:
        status = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}[state]
        self._client.set_terminated(self._run_id, status=status)
