"""What a request carries, by name: one parser for JSON, forms, multipart and the query string."""

import json
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from transformer_mt.serving.refusals import Refusal

MOST_FIELDS = 1_000
"""In a form; texts of a list come as fields of one name."""
_REPEATABLE = "q"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Fields:
    """The parameters of a request: text where they come from a form, anything where they come from JSON."""

    values: dict[str, Any]
    file: Upload | None = None


async def parse_fields(content_type: str, body: bytes, query: bytes) -> Fields:
    """All that a request with this body and query string says.

    Raises Refusal 415 for a body of another type than JSON and forms, and 400 for what cannot be read or names a
    parameter twice (but for `q`, whose texts make a list).
    """
    values = _collected(_urlencoded(query))
    if not body:
        return Fields(values)
    sent, file = await _parse_body(content_type, body)
    if twice := values.keys() & sent.keys():
        raise _given_twice(min(twice))
    return Fields({**values, **sent}, file)


async def _parse_body(content_type: str, body: bytes) -> tuple[dict[str, Any], Upload | None]:
    kind, options = parse_options_header(content_type)
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        raise Refusal(415, "Invalid request: the charset of the body must be utf-8")
    if kind == b"application/json":
        return _parse_json(body), None
    if kind == b"application/x-www-form-urlencoded":
        return _collected(_urlencoded(body)), None
    if kind == b"multipart/form-data":
        return await _parse_multipart(content_type, body)
    raise Refusal(
        415,
        "Invalid request: the content type must be application/json, application/x-www-form-urlencoded or "
        "multipart/form-data",
    )


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(400, "Invalid JSON format") from None
    if not isinstance(parsed, dict):
        raise Refusal(400, "Invalid JSON format: an object is needed")
    return parsed


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise Refusal(400, "Invalid JSON format: a key is given twice")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _urlencoded(raw: bytes) -> list[tuple[str, str]]:
    try:
        text = raw.decode("utf-8")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:  # no UTF-8, or too many
        raise Refusal(400, f"Invalid request: this is no form in UTF-8 of at most {MOST_FIELDS} fields") from None


async def _parse_multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], Upload | None]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        Headers({"content-type": content_type}),
        stream(),
        max_files=1,
        max_fields=MOST_FIELDS,
        max_part_size=len(body),
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, LookupError):
        raise Refusal(400, "Invalid request: this is no multipart form, or it has more than one file") from None
    files = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
    values = _collected((name, value) for name, value in form.multi_items() if isinstance(value, str))
    if not files:
        return values, None
    ((name, file),) = files
    try:
        if name != "file":
            raise Refusal(400, "Invalid request: a file is taken as the parameter file only")
        return values, Upload(file.filename or "", await file.read())
    finally:
        await form.close()


def _collected(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name not in values:
            values[name] = value
        elif name != _REPEATABLE:
            raise _given_twice(name)
        elif isinstance(values[name], list):
            values[name].append(value)
        else:
            values[name] = [values[name], value]
    return values


def _given_twice(name: str) -> Refusal:
    known = name if name in ("q", "source", "target", "format", "alternatives", "api_key") else "a"
    return Refusal(400, f"Invalid request: {known} parameter is given twice")
