"""What `evaluate` prints, from the object that it writes as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def as_text(result: Mapping[str, Any]) -> str:
    """Scores, and tables of what was compared."""
    lines = list(_scores(result))
    if "against" in result:
        lines += ["", *_against(result["against"])]
    if "robustness" in result:
        lines += _robustness(result["robustness"]["kinds"])
    if "calibration" in result:
        lines += _calibration(result["calibration"])
    return "\n".join(lines)


def _scores(result: Mapping[str, Any]) -> Iterator[str]:
    for name in ("bleu", "chrf", "ter", "lc_tok_bleu", "multi_reference_bleu"):
        if name in result:
            score = result[name]
            interval = f"  [{score['low']:.2f}, {score['high']:.2f}]" if score.get("low") is not None else ""
            yield f"{name:21}{score['score']:6.2f}{interval}  {score['signature']}"
    yield f"{result['lines']} lines, {result['flagged']} flagged, beam size {result['beam_size']}"


def _against(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"against {found['name']}"
    for name in ("bleu", "chrf"):
        test = found[name]
        verdict = "significant" if test["significant"] else "may be chance" if test["difference"] else "equal"
        yield (
            f"{name:6}{test['score']:6.2f} instead of {test['other']:6.2f}: {test['difference']:+.2f}, {verdict} "
            f"(p = {test['p_bootstrap']:.4f} by paired bootstrap, {test['p_randomisation']:.4f} by approximate "
            "randomisation)"
        )
    for name in ("bleu", "chrf"):
        yield f"{name:6}{found[name]['bootstrap_signature']}"
        yield f"{'':6}{found[name]['randomisation_signature']}"
    changed = found["changed"]
    if not changed["lines"]:
        yield "no line differs: the p of equal texts says nothing"
        return
    yield (
        f"{changed['lines']:,} lines differ: {changed['better']:,} better by chrF, {changed['worse']:,} worse, "
        f"{changed['equally_good']:,} as good"
    )
    yield from _groups("by words of the source", found["by_length"])
    yield from _groups(
        f"by the rarest word of the reference, counted in {found['counted_in']}", found["by_rarest_word"]
    )
    title = "words of the references that were found, by frequency"
    rows = [
        (group["name"], f"{group['words']:,}", *(f"{group[key]:.1%}" for key in ("found", "other_found")))
        for group in found["by_frequency"]
    ]
    yield from _table((title, "words", "found", "other"), rows)


def _groups(title: str, groups: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    keys = ("bleu", "other_bleu", "chrf", "other_chrf")
    rows = [(group["name"], f"{group['lines']:,}", *(f"{group[key]:.2f}" for key in keys)) for group in groups]
    yield from _table((title, "lines", "BLEU", "other", "chrF", "other"), rows)


def _robustness(kinds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    keys = ("clean_bleu", "bleu", "clean_chrf", "chrf")
    rows = []
    for kind in kinds:
        figures = [f"{kind[key]:.2f}" for key in keys] if kind["lines"] else ["-"] * len(keys)
        share = f"{kind['changed']:.1%}" if kind["lines"] else "-"
        rows.append((f"{kind['kind']}: {kind['meaning']}", f"{kind['lines']:,}", *figures, share))
    yield from _table(("sources with", "lines", "clean BLEU", "BLEU", "clean chrF", "chrF", "changed"), rows)
    yield "figures are of the lines that a kind touches; changed: the share of them that is translated otherwise"


def _calibration(found: Mapping[str, Any]) -> Iterator[str]:
    """The errors of confidence, and a row for each bin of words and of lines."""
    for name in ("words", "lines"):
        own, one = found[f"own_{name}"], found[name]
        yield ""
        yield (
            f"confidence of {name}: expected calibration error {one['error']:.4f}, Brier score {one['brier']:.4f} "
            f"(the model's own probabilities: {own['error']:.4f}, {own['brier']:.4f})"
        )
        rows = [
            (
                f"{row['low']:.2f} to {row['high']:.2f}",
                f"{row['size']:,}",
                f"{row['confidence']:.3f}",
                f"{row['right']:.3f}",
            )
            for row in one["bins"]
        ]
        yield from _table((f"{name} of confidence", "number", "confidence", "right"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as they have to be, numbers to the right."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    yield ""
    for row in (head, *rows):
        name, *figures = (
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join((name, *figures))
