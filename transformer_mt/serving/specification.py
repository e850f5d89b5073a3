"""What `/spec` says of the requests that carry something."""

from typing import Any

_TEXT = {"type": "string"}
_LANGUAGES = {
    "source": {**_TEXT, "description": "code of the source language, or auto"},
    "target": {**_TEXT, "description": "code of the target language"},
}
_KEY = {"api_key": {**_TEXT, "description": "where the server needs one"}}
_TYPES = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")


def _described(properties: dict[str, Any], required: tuple[str, ...], types: tuple[str, ...]) -> dict[str, Any]:
    schema = {"type": "object", "properties": {**properties, **_KEY}, "required": list(required)}
    return {"requestBody": {"content": {kind: {"schema": schema} for kind in types}}}


TRANSLATE = _described(
    {
        "q": {"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]},
        **_LANGUAGES,
        "format": {"enum": ["text", "html"], "default": "text"},
        "alternatives": {"type": "integer", "default": 0},
    },
    ("q", "source", "target"),
    _TYPES,
)
DETECT = _described({"q": _TEXT}, ("q",), _TYPES)
TRANSLATE_FILE = _described(
    {"file": {"type": "string", "format": "binary"}, **_LANGUAGES},
    ("file", "source", "target"),
    ("multipart/form-data",),
)
INSPECT = _described(
    {
        "q": {**_TEXT, "description": "one line"},
        "translation": {
            **_TEXT,
            "description": "what the model is made to say, if not what it would",
        },
        **_LANGUAGES,
        "attention": {"type": "boolean", "default": True},
    },
    ("q", "source", "target"),
    ("application/json",),
)
