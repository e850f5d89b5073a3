"""Requests that are wrong, too large, too slow or too many: each is refused in one line, and others are served."""

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.serving.running import Reply, Server

NESTED = b'{"q": ' + b"[" * 10_000 + b"]" * 10_000 + b', "source": "en", "target": "fr"}'
JSON = b'{"q": "SECRET", "source": "en", "target": "fr"%s}'


def refused(reply: Reply, status: int, words: str = "") -> None:
    """It is an error as clients know it, short and without what was sent."""
    assert reply.status == status, reply
    assert list(reply.json) == ["error"] and words in reply.json["error"]
    assert len(reply.body) <= 1000 and b"SECRET" not in reply.body


@pytest.fixture(autouse=True)
def others_are_served(server: Server, strict_server: Server) -> Iterator[None]:
    """Whatever is sent: after it, and with the memory of before."""
    yield
    for running in (server, strict_server):
        deadline = time.monotonic() + 10
        while running.translate("the cat").status != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert running.text("the cat") == "le chat"


def test_row_73_bodies_that_are_too_long_are_refused(server: Server) -> None:
    refused(server.ask("/translate", b"x" * (1 << 20) + b"x"), 413, "more than 1048576 bytes")
    refused(server.ask("/detect", b"x" * (3 << 20)), 413)
    refused(server.ask("/translate", (b"x" * 0x10000 for _ in range(200)), {"transfer-encoding": "chunked"}), 413)


def test_row_73_a_body_that_never_ends_is_cut_off_in_bounded_memory(server: Server) -> None:
    before = resident(server)
    with server.raw() as connection:
        connection.sendall(b"POST /translate HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        with pytest.raises(OSError):
            for _ in range(100):
                connection.sendall(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
    assert resident(server) - before < 30e6


def resident(server: Server) -> int:
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (NESTED, {}, 400, "Invalid JSON format"),
        (b"[" * 500_000, {}, 400, "Invalid JSON format"),
        (JSON % b', "q": "b"', {}, 400, "a key is given twice"),
        (JSON % b', "x": NaN', {}, 400, "Invalid JSON format"),
        (JSON % b', "x": ' + b"1" * 5000 + b"}", {}, 400, "Invalid JSON format"),
        (b'{"q": "\xff"}', {}, 400, "Invalid JSON format"),
        (b'["SECRET"]', {}, 400, "Invalid JSON format"),
        (b"", {}, 400, "missing q parameter"),
        (JSON % b"", {"content-type": "text/plain"}, 415, "content type"),
        (JSON % b"", {"content-type": "application/json; charset=utf-16"}, 415, "utf-8"),
        (JSON % b"", {"content-encoding": "gzip"}, 415, "compressed"),
        (b"q=SECRET&source=en&source=fr", {"content-type": "application/x-www-form-urlencoded"}, 400, "given twice"),
        (b"&a" * 2000, {"content-type": "application/x-www-form-urlencoded"}, 400, "1000 fields"),
        (b"q=%ff", {"content-type": "application/x-www-form-urlencoded"}, 400, "UTF-8"),
        (b"SECRET", {"content-type": "multipart/form-data; boundary=x"}, 400, "multipart"),
        (b"SECRET", {"content-type": "multipart/form-data"}, 400, "multipart"),
        (b"--x\r\n" * 20_000, {"content-type": "multipart/form-data; boundary=x"}, 400, "multipart"),
        (JSON % b"", {"content-type": "multipart/form-data; boundary=" + "x" * 500}, 400, "multipart"),
    ],
)
def test_row_73_bodies_that_are_no_request_are_refused(
    server: Server, body: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    started = time.monotonic()
    refused(server.ask("/translate", body, headers, "POST"), status, words)
    assert time.monotonic() - started < 2


def test_row_73_slow_senders_are_disconnected_and_do_not_hold_up_others(strict_server: Server) -> None:
    slow = [strict_server.raw() for _ in range(20)]
    for number, connection in enumerate(slow):
        connection.sendall(b"POST /translate HTTP/1.1\r\nhost: x\r\n" + (b"x: y\r\n" * number))
    started = time.monotonic()
    assert strict_server.text("the cat") == "le chat"
    assert time.monotonic() - started < 1
    while time.monotonic() - started < 0.9:  # a byte now and then does not help
        for connection in slow[:10]:
            connection.sendall(b"z")
        time.sleep(0.1)
    for connection in slow:
        connection.settimeout(3)
        with connection:
            assert is_closed(connection)
    assert time.monotonic() - started < 4


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def test_row_73_a_second_request_that_comes_slowly_is_disconnected_too(strict_server: Server) -> None:
    with strict_server.raw() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b'{"status":"ok"}'):
            answer += connection.recv(4000)
        connection.sendall(b"GET /hea")
        assert is_closed(connection)


def test_row_73_a_body_that_comes_slowly_is_told_so(strict_server: Server) -> None:
    with strict_server.raw() as connection:
        connection.sendall(b"POST /translate HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        assert connection.recv(4000).startswith(b"HTTP/1.1 408 ")


def test_row_73_what_all_bodies_hold_together_is_bounded(strict_server: Server) -> None:
    sockets = [strict_server.raw() for _ in range(4)]
    try:
        for connection in sockets:
            connection.sendall(
                b"POST /translate HTTP/1.1\r\nhost: x\r\ncontent-length: 150000\r\n\r\n" + b"x" * 140_000
            )
        assert any(connection.recv(4000).startswith(b"HTTP/1.1 503 ") for connection in sockets[::-1])
    finally:
        for connection in sockets:
            connection.close()


def test_row_75_beyond_the_connections_slow_ones_are_closed_first(strict_server: Server) -> None:
    slow = []
    try:
        for _ in range(60):  # 40 are allowed
            slow.append(strict_server.raw())
            slow[-1].sendall(b"GET ")
        assert strict_server.text("the cat") == "le chat"
        slow[0].settimeout(3)
        assert is_closed(slow[0])
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"q": 7}, "q parameter must be"),
        ({"q": None}, "missing q parameter"),
        ({"q": ""}, "missing q parameter"),
        ({"q": []}, "missing q parameter"),
        ({"q": True}, "q parameter must be"),
        ({"q": {"a": "SECRET"}}, "q parameter must be"),
        ({"q": [["SECRET"]]}, "q parameter must be"),
        ({"q": ["SECRET", 7]}, "q parameter must be"),
        ({"q": ["SECRET"] * 129}, "(129 texts) exceeds text limit (128 texts)"),
        ({"q": ["SECRET"] * 10_000}, "exceeds text limit"),
        ({"q": "SECRET" * 1000}, "(6000 characters) exceeds text limit (5000 characters)"),
        ({"q": ["a" * 5000] * 11}, "(55000 characters) exceeds text limit (50000 characters)"),
        ({"q": ["a" * 5000] * 4, "alternatives": 2}, "(60000 characters x 3 translations) exceeds text limit"),
        ({"q": "a\n" * 1001}, "(1001 lines) exceeds text limit"),
        ({"source": "SECRET"}, "is not supported"),
        ({"source": 7}, "source parameter must be"),
        ({"source": ""}, "missing source parameter"),
        ({"target": None}, "missing target parameter"),
        ({"target": "SECRET"}, "is not supported"),
        ({"target": "auto"}, "is not supported"),
        ({"format": "SECRET"}, "format is not supported"),
        ({"alternatives": 10**9}, "alternatives parameter must be"),
        ({"alternatives": "1" * 5000}, "not a number"),
        ({"alternatives": -1}, "alternatives parameter must be"),
        ({"alternatives": "SECRET"}, "not a number"),
        ({"alternatives": True}, "not a number"),
        ({"alternatives": 1.5}, "not a number"),
        ({"alternatives": [3]}, "not a number"),
        ({"api_key": ["SECRET"], "q": 1}, "q parameter must be"),
    ],
)
def test_row_74_parameters_that_make_no_sense_are_refused(
    server: Server, values: dict[str, object], words: str
) -> None:
    refused(server.ask("/translate", {"q": "a", "source": "en", "target": "fr", **values}), 400, words)


def test_row_75_what_nobody_waits_for_is_not_begun(server: Server) -> None:
    before = server.metric("characters_total"), server.metric("batch_items_total")
    body = json.dumps({"q": ["the cat sees " * 20] * 120, "source": "en", "target": "fr"}).encode()
    head = (
        f"POST /translate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    for _ in range(20):
        with server.raw() as connection:
            connection.sendall(head.encode() + body)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    deadline = time.monotonic() + 10
    while server.metric("waiting_requests") and time.monotonic() < deadline:
        time.sleep(0.05)
    taken = server.metric("characters_total") - before[0]
    items = server.metric("batch_items_total") - before[1]
    assert items < 0.5 * 20 * 120 and taken <= 20 * 120 * 260


def test_row_75_beyond_the_queue_503_comes_at_once_with_the_time_to_wait(strict_server: Server) -> None:
    replies: list[tuple[float, Reply]] = []
    text = "\n".join(["the cat sees the old bird now"] * 800)

    def ask() -> None:
        started = time.monotonic()
        replies.append((time.monotonic() - started, strict_server.translate(text)))
        replies[-1] = (time.monotonic() - started, replies[-1][1])

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_status = {reply.status for _, reply in replies}
    assert 503 in by_status and by_status <= {200, 503, 504}
    for _, reply in replies:
        if reply.status == 503:
            refused(reply, 503, "try again")
            assert 1 <= int(reply.headers["retry-after"]) <= 10


def test_row_75_what_takes_too_long_is_told_so_and_given_up(strict_server: Server) -> None:
    started = time.monotonic()
    text = "\n".join(["😀" * 40] * 1100)  # many pieces
    body = json.dumps({"q": text, "source": "en", "target": "fr"}, ensure_ascii=False)
    reply = strict_server.ask("/translate", body.encode())
    assert time.monotonic() - started < 6
    refused(reply, 504, "longer than 2 seconds")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/translate", 405),
        ("PUT", "/translate", 405),
        ("DELETE", "/languages", 405),
        ("PATCH", "/", 404),
        ("POST", "/health", 405),
        ("GET", "/nothing", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/page.css/../app.py", 404),
        ("GET", "/page%2ehtml", 404),
        ("GET", "/download_file/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/download_file/%2e%2e", 404),
        ("GET", "/download_file/x.txt", 404),
        ("GET", "//etc/passwd", 404),
        ("GET", "/page/index.html", 404),
    ],
)
def test_row_75_methods_and_paths_that_are_not_there(server: Server, method: str, path: str, status: int) -> None:
    connection = server.connect()
    connection.putrequest(method, path, skip_accept_encoding=True)
    connection.endheaders()
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    if path == "/" and reply.status == 405:  # there is a page
        return
    assert reply.status == status and len(body) < 200 and b"root:" not in body
    assert (reply.getheader("allow") is not None) is (status == 405)


@pytest.mark.parametrize(
    "head",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET /health HTTP/1.1\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /translate HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /translate HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /translate HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /translate HTTP/1.1\r\nhost: x\r\ncontent-length: " + b"9" * 19 + b"\r\n\r\n",
    ],
)
def test_row_73_what_is_no_http_is_answered_with_400_or_413(server: Server, head: bytes) -> None:
    with server.raw() as connection:
        try:
            connection.sendall(head)
            answer = connection.recv(4000)
        except ConnectionError:
            answer = b""
    assert answer[9:12] in (b"400", b"413", b"")


def test_every_answer_forbids_what_a_browser_might_do_with_it(server: Server) -> None:
    for reply in (server.ask("/health"), server.ask("/nothing"), server.ask("/translate", b"{"), server.translate("a")):
        assert reply.headers["content-security-policy"].startswith("default-src 'none'")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer" and reply.headers["cache-control"] == "no-store"
        assert "server" not in reply.headers


def test_nothing_that_is_sent_is_written_down(server: Server) -> None:
    server.translate("SECRET words")
    server.ask("/translate?q=SECRET", {"q": 1})
    server.ask("/SECRET")
    assert not any("SECRET" in line for line in server.said) and len(server.said) <= 2


def test_without_a_key_only_what_tells_that_one_is_needed_is_answered(strict_server: Server) -> None:
    nobody = {"authorization": ""}
    for path, values in (("/translate", {"q": "a"}), ("/metrics", None), ("/nothing", None), ("/inspect", {"q": "a"})):
        refused(strict_server.ask(path, values, nobody), 403, "Invalid API key")
        wrong = {"authorization": "Bearer a-key-of-16-charS"}
        refused(strict_server.ask(path, values, wrong), 403, "Invalid API key")
    for path in ("/health", "/languages", "/frontend/settings", "/spec"):
        assert strict_server.ask(path, None, nobody).status == 200
    for key in ("a-key-of-16-chars", "another-key-of-it"):
        sent = {"q": "the dog", "source": "en", "target": "fr", "api_key": key}
        assert strict_server.ask("/translate", sent, nobody).json["translatedText"] == "le chien"
    for key in (7, None, [], "", "a-key-of-16-char", "\ud800"):
        refused(strict_server.ask("/translate", {"q": "a", "api_key": key}, nobody), 403)


LOOPING = ["increasingly " * 40, "salad", "Black", "A" * 300, "1234 5678 " * 30, "x", "cat cat cat cat cat", "!" * 500]


def test_row_76_text_that_makes_models_loop_is_answered_in_bounds(server: Server) -> None:
    answers = server.text([*LOOPING, " ", "\t"])
    assert answers[-2:] == [" ", "\t"]
    for text, answer in zip(LOOPING, answers, strict=False):
        assert len(answer.split()) <= 2 * len(text) + 20
