"""A beam search as a picture: what each step looked at, what it kept, and what became of the rest."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from transformer_mt.decoding.beam_record import Considered
from transformer_mt.report.heat import label

_STEPS_IN_A_ROW = 7
_WIDTH, _HEIGHT, _GAP = 104, 34, 36
"""Of a hypothesis, and the gap between steps, in CSS pixels."""
_LEFT, _TOP = 40, 22

Steps = Sequence[Sequence[Considered]]


def search_tree(steps: Steps, pieces: Mapping[int, str], best: Sequence[int]) -> Iterator[str]:
    """Pictures of a few steps each, as SVG; `best` are the tokens of the translation, eos last."""
    for start in range(0, len(steps), _STEPS_IN_A_ROW):
        yield _panel(steps, start, pieces, tuple(best))


def _panel(steps: Steps, start: int, pieces: Mapping[int, str], best: tuple[int, ...]) -> str:
    shown = steps[start : start + _STEPS_IN_A_ROW]
    width = _LEFT + _STEPS_IN_A_ROW * (_WIDTH + _GAP) - _GAP + 4
    height = _TOP + (_HEIGHT + 6) * max(len(step) for step in shown)
    title = f"steps {start + 1} to {start + len(shown)} of the search"
    lines, boxes = [], []
    for number, step in enumerate(shown, start):
        x = _LEFT + (number - start) * (_WIDTH + _GAP)
        boxes.append(f'<text x="{x}" y="14" class="quiet">step {number + 1}</text>')
        parents = {one.tokens: place for place, one in enumerate(steps[number - 1])} if number else {}
        for place, one in enumerate(step):
            is_best = best[: len(one.tokens)] == one.tokens
            kind = f"{one.fate} best" if is_best else one.fate
            if number:
                lines.append(_line(x, _middle(parents[one.tokens[:-1]]), _middle(place), kind))
            boxes.append(_box(x, _middle(place), one, pieces[one.tokens[-1]], kind))
    head = f'<svg viewBox="0 0 {width} {height}" width="{width}" style="min-width:{round(0.8 * width)}px" role="img">'
    return f'{head}<title>{title}</title><g class="lines">{"".join(lines)}</g>{"".join(boxes)}</svg>'


def _middle(place: int) -> float:
    return _TOP + (_HEIGHT + 6) * place + _HEIGHT / 2


def _line(x: int, begin: float, end: float, kind: str) -> str:
    before = x - _GAP
    return f'<path class="{kind}" d="M{before} {begin}C{before + 18} {begin} {x - 18} {end} {x} {end}"/>'


def _box(x: int, middle: float, one: Considered, piece: str, kind: str) -> str:
    """A hypothesis by its last piece, with the sum of its log-probabilities."""
    number = f"{one.log_prob:.2f}".replace("-", "\N{MINUS SIGN}")
    told = {"kept": "kept", "ended": "ended here", "dropped": "dropped"}[one.fate]
    return (
        f'<g class="box {kind}"><title>{escape(piece)}: log P {number}, {told}</title>'
        f'<rect x="{x}" y="{middle - _HEIGHT / 2}" width="{_WIDTH}" height="{_HEIGHT}" rx="4"/>'
        f'<text x="{x + 6}" y="{middle - 3}">{label(piece)}</text>'
        f'<text x="{x + 6}" y="{middle + 12}" class="small">{number} {told}</text></g>'
    )
