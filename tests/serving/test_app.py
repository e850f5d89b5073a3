"""The application without a process or a model: what fails inside, and connections that are too many."""

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve has it")

from transformer_mt.decoding.translation import Translation
from transformer_mt.serving.app import make_app
from transformer_mt.serving.documents import KEPT_SECONDS, Document, Shelf
from transformer_mt.serving.languages import Directions
from transformer_mt.serving.limits import Limits
from transformer_mt.serving.metrics import Metrics
from transformer_mt.serving.model_thread import ModelThread
from transformer_mt.serving.refusals import Refusal
from transformer_mt.serving.service import Service


class Shouting:
    """Stands in for a translator."""

    settings = SimpleNamespace(beam_size=2)

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def checked(self, check: Any) -> "Shouting":
        return self

    def stream(self, lines: list[str], wishes: Any) -> Iterator[Translation]:
        for line in lines:
            if line == "fail":
                raise ZeroDivisionError("SECRET")
            yield Translation(line.upper() + self.mark)


@pytest.fixture
def service() -> Iterator[Service]:
    metrics = Metrics()
    thread = ModelThread(Limits(), metrics)
    pairs = [("en", "fr", Shouting("!")), ("fr", "en", Shouting("?")), ("en", "de", Shouting("."))]
    thread.start()
    yield Service(Directions(pairs), thread, Limits(), metrics)  # type: ignore[arg-type]
    thread.stop()


def post(service: Service, path: str, values: object) -> tuple[int, Any]:
    """Status and JSON of the answer to a POST."""
    sent: list[dict[str, Any]] = []
    body = json.dumps(values).encode()

    async def talk() -> None:
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return messages.pop() if messages else await asyncio.get_running_loop().create_future()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": headers,
            "scheme": "http",
        }
        await make_app(service)(scope, receive, send)  # type: ignore[arg-type]

    try:
        asyncio.run(talk())
    except ZeroDivisionError:  # which the server writes into its log
        assert sent
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent))


def test_a_failure_inside_is_told_without_its_words(service: Service) -> None:
    status, answer = post(service, "/translate", {"q": "fail", "source": "en", "target": "fr"})
    assert status == 500 and list(answer) == ["error"] and "SECRET" not in answer["error"]


def test_several_directions_are_served_and_texts_find_theirs(service: Service) -> None:
    for source, target, text, expected in (
        ("en", "fr", "a", "A!"),
        ("fr", "en", "a", "A?"),
        ("en", "de", "a", "A."),
        ("auto", "en", "le chat est dans la maison", "LE CHAT EST DANS LA MAISON?"),
        ("auto", "fr", "the cat is in the house", "THE CAT IS IN THE HOUSE!"),
    ):
        answer = post(service, "/translate", {"q": text, "source": source, "target": target})[1]
        assert answer["translatedText"] == expected
        assert ("detectedLanguage" in answer) is (source == "auto")
    languages = {one["code"]: one["targets"] for one in service.directions.as_json()}
    assert languages == {"en": ["fr", "de"], "fr": ["en"], "de": []}
    assert "German (de) is not available as a target language from French (fr)" in str(
        post(service, "/translate", {"q": "a", "source": "fr", "target": "de"})
    )
    found = post(service, "/detect", {"q": "vous avez le chat"})[1]
    assert [one["language"] for one in found] == ["fr", "en"]
    assert 0 < sum(one["confidence"] for one in found) <= 100 and found[0]["confidence"] > 60


def test_translated_files_are_kept_for_a_while_and_in_bounds() -> None:
    now = [0.0]
    shelf = Shelf(lambda: now[0])
    names = [shelf.put(Document(str(number), ".txt")) for number in range(3)]
    assert len(set(names)) == 3 and shelf.get(names[1]).text == "1"
    large = [shelf.put(Document("x" * 1_000_000, ".html")) for _ in range(9)]
    with pytest.raises(Refusal):
        shelf.get(names[0])
    with pytest.raises(Refusal):
        shelf.get(large[0])
    assert shelf.get(large[-1]).format == "html"
    now[0] = KEPT_SECONDS
    with pytest.raises(Refusal):
        shelf.get(large[-1])
