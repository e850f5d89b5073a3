"""What the doctor found, as plain JSON and as lines for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from transformer_mt.data.doctor.diagnosis import ROLES, Diagnosis, Finding
from transformer_mt.data.doctor.kinds import ABOUT, STYLE, Kind, sides_of
from transformer_mt.data.doctor.sources import Role
from transformer_mt.data.doctor.surface import place_of

NUM_EXAMPLES = 5
_NUM_SHOWN = 3
"""Examples, and stretches, of a kind that are shown on the screen."""
_LEAST_PARALLEL = 0.75
"""Of the pairs of sound corpora more look like translations, judged one by one."""
_WIDTH = 60
_SPACES = {"": "no space", " ": "a plain space", "\N{NO-BREAK SPACE}": "U+00A0", "\N{NARROW NO-BREAK SPACE}": "U+202F"}


def as_report(diagnosis: Diagnosis) -> dict[str, Any]:
    """The whole report as plain JSON, with some examples of each kind."""
    sources = [
        {
            "role": source.role,
            "name": source.name,
            "pairs": source.num_pairs,
            "unequal_lines": None
            if source.unequal is None
            else {"lines": list(source.unequal.counts), "first_suspicious_line": source.unequal.line},
            "unreadable_lines": [{"line": bad.line, "problem": bad.problem} for bad in source.bad],
            "lines_with_characters_replaced": source.num_replaced,
        }
        for source in diagnosis.sources
    ]
    parallel = diagnosis.knowledge.parallel
    return {
        "sources": sources,
        "roles": {
            role: _role_report(diagnosis, role) for role in reversed(ROLES) if diagnosis.examinations[role].sources
        },
        "spaces_before_marks": {
            side: dict(sorted(custom.counts.items()))
            for side, custom in zip(("src", "tgt"), diagnosis.knowledge.spacing, strict=True)
        },
        "share_that_looks_parallel": None if parallel is None else round(parallel.share, 4),
        "too_few_to_learn_from": parallel is None,
    }


def _role_report(diagnosis: Diagnosis, role: Role) -> dict[str, Any]:
    examples: dict[Kind, list[dict[str, Any]]] = {}
    counts = diagnosis.counts(role)
    if counts:
        for finding in diagnosis.findings(role):
            for kind in finding.kinds:
                if len(shown := examples.setdefault(kind, [])) < NUM_EXAMPLES:
                    usual = (custom.usual for custom in diagnosis.knowledge.spacing)
                    places = [place_of(line, kind, u) for line, u in zip(finding.pair[1:], usual, strict=True)]
                    shown.append(as_json(finding) | {"places": places})
            if all(len(examples.get(kind, ())) >= min(count, NUM_EXAMPLES) for kind, count in counts.items()):
                break
    stretches = []
    for stretch in diagnosis.examinations[role].stretches:
        first, last = diagnosis.place(role, stretch.first), diagnosis.place(role, stretch.last)
        stretches.append({"source": first.source.name, "first_line": first.line, "last_line": last.line})
    return {
        "pairs": len(diagnosis.examinations[role].flags),
        "defective_pairs": diagnosis.num_defective(role),
        "kinds": {
            kind.label: {
                "title": ABOUT[kind].title,
                "pairs": counts[kind],
                "clean": ABOUT[kind].action,
                "advice": ABOUT[kind].advice,
                "examples": examples.get(kind, []),
            }
            for kind in Kind
            if counts[kind]
        },
        "misaligned_stretches": stretches,
    }


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding as plain JSON."""
    entry: dict[str, Any] = {
        "source": finding.place.source.name,
        "line": finding.place.line,
        "kinds": {kind.label: sides_of(finding.flags, kind) for kind in finding.kinds},
        "src": finding.pair.src,
        "tgt": finding.pair.tgt,
    }
    if finding.repeats is not None:
        entry["repeats"] = {"source": finding.repeats.source.name, "line": finding.repeats.line}
    return entry


def has_defects(report: Mapping[str, Any]) -> bool:
    """Whether there is anything amiss, matters of style aside."""
    sources = any(source["unequal_lines"] or source["unreadable_lines"] for source in report["sources"])
    return sources or any(found["defective_pairs"] for found in report["roles"].values())


def as_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report as lines for the screen."""
    for source in report["sources"]:
        yield f"{source['role']}: {source['name']}: {source['pairs']:,} pairs"
        if unequal := source["unequal_lines"]:
            counts, line = unequal["lines"], unequal["first_suspicious_line"]
            where = "" if line is None else f"; they seem to part at about line {line:,}"
            yield f"  its files have {counts[0]:,} and {counts[1]:,} lines{where}"
        for bad in source["unreadable_lines"][:_NUM_SHOWN]:
            yield f"  line {bad['line']:,} cannot be read: {bad['problem']}"
        if (more := len(source["unreadable_lines"]) - _NUM_SHOWN) > 0:
            yield f"  and {more:,} more lines cannot be read"
    for role, found in report["roles"].items():
        yield from _role_lines(role, found)
    for side, spaces in report["spaces_before_marks"].items():
        if spaces:
            total = sum(spaces.values())
            shares = sorted(spaces.items(), key=lambda item: -item[1])
            told = ", ".join(f"{_SPACES.get(space, ascii(space))} {count / total:.1%}" for space, count in shares)
            yield f"before ? ! ; : in {side}: {told}"
    if (share := report["share_that_looks_parallel"]) is not None and share < _LEAST_PARALLEL:
        yield f"only {share:.0%} of the pairs look like translations of each other: are the sources aligned?"
    if report["too_few_to_learn_from"]:
        yield "too few pairs to learn languages and words from: these were not looked at"


def _role_lines(role: str, found: Mapping[str, Any]) -> Iterator[str]:
    total = max(found["pairs"], 1)
    share = found["defective_pairs"] / total
    yield f"{role}: {found['defective_pairs']:,} of {found['pairs']:,} pairs ({share:.2%}) have defects"
    for label, kind in found["kinds"].items():
        style = " (a matter of style)" if Kind[label.upper()] in STYLE else ""
        yield f"  {label:15} {kind['pairs']:9,} {kind['pairs'] / total:8.3%}  {kind['title']}{style}"
        if label == Kind.MISALIGNED.label:
            stretches = found["misaligned_stretches"]
            for stretch in stretches[:_NUM_SHOWN]:
                yield f"      {stretch['source']}: lines {stretch['first_line']:,} to {stretch['last_line']:,}"
            if (more := len(stretches) - _NUM_SHOWN) > 0:
                yield f"      and {more:,} more stretches"
            continue
        for example in kind["examples"][:_NUM_SHOWN]:
            repeats = f" (line {example['repeats']['line']:,} again)" if "repeats" in example else ""
            sides = (_shown(example[side], at) for side, at in zip(("src", "tgt"), example["places"], strict=True))
            yield f"      line {example['line']:,}{repeats}: {' | '.join(sides)}"


def _shown(text: str, place: int) -> str:
    """Some of a line around a place, with what cannot be seen written out."""
    start = max(0, min(place - _WIDTH // 2, len(text) - _WIDTH))
    cut = f"{'…' if start else ''}{text[start : start + _WIDTH]}{'…' if start + _WIDTH < len(text) else ''}"
    return "".join(c if c == " " or c.isprintable() else f"\\u{ord(c):04x}" for c in cut)
