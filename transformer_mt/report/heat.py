"""Numbers as shades: small pictures inside a page. Axes: R rows, C columns."""

import base64
import struct
import zlib
from collections.abc import Sequence
from html import escape

import numpy as np
from torch import Tensor

from transformer_mt.data.tokenizer import META_BLANK

HIGH, LOW = (26, 137, 207), (222, 105, 32)
"""Of numbers above and below 0: shades of blue and orange that show on white and on black."""
CELL = 18
"""Side of a number with a name, in CSS pixels."""
_LETTER = 7.2
_LONGEST_LABEL = 14


def png(values: Tensor, scale: float = 1.0) -> str:
    """A data URI of values (R, C), a pixel for each: opaque at `scale` and beyond, transparent at 0.

    The alpha of a pixel is its value in 255ths of the scale, which a script can read back.
    """
    numbers = (values.double() / max(scale, 1e-12)).clamp(-1.0, 1.0).mul(255).round().short().numpy()
    shades, places = np.unique(numbers, return_inverse=True)
    if len(shades) > 256:  # a palette has no more: finer shades of the negative than of the positive are lost
        shades, places = np.unique(numbers // 2 * 2, return_inverse=True)
    colours = b"".join(bytes(HIGH if shade > 0 else LOW) for shade in shades.tolist())
    alphas = bytes(min(255, abs(shade)) for shade in shades.tolist())
    rows = places.reshape(numbers.shape).astype(np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", colours),
        (b"tRNS", alphas),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    file = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)
    return "data:image/png;base64," + base64.b64encode(file).decode()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def label(piece: str) -> str:
    """A piece as it is written in pictures, as HTML: short, and with nothing that cannot be seen."""
    shown = "".join(one if one.isprintable() else f"U+{ord(one):04X}" for one in piece)
    return escape(shown if len(shown) <= _LONGEST_LABEL else shown[: _LONGEST_LABEL - 1] + "…")


def heat_map(values: Tensor, rows: Sequence[str], columns: Sequence[str], title: str, scale: float = 1.0) -> str:
    """Values (R, C) with names of rows and columns, as SVG."""
    left, top = _room(rows), _room(columns)
    width, height = left + CELL * len(columns) + 8, top + CELL * len(rows) + 4
    parts = [_svg(width, height, title), _image(png(values, scale), left, top, CELL * len(columns), CELL * len(rows))]
    for place, name in enumerate(rows):
        parts.append(f'<text x="{left - 5}" y="{top + CELL * place + 13}" class="row">{label(name)}</text>')
    for place, name in enumerate(columns):
        x = left + CELL * place + 13
        parts.append(f'<text transform="translate({x} {top - 5}) rotate(-90)">{label(name)}</text>')
    return "".join(parts) + "</svg>"


def strips(values: Tensor, rows: Sequence[str], title: str, scale: float) -> str:
    """Values (R, C) whose columns have no names, as SVG: a vector in each row."""
    left, height = _room(rows), 16 * len(rows)
    parts = [_svg(left + 640, height + 4, title), _image(png(values, scale), left, 0, 636, height)]
    for place, name in enumerate(rows):
        parts.append(f'<text x="{left - 5}" y="{16 * place + 12}" class="row">{label(name)}</text>')
    return "".join(parts) + "</svg>"


def _room(names: Sequence[str]) -> int:
    """Beside a picture, for these names; the sign for a blank is as wide as two letters."""
    return round(12 + _LETTER * max(min(_LONGEST_LABEL, len(name)) + (META_BLANK in name) for name in names))


def _svg(width: float, height: float, title: str) -> str:
    """The beginning of a picture, no smaller than what can be read."""
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" style="min-width:{round(0.8 * width)}px" role="img">'
        f"<title>{escape(title)}</title>"
    )


def _image(uri: str, x: int, y: int, width: int, height: int) -> str:
    place = f'x="{x}" y="{y}" width="{width}" height="{height}"'
    return f'<rect {place} class="frame"/><image {place} preserveAspectRatio="none" href="{uri}"/>'
