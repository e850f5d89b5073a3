"""The one thread in which models compute: what many requests wait for is put together, and answers go to their owners.

Nothing is waited for to fill a batch: it is what has come while the last one was computed. A batch is bounded, and
requests take turns in it, so that a short text passes a long one.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from transformer_mt.decoding.translation import Translation, Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.serving.limits import Limits
from transformer_mt.serving.metrics import Metrics
from transformer_mt.serving.refusals import Refusal

BATCH_ITEMS = 64
BATCH_BYTES = 6_000
"""Of one batch; an item that is larger makes one of its own. Bytes are never fewer than pieces."""

Result = TypeVar("Result")
Check = Callable[[], None]
"""Raises NobodyWaits when it is called after all for whom a batch is computed have gone."""
Work = Callable[[list[str], Check], Sequence[Result]]
"""A result for each text, in order; calls the check now and then. Requests whose works are equal share batches."""


class NobodyWaits(Exception):
    """Raised inside of work that is for nobody any more."""


@dataclass(frozen=True, slots=True)
class Translating:
    """The work of a translator."""

    translator: Translator
    wishes: Wishes

    def __call__(self, lines: list[str], check: Check) -> list[Translation]:
        """The translation of each line."""
        return list(self.translator.checked(check).stream(lines, self.wishes))


class _Job:
    """A request: texts, of which the first `taken` are given to batches, and what came of them."""

    def __init__(self, work: Work[Any], texts: Sequence[str]) -> None:
        self.work = work
        self.texts = texts
        self.sizes = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
        self.taken = 0
        self.num_left = len(texts)
        self.results: list[Any] = [None] * len(texts)
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[Any]] = self.loop.create_future()

    @property
    def is_open(self) -> bool:
        """Whether some of its texts are in no batch yet."""
        return self.taken < len(self.texts)

    def conclude(self, error: Exception | None) -> None:
        """Tell the owner, if it still waits: from any thread."""
        with suppress(RuntimeError):  # its loop has ended, and so has the owner
            self.loop.call_soon_threadsafe(self._settle, error)

    def _settle(self, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(self.results)
        else:
            self.future.set_exception(error)


class ModelThread:
    """Works for requests, batch by batch, from `start` to `stop`."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._jobs: deque[_Job] = deque()
        self._computed: Sequence[_Job] = ()
        """Those that have texts in the batch that is computed now."""
        self._changed = threading.Condition()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="model")
        metrics.gauge("waiting_requests", "Requests that wait for the model.", lambda: len(self._jobs))

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Refuse what is not answered yet, and end."""
        self.give_up()
        self._thread.join()

    def give_up(self) -> None:
        """Refuse all that is not answered yet, and all that comes; what is computed now is computed no further."""
        with self._changed:
            self._is_stopped = True
            jobs = [*self._jobs, *self._computed]
            self._jobs.clear()
            self._changed.notify()
        for job in jobs:
            job.conclude(_stopping())

    async def results(self, work: Work[Result], texts: Sequence[str]) -> list[Result]:
        """What `work` gives for each of `texts`, computed in the thread, within the limits.

        Raises Refusal 503 when too many wait and 504 when it takes too long. What nobody waits for any more, since it
        took too long or this coroutine was cancelled, is not begun; a batch of nothing else is not computed to its end.
        """
        if not texts:
            return []
        job = _Job(work, texts)
        with self._changed:
            if self._is_stopped:
                raise _stopping()
            if len(self._jobs) >= self._limits.waiting:
                raise Refusal(503, "Too many requests are waiting, try again later", retry_after=1)
            self._jobs.append(job)
            self._changed.notify()
        try:
            return await asyncio.wait_for(job.future, self._limits.seconds)
        except asyncio.TimeoutError:
            raise Refusal(504, f"This took longer than {self._limits.seconds} seconds") from None
        finally:
            self._forget(job)

    def _forget(self, job: _Job) -> None:
        with self._changed:
            if job in self._jobs:
                self._jobs.remove(job)

    def _run(self) -> None:
        while batch := self._next_batch():
            started = time.monotonic()
            self._compute(batch)
            self._metrics.batch(len(batch), time.monotonic() - started)

    def _next_batch(self) -> list[tuple[_Job, int]]:
        """Texts by their jobs and places, once there are any; empty after `stop`."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._is_stopped)
            if self._is_stopped:
                return []
            first = self._jobs[0]
            batch = _in_turn([job for job in self._jobs if job.work == first.work])
            self._jobs = deque(job for job in self._jobs if job.is_open)
            if first.is_open:
                self._jobs.rotate(-1)  # the next batch is begun by another
            self._computed = list({id(job): job for job, _ in batch}.values())
            return batch

    def _compute(self, batch: Sequence[tuple[_Job, int]]) -> None:
        work, jobs = batch[0][0].work, self._computed

        def check() -> None:
            if all(job.future.done() for job in jobs):
                raise NobodyWaits

        try:
            results = work([job.texts[place] for job, place in batch], check)
        except Exception as error:  # whatever it is, the others are to be served
            for job in jobs:
                job.conclude(error)
            return
        for (job, place), result in zip(batch, results, strict=True):
            job.results[place] = result
            job.num_left -= 1
            if not job.num_left:
                job.conclude(None)


def _stopping() -> Refusal:
    return Refusal(503, "The server is stopping", retry_after=5)


def _in_turn(jobs: Sequence[_Job]) -> list[tuple[_Job, int]]:
    """A batch of texts of these jobs, one of each in turn, the next of the first in any case."""
    batch: list[tuple[_Job, int]] = []
    room = BATCH_BYTES
    turns = deque(jobs)
    while turns and len(batch) < BATCH_ITEMS:
        job = turns.popleft()
        size = job.sizes[job.taken]
        if batch and size > room:
            continue
        batch.append((job, job.taken))
        job.taken += 1
        room -= size
        if job.is_open:
            turns.append(job)
    return batch
