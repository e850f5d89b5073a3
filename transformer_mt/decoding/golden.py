"""Replaying the translations that a bundle carries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import torch

from transformer_mt.bundle import Golden, load_bundle
from transformer_mt.config.schema import Arithmetic
from transformer_mt.decoding.translator import Translator


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it."""

    num_golden: int
    differences: Sequence[str]
    """One line for each sentence that is now translated otherwise."""


def replay(path: Path) -> Replay:
    """Translate the golden sentences of the bundle at `path` on the CPU as they were, and compare.

    Raises BundleError when a file is damaged.
    """
    bundle = load_bundle(path)
    differences: list[str] = []
    for (beam_size, precision), group in groupby(bundle.golden, key=_settings):
        golden = list(group)
        settings = replace(bundle.config.decoding, beam_size=beam_size, precision=precision)
        translator = Translator.from_bundles([bundle], torch.device("cpu"), settings)
        for one, now in zip(golden, translator.translate([one.src for one in golden]), strict=True):
            if now != one.translation:
                differences.append(f"{one.src!r}: was {one.translation!r}, is {now!r}")
    return Replay(len(bundle.golden), differences)


def _settings(golden: Golden) -> tuple[int, Arithmetic]:
    return golden.beam_size, golden.precision
