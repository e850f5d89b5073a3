"""Ctrl-C in a process that is ours."""

import os
import signal
from collections.abc import Callable
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


def interrupted_by(tell: Callable[[], object]) -> Handler:
    """A handler of SIGINT that raises KeyboardInterrupt; while modules are imported, it `tell`s and ends the process.

    Raised there, numpy and torch drop it, abort, or stay half imported. Imports come before what a command writes.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                tell()
                os._exit(128 + signal.SIGINT)
            frame = frame.f_back
        raise KeyboardInterrupt

    return handle
