"""Connections that are not left open to those who send slowly."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from transformer_mt.serving.limits import Limits

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(H11Protocol):
    """Closes when the head of a request does not come in time, and when its answer is there before all of its body."""

    def __init__(self, limits: Limits, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """See uvicorn, which would read what is left of a body for ever."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self.transport.close()

    def _watch(self) -> None:
        is_idle = self.timeout_keep_alive_task is not None  # between two requests uvicorn watches
        if self.conn.their_state is not h11.IDLE or is_idle:
            self._stop_watching()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._limits.arrival_seconds, self._give_up)

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()

    def _make_room(self) -> None:
        """Close the connection whose request has been coming for the longest time; this one, if that is it."""
        timers = {one: one._timer for one in self.connections if isinstance(one, Connection) and one._timer}
        slowest = min(timers, key=lambda one: timers[one].when())  # this one has a timer
        if slowest is self:
            self.transport.write(_BUSY)
            self.transport.close()
        else:
            slowest._give_up()
