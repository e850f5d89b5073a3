"""The command, whose process 1 is told to stop in its first validation, which would never end then."""

import os
import signal
import sys
import time

from torch import Tensor

from transformer_mt.cli.main import main
from transformer_mt.decoding.step import CheckedStep


def stop_and_wait(step: CheckedStep, tokens: Tensor) -> None:
    """In the place of a step of the search: nothing but a check ever ends it."""
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        step._check()
        time.sleep(0.01)


if __name__ == "__main__":
    if os.environ.get("RANK") == "1":
        CheckedStep.step = stop_and_wait  # type: ignore[method-assign]
    sys.exit(main())
