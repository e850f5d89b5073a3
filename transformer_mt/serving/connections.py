"""Connections that are not left open to those who send slowly, or without an end."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from transformer_mt.serving.limits import Limits

_MOST_DROPPED = 16 << 20
"""Bytes of a refused body that are read, so that the client comes to see the answer."""


class Connection(H11Protocol):
    """Closes when the head of a request, or the rest of a body that was refused, does not come in time."""

    def __init__(self, limits: Limits, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._dropped = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self._limits.connections:
            self._close_slowest()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        is_dropped = self._is_refused
        super().data_received(data)
        self._dropped = self._dropped + len(data) if is_dropped else 0
        if self._dropped > _MOST_DROPPED:
            self.transport.abort()
        self._watch()

    def on_response_complete(self) -> None:
        """An answer may come before all of the request has."""
        super().on_response_complete()
        self._watch()

    @property
    def _is_refused(self) -> bool:
        """Whether the request is answered, and still being sent."""
        return self.conn.their_state is h11.SEND_BODY and self.conn.our_state in (h11.DONE, h11.MUST_CLOSE)

    @property
    def is_slow(self) -> bool:
        """Whether something has to come in time."""
        return self._timer is not None

    def _watch(self) -> None:
        is_idle = self.timeout_keep_alive_task is not None  # between two requests uvicorn watches
        if (self.conn.their_state is h11.IDLE and not is_idle) or self._is_refused:
            if self._timer is None:
                self._timer = self.loop.call_later(self._limits.arrival_seconds, self._give_up)
        else:
            self._stop_watching()

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()

    def _close_slowest(self) -> None:
        slow = [one for one in self.connections if isinstance(one, Connection) and one._timer is not None]
        if slow:
            min(slow, key=lambda one: one._timer.when() if one._timer else 0.0)._give_up()
