"""How a server starts, is refused, and ends."""

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.serving.running import Reply, Server
from transformer_mt.cli.main import main


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_50_requests_be_answered_and_refuses_new_ones(tiny_run: Path, number: int) -> None:
    replies: list[Reply] = []
    with Server(tiny_run) as server:
        text = ["the cat sees the old bird now"] * 25
        threads = [threading.Thread(target=lambda: replies.append(server.translate(text))) for _ in range(50)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10
        while server.metric("waiting_requests") < 49 and time.monotonic() < deadline:  # one may be all in a batch
            time.sleep(0.005)
        started = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - started < 30
        for thread in threads:
            thread.join()
        with pytest.raises(OSError):
            server.raw()
    assert [reply.status for reply in replies] == [200] * 50
    assert all(len(reply.json["translatedText"]) == 25 for reply in replies)
    assert server.said[-1] == "transformer-mt: stopped\n"


def test_a_second_interrupt_refuses_what_is_not_answered_and_ends_at_once(tiny_run: Path) -> None:
    replies: list[Reply] = []
    with Server(tiny_run, "--beam-size", "12") as server:
        text = ["the cat sees the old bird now and " * 12] * 100
        threads = [threading.Thread(target=lambda: replies.append(server.translate(text))) for _ in range(12)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10
        while server.metric("waiting_requests") < 11 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert server.metric("waiting_requests") >= 11
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        started = time.monotonic()
        assert server.stop(signal.SIGINT) == 130
        assert time.monotonic() - started < 5
        for thread in threads:
            thread.join()
    assert len(replies) == 12 and {reply.status for reply in replies} <= {200, 503}
    assert any(reply.status == 503 and "stopping" in reply.json["error"] for reply in replies)
    assert server.said[-1] == "transformer-mt: stopped\n" and not any("Traceback" in line for line in server.said)


def test_an_address_that_others_reach_needs_a_key_or_a_word(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tiny_run), "--host", "0.0.0.0", "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--api-key-file" in said and "--public" in said


def test_what_cannot_be_served_is_one_line(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "short.txt").write_text("short\n")
    (tmp_path / "empty.txt").write_text("\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for options, words in (
            (["--port", port], "choose another port"),
            (["--port", "70000"], "--port"),
            (["--host", "no.such.host.invalid"], "--host"),
            (["--host", "192.0.2.7", "--public"], "--host 192.0.2.7"),
            (["--limit", "seconds=0"], "seconds: must be at least 1"),
            (["--limit", "second=1"], "there are body_bytes"),
            (["--limit", "seconds=x"], "whole number"),
            (["--api-key-file", str(tmp_path / "short.txt")], "16 characters"),
            (["--api-key-file", str(tmp_path / "empty.txt")], "holds no key"),
            (["--api-key-file", str(tmp_path / "none.txt")], "none.txt"),
            (["--port", "0", "--beam-size", "0"], "--beam-size"),
        ):
            assert main(["serve", str(tiny_run), *options]) == 2, options
            said = capsys.readouterr().err
            assert said.count("\n") == 1 and words in said, said


def test_two_bundles_of_one_direction_are_refused(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tiny_run), str(tiny_run), "--port", "0", "--threads", "1"]) == 2
    assert "two bundles translate from en to fr" in capsys.readouterr().err


def test_without_its_packages_the_extra_is_named(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('gone', name='uvicorn')\n")
    repository = Path(__file__).resolve().parent.parent.parent
    script = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(repository)!r}]\n"
    script += f"from transformer_mt.cli.main import main\nsys.exit(main(['serve', {str(tiny_run)!r}, '--port', '0']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and 'pip install "transformer-mt[serve]"' in done.stderr
