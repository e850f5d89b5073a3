"""Parts of pages that compare translations: tables of scores, and texts with the words that differ marked."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from transformer_mt.evaluation.changes import differing
from transformer_mt.evaluation.groups import Breakdown, Group
from transformer_mt.page import visible

LONGEST_TEXT = 1000
"""Characters of a sentence that are shown."""

STYLE = """\
mark { background: none; color: var(--orange); font-weight: 600; text-decoration: underline; }
.ours mark { color: var(--green); }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 0 1.5rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 0.5rem; margin: 1rem 0; }
.facts div { background: var(--raised); padding: 0.6rem 0.8rem; border-radius: 6px; }
.facts small { display: block; font-size: 0.8rem; font-weight: 400; color: var(--quiet); }
.facts b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; line-height: 1.3; }
.wide th, .wide td { overflow-wrap: normal; }
.wide td.break { overflow-wrap: anywhere; min-width: 8rem; }
.case { border-bottom: 1px solid var(--grid); margin: 0; padding: 0.5rem 0; break-inside: avoid; }
.case div { display: grid; grid-template-columns: 6.5rem 1fr; gap: 0 0.6rem; }
.case dt { color: var(--quiet); }
.case dd { margin: 0; }
.bar { min-width: 0; margin-top: 0.45rem; }
.bar.other { background: var(--orange); margin-top: 2px; }
td.bars { width: 30%; min-width: 3.5rem; }
@media (max-width: 40rem) {
  .case div { grid-template-columns: 1fr; } .case dt { font-size: 85%; }
  .wide th, .wide td { padding: 0.3rem; }
}
@media print { .grid { grid-template-columns: 1fr 1fr; } .bar { print-color-adjust: exact; } }
"""


def shown(text: str) -> str:
    """A sentence as HTML, cut where it is very long."""
    if len(text) <= LONGEST_TEXT:
        return visible(text)
    return f"{visible(text[:LONGEST_TEXT])}… <span class=quiet>({len(text):,} characters)</span>"


def marked(text: str, other: str) -> str:
    """A sentence as HTML, with the words marked that `other` does not have at their place, and gaps as […]."""
    if max(len(text), len(other)) > LONGEST_TEXT:
        return shown(text)
    words = ((visible(word) or "[…]", differs) for word, differs in differing(text, other))
    return " ".join(f"<mark>{word}</mark>" if differs else word for word, differs in words)


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Figures side by side: each a value, which is HTML, with its name below."""
    return f"<div class=facts>{''.join(f'<div><b>{value}</b>{escape(name)}</div>' for name, value in pairs)}</div>"


def case(rows: Iterable[tuple[str, str]]) -> str:
    """One sentence: names with texts, which are HTML."""
    told = "".join(
        f"<div><dt>{name}</dt><dd>{text or '<span class=quiet>(nothing)</span>'}</dd></div>" for name, text in rows
    )
    return f"<dl class=case>{told}</dl>"


def breakdown(found: Breakdown) -> Iterator[str]:
    """Scores by length and by frequency, of one system or of two."""
    is_pair = any(group.other_bleu is not None for group in found.by_length)
    if is_pair:
        yield "<p class=quiet>Upper bars and figures are this translator's, lower ones the other's.</p>"
    yield "<h2>Score by length</h2>"
    yield from _groups("words of the source", found.by_length)
    yield "<h2>Score by word frequency</h2>"
    yield f"<p>Words are counted in {escape(found.counted_in)}; a sentence belongs where its rarest word does.</p>"
    yield from _groups("rarest word of the reference", found.by_rarest_word)
    yield "<p>Of the words of the references, how many do the translations have?</p>"
    yield "<div class=wide><table><tr><th>the word occurs<th class=number>words<th class=number>found<th>"
    for group in found.by_frequency:
        other = "" if group.other_found is None else f"<br>{group.other_found:.1%}"
        shares = [share for share in (group.found, group.other_found) if share is not None]
        yield (
            f"<tr><td>{group.name}<td class=number>{group.words:,}<td class=number>{group.found:.1%}{other}"
            f"<td class=bars>{_bars([100 * share for share in shares])}"
        )
    yield "</table></div>"


def _groups(title: str, groups: Sequence[Group]) -> Iterator[str]:
    scores = "<th class=number>BLEU<th class=number>chrF<th>BLEU"
    yield f"<div class=wide><table><tr><th>{title}<th class=number>lines{scores}"
    for group in groups:
        bleu, chrf = f"{group.bleu:.1f}", f"{group.chrf:.1f}"
        bars = [group.bleu]
        if group.other_bleu is not None and group.other_chrf is not None:
            bleu, chrf = f"{bleu}<br>{group.other_bleu:.1f}", f"{chrf}<br>{group.other_chrf:.1f}"
            bars.append(group.other_bleu)
        yield (
            f"<tr><td>{group.name}<td class=number>{group.lines:,}<td class=number>{bleu}<td class=number>{chrf}"
            f"<td class=bars>{_bars(bars)}"
        )
    yield "</table></div>"


def _bars(percents: Sequence[float]) -> str:
    names = ("bar", "bar other")
    return "".join(
        f"<div class='{name}' style='width:{percent:.1f}%'></div>"
        for name, percent in zip(names, percents, strict=False)
    )
