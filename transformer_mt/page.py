"""What all our HTML pages share: one file, nothing from outside, light and dark, readable on paper."""

from html import escape

from transformer_mt.style import BLUE, GREEN, GRID, INK, ORANGE

STYLE = f"""\
:root {{
  color-scheme: light dark;
  --ink: {INK}; --quiet: #666666; --paper: #ffffff; --raised: #f6f6f6; --grid: {GRID};
  --blue: {BLUE}; --orange: {ORANGE}; --green: {GREEN};
}}
@media (prefers-color-scheme: dark) {{
  :root {{
    --ink: #e6e6e6; --quiet: #a6a6a6; --paper: #16181b; --raised: #202327; --grid: #3a3d42;
    --blue: #56b4e9; --orange: #f0894f; --green: #2fc495;
  }}
}}
* {{ box-sizing: border-box; }}
body {{
  font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere;
}}
h1, h2, h3 {{ line-height: 1.2; }}
a {{ color: var(--blue); }}
table {{ border-collapse: collapse; width: 100%; margin: 0.5rem 0 1.5rem; }}
th, td {{
  border-bottom: 1px solid var(--grid); padding: 0.3rem 0.6rem; text-align: left; vertical-align: top;
  overflow-wrap: break-word;
}}
td.number, th.number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
td.text {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
.quiet {{ color: var(--quiet); }}
.wide {{ overflow-x: auto; }}
.bar {{ background: var(--blue); height: 0.6rem; min-width: 1px; }}
.hidden {{ background: var(--grid); border-radius: 3px; font-size: 85%; }}
svg {{ max-width: 100%; height: auto; }}
summary {{ cursor: pointer; }}
:focus-visible {{ outline: 2px solid var(--blue); outline-offset: 2px; }}
@media print {{
  :root {{
    --ink: #000000; --quiet: #444444; --paper: #ffffff; --raised: #ffffff; --grid: #bbbbbb;
    --blue: {BLUE}; --orange: {ORANGE}; --green: {GREEN};
  }}
  body {{ max-width: none; margin: 0; font-size: 10pt; }}
  table, figure, svg {{ break-inside: avoid; }}
}}
"""
"""Colours are those of `style`, lighter where the page is dark; pictures and tables use them by name."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def document(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """A whole HTML file with a title, which is escaped, and a body, which is HTML already.

    Its content security policy lets the browser load nothing at all, so that what a page shows stays with its reader.
    """
    code = f"<script>\n{script}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}{style}</style>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{body}\n{code}</html>\n"
    )


def visible(text: str) -> str:
    """Text as HTML, with characters that cannot be seen written out."""
    return "".join(
        escape(character)
        if character == " " or character.isprintable()
        else f"<span class=hidden>U+{ord(character):04X}</span>"
        for character in text
    )
