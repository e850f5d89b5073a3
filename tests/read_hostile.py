"""Reads files that may be hostile, each in a process of its own, and prints what came of it as lines of JSON.

    python -m tests.read_hostile SOUND LISTING     a sound bundle, and a JSON list of [reader, path]

All is imported, and the sound bundle read, before the processes are forked: what is measured is reading alone.
"""

import json
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from transformer_mt.bundle import load_bundle
from transformer_mt.config.loading import load_config
from transformer_mt.data.tokenizer import Tokenizer
from transformer_mt.decoding.translator import Translator
from transformer_mt.errors import TransformerMTError
from transformer_mt.training.checkpoint import load_checkpoint

LONGEST_SECONDS, LONGEST_WAIT = 60, 300
"""Of processor time, and of all: then the process is killed."""
FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "socket.connect")
"""Events that Python tells of before something could be executed or sent."""


def translator(path: Path) -> object:
    """What `translate` does before the first line."""
    return Translator.from_bundles([load_bundle(path)], torch.device("cpu"))


READERS: dict[str, Callable[[Path], object]] = {
    "bundle": translator,
    "checkpoint": load_checkpoint,
    "config": load_config,
    "tokenizer": lambda path: Tokenizer.load(path, untrusted=True),
    # these show that what is watched for would be seen
    "unpickle": lambda path: pickle.loads(path.read_bytes()),
    "abort": lambda path: os.abort(),
    "take-memory": lambda path: b"x" * 300_000_000,
}


def read(reader: str, path: Path, answer: int) -> None:
    """Read in this process, and write what came of it."""
    events: list[str] = []
    sys.addaudithook(lambda event, _: events.append(event) if event in FORBIDDEN else None)
    try:
        READERS[reader](path)
        outcome = {"error": None, "message": ""}
    except BaseException as error:
        outcome = {"error": type(error).__name__, "message": str(error)}
        outcome["is_ours"] = isinstance(error, TransformerMTError)
    os.write(answer, json.dumps({**outcome, "events": events}).encode())


def forked(act: Callable[[int], None]) -> tuple[dict[str, Any], int, resource.struct_rusage]:
    """Run `act` in a process of its own; what it wrote, the signal that ended it or 0, and what it took."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(LONGEST_WAIT)
        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_SECONDS, LONGEST_SECONDS))
        try:
            act(theirs)
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as file:
        written = file.read()
    _, status, usage = os.wait4(pid, 0)
    return json.loads(written or "{}"), os.WTERMSIG(status), usage


def main() -> None:
    torch.set_num_threads(1)
    translator(Path(sys.argv[1]))
    least = forked(lambda answer: None)[2].ru_maxrss
    for reader, path in json.loads(Path(sys.argv[2]).read_text()):
        outcome, number, usage = forked(partial(read, reader, Path(path)))
        used = {"cpu_seconds": usage.ru_utime + usage.ru_stime, "mb": (usage.ru_maxrss - least) / 1024}
        print(json.dumps({"path": path, "signal": number, **outcome, **used}), flush=True)


if __name__ == "__main__":
    main()
