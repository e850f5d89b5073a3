"""What every request passes first: its size, its parameters, its key; and what every answer carries."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Collection, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transformer_mt.serving.fields import Fields, parse_fields
from transformer_mt.serving.limits import Limits
from transformer_mt.serving.metrics import Metrics
from transformer_mt.serving.refusals import Refusal

_HEADERS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-headers": "Authorization, Content-Type",
    "access-control-max-age": "86400",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Of an answer that does not say otherwise."""
_MOST_DROPPED = 16 << 20
"""Bytes of a body that is too long which are read."""


class Front:
    """Passes requests on to an application with `fields` in their state, or refuses them."""

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        metrics: Metrics,
        keys: Collection[str],
        open_paths: Collection[str],
        names: Mapping[str, str],
    ) -> None:
        """With `keys`, one of them is needed but for `open_paths`, of which those that end in "/" have more behind.

        Requests are counted by the `names` of their paths, also where they are refused here.
        """
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._key_hashes = [_hash(key) for key in keys]
        self._open_paths = {path for path in open_paths if not path.endswith("/") or path == "/"}
        self._open_folders = tuple(path for path in open_paths if path.endswith("/") and path != "/")
        self._names = names
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        started = time.monotonic()
        status = 499  # as for those who do not wait for the answer

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name for name, _ in message["headers"]}
                added = ((name.encode(), value.encode()) for name, value in _HEADERS.items())
                message["headers"] = [*message["headers"], *(pair for pair in added if pair[0] not in given)]
            await send(message)

        try:
            await self._pass_on(scope, receive, send_on)
        except Refusal as refusal:
            await answer(refusal)(scope, receive, send_on)
        finally:
            endpoint = self._names.get(scope["path"], getattr(scope.get("endpoint"), "__name__", "none"))
            self._metrics.request(endpoint, status, time.monotonic() - started)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await Response(status_code=204)(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await self._body(headers, receive)
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        fields = await parse_fields(content_type, body, scope["query_string"])
        self._check_key(scope["path"], headers, fields)
        scope.setdefault("state", {})["fields"] = fields
        await self._app(scope, receive, send)

    def _check_key(self, path: str, headers: dict[bytes, bytes], fields: Fields) -> None:
        """Raise Refusal where a key is needed and not given: as the parameter api_key, or as a bearer token."""
        if not self._key_hashes or path in self._open_paths or path.startswith(self._open_folders):
            return
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        given = fields.values.get("api_key", token if scheme.lower() == "bearer" else "")
        digest = _hash(given) if isinstance(given, str) else b""
        if not sum(hmac.compare_digest(digest, key) for key in self._key_hashes):  # all, in the same time
            raise Refusal(403, "Invalid API key")

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        excess = int(headers.get(b"content-length", b"0")) - self._limits.body_bytes
        if excess > (0 if b"expect" in headers else _MOST_DROPPED):  # with `expect` it asks before it sends
            raise self._too_long()
        parts: list[bytes] = []
        try:
            await asyncio.wait_for(self._read(receive, parts), self._limits.arrival_seconds)
        except asyncio.TimeoutError:
            raise Refusal(408, f"The body took longer than {self._limits.arrival_seconds} seconds") from None
        finally:
            self._held -= sum(map(len, parts))
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refusal(415, "Invalid request: a compressed body is not taken")
        return b"".join(parts)

    async def _read(self, receive: Receive, parts: list[bytes]) -> None:
        """Read a body into `parts`; of one that is too long the rest is let go: clients look up when all is sent."""
        size = 0
        has_more = True
        while has_more and size < self._limits.body_bytes + _MOST_DROPPED:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal(400, "The client has gone")
            part, has_more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size <= self._limits.body_bytes:
                parts.append(part)
                self._held += len(part)
            if self._held > self._limits.held_bytes:
                raise Refusal(503, "Too much is being sent, try again later", retry_after=1)
        if size > self._limits.body_bytes:
            raise self._too_long()

    def _too_long(self) -> Refusal:
        return Refusal(413, f"Invalid request: the body has more than {self._limits.body_bytes} bytes")


def answer(refusal: Refusal) -> JSONResponse:
    """What the client is told."""
    headers = {} if refusal.retry_after is None else {"retry-after": str(refusal.retry_after)}
    return JSONResponse({"error": refusal.message}, refusal.status, headers)


def _hash(key: Any) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
