"""A server under load: every answer is compared with the known translation, with good clients and with bad ones.

`transformer-mt serve` runs in a process of its own. Requests are of mixed sizes, one in twenty is bad and has to be
refused. A client that is told to come back later (503) waits for that long, and up to twice as long, and tries again.
The server decodes so that no bit depends on the lines that share a batch, which is free in int8.
"""

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import resident_mb, wait_for_quiet
from rows import show
from wire import Client, big_sender, deserter, in_background, slow_sender

from transformer_mt.bundle import load_bundle
from transformer_mt.decoding.translator import Translator
from transformer_mt.device import resolve_device, set_threads

CLIENTS = (1, 16, 64, 200)
BAD_SHARE = 0.05
_SHAPES = ((0.7, 1, False), (0.15, 4, True), (0.1, 8, False), (0.05, 32, True))
"""How likely a request has so many lines, and whether they are a list of texts or one text."""
_LONGEST_SECONDS = 120
"""In which a request has to be answered, with all its tries."""
_HOSTILE = {"slow": 200, "big": 4, "deserters": 8}
"""Clients of each kind."""


@dataclass(frozen=True)
class Asked:
    """A request, and what has to come back: the translation, or nothing for a bad one."""

    body: bytes
    expected: str | list[str] | None
    num_lines: int


@dataclass
class Outcome:
    """What came of many requests."""

    seconds: list[float] = field(default_factory=list)
    """Of those that were translated, the last try alone."""
    busy_seconds: list[float] = field(default_factory=list)
    """Until a 503 was there."""
    refused: int = 0
    """Bad ones, as it should be."""
    wrong: int = 0
    lost: int = 0
    lines: int = 0


def add_parser(measurements: Any) -> None:
    """Add the measurement to the parser."""
    parser = measurements.add_parser(
        "load",
        help="a server under load, and with hostile clients",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, required=True, help="bundle, or run directory that holds one")
    parser.add_argument("--src", type=Path, required=True, help="text whose lines are asked for")
    parser.add_argument("--lines", type=int, default=1000, help="of it are used (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=10_000, help="for each number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS, metavar="N", help="at once")
    parser.add_argument("--hostile", action="store_true", help="compare with and without hostile clients instead")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=1, help="of the server; the clients need some too")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until the machine is idle")
    parser.add_argument("--json", action="store_true", help="print lines of JSON and nothing else")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print a row for each number of clients, or for each turn without and with hostile ones."""
    pairs = known_translations(args)
    if not args.no_wait:
        wait_for_quiet()
    with server(args) as (port, process):
        rows = hostile(args, pairs, port, process) if args.hostile else load(args, pairs, port, process)
        for row in rows:
            show(row, "  ".join(f"{name} {value}" for name, value in row.items()), args.json)


def known_translations(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Lines with what the model makes of them, without a server."""
    set_threads(None)
    lines = [line for line in args.src.read_text(encoding="utf-8").split("\n") if line.strip()][: args.lines]
    bundle = load_bundle(args.bundle)
    settings = replace(bundle.config.decoding, precision=args.precision, batch_invariant=True)
    translator = Translator.from_bundles([bundle], resolve_device("auto"), settings)
    return list(zip(lines, translator.translate(lines), strict=True))


@contextmanager
def server(args: argparse.Namespace) -> Iterator[tuple[int, int]]:
    """Port and process of a server that is ready."""
    words = [sys.executable, "-m", "transformer_mt", "serve", str(args.bundle), "--port", "0", "--batch-invariant"]
    words += ["--precision", args.precision, "--threads", str(args.threads)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        ready = next((match for line in process.stderr if (match := re.search(r"at http://\S+:(\d+)", line))), None)
        if ready is None:
            raise SystemExit("the server did not start")
        try:
            yield int(ready[1]), process.pid
        finally:
            process.terminate()
        if process.wait() != 0:
            raise SystemExit(f"the server ended with {process.returncode}")


def load(args: argparse.Namespace, pairs: Sequence[tuple[str, str]], port: int, process: int) -> Iterator[dict]:
    """A row for each number of clients."""
    for num_clients in args.clients:
        requests = list(drawn(pairs, args.requests, seed=num_clients))
        started = time.monotonic()
        outcome = asyncio.run(ask_all(port, requests, num_clients))
        yield {"clients": num_clients, **summary(outcome, len(requests), time.monotonic() - started, process)}


def hostile(args: argparse.Namespace, pairs: Sequence[tuple[str, str]], port: int, process: int) -> Iterator[dict]:
    """A row for each turn, and what they come to; the first number of clients asks."""
    num_clients = args.clients[0] if len(args.clients) == 1 else 16
    asyncio.run(ask_all(port, list(drawn(pairs, 500, seed=4)), 64))  # memory is what full batches take
    rows = []
    for turn in range(4):
        requests = list(drawn(pairs, args.requests // 4, seed=turn))
        rows.append(asyncio.run(one_turn(port, process, requests, (num_clients, bool(turn % 2)), pairs)))
        yield rows[-1]
    calm, rough = (np.mean([row["p99_ms"] for row in rows[start::2]]) for start in (0, 1))
    yield {
        "p99_ratio": round(float(rough / calm), 2),
        "rss_growth_mb": round(max(row["most_rss_mb"] for row in rows) - rows[0]["most_rss_mb"], 1),
        "wrong": sum(row["wrong"] for row in rows),
        "lost": sum(row["lost"] for row in rows),
    }


async def one_turn(
    port: int, process: int, requests: Sequence[Asked], clients: tuple[int, bool], pairs: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Good clients' requests, with hostile clients beside them or not."""
    num_clients, is_rough = clients
    lines = [line for line, _ in pairs[:100]]
    bad = []
    if is_rough:
        bad += [slow_sender(port) for _ in range(_HOSTILE["slow"])]
        bad += [big_sender(port) for _ in range(_HOSTILE["big"])]
        bad += [deserter(port, lines) for _ in range(_HOSTILE["deserters"])]
    async with in_background(bad):
        await asyncio.sleep(1)
        started, most = time.monotonic(), resident_mb(process)
        task = asyncio.create_task(ask_all(port, requests, num_clients))
        while not task.done():
            await asyncio.sleep(0.05)
            most = max(most, resident_mb(process))
        row = summary(task.result(), len(requests), time.monotonic() - started, process)
    return {"clients": num_clients, "hostile": is_rough, **row, "most_rss_mb": round(most, 1)}


def drawn(pairs: Sequence[tuple[str, str]], number: int, seed: int) -> Iterator[Asked]:
    """Requests of mixed sizes."""
    draw = random.Random(seed)
    for _ in range(number):
        if draw.random() < BAD_SHARE:
            yield Asked(draw.choice(BAD), None, 0)
            continue
        ((_, num_lines, is_list),) = draw.choices(_SHAPES, [share for share, _, _ in _SHAPES])
        lines, targets = map(list, zip(*draw.choices(pairs, k=num_lines), strict=True))
        q, expected = (lines, targets) if is_list else ("\n".join(lines), "\n".join(targets))
        body = json.dumps({"q": q, "source": draw.choice(["en", "auto"]), "target": "fr"}).encode()
        yield Asked(body, expected, num_lines)


BAD = (
    b'{"q": "a", "source": "en", "target": "fr"',
    b'{"q": 7, "source": "en", "target": "fr"}',
    b'{"q": "a", "source": "xx", "target": "fr"}',
    b'{"q": "a", "source": "en"}',
    json.dumps({"q": "a" * 6000, "source": "en", "target": "fr"}).encode(),
    json.dumps({"q": ["a"] * 500, "source": "en", "target": "fr"}).encode(),
    b'{"q": "a", "source": "en", "target": "fr", "alternatives": 1000000000}',
    b"[" * 5000,
)


async def ask_all(port: int, requests: Sequence[Asked], num_clients: int) -> Outcome:
    """All requests, each by whichever client is free."""
    outcome, waiting = Outcome(), iter(requests)

    async def work() -> None:
        client = Client(port)
        for asked in waiting:
            await ask(client, asked, outcome)
        client.close()

    await asyncio.gather(*(work() for _ in range(num_clients)))
    return outcome


async def ask(client: Client, asked: Asked, outcome: Outcome) -> None:
    """One request, until it is answered or lost."""
    end = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < end:
        started = time.monotonic()
        try:
            reply = await asyncio.wait_for(client.post("/translate", asked.body), _LONGEST_SECONDS)
        except (OSError, EOFError, asyncio.TimeoutError):
            break
        seconds = time.monotonic() - started
        if reply.status == 503:
            outcome.busy_seconds.append(seconds)
            await asyncio.sleep(int(reply.headers["retry-after"]) * random.uniform(1, 2))  # not all at once
        elif asked.expected is None:
            outcome.refused += reply.status == 400
            outcome.wrong += reply.status != 400
            return
        elif reply.status == 200 and json.loads(reply.body)["translatedText"] == asked.expected:
            outcome.seconds.append(seconds)
            outcome.lines += asked.num_lines
            return
        else:
            outcome.wrong += 1
            return
    outcome.lost += 1


def summary(outcome: Outcome, number: int, seconds: float, process: int) -> dict[str, Any]:
    """Counts and times, and the server's memory."""
    tries = number + len(outcome.busy_seconds)
    return {
        "requests": number,
        "right": len(outcome.seconds),
        "bad_refused": outcome.refused,
        "wrong": outcome.wrong,
        "lost": outcome.lost,
        **{f"p{share}_ms": milliseconds(outcome.seconds, share) for share in (50, 95, 99)},
        "busy_share": round(len(outcome.busy_seconds) / tries, 4),
        "busy_p99_ms": milliseconds(outcome.busy_seconds, 99),
        "lines_s": round(outcome.lines / seconds, 1),
        "requests_s": round(number / seconds, 1),
        "rss_mb": round(resident_mb(process), 1),
    }


def milliseconds(seconds: Sequence[float], share: int) -> float:
    """The time that this share of them, in per cent, did not take longer than; 0 where there are none."""
    return round(float(np.percentile(seconds, share)) * 1000, 1) if seconds else 0.0
