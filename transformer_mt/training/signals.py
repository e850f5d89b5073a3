"""Stopping in good order: the first signal asks, a second Ctrl-C insists."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from transformer_mt.interrupts import Handler

Result = TypeVar("Result")


class StopNow(Exception):
    """Raised by `StopRequest.check`."""


class StopRequest:
    """Whether SIGINT or SIGTERM has come. Until there is something to save, the first one stops at once.

    It does so by `interrupt`, what Ctrl-C did before.
    """

    def __init__(self, interrupt: Handler = signal.default_int_handler) -> None:
        self._interrupt = interrupt
        self.signal_name: str | None = None
        self.can_save = False

    def check(self) -> None:
        """Raise StopNow if a signal has come: long work that leaves nothing asks often.

        The signal itself raises nothing there. It might meet a lock that has just been taken, which nobody would ever
        give back, or an import, which would drop what is raised.
        """
        if self.signal_name is not None:
            raise StopNow

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note the signal; a second SIGINT stops at once, with the last checkpoint intact.

        A second SIGTERM does not: a process manager and a launcher may both send one.
        """
        insists = self.signal_name is not None and number == signal.SIGINT
        self.signal_name = signal.Signals(number).name  # where what is raised gets lost, as in imports, this stays
        if insists or not self.can_save:
            self._interrupt(number, frame)


def interruptible(action: Callable[[], Result]) -> Result:
    """What `action` returns. A signal stops the wait for it even where it computes outside of Python for long."""
    results: list[Result] = []
    errors: list[BaseException] = []
    is_done = threading.Event()  # `Thread.join`, interrupted, may take the thread for ended

    def act() -> None:
        try:
            results.append(action())
        except BaseException as error:  # raised again below
            errors.append(error)
        finally:
            is_done.set()

    threading.Thread(target=act, daemon=True).start()
    try:
        is_done.wait()
    except BaseException:
        atexit.register(_end_unless, is_done)
        raise
    if errors:
        raise errors[0]
    return results[0]


def _end_unless(is_done: threading.Event) -> None:
    """End the process where a thread still computes: Python would end that inside of C++ code, which aborts."""
    if not is_done.is_set():
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(130)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM while the context lasts; outside of the main thread nothing is caught."""
    before = signal.getsignal(signal.SIGINT)
    request = StopRequest(before) if callable(before) else StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    handlers = {number: signal.signal(number, request.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
