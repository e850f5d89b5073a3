"""Stopping in good order: the first signal asks, a second Ctrl-C insists."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether SIGINT or SIGTERM has come. Until there is something to save, the first one stops at once."""

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self.can_save = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note the signal; a second SIGINT stops at once, with the last checkpoint intact.

        A second SIGTERM does not: a process manager and a launcher may both send one.
        """
        if not self.can_save or (self.signal_name is not None and number == signal.SIGINT):
            raise KeyboardInterrupt
        self.signal_name = signal.Signals(number).name


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM while the context lasts; outside of the main thread nothing is caught."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
