"""A training as one HTML page: how it went, what the model does well and badly, and what it was made from."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from transformer_mt.evaluation.changes import ScoredLine
from transformer_mt.metrics import Record
from transformer_mt.page import document, visible
from transformer_mt.report import charts, parts
from transformer_mt.report.charts import Chart, Curve, svg_chart
from transformer_mt.report.run import Run, Translated
from transformer_mt.report.samples import MARKED, samples_over_time

MOST_LINES = 6
"""Best lines, and worst lines, that are shown."""
_STYLE = (
    charts.STYLE
    + parts.STYLE
    + """\
pre { white-space: pre-wrap; columns: 18rem; font-size: 85%; }
pre { background: var(--raised); padding: 0.8rem; border-radius: 6px; }
.verdict { border-left: 4px solid var(--blue); padding: 0.3rem 0.9rem; margin: 1rem 0; background: var(--raised); }
.gap { border-left-color: var(--orange); }
table.course td:first-child { width: 5rem; }
@media print { h2, h3 { break-after: avoid; } }
"""
)


def run_page(run: Run, verdict: str | None) -> str:
    """The page for a training; `verdict` is what `diagnose` says of it, if it could be judged."""
    body = [
        *_summary(run, verdict),
        "<h2>Curves</h2><div class=grid>",
        *_curves(run),
        "</div><h2>Sample translations over time</h2>",
        *samples_over_time(run.of_kind("validation")),
        *_translations(run.translated),
        *_data(run),
        *_machine(run),
        *_log(run),
        f"<h2>Configuration</h2><pre>{'<br>'.join(map(visible, run.config_text.splitlines()))}</pre>",
    ]
    return document(f"Training of {run.path.resolve().name}", "\n".join(body), style=_STYLE)


def _summary(run: Run, verdict: str | None) -> Iterator[str]:
    last = run.metrics.records[-1] if run.metrics.records else {}
    data = run.config.data
    state = "complete" if run.is_complete else "not complete: it is still running, or was stopped"
    yield f"<p>{escape(data.src_lang)} to {escape(data.tgt_lang)}; the training is {state}.</p>"
    if verdict is not None:
        yield f"<p class=verdict>{escape(verdict)}</p>"
    for text in (*run.missing, *_gaps(run)):
        yield f"<p class='verdict gap'>{visible(text)}</p>"
    yield parts.facts(
        [
            ("BLEU on validation", _kept_bleu(run)),
            ("updates", f"{last.get('step', 0):,}"),
            ("epochs", f"{last.get('epoch', 0):.1f}"),
            ("time", _duration(last.get("minutes", 0))),
            ("parameters", _count(run.facts, "parameters")),
            ("training pairs", _count(next(iter(run.of_kind("corpus")), {}), "pairs")),
        ]
    )


def _gaps(run: Run) -> Iterator[str]:
    """What metrics.jsonl lacks."""
    if left_out := run.metrics.left_out:
        listed = "; ".join(f"line {number:,}: {problem}" for number, problem in left_out[:3])
        more = f"; and {len(left_out) - 3:,} more" if len(left_out) > 3 else ""
        yield f"{len(left_out):,} lines of metrics.jsonl could not be read ({listed}{more})."
    if run.metrics.records and not run.of_kind("train"):
        yield "No updates were logged yet."
    if run.metrics.records and not run.of_kind("validation"):
        yield "There was no validation yet."
    lost = [record["step"] for record in run.metrics.records if record.get("loss", 0) is None]
    if lost:
        where = f"{len(lost):,} of {len(run.metrics.records):,} records, first at update {lost[0]:,}"
        yield f"The loss was no finite number in {where}; these are not drawn."


def _kept_bleu(run: Run) -> str:
    if (found := _best(run)) is None:
        return "–"
    low, high = _number(found, "bleu_low"), _number(found, "bleu_high")
    interval = "" if low is None or high is None else f" <small>[{low:.2f}, {high:.2f}]</small>"
    return f"{found['bleu']:.2f}{interval}"


def _best(run: Run) -> Record | None:
    """The validation whose weights were kept, if it has a BLEU."""
    kept = [record for record in run.of_kind("validation") if record.get("best") is True]
    return kept[-1] if kept and kept[-1]["bleu"] is not None else None


def _curves(run: Run) -> Iterator[str]:
    train, validations = run.of_kind("train"), run.of_kind("validation")
    last = max((record["step"] for record in run.metrics.records), default=0)
    losses = [
        Curve("training", "blue", _points(train, "loss")),
        Curve("validation", "orange", _points(validations, "loss"), dots=True),
    ]
    yield _chart("Loss of a target token, in nats", losses, last)
    bleu, best = _points(validations, "bleu"), _best(run)
    bounds = [(record["step"], _number(record, "bleu_low"), _number(record, "bleu_high")) for record in validations]
    band = [(step, low, high) for step, low, high in bounds if low is not None and high is not None]
    name = "BLEU on validation" + (", with its 95 % interval" if band else "")
    star = (best["step"], best["bleu"], f"kept: {best['bleu']:.2f}") if best is not None else None
    yield _chart(name, [Curve("BLEU", "orange", bleu, dots=True, band=band)], last, star)
    for title, key in (("Learning rate", "lr"), ("Target tokens a second", "tokens_per_second")):
        yield _chart(title, [Curve(title, "blue", _points(train, key))], last)
    yield _chart("Padding, % of positions", [Curve("padding", "blue", _points(train, "padding", 100))], last)
    yield _chart("Norm of the gradient", [Curve("norm", "blue", _points(train, "grad_norm"))], last)


def _chart(title: str, curves: Sequence[Curve], last: float, star: tuple[float, float, str] | None = None) -> str:
    """A chart that tells in words where each curve begins and ends."""
    told = [
        f"{curve.name}: {curve.points[0][1]:.4g} at update {curve.points[0][0]:,.0f}, "
        f"{curve.points[-1][1]:.4g} at update {curve.points[-1][0]:,.0f}"
        for curve in curves
        if curve.points
    ]
    is_rate = not title.startswith(("Loss", "BLEU"))
    return svg_chart(Chart(title, "; ".join(told), curves, last, from_zero=is_rate, star=star))


def _points(records: Sequence[Record], key: str, factor: float = 1.0) -> list[tuple[float, float]]:
    values = [(float(record["step"]), _number(record, key)) for record in records]
    return [(step, factor * value) for step, value in values if value is not None]


def _translations(found: Translated | None) -> Iterator[str]:
    """What the kept model does well and badly."""
    if found is None:
        return
    num_lines = len(found.lines)
    which = f"all {num_lines:,}" if num_lines == found.num_pairs else f"the first {num_lines:,} of {found.num_pairs:,}"
    low, high = found.bleu.low or 0.0, found.bleu.high or 0.0
    yield (
        f"<h2>Best and worst lines</h2><p>The kept model translated {which} validation pairs with a beam of "
        f"{found.beam_size}: BLEU {found.bleu.score:.2f} [{low:.2f}, {high:.2f}], "
        f"<span class=quiet>{escape(found.bleu.signature)}</span>. "
        f"Lines are ordered by chrF. {MARKED}</p>"
    )
    best = sorted(found.lines, key=lambda line: (-line.chrf, -len(line.source)))[:MOST_LINES]
    worst = [line for line in reversed(found.lines) if line not in best][:MOST_LINES]
    for title, lines in (("Best, the longest first", best), ("Worst", worst)):
        yield f"<h3>{title}</h3>"
        yield from map(_case, lines)
    yield from parts.breakdown(found.breakdown)


def _case(line: ScoredLine) -> str:
    rows = [(f"line {line.number:,}", f"chrF <b>{line.chrf:.1f}</b>"), ("source", parts.shown(line.source))]
    if line.hypothesis == line.reference:
        same = f"{parts.shown(line.reference)} <span class=quiet>(as the reference)</span>"
        return parts.case([*rows, ("translation", same)])
    rows.append(("translation", parts.marked(line.hypothesis, line.reference)))
    return parts.case([*rows, ("reference", parts.shown(line.reference))])


def _data(run: Run) -> Iterator[str]:
    yield "<h2>Data</h2><div class=wide><table><tr><th>source<th>role<th class=number>pairs<th>SHA-256"
    rows = 0
    for key, role in (("data", "training"), ("validation_data", "validation")):
        for name, about in _part(run.facts, key).items():
            digest = about.get("sha256") if isinstance(about, dict) else None
            pairs = _count(about, "pairs") if isinstance(about, dict) else "–"
            shown = f"{digest[:16]}…" if isinstance(digest, str) else "–"
            yield f"<tr><td class=break>{visible(str(name))}<td>{role}<td class=number>{pairs}<td>{visible(shown)}"
            rows += 1
    yield "</table></div>" if rows else "<tr><td colspan=4 class=quiet>The bundle, which says so, is not there."
    if not rows:
        yield "</table></div>"
    yield from _pieces(next(iter(run.of_kind("corpus")), {}))


def _pieces(corpus: Record) -> Iterator[str]:
    """How the text was cut into pieces, and what was left out."""
    if not corpus:
        yield "<p class=quiet>metrics.jsonl says nothing of the training pairs.</p>"
        return
    yield "<div class=wide><table><tr><th>side<th class=number>pieces of a sentence, mean<th class=number>bytes a piece"
    yield "<th class=number>unknown pieces<th>lengths in pieces"
    for side, name in (("src", "source"), ("tgt", "target")):
        mean, size, unknown = (_number(corpus, f"{side}_{key}") for key in ("pieces", "bytes_per_piece", "unknown"))
        yield (
            f"<tr><td>{name}<td class=number>{_decimal(mean)}<td class=number>{_decimal(size)}"
            f"<td class=number>{'–' if unknown is None else f'{unknown:.2%}'}<td>{_lengths(corpus, side)}"
        )
    yield "</table></div>"
    src, tgt = _number(corpus, "src_pieces"), _number(corpus, "tgt_pieces")
    if src is not None and tgt:
        yield f"<p>A source has {src / tgt:.2f} times as many pieces as its target.</p>"
    left_out = _part(corpus, "left_out")
    counts = [(str(name), _number(left_out, name)) for name in left_out]
    told = [f"{count:,.0f} {name.replace('_', ' ')}" for name, count in counts if count]
    if told:
        yield f"<p>Pairs left out: {escape(', '.join(told))}.</p>"
    elif left_out:
        yield "<p>No pair was left out.</p>"


def _lengths(corpus: Record, side: str) -> str:
    """`2 · 8 · 15 · 40` with what they are, or a dash."""
    quantiles, lengths = corpus.get("quantiles"), corpus.get(f"{side}_lengths")
    if not isinstance(quantiles, list) or not isinstance(lengths, list) or len(quantiles) != len(lengths):
        return "–"
    pairs = zip(quantiles, lengths, strict=True)
    names = {0.0: "shortest", 0.5: "median", 1.0: "longest"}
    told = [
        f"{length:,.0f} <span class=quiet>({names.get(quantile) or f'{quantile:.0%}'})</span>"
        for quantile, length in pairs
        if isinstance(quantile, int | float) and isinstance(length, int | float)
    ]
    return " · ".join(told)


def _machine(run: Run) -> Iterator[str]:
    hardware, versions = _part(run.facts, "hardware"), _part(run.facts, "versions")
    yield "<h2>Machine and cost</h2>"
    if not hardware:
        yield "<p class=quiet>The bundle, which says so, is not there.</p>"
    last = run.metrics.records[-1] if run.metrics.records else {}
    minutes, threads = last.get("minutes", 0.0), _number(hardware, "threads") or 1
    processes = _number(hardware, "processes") or 1
    rows = [(name, visible(str(value))) for name, value in {**hardware, **versions}.items()]
    rows.append(("precision", visible(str(run.facts.get("precision", "–")))))
    rows.append(("time", _duration(minutes)))
    if hardware.get("device") == "cpu":
        rows.append(
            (
                "processor time",
                f"{minutes / 60 * threads * processes:,.2f} core hours at most (time × threads × processes)",
            )
        )
    elif hardware:
        rows.append(("card time", f"{minutes / 60 * processes:,.2f} card hours (time × processes)"))
    if (tokens := _number(run.facts, "target_tokens")) is not None:
        rows.append(("target tokens", f"{tokens:,.0f}, up to the weights that were kept"))
    rows.append(("energy", "not measured"))
    yield "<div class=wide><table>"
    for name, value in rows:
        yield f"<tr><th scope=row>{visible(str(name))}<td>{value}"
    yield "</table></div>"


def _log(run: Run) -> Iterator[str]:
    if run.warnings:
        yield "<h2>Warnings of the log</h2><ul>"
        for line in run.warnings:
            yield f"<li>{parts.shown(line)}"
        yield "</ul>"
    if run.last_words and not run.is_complete:
        yield f"<p>The last line of the log: {parts.shown(run.last_words)}</p>"


def _part(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = facts.get(name)
    return part if isinstance(part, dict) else {}


def _number(facts: Mapping[str, Any], name: str) -> float | None:
    value = facts.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if abs(value) < 1e15 else None  # NaN is not smaller


def _count(facts: Mapping[str, Any], name: str) -> str:
    value = _number(facts, name)
    return "–" if value is None else f"{value:,.0f}"


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _duration(minutes: float) -> str:
    """45 s, 12 min, 3 h 05 min."""
    if minutes < 2:
        return f"{60 * minutes:.0f} s"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours:,} h {rest:02} min" if hours else f"{rest} min"
