"""Counts and times, as Prometheus reads them (its text format 0.0.4); nothing of what was sent is in them."""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets that requests are counted in by their time."""
_PREFIX = "transformer_mt_"


class Metrics:
    """What a server has done so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets = [0] * (len(SECONDS) + 1)
        self._seconds = 0.0
        self._characters = 0
        self._batches = 0
        self._batch_items = 0
        self._batch_seconds = 0.0
        self._gauges: list[tuple[str, str, Callable[[], int]]] = []

    def gauge(self, name: str, help: str, read: Callable[[], int]) -> None:
        """Show what `read` gives whenever somebody looks."""
        self._gauges.append((name, help, read))

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request that has been answered."""
        with self._lock:
            self._requests[endpoint, status] += 1
            self._buckets[bisect_left(SECONDS, seconds)] += 1
            self._seconds += seconds

    def characters(self, count: int) -> None:
        """Count characters that were taken to be translated."""
        with self._lock:
            self._characters += count

    def batch(self, num_items: int, seconds: float) -> None:
        """Count what a model has computed at once."""
        with self._lock:
            self._batches += 1
            self._batch_items += num_items
            self._batch_seconds += seconds

    def text(self) -> str:
        """All of it."""
        with self._lock:
            return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield from _head("requests_total", "counter", "Requests answered, by endpoint and status.")
        for (endpoint, status), count in sorted(self._requests.items()):
            yield f'{_PREFIX}requests_total{{endpoint="{endpoint}",status="{status}"}} {count}'
        yield from _head("request_seconds", "histogram", "Time from the head of a request to its answer.")
        total = 0
        for bound, count in zip((*map(str, SECONDS), "+Inf"), self._buckets, strict=True):
            total += count
            yield f'{_PREFIX}request_seconds_bucket{{le="{bound}"}} {total}'
        yield f"{_PREFIX}request_seconds_sum {self._seconds:.6f}"
        yield f"{_PREFIX}request_seconds_count {total}"
        yield from _single("characters_total", "Characters taken to be translated.", self._characters)
        yield from _single("batches_total", "Batches computed.", self._batches)
        yield from _single("batch_items_total", "Lines in these batches.", self._batch_items)
        yield from _single("batch_seconds_total", "Time in which a model computed.", round(self._batch_seconds, 6))
        for name, help, read in self._gauges:
            yield from _head(name, "gauge", help)
            yield f"{_PREFIX}{name} {read()}"


def _head(name: str, kind: str, help: str) -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {help}"
    yield f"# TYPE {_PREFIX}{name} {kind}"


def _single(name: str, help: str, value: float) -> Iterator[str]:
    yield from _head(name, "counter", help)
    yield f"{_PREFIX}{name} {value}"
