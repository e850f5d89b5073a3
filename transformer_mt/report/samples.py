"""How the translations of a few fixed validation sentences became better while a model was trained."""

from collections.abc import Iterator, Sequence
from typing import Any

from transformer_mt.evaluation.scores import sentence_chrf
from transformer_mt.metrics import Record
from transformer_mt.report.parts import marked, shown

MARKED = "Words that are not at their place in the reference are marked, and […] stands where some are missing."
MOST_SENTENCES, MOST_STEPS = 6, 8


def samples_over_time(validations: Sequence[Record]) -> Iterator[str]:
    """A table for each sample sentence, with its translations after so many updates."""
    courses: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for record in validations:
        for src, hypothesis, reference in _samples(record.get("samples")):
            courses.setdefault((src, reference), []).append((record["step"], hypothesis))
    if not courses:
        yield "<p class=quiet>None were noted: validations of this version write them into metrics.jsonl.</p>"
        return
    yield f"<p>{MARKED}</p>"
    for (src, reference), course in list(courses.items())[:MOST_SENTENCES]:
        yield "<div class=wide><table class=course><tr><th class=number>update<th>translation<th class=number>chrF"
        yield f"<tr class=quiet><td class=number>source<td class=text>{shown(src)}<td>"
        for step, hypothesis in _spread(course):
            score = sentence_chrf(hypothesis, reference)
            yield (
                f"<tr><td class=number>{step:,}<td class=text>{marked(hypothesis, reference)}"
                f"<td class=number>{score:.1f}"
            )
        yield f"<tr class=quiet><td class=number>reference<td class=text>{shown(reference)}<td></table></div>"


def _samples(found: Any) -> Iterator[tuple[str, str, str]]:
    """Source, translation and reference of what a record holds as samples."""
    for sample in found if isinstance(found, list) else ():
        match sample:
            case {"src": str(src), "hypothesis": str(hypothesis), "reference": str(reference)}:
                yield src, hypothesis, reference


def _spread(course: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """The first, the last, and some between them."""
    if len(course) <= MOST_STEPS:
        return list(course)
    return [course[round(place * (len(course) - 1) / (MOST_STEPS - 1))] for place in range(MOST_STEPS)]
