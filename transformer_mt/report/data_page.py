"""The data doctor's report as one HTML page that needs nothing else."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from transformer_mt.page import document, visible

_STYLE = "td.text { width: 42%; }\n.wide table { min-width: 42rem; }\n"


def data_page(report: Mapping[str, Any]) -> str:
    """The page for a report of `data check`."""
    body = "\n".join([*_sources(report["sources"]), *_spaces(report), *_roles(report["roles"])])
    return document("Data report", body, style=_STYLE)


def _sources(sources: list[dict[str, Any]]) -> Iterator[str]:
    yield "<h2>Sources</h2><div class=wide><table><tr><th>role<th>source<th class=number>pairs<th>reading"
    for source in sources:
        told = []
        if unequal := source["unequal_lines"]:
            counts, line = unequal["lines"], unequal["first_suspicious_line"]
            where = "" if line is None else f", which seem to part at about line {line:,}"
            told.append(f"its files have {counts[0]:,} and {counts[1]:,} lines{where}")
        told += [f"line {bad['line']:,}: {bad['problem']}" for bad in source["unreadable_lines"][:20]]
        if (more := len(source["unreadable_lines"]) - 20) > 0:
            told.append(f"and {more:,} more unreadable lines")
        yield (
            f"<tr><td>{source['role']}<td>{escape(source['name'])}<td class=number>{source['pairs']:,}"
            f"<td>{'<br>'.join(map(escape, told)) or 'whole'}"
        )
    yield "</table></div>"


def _spaces(report: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>Spaces before ? ! ; :</h2><table><tr><th>side<th>space<th class=number>times"
    for side, spaces in report["spaces_before_marks"].items():
        for space, count in spaces.items():
            name = " ".join(f"U+{ord(character):04X}" for character in space) or "none"
            yield f"<tr><td>{side}<td>{name}<td class=number>{count:,}"
    yield "</table>"
    if (share := report["share_that_looks_parallel"]) is not None:
        yield f"<p>Judged one by one, {share:.1%} of the pairs look like translations of each other.</p>"
    if report["too_few_to_learn_from"]:
        yield "<p>Too few pairs to learn languages and words from: these were not looked at.</p>"


def _roles(roles: Mapping[str, Any]) -> Iterator[str]:
    for role, found in roles.items():
        total = max(found["pairs"], 1)
        yield f"<h2>{role}: {found['defective_pairs']:,} of {found['pairs']:,} pairs have defects</h2>"
        most = max((kind["pairs"] for kind in found["kinds"].values()), default=1)
        yield "<div class=wide><table><tr><th>kind<th class=number>pairs<th class=number>share"
        yield "<th style='width:12%'><th>meaning<th>data clean"
        for label, kind in found["kinds"].items():
            yield (
                f"<tr><td>{label}<td class=number>{kind['pairs']:,}<td class=number>{kind['pairs'] / total:.3%}"
                f"<td><div class=bar style='width:{100 * kind['pairs'] / most:.1f}%'></div>"
                f"<td>{escape(kind['title'])}<td>{escape(': '.join(filter(None, (kind['clean'], kind['advice']))))}"
            )
        yield "</table></div>"
        yield from _stretches(found["misaligned_stretches"])
        for label, kind in found["kinds"].items():
            yield from _examples(label, kind["examples"])


def _stretches(stretches: list[dict[str, Any]]) -> Iterator[str]:
    if not stretches:
        return
    yield f"<details open><summary>{len(stretches):,} misaligned stretches</summary><table>"
    yield "<tr><th>source<th class=number>first line<th class=number>last line"
    for stretch in stretches:
        first, last = stretch["first_line"], stretch["last_line"]
        yield f"<tr><td>{escape(stretch['source'])}<td class=number>{first:,}<td class=number>{last:,}"
    yield "</table></details>"


def _examples(label: str, examples: list[dict[str, Any]]) -> Iterator[str]:
    yield f"<details><summary>examples of {label}</summary><table><tr><th>line<th>source<th>target"
    for example in examples:
        repeats = f"<br>line {example['repeats']['line']:,} again" if "repeats" in example else ""
        yield (
            f"<tr><td>{escape(example['source'])}:{example['line']:,}{repeats}"
            f"<td class=text>{visible(example['src'][:500])}<td class=text>{visible(example['tgt'][:500])}"
        )
    yield "</table></details>"
