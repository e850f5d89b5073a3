"""What a server answers: what `translate` makes of the same lines, in the shape that was asked for."""

import json
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serving.running import Server
from transformer_mt.cli.main import main


@pytest.fixture(scope="module")
def lines(tiny_run: Path) -> list[str]:
    """Sentences, and some that are hard."""
    hard = ["", " ", "THE CAT", "the cat " * 30, "😀 42", "a\u2028b", "\ufffd", "the  cat\tsees"]
    return [*(tiny_run.parent / "test.en").read_text().splitlines(), *hard]


@pytest.fixture(scope="module")
def translated(tiny_run: Path, lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the command `translate` makes of a file of these."""
    folder = tmp_path_factory.mktemp("translated")
    (folder / "in.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    words = [str(tiny_run), str(folder / "in.txt"), "-o", str(folder / "out.txt"), "--precision", "fp32", "--quiet"]
    assert main(["translate", *words, "--threads", "1"]) == 0
    return (folder / "out.txt").read_text(encoding="utf-8").split("\n")[:-1]


def test_a_text_of_many_lines_is_translated_as_a_file_of_them(
    server: Server, lines: list[str], translated: list[str]
) -> None:
    assert server.text("\n".join(lines)) == "\n".join(translated)
    assert server.text("\r\n".join(lines)) == "\r\n".join(translated)


def test_a_list_is_mirrored_and_so_is_what_comes_with_it(
    server: Server, lines: list[str], translated: list[str]
) -> None:
    reply = server.translate(lines, source="auto", alternatives=2).json
    assert reply["translatedText"] == translated
    assert len(reply["alternatives"]) == len(reply["detectedLanguage"]) == len(lines)
    assert all(isinstance(one, list) and len(one) <= 2 for one in reply["alternatives"])
    assert server.text([lines[0]]) == [translated[0]]


def test_an_uploaded_file_is_translated_as_on_the_command_line(
    server: Server, lines: list[str], translated: list[str]
) -> None:
    sent = multipart({"source": "en", "target": "fr"}, "x.TXT", "\n".join(lines).encode())
    reply = server.ask("/translate_file", *sent)
    path = urllib.parse.urlsplit(reply.json["translatedFileUrl"]).path
    got = server.ask(path)
    assert got.body.decode() == "\n".join(translated)
    assert got.headers["content-disposition"].startswith("attachment") and "sandbox" in str(got.headers)
    page = multipart({"source": "auto", "target": "fr"}, "a.html", b"<h1>the cat</h1><p>the <b>red</b> dog")
    path = urllib.parse.urlsplit(server.ask("/translate_file", *page).json["translatedFileUrl"]).path
    assert server.ask(path).body == b"<h1>le chat</h1><p>le <b>rouge</b> chien"


def test_200_requests_at_once_are_each_answered_with_their_own(
    server: Server, lines: list[str], translated: list[str]
) -> None:
    pairs = [pair for pair in zip(lines, translated, strict=True) if pair[0]] * 6
    batches = server.metric("batches_total")
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda pair: server.text(pair[0]), pairs[:200]))
    assert answers == [target for _, target in pairs[:200]]
    assert server.metric("batches_total") - batches < 150  # they were put together


def test_alternatives_are_others_and_the_best_stays_the_best(server: Server) -> None:
    plain = server.text("the cat sees the dog")
    reply = server.translate("the cat sees the dog", alternatives=1).json
    assert reply["translatedText"] == plain
    assert len(reply["alternatives"]) == 1 and plain not in reply["alternatives"]
    for number in (4, 5, "3"):
        found = server.translate("the cat sees the dog", alternatives=number).json["alternatives"]
        assert len(found) == len(set(found)) <= int(number) and plain not in found
    assert "alternatives" not in server.translate("the cat").json
    assert server.translate("the cat\nthe dog", alternatives=1).json["alternatives"] == []


def test_every_way_to_send_gives_the_same(server: Server) -> None:
    values = {"q": "the small bird", "source": "en", "target": "fr"}
    text = urllib.parse.urlencode(values)
    form = {"content-type": "application/x-www-form-urlencoded"}
    replies = [
        server.ask("/translate", values),
        server.ask("/translate", text.encode(), form),
        server.ask(f"/translate?{text}", method="POST"),
        server.ask("/translate?source=en&target=fr", {"q": "the small bird"}),
        server.ask("/translate", *multipart(values)),
    ]
    assert [reply.json for reply in replies] == [{"translatedText": "le petit oiseau"}] * 5
    listed = urllib.parse.urlencode([("q", "the cat"), ("q", "the dog"), ("source", "en"), ("target", "fr")]).encode()
    assert server.ask("/translate", listed, form).json["translatedText"] == ["le chat", "le chien"]


def test_languages_are_known_by_their_codes_in_any_spelling(server: Server) -> None:
    assert server.text("the cat", source="EN-gb", target="fr_CA") == "le chat"
    for source, target in (("fr", "en"), ("fr", "fr"), ("en", "en")):
        reply = server.translate("a", source=source, target=target)
        assert reply.status == 400 and "is not available as a target language from" in reply.json["error"]


def test_facts_are_told(server: Server) -> None:
    assert server.ask("/health").json == {"status": "ok"}
    french = {"code": "fr", "name": "French", "targets": []}
    assert server.ask("/languages").json == [{"code": "en", "name": "English", "targets": ["fr"]}, french]
    assert server.ask("/health", method="HEAD").status == 200
    spec = server.ask("/spec").json
    assert set(spec["paths"]) >= {"/translate", "/detect", "/translate_file"}
    (detected,) = server.ask("/detect", {"q": "the dog is what you have"}).json
    assert detected["language"] == "en" and 90 < detected["confidence"] <= 100
    (detected,) = server.ask("/detect", {"q": "le chien est dans la maison avec vous"}).json
    assert detected["language"] == "en" and detected["confidence"] < 20  # the only one there is


def test_metrics_are_as_prometheus_reads_them(server: Server) -> None:
    before = server.metric("characters_total")
    server.text("the secret cat")
    assert server.ask("/translate", b"{secret").status == 400
    reply = server.ask("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = reply.body.decode()
    assert server.metric("characters_total") == before + len("the secret cat")
    assert 'transformer_mt_requests_total{endpoint="translate",status="200"} ' in text
    assert 'transformer_mt_requests_total{endpoint="translate",status="400"} ' in text  # refused before it is parsed
    assert "secret" not in text
    for line in text.splitlines():
        assert line.startswith("# ") or float(line.rpartition(" ")[2]) >= 0


def test_an_answer_leaves_at_once(server: Server) -> None:
    """A socket without TCP_NODELAY keeps the second part of an answer for 40 ms."""
    connection = server.connect()
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        connection.request("GET", "/health")
        assert connection.getresponse().read() == b'{"status":"ok"}'
        seconds.append(time.perf_counter() - started)
    connection.close()
    assert min(seconds[5:]) < 0.03


def multipart(values: dict[str, str], name: str = "", content: bytes = b"") -> tuple[bytes, dict[str, str]]:
    """A body and its content type."""
    parts = [f'--x\r\ncontent-disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in values.items()]
    if name:
        head = f'--x\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + b"--x--\r\n", {"content-type": "multipart/form-data; boundary=x"}


def test_the_description_of_answers_is_json_of_utf_8(server: Server) -> None:
    reply = server.translate("é ü 你好")
    assert json.loads(reply.body.decode("utf-8"))["translatedText"] == reply.json["translatedText"]
