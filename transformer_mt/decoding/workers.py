"""Translating in several processes, each with its own copy of the model, for machines with many cores."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

from transformer_mt.config.schema import DecodingConfig
from transformer_mt.decoding.translation import Translation, Wishes
from transformer_mt.decoding.translator import WINDOW, Translator
from transformer_mt.errors import TransformerMTError

_AHEAD = 2
"""Windows for each process that are read before they are needed, so that none waits; bounds memory."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a process needs to make the translator, see `Translator.load`."""

    paths: Sequence[Path]
    """The bundle, and those that vote with it."""
    settings: DecodingConfig
    threads: int
    """Of each process."""


def stream_in_processes(
    recipe: Recipe,
    num_processes: int,
    lines: Iterable[str],
    wishes: Wishes,
    beginnings: Iterable[str] | None = None,
    first_number: int = 0,
) -> Iterator[Translation]:
    """As `Translator.stream`, with the windows shared out among processes; lines come back in order."""
    context = multiprocessing.get_context("spawn")  # a copy of a process that has threads may hang
    iterator, starts = iter(lines), iter(repeat("") if beginnings is None else beginnings)
    waiting: deque[Future[list[Translation]]] = deque()
    try:
        with ProcessPoolExecutor(num_processes, context, initializer=_prepare, initargs=(recipe,)) as pool:
            while True:
                while len(waiting) < _AHEAD * num_processes and (window := list(islice(iterator, WINDOW))):
                    begun = None if beginnings is None else list(islice(starts, len(window)))
                    waiting.append(pool.submit(_translate, window, wishes, begun, first_number))
                    first_number += len(window)
                if not waiting:
                    return
                yield from waiting.popleft().result()
    except BrokenProcessPool:
        raise TransformerMTError(
            "--workers: a process ended before its work was done; perhaps memory ran out: use fewer"
        ) from None
    finally:
        for future in waiting:  # where nobody wants them any more
            future.cancel()


_translator: Translator | None = None
"""Of this process, when it is one of several."""


def _prepare(recipe: Recipe) -> None:
    global _translator
    threading.Thread(target=_end_with_parent, daemon=True).start()
    path, *ensemble = recipe.paths
    _translator = Translator.load(path, "cpu", recipe.settings, recipe.threads, ensemble)


def _end_with_parent() -> None:
    """Let no process wait for work that a killed one will never send."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _translate(window: list[str], wishes: Wishes, beginnings: list[str] | None, first_number: int) -> list[Translation]:
    assert _translator is not None
    return list(_translator.stream(window, wishes, beginnings, first_number))
