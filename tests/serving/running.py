"""A server in a process of its own, and requests to it that only need the standard library."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent.parent


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """`transformer-mt serve` at a free port, from entering to leaving."""

    def __init__(self, bundle: Path, *options: str, keys: Sequence[str] = ()) -> None:
        self.key = keys[0] if keys else None
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TRANSFORMER_MT_API_KEYS": " ".join(keys)}
        command = [sys.executable, "-m", "transformer_mt", "serve", str(bundle), "--port", "0", "--threads", "1"]
        self.process = subprocess.Popen(
            [*command, "--precision", "fp32", *options], env=environment, stderr=subprocess.PIPE, text=True
        )
        self.said: list[str] = []
        self.url = ""

    def __enter__(self) -> "Server":
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if match := re.search(r"at (http://\S+)", line):
                self.url = match[1]
                break
        assert self.url, self.said
        self.host, self.port = self.url.removeprefix("http://").split(":")
        threading.Thread(target=lambda: self.said.extend(self.process.stderr or ()), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.stop()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=40)

    def ask(self, path: str, values: object = None, headers: dict[str, str] | None = None, method: str = "") -> Reply:
        """Send JSON, or bytes or chunks of bytes as they are, or nothing."""
        body: Any = values if isinstance(values, bytes | Iterator | None) else json.dumps(values).encode()
        all_headers = {} if body is None else {"content-type": "application/json"}
        if self.key is not None:
            all_headers["authorization"] = f"Bearer {self.key}"
        all_headers |= headers or {}
        request = urllib.request.Request(self.url + path, data=body, headers=all_headers, method=method or None)
        try:
            with urllib.request.urlopen(request, timeout=40) as reply:
                return Reply(reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())

    def translate(self, q: object, **others: object) -> Reply:
        """POST /translate as JSON, from English to French."""
        return self.ask("/translate", {"q": q, "source": "en", "target": "fr", **others})

    def text(self, q: object, **others: object) -> Any:
        """The translation of a text or of each text of a list; it must succeed."""
        reply = self.translate(q, **others)
        assert reply.status == 200, reply
        return reply.json["translatedText"]

    def connect(self) -> HTTPConnection:
        """A connection to do with as one likes."""
        return HTTPConnection(self.host, int(self.port), timeout=40)

    def raw(self) -> socket.socket:
        """A socket that is connected to it."""
        return socket.create_connection((self.host, int(self.port)), timeout=40)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        text = self.ask("/metrics").body.decode()
        found = re.findall(rf"^transformer_mt_{name}(?:{{.*}})? (\S+)$", text, re.M)
        return sum(map(float, found))
