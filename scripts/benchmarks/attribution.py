"""Where attribution points, for words that were planted: `scripts/benchmark attribution RUN SRC TGT`.

Names that are the same in both languages are put in the place of others in sentences, and the model translates these.
Where its translation holds the planted name, each of its pieces is attributed to the source: does the first rank go to
a piece of the planted name?
"""

import argparse
import json
import random
import re
from collections import Counter
from pathlib import Path

from transformer_mt.data.tokenizer import escape
from transformer_mt.decoding.attribution import occlusion
from transformer_mt.decoding.inspection import Inspection, inspect_translation
from transformer_mt.decoding.translator import Translator
from transformer_mt.decoding.word_alignment import UNIT, word_of_each_piece
from transformer_mt.files import read_lines

NAME = re.compile(r"[A-Z][a-z]{2,}")
FEWEST = 2
"""Times that a word is in source and target alike to be taken for a name."""


def names_of(src: list[str], tgt: list[str]) -> list[str]:
    """Capital words, not the first of their sentence, that both sides have once, in several pairs."""
    counts: Counter[str] = Counter()
    for source, target in zip(src, tgt, strict=True):
        own, other = Counter(UNIT.findall(source)[1:]), Counter(UNIT.findall(target))
        counts.update(word for word in own if NAME.fullmatch(word) and own[word] == 1 == other[word])
    return sorted(word for word, count in counts.items() if count >= FEWEST)


def planted(src: list[str], names: list[str], seed: int) -> list[tuple[str, str]]:
    """Sentences with one name, and another in its place; the other."""
    draw = random.Random(seed)
    found = []
    for line in src:
        own = [word for word in UNIT.findall(line) if word in names]
        if len(own) == 1:
            name = draw.choice([other for other in names if other != own[0]])
            found.append((re.sub(rf"\b{own[0]}\b", name, line), name))
    return found


def pieces_of(translator: Translator, found: Inspection, name: str) -> tuple[set[int], list[int]]:
    """The places of the name's pieces in the source, and in the translation."""
    src_ends, tgt_ends = (
        translator.tokenizers.src.piece_ends([found.text])[0],
        translator.tokenizers.tgt.decoded_ends([found.tgt_ids[:-1]])[0],
    )
    places = []
    for text, ends in ((found.text, src_ends), (found.translation, tgt_ends)):
        units = UNIT.findall(text)
        of = word_of_each_piece(escape(text), ends, words=UNIT)
        places.append([place for place, unit in enumerate(of) if unit >= 0 and units[unit] == name])
    return set(places[0]), places[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("src", type=Path, help="sentences, for example of the test set")
    parser.add_argument("tgt", type=Path, help="their translations")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    src, tgt = (list(read_lines(path)) for path in (args.src, args.tgt))
    names = names_of(src, tgt)
    translator = Translator.load(args.run, threads=args.threads)
    counts: Counter[str] = Counter()
    for line, name in planted(src, names, args.seed):
        counts["sentences"] += 1
        found = inspect_translation(translator, line)
        own, said = pieces_of(translator, found, name)
        if not said:
            continue
        counts["copied"] += 1
        attribution = occlusion(translator.searcher, found.src_ids, found.tgt_ids[:-1])
        attention = found.trace.memory_attention.mean(dim=(0, 1))
        for place in said:
            counts["pieces"] += 1
            counts["first_by_occlusion"] += int(attribution[place].argmax()) in own
            counts["first_by_attention"] += int(attention[place].argmax()) in own
    print(json.dumps({"names": len(names), **counts, "arithmetic": translator.arithmetic}))


if __name__ == "__main__":
    main()
