"""The thread that computes: every answer goes to its owner, whatever fails, is cancelled or takes long."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from transformer_mt.decoding.translation import Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.serving.limits import Limits
from transformer_mt.serving.metrics import Metrics
from transformer_mt.serving.model_thread import (
    BATCH_BYTES,
    BATCH_ITEMS,
    Check,
    ModelThread,
    NobodyWaits,
    Translating,
)
from transformer_mt.serving.refusals import Refusal


class Work:
    """Doubles texts, notes its batches, and waits for `open` when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = threading.Event()
        self.open.set()

    def __call__(self, texts: list[str], check: Check) -> list[str]:
        self.batches.append(texts)
        assert self.open.wait(10)
        if "fail" in texts:
            raise ZeroDivisionError
        return [text * 2 for text in texts]


@pytest.fixture
def thread() -> Iterator[ModelThread]:
    made = ModelThread(Limits(waiting=64, seconds=5), Metrics())
    made.start()
    yield made
    made.stop()


def run(talk: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(talk())  # type: ignore[arg-type]


async def occupied(thread: ModelThread, work: Work) -> "asyncio.Task[list[str]]":
    """The thread computes until `work.open` is set."""
    work.open.clear()
    task = asyncio.create_task(thread.results(work, ["first"]))
    while not work.batches:
        await asyncio.sleep(0.001)
    return task


def test_requests_that_wait_are_put_together_and_answered_apart(thread: ModelThread) -> None:
    async def talk() -> None:
        work = Work()
        first = await occupied(thread, work)
        others = [asyncio.create_task(thread.results(work, [f"{n}", f"{n}!"])) for n in range(20)]
        await asyncio.sleep(0.02)
        work.open.set()
        assert await first == ["firstfirst"]
        assert await asyncio.gather(*others) == [[f"{n}" * 2, f"{n}!" * 2] for n in range(20)]
        assert [len(batch) for batch in work.batches] == [1, 40]

    run(talk)


def test_a_short_text_passes_a_long_request_and_batches_are_bounded(thread: ModelThread) -> None:
    async def talk() -> None:
        work = Work()
        first = await occupied(thread, work)
        long = asyncio.create_task(thread.results(work, ["x" * 500] * 200))
        await asyncio.sleep(0.01)
        short = asyncio.create_task(thread.results(work, ["short"]))
        await asyncio.sleep(0.01)
        work.open.set()
        await asyncio.gather(first, long, short)
        assert "short" in work.batches[1]
        assert all(len(batch) <= BATCH_ITEMS and sum(map(len, batch)) <= BATCH_BYTES for batch in work.batches)

    run(talk)


def test_a_text_that_is_larger_than_a_batch_is_computed_alone_and_holds_nobody_up_for_ever(thread: ModelThread) -> None:
    async def talk() -> None:
        work = Work()
        first = await occupied(thread, work)
        asked = [["y"], ["x" * 2 * BATCH_BYTES, "z"], ["w" * BATCH_BYTES]]
        tasks = [asyncio.create_task(thread.results(work, texts)) for texts in asked]
        await asyncio.sleep(0.02)
        work.open.set()
        assert await asyncio.gather(*tasks) == [[text * 2 for text in texts] for texts in asked]
        assert all(len(batch) == 1 or sum(map(len, batch)) <= BATCH_BYTES for batch in work.batches)
        await first

    run(talk)


def test_works_that_differ_do_not_share_batches(thread: ModelThread) -> None:
    async def talk() -> None:
        one, other = Work(), Work()
        first = await occupied(thread, one)
        tasks = [asyncio.create_task(thread.results(work, [str(n)])) for n in range(5) for work in (one, other)]
        await asyncio.sleep(0.02)
        one.open.set()
        assert await asyncio.gather(*tasks) == [[str(n) * 2] for n in range(5) for _ in range(2)]
        assert len(one.batches) == 2 and other.batches == [[str(n) for n in range(5)]]
        await first

    run(talk)


def test_a_failure_reaches_those_of_its_batch_and_no_other(thread: ModelThread) -> None:
    async def talk() -> None:
        work = Work()
        with pytest.raises(ZeroDivisionError):
            await thread.results(work, ["fail"])
        assert await thread.results(work, ["a"]) == ["aa"]

    run(talk)


def test_what_is_cancelled_is_not_begun(thread: ModelThread) -> None:
    async def talk() -> None:
        work = Work()
        first = await occupied(thread, work)
        task = asyncio.create_task(thread.results(work, ["never"]))
        await asyncio.sleep(0.02)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        work.open.set()
        await first
        assert await thread.results(work, ["last"]) == ["lastlast"]
        assert work.batches == [["first"], ["last"]]

    run(talk)


def test_a_batch_that_nobody_waits_for_is_given_up_in_the_middle(thread: ModelThread) -> None:
    ended = []

    def endless(texts: list[str], check: Check) -> list[str]:
        try:
            while True:
                check()
                time.sleep(0.001)
        finally:
            ended.append(texts)

    async def talk() -> None:
        tasks = [
            asyncio.create_task(thread.results(endless, ["a"])),
            asyncio.create_task(thread.results(endless, ["b"])),
        ]
        await asyncio.sleep(0.02)
        tasks[0].cancel()
        await asyncio.sleep(0.02)
        assert len(ended) <= 1  # the other one may be of this batch
        tasks[1].cancel()
        assert await thread.results(Work(), ["last"]) == ["lastlast"]
        assert [text for texts in ended for text in texts] == ["a", "b"]

    run(talk)


def test_a_translation_asks_before_each_step(tiny_run: Path) -> None:
    asked = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise NobodyWaits

    translator = Translator.load(tiny_run, threads=1)
    line = (tiny_run.parent / "test.en").read_text().splitlines()[0]
    with pytest.raises(NobodyWaits):
        Translating(translator, Wishes())([line], check)
    assert translator.translate([line]) and len(asked) == 3  # and the translator itself is as it was


def test_what_takes_too_long_is_refused_and_given_up() -> None:
    thread = ModelThread(Limits(seconds=1), Metrics())
    thread.start()

    async def talk() -> None:
        work = Work()
        first = await occupied(thread, work)
        with pytest.raises(Refusal) as refusal:
            await thread.results(work, ["late"])
        assert refusal.value.status == 504
        work.open.set()
        with suppress(Refusal):  # it was late as well
            await first
        await thread.results(work, ["last"])
        assert ["late"] not in work.batches

    run(talk)
    thread.stop()


def test_beyond_the_queue_requests_are_refused_at_once(thread: ModelThread) -> None:
    async def talk() -> None:
        work = Work()
        first = await occupied(thread, work)
        tasks = [asyncio.create_task(thread.results(work, [str(n)])) for n in range(64)]
        await asyncio.sleep(0.02)
        seconds = []
        for _ in range(5):  # the machine may be busy once
            started = time.perf_counter()
            with pytest.raises(Refusal) as refusal:
                await thread.results(work, ["one too many"])
            seconds.append(time.perf_counter() - started)
        assert min(seconds) < 0.05
        assert (refusal.value.status, refusal.value.retry_after) == (503, 1)
        work.open.set()
        assert await asyncio.gather(*tasks) == [[str(n) * 2] for n in range(64)]
        await first

    run(talk)


def test_no_texts_need_no_model(thread: ModelThread) -> None:
    run(lambda: thread.results(Work(), []))  # type: ignore[arg-type, return-value]


def test_who_still_waits_when_it_stops_is_refused() -> None:
    thread = ModelThread(Limits(), Metrics())
    thread.start()

    async def talk() -> None:
        work = Work()
        first = await occupied(thread, work)
        waiting = asyncio.create_task(thread.results(work, ["a"]))
        await asyncio.sleep(0.02)
        stopping = asyncio.get_running_loop().run_in_executor(None, thread.stop)
        with pytest.raises(Refusal, match="stopping"):
            await waiting
        with pytest.raises(Refusal, match="stopping"):
            await thread.results(work, ["b"])
        with pytest.raises(Refusal, match="stopping"):  # what is computed now is refused as well
            await first
        work.open.set()
        await stopping

    run(talk)
