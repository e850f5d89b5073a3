"""What `translate --protect` keeps, and what it costs: 200 planted numbers, URLs, placeholders and tags; clean text.

Into lines that have none, one of several kinds is planted before a word drawn at random, a pair of tags around it. BLEU
is that of what is around them, which are taken out of the translations again, against the references of these lines;
`alone` are the lines before anything was planted. Clean text are all lines of the input that have none.
"""

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rows import show

from transformer_mt.decoding.placeables import is_changed, lost, placeables
from transformer_mt.decoding.repetition import repeats_itself
from transformer_mt.decoding.translation import Translation, Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.evaluation.scores import corpus_bleu

KINDS = {
    "placeholder": ["{0}", "{name}", "%s", "%d", "%(name)s", "$VAR", "${HOME}"],
    "URL or address": ["https://example.org/a?b=1&c=2", "www.example.com/x.html", "jo.doe+list@mail.example.org"],
    "tag": ["<b>", "<br/>", '<a href="x.html">', "<i>"],
    "number": ["42", "1,000.5", "2026", "3.14", "10:30"],
}
_END_TAGS = {"<b>": "</b>", "<i>": "</i>", '<a href="x.html">': "</a>"}


def add_parser(measurements: Any) -> None:
    """Add the measurement to the parser."""
    parser = measurements.add_parser(
        "protect", help="what is kept", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, required=True, help="bundle, or run directory that holds one")
    parser.add_argument("--src", type=Path, required=True, help="text to plant into and to translate")
    parser.add_argument("--ref", type=Path, required=True, help="its translation")
    parser.add_argument("--planted", type=int, default=200, metavar="N", help="lines (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print a line of JSON and nothing else")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    src, ref = (path.read_text(encoding="utf-8").split("\n")[:-1] for path in (args.src, args.ref))
    pairs = [pair for pair in zip(src, ref, strict=True) if not placeables(pair[0]) and pair[0].strip()]
    row = measure(Translator.load(args.bundle, threads=args.threads), pairs, args.planted)
    show(row, "\n".join(f"{name:24s} {value}" for name, value in row.items()), args.json)


def measure(translator: Translator, pairs: Sequence[tuple[str, str]], num_planted: int) -> dict[str, Any]:
    """All figures, as one row; `pairs` have no placeables."""
    draw = random.Random(1)
    chosen = draw.sample(pairs, min(num_planted, len(pairs)))
    kinds = [list(KINDS)[number % len(KINDS)] for number in range(len(chosen))]
    lines = [planted(src, draw.choice(KINDS[kind]), draw) for (src, _), kind in zip(chosen, kinds, strict=True)]
    row: dict[str, Any] = {"task": "protect", "planted": len(lines)}
    alone = translator.translate([src for src, _ in chosen])
    row["bleu_alone"] = bleu(alone, chosen)
    for name, wishes in (("plain", Wishes()), ("protect", Wishes(protect=True))):
        answers, seconds = timed(translator, lines, wishes)
        is_kept = [not lost(placeables(line), one.text) for line, one in zip(lines, answers, strict=True)]
        row[f"kept_{name}"] = sum(is_kept)
        row[f"kept_{name}_by_kind"] = {
            kind: f"{sum(k for k, of in zip(is_kept, kinds, strict=True) if of == kind)} of {kinds.count(kind)}"
            for kind in KINDS
        }
        row[f"lost_unflagged_{name}"] = sum(
            not kept and "changed" not in one.flags for kept, one in zip(is_kept, answers, strict=True)
        )
        row[f"bleu_around_{name}"] = bleu([without(one.text) for one in answers], chosen)
        row[f"seconds_{name}"] = round(seconds, 2)
    clean = [src for src, _ in pairs]
    plain, protected = (timed(translator, clean, Wishes(protect=protect))[0] for protect in (False, True))
    row["clean"], row["clean_equal"] = len(clean), sum(map(Translation.__eq__, plain, protected))
    row["clean_flagged"] = sum(bool(one.flags) for one in plain)
    row["guards_us"] = microseconds_of_guards(translator, clean, [one.text for one in plain])
    row["bleu_clean_plain"], row["bleu_clean_protect"] = (
        bleu([one.text for one in some], pairs) for some in (plain, protected)
    )
    return row


def microseconds_of_guards(translator: Translator, lines: Sequence[str], texts: Sequence[str]) -> float:
    """Processor time for a line that it takes to see that nothing has changed and nothing repeats itself."""
    rows = list(zip(translator.tokenizers.src.encode(lines), translator.tokenizers.tgt.encode(texts), strict=True))
    started = time.process_time()
    for line, text, (src, tgt) in zip(lines, texts, rows, strict=True):
        is_changed(line, text)
        repeats_itself(tgt, src)
    return round((time.process_time() - started) / len(lines) * 1e6, 1)


def planted(line: str, placeable: str, draw: random.Random) -> str:
    """The line with the placeable before a word."""
    words = line.split()
    place = draw.randrange(len(words))
    end = _END_TAGS.get(placeable)
    words[place] = f"{placeable}{words[place]}{end}" if end else f"{placeable} {words[place]}"
    return " ".join(words)


def without(text: str) -> str:
    """The text without its placeables."""
    for one in reversed(placeables(text)):
        text = text[: one.start] + ("" if one.text[0] == "<" else " ") + text[one.end :]
    return " ".join(text.split())


def timed(translator: Translator, lines: Sequence[str], wishes: Wishes) -> tuple[list[Translation], float]:
    """The translations, and how many seconds they took."""
    started = time.perf_counter()
    answers = list(translator.stream(lines, wishes))
    return answers, time.perf_counter() - started


def bleu(texts: Sequence[str], pairs: Sequence[tuple[str, str]]) -> float:
    """Against the targets of `pairs`."""
    return round(corpus_bleu(list(texts), [[tgt] for _, tgt in pairs]).score, 2)
