"""Programs that speak to LibreTranslate speak to this server: the real clients, and requests as others send them."""

import json
import shutil
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from tests.serving.running import Server

SENTENCE, TRANSLATION = "the cat sees the red house", "le chat voit le rouge maison"


def form(**values: str) -> bytes:
    return urllib.parse.urlencode(values).encode()


FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_libretranslatepy(server: Server) -> None:
    library = pytest.importorskip("libretranslatepy", reason="the extra test has it")
    client = library.LibreTranslateAPI(server.url)
    assert client.translate(SENTENCE, "en", "fr") == TRANSLATION
    assert client.translate(SENTENCE, "auto", "fr") == TRANSLATION
    assert client.detect("is it what you have?")[0]["language"] == "en"
    assert [one["code"] for one in client.languages()] == ["en", "fr"]


def test_libretranslatepy_with_a_key(strict_server: Server) -> None:
    library = pytest.importorskip("libretranslatepy", reason="the extra test has it")
    client = library.LibreTranslateAPI(strict_server.url, strict_server.key)
    assert client.translate(SENTENCE, "en", "fr") == TRANSLATION
    assert client.languages()[0]["targets"] == ["fr"]


def test_deep_translator(server: Server, strict_server: Server) -> None:
    """It sends everything in the query string, and wants a key where none is needed."""
    library = pytest.importorskip("deep_translator", reason="the extra test has it")
    for running in (server, strict_server):
        client = library.LibreTranslator("en", "fr", api_key=running.key or "unused", custom_url=f"{running.url}/")
        assert client.translate(SENTENCE) == TRANSLATION
        assert client.translate_batch([SENTENCE, "the dog"]) == [TRANSLATION, "le chien"]


def test_argos_translate(server: Server) -> None:
    """It posts for the languages."""
    apis = pytest.importorskip("argostranslate.apis", reason="scripts/test installs it where it can")
    client = apis.LibreTranslateAPI(server.url)
    assert client.translate(SENTENCE, "en", "fr") == TRANSLATION
    assert [one["code"] for one in client.languages()] == ["en", "fr"]
    assert client.detect(SENTENCE)[0]["language"] == "en"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl(server: Server, tmp_path: Path) -> None:
    def curl(*words: str) -> str:
        done = subprocess.run(["curl", "-sS", "--fail", "--max-time", "20", *words], capture_output=True, check=True)
        return done.stdout.decode()

    url = f"{server.url}/translate"
    given = ("-d", f"q={SENTENCE}", "-d", "source=en", "-d", "target=fr")
    as_parts = [word.replace("-d", "-F") for word in given]
    as_json = json.dumps({"q": [SENTENCE], "source": "en", "target": "fr"})
    assert json.loads(curl(*given, url))["translatedText"] == TRANSLATION
    assert json.loads(curl(*as_parts, url))["translatedText"] == TRANSLATION
    assert json.loads(curl("-H", "Content-Type: application/json", "-d", as_json, url)) == {
        "translatedText": [TRANSLATION]
    }
    (tmp_path / "my file.txt").write_text(f"{SENTENCE}\r\n\r\nthe dog\n")
    sent = curl("-F", f"file=@{tmp_path / 'my file.txt'}", *as_parts[2:], f"{server.url}/translate_file")
    assert curl(json.loads(sent)["translatedFileUrl"]) == f"{TRANSLATION}\r\n\r\nle chien\n"


def test_a_request_as_mastodon_sends_it(strict_server: Server) -> None:
    """JSON with the key, HTML, and a list of texts whose language may not be known."""
    texts = ["<p>the cat sees the <a href='https://a.example/@b'>red</a> house<br>the dog</p>", "", "the bird"]
    sent = {"q": texts, "source": "auto", "target": "fr", "format": "html", "api_key": strict_server.key}
    reply = strict_server.ask("/translate", sent, {"authorization": ""})
    first, *others = reply.json["translatedText"]
    assert first == "<p>le chat voit le <a href='https://a.example/@b'>rouge</a> maison<br>le chien</p>"
    assert others == ["", "le oiseau"]
    assert [one["language"] for one in reply.json["detectedLanguage"]] == ["en"] * 3
    assert strict_server.ask("/translate", {**sent, "api_key": "wrong"}, {"authorization": ""}).status == 403


def test_a_request_as_weblate_sends_it(server: Server) -> None:
    assert {one["code"] for one in server.ask("/languages").json} == {"en", "fr"}
    sent = form(q=SENTENCE, source="en", target="fr", api_key="")
    assert server.ask("/translate", sent, FORM).json == {"translatedText": TRANSLATION}


def test_requests_as_dialect_sends_them(server: Server, strict_server: Server) -> None:
    """It looks at the specification and the settings, without a key, first; it knows errors by their words."""
    for running, needs_key in ((server, False), (strict_server, True)):
        nobody = {"authorization": ""}
        assert running.ask("/spec", None, nobody).json["info"]["title"] == "LibreTranslate"
        settings = running.ask("/frontend/settings", None, nobody).json
        assert settings["apiKeys"] is settings["keyRequired"] is needs_key and settings["suggestions"] is False
        assert settings["charLimit"] == (60_000 if needs_key else 5_000)
        assert running.ask("/languages", None, nobody).json[0]["name"] == "English"
    assert server.text(SENTENCE, source="auto") == TRANSLATION
    assert server.ask("/detect", form(q="the dog is what you have"), FORM).json[0]["language"] == "en"
    assert "is not supported" in server.translate("a", source="xx").json["error"]
    assert "exceeds text limit" in server.translate("a" * 5001).json["error"]
    assert strict_server.ask("/detect", {"q": "a"}, {"authorization": ""}).json == {"error": "Invalid API key"}


def test_requests_from_pages_of_others_are_allowed(server: Server) -> None:
    reply = server.ask("/translate", method="OPTIONS", headers={"access-control-request-method": "POST"})
    assert reply.status == 204 and reply.headers["access-control-allow-origin"] == "*"
    assert "Content-Type" in reply.headers["access-control-allow-headers"]
    assert server.translate(SENTENCE).headers["access-control-allow-origin"] == "*"
