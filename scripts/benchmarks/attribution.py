"""Where attribution points: names are planted in sentences, and the model copies them into its translations.

Words that pairs of the text have on both sides, with a capital letter and not at the beginning, are taken for names. In
each sentence with one of them another takes its place. Where the translation holds the planted name, each of its
pieces is attributed to the source: does a piece of the planted name come first? `by_attention` asks the same of the
mean of the decoder's attention.
"""

import argparse
import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rows import show

from transformer_mt.data.tokenizer import Tokenizer, escape
from transformer_mt.decoding.attribution import occlusion
from transformer_mt.decoding.inspection import inspect_translation
from transformer_mt.decoding.translator import Translator
from transformer_mt.decoding.word_alignment import ESCAPED_UNIT, UNIT, word_of_each_piece

NAME = re.compile(r"[A-Z][a-z]{2,}")
FEWEST = 2
"""Pairs that have a name on both sides; in fewer it may be something else."""


def add_parser(measurements: Any) -> None:
    """Add the measurement to the parser."""
    parser = measurements.add_parser(
        "attribution",
        help="does it find what was planted?",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, required=True, help="bundle, or run directory that holds one")
    parser.add_argument("--src", type=Path, required=True, help="text with names")
    parser.add_argument("--ref", type=Path, required=True, help="its translation")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print a line of JSON and nothing else")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    src, ref = (path.read_text(encoding="utf-8").split("\n")[:-1] for path in (args.src, args.ref))
    row = measure(Translator.load(args.bundle, threads=args.threads), list(zip(src, ref, strict=True)))
    show(row, "\n".join(f"{name:24s} {value}" for name, value in row.items()), args.json)


def measure(translator: Translator, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """All figures, as one row."""
    names = names_of(pairs)
    counts = Counter(sentences=0, copied=0, pieces=0, first=0, first_by_attention=0)
    for line, name in planted([src for src, _ in pairs], names):
        found = inspect_translation(translator, line)
        own = places_of(name, found.text, translator.tokenizers.src, found.src_ids[:-1])
        said = places_of(name, found.translation, translator.tokenizers.tgt, found.tgt_ids[:-1])
        by_occlusion = occlusion(translator.searcher, found.src_ids, found.tgt_ids[:-1])
        by_attention = found.trace.memory_attention.mean(dim=(0, 1))
        counts.update(sentences=1, copied=bool(said), pieces=len(said))
        counts["first"] += sum(int(by_occlusion[place].argmax()) in own for place in said)
        counts["first_by_attention"] += sum(int(by_attention[place].argmax()) in own for place in said)
    return {"task": "attribution", "arithmetic": translator.arithmetic, "names": len(names), **counts}


def names_of(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Words that several pairs have once on each side, with a capital letter, and not first in the source."""
    counts: Counter[str] = Counter()
    for src, tgt in pairs:
        own, other = Counter(UNIT.findall(src)[1:]), Counter(UNIT.findall(tgt))
        counts.update(word for word in own if NAME.fullmatch(word) and own[word] == 1 == other[word])
    return sorted(word for word, count in counts.items() if count >= FEWEST)


def planted(lines: Sequence[str], names: Sequence[str]) -> list[tuple[str, str]]:
    """Lines that had one name and have another in its place, and that other."""
    draw = random.Random(1)
    found = []
    for line in lines:
        own = [word for word in UNIT.findall(line) if word in names]
        if len(own) == 1:
            name = draw.choice([other for other in names if other != own[0]])
            found.append((re.sub(rf"\b{own[0]}\b", name, line), name))
    return found


def places_of(name: str, text: str, tokenizer: Tokenizer, ids: Sequence[int]) -> list[int]:
    """The places of the pieces that spell the name in a text without odd characters."""
    units = UNIT.findall(text)
    words = word_of_each_piece(escape(text), tokenizer.decoded_ends([ids])[0], words=ESCAPED_UNIT)
    return [place for place, word in enumerate(words) if word >= 0 and units[word] == name]
