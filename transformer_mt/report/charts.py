"""Curves as inline SVG, in the colours of the page that they are on."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from transformer_mt.page import visible

Point = tuple[float, float]

WIDTH, HEIGHT = 480, 270
LEFT, RIGHT, TOP, BOTTOM = 58, 24, 12, 40
"""Room around the curves: for the labels of the axes, and half of a label at the end."""
MOST_POINTS = 300
"""Of a curve; of more, the highest and the lowest of neighbours are drawn."""
MOST_STEPS = 5
"""Between the ticks of an axis, or one more."""

STYLE = """\
figure { margin: 0 0 1.5rem; }
figcaption { font-weight: 600; }
svg.chart { display: block; width: 100%; }
svg.chart text { font: 13px system-ui, sans-serif; fill: var(--quiet); }
svg.chart .rule { stroke: var(--grid); stroke-width: 1; }
svg.chart polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg.chart .blue { stroke: var(--blue); } svg.chart .orange { stroke: var(--orange); }
svg.chart polygon.orange { fill: var(--orange); fill-opacity: 0.2; stroke: none; }
svg.chart circle.blue { fill: var(--blue); } svg.chart circle.orange { fill: var(--orange); }
svg.chart path.green { fill: var(--green); stroke: var(--paper); } svg.chart text.green { fill: var(--ink); }
.legend { font-weight: 400; color: var(--quiet); margin-left: 0.8rem; white-space: nowrap; }
.legend i { display: inline-block; width: 1.2rem; height: 0; border-top: 3px solid; vertical-align: middle; }
.legend .blue { color: var(--blue); } .legend .orange { color: var(--orange); }
"""


@dataclass(frozen=True, slots=True)
class Curve:
    """Values over the updates, in one of the colours blue and orange."""

    name: str
    color: str
    points: Sequence[Point]
    dots: bool = False
    """Mark each point."""
    band: Sequence[tuple[float, float, float]] = ()
    """The interval around points: x, low, high."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of curves over the updates."""

    title: str
    description: str
    """What it shows in words, for those who do not see it."""
    curves: Sequence[Curve]
    last: float
    """The last update, where the horizontal axis ends."""
    from_zero: bool = False
    """Let the vertical axis begin at zero."""
    star: tuple[float, float, str] | None = None
    """A point to mark, with its label."""


def svg_chart(chart: Chart) -> str:
    """The chart as an HTML figure; it says so where there is nothing to draw."""
    drawn = [curve for curve in chart.curves if curve.points]
    legend = "".join(
        f"<span class=legend><i class={curve.color}></i> {escape(curve.name)}</span>"
        for curve in drawn
        if len(chart.curves) > 1
    )
    head = f"<figure><figcaption>{escape(chart.title)}{legend}</figcaption>"
    if not drawn:
        return f"{head}<p class=quiet>Nothing to draw yet.</p></figure>"
    scale = _Scale.of(chart, drawn)
    parts = [*_axes(scale), *(part for curve in drawn for part in _curve(curve, scale))]
    if chart.star is not None:
        parts.append(_star(chart.star, scale))
    return (
        f'{head}<svg class=chart viewBox="0 0 {WIDTH} {HEIGHT}" role=img>'
        f"<title>{escape(chart.title)}</title><desc>{visible(chart.description)}</desc>{''.join(parts)}</svg></figure>"
    )


def ticks(low: float, high: float) -> list[float]:
    """Few round numbers from `low`, or just below it, to `high` or just above; low < high."""
    raw = (high - low) / MOST_STEPS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def label(value: float, step: float) -> str:
    """A number on an axis whose ticks are `step` apart."""
    if value == 0:
        return "0"
    if step < 1e-3:
        return f"{value:.1e}".replace("e-0", "e-").replace(".0e", "e")
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:,.{decimals}f}"


def thinned(points: Sequence[Point]) -> list[Point]:
    """The points, or of many the lowest and the highest of each run of neighbours: no peak is lost."""
    if len(points) <= MOST_POINTS:
        return list(points)
    size = math.ceil(2 * len(points) / MOST_POINTS)
    kept: list[Point] = []
    for start in range(0, len(points), size):
        run = points[start : start + size]
        chosen = {min(run, key=lambda point: point[1]), max(run, key=lambda point: point[1])}
        kept.extend(sorted(chosen))
    return kept


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where numbers are in the picture."""

    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    last: float

    @classmethod
    def of(cls, chart: Chart, curves: Sequence[Curve]) -> "_Scale":
        values = [y for curve in curves for _, y in curve.points]
        values += [bound for curve in curves for _, low, high in curve.band for bound in (low, high)]
        low, high = min(0.0, *values) if chart.from_zero else min(values), max(values)
        room = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
        room = max(room, 1e-6 * max(abs(low), abs(high)), 1e-12)  # or the digits of a float do not tell ticks apart
        last = max(chart.last, *(x for curve in curves for x, _ in curve.points), 1.0)
        floor = 0.0 if low >= 0 else low - room  # what is never negative has no axis below zero
        return cls(ticks(0, last), ticks(low if chart.from_zero else max(floor, low - room), high + room), last)

    def x(self, value: float) -> float:
        return LEFT + value / self.last * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def path(self, points: Sequence[Point]) -> str:
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)


def _axes(scale: _Scale) -> Iterator[str]:
    bottom, end = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in scale.y_ticks:
        y, text = scale.y(value), label(value, scale.y_ticks[1] - scale.y_ticks[0])
        yield f'<line class=rule x1="{LEFT}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}" />'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor=end>{text}</text>'
    for value in scale.x_ticks:
        if value <= scale.last:
            x, text = scale.x(value), label(value, scale.x_ticks[1] - scale.x_ticks[0])
            yield f'<line class=rule x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}" />'
            yield f'<text x="{x:.1f}" y="{bottom + 19}" text-anchor=middle>{text}</text>'
    yield f'<text x="{end}" y="{HEIGHT - 4}" text-anchor=end>updates</text>'


def _curve(curve: Curve, scale: _Scale) -> Iterator[str]:
    if curve.band:
        outline = [(x, low) for x, low, _ in curve.band] + [(x, high) for x, _, high in reversed(curve.band)]
        yield f'<polygon class={curve.color} points="{scale.path(outline)}" />'
        for x, low, high in curve.band if len(curve.band) <= MOST_POINTS / 10 else ():
            place = f'x1="{scale.x(x):.1f}" x2="{scale.x(x):.1f}"'
            yield f'<line class={curve.color} {place} y1="{scale.y(low):.1f}" y2="{scale.y(high):.1f}" />'
    points = thinned(curve.points)
    yield f'<polyline class={curve.color} points="{scale.path(points)}" />'
    if len(points) == 1 or (curve.dots and len(points) <= MOST_POINTS / 3):
        for x, y in points:
            yield f'<circle class={curve.color} cx="{scale.x(x):.1f}" cy="{scale.y(y):.1f}" r=3.5 />'


def _star(star: tuple[float, float, str], scale: _Scale) -> str:
    x, y = scale.x(star[0]), scale.y(star[1])
    corners = []
    for number in range(10):
        radius, angle = (8 if number % 2 == 0 else 3.4), math.pi * number / 5
        corners.append(f"{x + radius * math.sin(angle):.1f},{y - radius * math.cos(angle):.1f}")
    is_right = x > WIDTH / 2
    text_y = y - 13 if y > TOP + 24 else y + 24
    return (
        f'<path class=green d="M{" L".join(corners)}Z" />'
        f'<text class=green x="{x + (6 if is_right else -6):.1f}" y="{text_y:.1f}" '
        f"text-anchor={'end' if is_right else 'start'}>{escape(star[2])}</text>"
    )
