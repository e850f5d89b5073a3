"""The process: a socket, the application behind it, and signals that end it without losing an answer."""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from types import FrameType

import uvicorn

from transformer_mt.errors import TransformerMTError
from transformer_mt.serving.app import make_app
from transformer_mt.serving.connections import Connection
from transformer_mt.serving.service import Service

_HEAD_BYTES = 64 << 10
"""Of a request: a text of 5,000 characters fits in its query string."""
_BACKLOG = 1024
_STOP_SECONDS = 25
"""For which requests that have come before a signal are worked on after it."""


def open_socket(host: str, port: int) -> socket.socket:
    """A socket at this address that does not listen yet; raises TransformerMTError where there can be none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise TransformerMTError(f"--host {host}: is no address of this machine ({error.strerror})") from None
    opened = socket.socket(family, kind, protocol)  # with the protocol: asyncio has answers leave at once only then
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        opened.close()
        other = "host" if error.errno == errno.EADDRNOTAVAIL else "port"
        raise TransformerMTError(
            f"--host {host} --port {port}: cannot be served at ({error.strerror}); choose another {other}"
        ) from None
    return opened


def is_loopback(opened: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ip_address(opened.getsockname()[0].partition("%")[0]).is_loopback


def url_of(opened: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(service: Service, opened: socket.socket, keys: Collection[str], tell_ready: Callable[[], None]) -> bool:
    """Answer until SIGINT or SIGTERM, and then what has come before it; returns whether a second SIGINT cut that short:
    what had no answer then was refused."""
    config = uvicorn.Config(
        make_app(service, keys),
        http=partial(Connection, service.limits),  # type: ignore[arg-type]  # called as the class it stands for
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_STOP_SECONDS + 3,
    )
    server = _Server(config, service)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it tells of what clients send wrongly
    service.thread.start()
    try:
        with _signals_end(server):
            opened.listen(_BACKLOG)
            tell_ready()
            server.run(sockets=[opened])
    finally:
        service.thread.stop()
    return server.was_cut_short


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None
        self.was_cut_short = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn, which at a second SIGINT leaves requests without an answer, and may wait all the same."""
        if not self.should_exit or sig != signal.SIGINT:
            super().handle_exit(sig, frame)
        elif self._loop is not None:  # else it has not come to `shutdown` yet, and the first is still to be seen to
            self.was_cut_short = True
            self._loop.call_soon_threadsafe(self._service.thread.give_up)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what has come; what is not done in time is refused, which is an answer too."""
        self._loop = asyncio.get_running_loop()
        timer = self._loop.call_later(_STOP_SECONDS, self._service.thread.give_up)
        await super().shutdown(sockets)
        timer.cancel()


@contextmanager
def _signals_end(server: uvicorn.Server) -> Iterator[None]:
    """Handle signals before uvicorn does, and after: it raises again those that it has handled, which end nothing."""

    def end(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
