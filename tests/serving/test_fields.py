"""The parser of requests: every way to write the same parameters gives the same, and nothing else comes through."""

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import pytest

pytest.importorskip("fastapi", reason="the extra serve has it")

from hypothesis import given
from hypothesis import strategies as st

from transformer_mt.serving.asking import read_order
from transformer_mt.serving.fields import Fields, Upload, parse_fields
from transformer_mt.serving.limits import Limits
from transformer_mt.serving.refusals import Refusal

FORM = "application/x-www-form-urlencoded"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.dictionaries(st.sampled_from(["source", "target", "format", "api_key", "é"]), TEXT, max_size=4)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def parsed(content_type: str, body: bytes, query: bytes = b"") -> Fields:
    return asyncio.run(parse_fields(content_type, body, query))


def multipart(pairs: list[tuple[str, str]]) -> bytes:
    parts = (f'--=x=\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in pairs)
    return "".join([*parts, "--=x=--\r\n"]).encode()


@given(st.lists(TEXT, max_size=4), VALUES)
def test_json_forms_multipart_and_the_query_string_say_the_same(texts: list[str], values: dict[str, str]) -> None:
    pairs = [*(("q", text) for text in texts), *values.items()]
    q: Any = {"q": texts if len(texts) > 1 else texts[0]} if texts else {}
    expected = Fields({**q, **values})
    form = urlencode(pairs).encode()
    assert parsed("", b"", form) == parsed(FORM, form) == expected
    assert parsed('multipart/form-data; boundary="=x="', multipart(pairs)) == expected
    sent = json.dumps({**q, **values}).encode()
    assert parsed("application/json; charset=UTF-8", sent) == expected
    assert parsed("application/json", b"{}", form) == expected


@given(st.sampled_from(["application/json", FORM, "multipart/form-data; boundary=x", "", "x", "\x00", "a/b; c"]),
       st.binary(max_size=80) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
       st.binary(max_size=20))  # fmt: skip
def test_any_bytes_are_parsed_or_refused(content_type: str, body: bytes, query: bytes) -> None:
    try:
        found = parsed(content_type, body, query)
    except Refusal as refusal:
        assert refusal.status in (400, 415) and len(refusal.message) < 200
    else:
        assert isinstance(found.values, dict)


@given(st.dictionaries(st.sampled_from(["q", "source", "target", "format", "alternatives"]), ANYTHING))
def test_any_json_is_an_order_or_refused(values: dict[str, Any]) -> None:
    given_values = {"q": "a", "source": "en", "target": "fr", **values}
    try:
        order = read_order(Fields(given_values), Limits())
    except Refusal as refusal:
        assert refusal.status == 400 and len(refusal.message) < 200
    else:
        assert len(order.texts) == len(order.asked.texts) == (len(given_values["q"]) if order.asked.is_list else 1)
        assert 0 <= order.alternatives <= 5 and order.format in ("text", "html")
        assert all(text.encode() is not None for text in order.asked.texts)  # lone surrogates are gone


@pytest.mark.parametrize(
    ("body", "query"), [(b"source=a&source=b", b""), (b"q=a", b"q=b"), (b"q=a", b"source=a&source=b")]
)
def test_what_is_given_twice_is_refused(body: bytes, query: bytes) -> None:
    with pytest.raises(Refusal, match="given twice"):
        parsed(FORM, body, query)


def test_a_file_comes_with_its_name_and_bytes() -> None:
    content = bytes(range(256)) * 9
    head = b'--x\r\ncontent-disposition: form-data; name="%s"; filename="../a b.txt"\r\ncontent-type: image/png\r\n\r\n'
    body = head % b"file" + content + b"\r\n--x--\r\n"
    assert parsed("multipart/form-data; boundary=x", body).file == Upload("../a b.txt", content)
    for wrong in (head % b"other" + b"\r\n--x--\r\n", (head % b"file" + b"\r\n") * 2 + b"--x--\r\n"):
        with pytest.raises(Refusal):
            parsed("multipart/form-data; boundary=x", wrong)
