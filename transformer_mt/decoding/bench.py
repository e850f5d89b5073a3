"""What each way of decoding costs on this machine, and what it is worth: every one in a process of its own."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.decoding.precision import precisions
from transformer_mt.decoding.translator import Translator

_PILOT_LINES, _MOST_ALONE = 64, 50
_SHARE_FOR_LINES = 0.5
"""Of the time that a way may take: the rest is for starting, for warming up and for sentences alone."""

Texts = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of decoding."""

    beam_size: int
    precision: str
    shortlist: bool

    @property
    def name(self) -> str:
        """As people read it."""
        search = "greedy" if self.beam_size == 1 else f"beam {self.beam_size}"
        return f"{search} {self.precision}{' shortlist' if self.shortlist else ''}"

    @property
    def options(self) -> str:
        """By which `translate` goes this way."""
        shortlist = "--shortlist" if self.shortlist else "--no-shortlist"
        return f"--beam-size {self.beam_size} --precision {self.precision} {shortlist}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What came of one way."""

    way: Way
    lines: int
    """Of the text, evenly taken from it, so that there was time enough."""
    bleu: float
    sentences_per_second: float
    p50_ms: float
    """Median for one sentence at a time."""
    p95_ms: float
    memory_mb: float
    """Peak of the process."""
    size_mb: float
    """Of the weights as they are computed with."""
    start_s: float
    """From loading the bundle to the first translation."""
    is_dominated: bool = False
    """Whether another way is as good or better in BLEU, speed and median, and better in one."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        values = asdict(self)
        return {**values.pop("way"), **values}


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured: pairs of lines and references, translated by a bundle."""

    bundle: Path
    lines: Texts
    references: Texts
    device: str
    threads: int | None


def ways(bundle: Bundle, device: torch.device) -> list[Way]:
    """Greedy search and a beam, in each precision that is fast here, with all of the vocabulary and the shortlist."""
    usual = bundle.config.decoding.beam_size
    beams = (1, usual if usual > 1 else 5)
    shortlists = (False,) if bundle.shortlist is None else (False, True)
    return [Way(beam_size=b, precision=p, shortlist=s) for b, p, s in product(beams, precisions(device), shortlists)]


def measure_all(task: Task, candidates: Sequence[Way], seconds: float) -> Iterator[Measurement]:
    """Measure each way in turn, on so many lines that all take `seconds` together at most."""
    started = time.perf_counter()
    slowest = max(candidates, key=lambda way: (way.beam_size, way.precision == "fp32", not way.shortlist))
    speed = _apart(_pilot, task, slowest)
    to_start = time.perf_counter() - started
    seconds_each = max(1.0, (seconds - to_start) / len(candidates) - to_start)
    count = max(1, min(len(task.lines), int(speed * seconds_each * _SHARE_FOR_LINES)))
    chosen = [i * len(task.lines) // count for i in range(count)]  # evenly, as files may be sorted
    less = replace(task, lines=[task.lines[i] for i in chosen], references=[task.references[i] for i in chosen])
    for way in candidates:
        yield _apart(_measure, less, way, seconds_each / 5)


def mark_dominated(rows: Sequence[Measurement]) -> list[Measurement]:
    """The same rows, saying which of them nobody needs."""

    def values(row: Measurement) -> tuple[float, float, float]:
        return round(row.bleu, 1), row.sentences_per_second, -row.p50_ms

    def beats(one: Measurement, other: Measurement) -> bool:
        pairs = list(zip(values(one), values(other), strict=True))
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    return [replace(row, is_dominated=any(beats(other, row) for other in rows)) for row in rows]


def _apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` gives in a process of its own, whose memory is its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _translator(task: Task, way: Way) -> Translator:
    settings = replace(load_bundle(task.bundle).config.decoding, **asdict(way))
    return Translator.load(task.bundle, task.device, settings, task.threads)


def _pilot(task: Task, way: Way) -> float:
    """Sentences a second, roughly."""
    translator = _translator(task, way)
    lines = list(task.lines[:_PILOT_LINES])
    translator.translate(lines)
    return len(lines) / _seconds(translator.translate, lines)


def _measure(task: Task, way: Way, seconds_alone: float) -> Measurement:
    from transformer_mt.evaluation.scores import corpus_bleu

    started = time.perf_counter()
    translator = _translator(task, way)
    translator.translate(task.lines[:1])
    start_s = time.perf_counter() - started
    translator.translate(task.lines[: len(task.lines) // 4])  # what is made once, for shapes that come again
    before = time.perf_counter()
    texts = translator.translate(task.lines)
    seconds = time.perf_counter() - before
    waits = list(_waits(translator, task.lines, seconds_alone))
    weights = {id(t): t.numel() * t.element_size() for model in translator.searcher.models for t in _tensors(model)}
    return Measurement(
        way=way,
        lines=len(texts),
        bleu=corpus_bleu(texts, [[line] for line in task.references]).score,
        sentences_per_second=len(texts) / seconds,
        p50_ms=float(np.quantile(waits, 0.5)),
        p95_ms=float(np.quantile(waits, 0.95)),
        memory_mb=_peak_memory_mb(translator.device),
        size_mb=sum(weights.values()) / 1e6,
        start_s=start_s,
    )


def _waits(translator: Translator, lines: Texts, seconds: float) -> Iterator[float]:
    """Milliseconds for one sentence at a time, for as long as there is time."""
    end = time.perf_counter() + seconds
    for line in lines[:_MOST_ALONE]:
        yield 1e3 * _seconds(translator.translate, [line])
        if time.perf_counter() > end:
            return


def _seconds(translate: Callable[[list[str]], object], lines: list[str]) -> float:
    started = time.perf_counter()
    translate(lines)
    return time.perf_counter() - started


def _tensors(model: torch.nn.Module) -> Iterator[torch.Tensor]:
    """All weights, those of packed maps too, which are no parameters."""
    yield from model.parameters()
    for module in model.modules():
        yield from (value for value in vars(module).values() if isinstance(value, torch.Tensor))


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
