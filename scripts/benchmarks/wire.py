"""A small HTTP client for many connections in one thread, and clients that mean harm; for this machine only."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Coroutine
from typing import Any, NamedTuple

HOST = "127.0.0.1"
_SLOW_BYTE_SECONDS = 0.5
_PAUSE_SECONDS = 1.0
"""Before a client that was thrown out comes back."""


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection that is kept open and made anew when it is lost."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, body: bytes) -> Reply:
        """Send JSON; raises OSError or EOFError when the connection is lost before the answer is there."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(HOST, self.port)
        try:
            self._writer.write(request(path, len(body)) + body)
            await self._writer.drain()
            return await self._reply()
        except BaseException:
            self.close()
            raise

    async def _reply(self) -> Reply:
        assert self._reader is not None
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return Reply(int(head[0].split()[1]), headers, body)

    def close(self) -> None:
        """Leave the server."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def request(path: str, length: int) -> bytes:
    """The head of a POST of JSON."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


async def slow_sender(port: int) -> None:
    """Sends the head of a request a byte at a time, for ever."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"POST /translate HTTP/1.1\r\nx: ")
            while not writer.is_closing():
                await asyncio.sleep(_SLOW_BYTE_SECONDS)
                writer.write(b"y")
                await writer.drain()
        await asyncio.sleep(_PAUSE_SECONDS)


async def big_sender(port: int, most_bytes: int = 2 << 30) -> None:
    """Sends a body of chunks without an end."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"POST /translate HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
            for _ in range(most_bytes // len(chunk)):
                writer.write(chunk)
                await writer.drain()
            writer.close()
        await asyncio.sleep(_PAUSE_SECONDS)


async def deserter(port: int, lines: list[str]) -> None:
    """Asks for many lines, and leaves without the answer."""
    body = json.dumps({"q": lines, "source": "auto", "target": "fr"}).encode()
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.write(request("/translate", len(body)) + body)
            await writer.drain()
            await asyncio.sleep(0.05)
            linger = struct.pack("ii", 1, 0)  # gone at once
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()
        await asyncio.sleep(_PAUSE_SECONDS)


@contextlib.asynccontextmanager
async def in_background(clients: list[Coroutine[Any, Any, None]]) -> Any:
    """These clients do what they do until the block ends."""
    tasks = [asyncio.create_task(client) for client in clients]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
