"""Two translators side by side as one HTML page: scores, where they differ, and the lines that changed most."""

from collections.abc import Iterator, Sequence
from html import escape

from transformer_mt.evaluation.changes import ChangedLine, shares
from transformer_mt.evaluation.comparison import Comparison
from transformer_mt.page import document
from transformer_mt.report.parts import STYLE, breakdown, case, facts, marked, shown

MOST_SHOWN = 50
"""Gains, and losses, that are on the page."""


def comparison_page(comparison: Comparison, name: str) -> str:
    """The page for what `evaluate --against` found; `name` is that of our translator."""
    body = "\n".join([*_scores(comparison, name), *breakdown(comparison.breakdown), *_lines(comparison.changed)])
    return document("What changed", body, style=STYLE)


def _scores(comparison: Comparison, name: str) -> Iterator[str]:
    better, worse, equal = shares(comparison.changed)
    names = f"{escape(name)} (this translator) against {escape(comparison.name)} (the other)"
    yield f"<p>{names}, {comparison.num_lines:,} lines.</p>"
    yield facts(
        [("lines better by chrF", f"{better:,}"), ("lines worse", f"{worse:,}"), ("changed, as good", f"{equal:,}")]
    )
    yield "<div class=wide><table><tr><th>score<th class=number>this<th class=number>other<th class=number>difference"
    yield "<th class=number>p, bootstrap<th class=number>p, randomisation"
    for score, test in comparison.tests.items():
        yield (
            f"<tr><td>{ {'bleu': 'BLEU', 'chrf': 'chrF'}.get(score, score) }<td class=number>{test.score:.2f}"
            f"<td class=number>{test.other:.2f}<td class=number>{test.difference:+.2f}"
            f"<td class=number>{test.p_bootstrap:.4f}<td class=number>{test.p_randomisation:.4f}"
        )
    yield "</table></div>"
    signatures = [(test.bootstrap_signature, test.randomisation_signature) for test in comparison.tests.values()]
    told = "<br>".join(escape(signature) for pair in signatures for signature in pair)
    yield f"<p class=quiet>Paired bootstrap and paired approximate randomisation of sacreBLEU:<br>{told}</p>"
    if not comparison.changed:
        yield "<p>No line differs: the p of equal texts says nothing.</p>"
        return
    verdict = (
        "The difference in BLEU is significant: chance alone makes one as large less than once in twenty times."
        if comparison.tests["bleu"].is_significant
        else "The difference in BLEU may well be chance (p of 0.05 or more)."
    )
    yield f"<p><b>{verdict}</b></p>"


def _lines(changed: Sequence[ChangedLine]) -> Iterator[str]:
    gains = [line for line in changed if line.gain > 0][:MOST_SHOWN]
    losses = [line for line in reversed(changed) if line.gain < 0][:MOST_SHOWN]
    for title, lines in (("Largest gains", gains), ("Largest losses", losses)):
        yield f"<h2>{title}</h2>"
        if not lines:
            yield "<p>None.</p>"
        for line in lines:
            yield case(
                [
                    (
                        f"line {line.number:,}",
                        f"<b>{line.gain:+.1f}</b> chrF ({line.other_chrf:.1f} → {line.chrf:.1f})",
                    ),
                    ("source", shown(line.source)),
                    ("reference", shown(line.reference)),
                    ("this", f"<span class=ours>{marked(line.hypothesis, line.other)}</span>"),
                    ("other", marked(line.other, line.hypothesis)),
                ]
            )
