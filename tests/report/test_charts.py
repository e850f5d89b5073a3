"""Charts put each number where it belongs, in a picture that is well-formed whatever the numbers."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer_mt.report.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MOST_POINTS,
    RIGHT,
    TOP,
    WIDTH,
    Chart,
    Curve,
    label,
    svg_chart,
    thinned,
    ticks,
)

VALUES = st.floats(-1e15, 1e15)
POINTS = st.lists(st.tuples(st.integers(0, 10**14).map(float), VALUES), max_size=20)


def picture(chart: Chart) -> ElementTree.Element:
    """The SVG of a chart, which has to be well-formed once its attributes are quoted."""
    svg = re.search(r"<svg.*</svg>", svg_chart(chart), re.DOTALL)
    assert svg is not None
    return ElementTree.fromstring(re.sub(r"(\s[\w-]+)=([^\s\"'>]+)", r'\1="\2"', svg[0]))


def polyline(svg: ElementTree.Element, color: str) -> list[tuple[float, float]]:
    (line,) = (line for line in svg.iter("polyline") if line.get("class") == color)
    return [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]  # type: ignore[misc]


def test_points_are_where_the_ticks_say() -> None:
    curve = Curve("loss", "blue", [(0, 10), (50, 30), (100, 20)])
    svg = picture(Chart("Loss", "falls", [curve], last=100))
    heights = {}
    for text in svg.iter("text"):
        if text.get("text-anchor") == "end" and text.text != "updates":
            heights[float(text.text or "")] = float(text.attrib["y"]) - 4
    (low, low_y), (high, high_y) = min(heights.items()), max(heights.items())
    for (x, y), (step, value) in zip(polyline(svg, "blue"), curve.points, strict=True):
        assert x == pytest.approx(LEFT + step / 100 * (WIDTH - LEFT - RIGHT), abs=0.06)
        assert y == pytest.approx(low_y + (value - low) / (high - low) * (high_y - low_y), abs=0.06)


def test_it_is_told_to_those_who_do_not_see_it() -> None:
    svg = picture(Chart("A <b> & c", "from 1 to 2 <i>", [Curve("x", "blue", [(1, 1), (2, 2)])], last=2))
    assert svg.get("role") == "img"
    assert [svg.find(name).text for name in ("title", "desc")] == ["A <b> & c", "from 1 to 2 <i>"]  # type: ignore[union-attr]


def test_nothing_to_draw_is_said() -> None:
    html = svg_chart(Chart("BLEU", "", [Curve("x", "blue", [])], last=5))
    assert "Nothing to draw yet" in html and "<svg" not in html


def test_a_band_lies_around_its_curve_and_a_star_has_its_label() -> None:
    band = [(10.0, 18.0, 24.0), (20.0, 28.0, 34.0)]
    curve = Curve("BLEU", "orange", [(10, 20), (20, 30)], dots=True, band=band)
    html = svg_chart(Chart("BLEU", "", [curve], last=20, star=(20, 30, "kept: 30.00")))
    svg = picture(Chart("BLEU", "", [curve], last=20))
    (polygon,) = svg.iter("polygon")
    corners = [tuple(map(float, pair.split(","))) for pair in polygon.attrib["points"].split()]
    for (x, y), low, high in zip(polyline(svg, "orange"), corners[:2], reversed(corners[2:]), strict=True):
        assert x == low[0] == high[0] and high[1] < y < low[1]
    assert "kept: 30.00" in html and len(list(svg.iter("circle"))) == 2


@given(points=POINTS, last=st.integers(0, 10**14), from_zero=st.booleans())
def test_any_numbers_stay_inside_the_picture(points: list[tuple[float, float]], last: int, from_zero: bool) -> None:
    points = sorted(points) or [(1.0, 0.0)]
    svg = picture(Chart("t", "", [Curve("a", "blue", points)], last=last, from_zero=from_zero))
    for x, y in polyline(svg, "blue"):
        assert LEFT - 0.1 <= x <= WIDTH - RIGHT + 0.1 and TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1
    assert 2 <= len(list(svg.iter("line"))) <= 20


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e7))
def test_ticks_are_few_round_and_around_all(low: float, width: float) -> None:
    found = ticks(low, low + width)
    step = found[1] - found[0]
    assert 3 <= len(found) <= 8
    assert found[0] <= low + 1e-6 * step and found[-1] >= low + width - 1e-6 * step
    assert f"{step:.0e}"[0] in "125"


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [
        (0, 1, "0"),
        (1500, 500, "1,500"),
        (0.15, 0.05, "0.15"),
        (5e-4, 5e-4, "5e-4"),
        (2.5e-5, 1e-5, "2.5e-5"),
        (3, 0.5, "3.0"),
    ],
)
def test_labels_have_the_digits_that_tell_ticks_apart(value: float, step: float, expected: str) -> None:
    assert label(value, step) == expected


def test_of_many_points_no_peak_is_lost() -> None:
    points = [(float(step), 1.0) for step in range(100_000)]
    points[54_321] = (54_321.0, 99.0)
    points[11_111] = (11_111.0, -99.0)
    found = thinned(points)
    assert len(found) <= MOST_POINTS and found == sorted(found)
    assert {points[54_321], points[11_111]} <= set(found)
