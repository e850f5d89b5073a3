"""How much a translator minds sources that are not written with care."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transformer_mt.data.pairs import Pair
from transformer_mt.decoding.translator import Translator
from transformer_mt.evaluation.noise import KINDS, Kind, spoilt
from transformer_mt.evaluation.scores import bleu_and_chrf


@dataclass(frozen=True, slots=True)
class Robustness:
    """What one kind of carelessness costs, on the lines that it touches."""

    kind: str
    meaning: str
    lines: int
    """Sources that it changes at all; the figures are of these alone, and None where there are none."""
    clean_bleu: float | None = None
    bleu: float | None = None
    clean_chrf: float | None = None
    chrf: float | None = None
    changed: float | None = None
    """Share of these lines whose translation is another one."""

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def robustness(
    translator: Translator, pairs: Sequence[Pair], clean: Sequence[str], seed: int, report: Callable[[str], None]
) -> Iterator[Robustness]:
    """Spoil the sources of `pairs` in each way and translate them again; `clean` are the translations of the originals.

    Only lines that a kind changes are translated. `seed` decides where typos fall.
    """
    for kind in KINDS:
        sources = [spoilt(kind, pair.src, seed, pair_number) for pair_number, pair in enumerate(pairs, start=1)]
        touched = [number for number, pair in enumerate(pairs) if sources[number] != pair.src]
        report(f"{kind.name}: {len(touched):,} sentences")
        yield _measured(kind, translator, [sources[number] for number in touched], pairs, clean, touched)


def _measured(
    kind: Kind,
    translator: Translator,
    sources: Sequence[str],
    pairs: Sequence[Pair],
    clean: Sequence[str],
    touched: Sequence[int],
) -> Robustness:
    if not touched:
        return Robustness(kind.name, kind.meaning, 0)
    hypotheses, before = translator.translate(sources), [clean[number] for number in touched]
    references = [pairs[number].tgt for number in touched]
    (clean_bleu, clean_chrf), (bleu, chrf) = (bleu_and_chrf(lines, references) for lines in (before, hypotheses))
    changed = sum(one != other for one, other in zip(before, hypotheses, strict=True)) / len(touched)
    return Robustness(kind.name, kind.meaning, len(touched), clean_bleu, bleu, clean_chrf, chrf, changed)
