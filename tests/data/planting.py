"""Defects planted into sound sentence pairs, with the lines where they are."""

import random
import unicodedata
from collections.abc import Callable
from pathlib import Path

from transformer_mt.config.schema import DataConfig, SourceConfig
from transformer_mt.data.doctor.kinds import Kind

Sides = tuple[str, str]
NUM_EACH = 20
STRETCHES = (12, 20, 60)
"""Lines of each misaligned stretch."""

_ALIKE = str.maketrans("aeop", "аеор")  # to Cyrillic


def read_sides(folder: Path, name: str) -> list[Sides]:
    sides = [(folder / f"{name}.{code}").read_text(encoding="utf-8").split("\n")[:-1] for code in ("en", "fr")]
    return list(zip(*sides, strict=True))


def write_sides(folder: Path, name: str, pairs: list[Sides]) -> SourceConfig:
    paths = [folder / f"{name}.{code}" for code in ("en", "fr")]
    for path, lines in zip(paths, zip(*pairs, strict=True), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return SourceConfig(src=str(paths[0]), tgt=str(paths[1]))


class Planted:
    """A corpus with defects: `lines` has the lines (from 1) of each kind, `first` those that repetitions repeat."""

    def __init__(self, pairs: list[Sides], validation: list[Sides], seed: int = 1) -> None:
        self.pairs = list(pairs)
        self.validation = validation
        self.lines: dict[Kind, list[int]] = {}
        self.stretches: list[tuple[int, int]] = []
        self.first: dict[int, int] = {}
        self._sound = pairs
        self._draw = random.Random(seed)
        self._free = set(range(len(pairs)))
        for length in STRETCHES:
            self._misalign(length)
        for kind, spoil in self._spoilers().items():
            self._plant(kind, spoil)
        for kind, change in ((Kind.DUPLICATE, lambda text: text), (Kind.NEAR_DUPLICATE, _changed)):
            self._repeat(kind, change)

    @property
    def all_lines(self) -> set[int]:
        return {line for lines in self.lines.values() for line in lines}

    def _misalign(self, length: int) -> None:
        """Give the sources of a stretch the targets of other lines of it, or of others."""
        starts = [
            place for place in range(len(self.pairs) - length) if self._free.issuperset(range(place, place + length))
        ]
        start = self._draw.choice(starts)
        targets = [self.pairs[place][1] for place in range(start, start + length)]
        targets = (
            targets[5:] + targets[:5] if length < 50 else [pair[1] for pair in self._draw.sample(self._sound, length)]
        )
        for place, target in enumerate(targets, start=start):
            self.pairs[place] = (self.pairs[place][0], target)
        self._free -= set(range(start - 5, start + length + 5))
        self.stretches.append((start + 1, start + length))

    def _plant(self, kind: Kind, spoil: Callable[[str, str], Sides | None]) -> None:
        lines: list[int] = []
        for place in self._draw.sample(sorted(self._free), len(self._free)):
            if len(lines) == NUM_EACH:
                break
            spoilt = spoil(*self.pairs[place])
            if spoilt is not None:
                self.pairs[place] = spoilt
                lines.append(place + 1)
        self._free -= {line - 1 for line in lines}
        self.lines[kind] = lines

    def _repeat(self, kind: Kind, change: Callable[[str], str]) -> None:
        self.lines[kind] = []
        for _ in range(NUM_EACH):
            model, place = sorted(self._draw.sample(sorted(self._free), 2))
            src, tgt = self.pairs[model]
            self.pairs[place] = (change(src), change(tgt))
            self._free -= {model, place}
            self.lines[kind].append(place + 1)
            self.first[place + 1] = model + 1

    def _spoilers(self) -> dict[Kind, Callable[[str, str], Sides | None]]:
        draw, sound = self._draw, self._sound

        def is_long(text: str) -> bool:
            return len(text) >= 30

        return {
            Kind.BLANK: lambda src, tgt: (src, draw.choice(["", " "])),
            Kind.SWAPPED: lambda src, tgt: (tgt, src) if is_long(src) else None,
            Kind.COPIED: lambda src, tgt: (src, src),
            Kind.WRONG_LANGUAGE: lambda src, tgt: (src, draw.choice(sound)[0]) if is_long(src) else None,
            Kind.RATIO: lambda src, tgt: (src, tgt[: len(tgt) // 6]) if is_long(tgt) else None,
            Kind.TOO_LONG: lambda src, tgt: tuple(map(" ".join, zip(*draw.sample(sound, 20), strict=True))),  # type: ignore[arg-type,return-value]
            Kind.GARBLED: lambda src, tgt: (src, tgt.encode().decode("latin-1")) if "é" in tgt else None,
            Kind.LEAK: lambda src, tgt: draw.choice(self.validation),
            Kind.ENTITY: lambda src, tgt: (src, tgt.replace("'", "&#39;")) if "'" in tgt else None,
            Kind.CONTROL: lambda src, tgt: (src[:4] + draw.choice("\u200b\x07\ufeff\x85") + src[4:], tgt),
            Kind.UNICODE_FORM: lambda src, tgt: (src, unicodedata.normalize("NFD", tgt)) if "é" in tgt else None,
            Kind.LOOK_ALIKE: lambda src, tgt: (src.translate(_ALIKE), tgt) if is_long(src) else None,
            Kind.ODD_SPACE: lambda src, tgt: (src[:-1] + " ?", tgt[:-1] + " ?") if is_long(src) else None,
        }

    def write(self, folder: Path) -> DataConfig:
        """The corpus as files, and the configuration that names them."""
        return DataConfig(
            train=(write_sides(folder, "train", self.pairs),),
            validation=(write_sides(folder, "val", self.validation),),
        )


def _changed(text: str) -> str:
    """Other case, and without the mark at the end."""
    return text.upper().rstrip(".!? ")
