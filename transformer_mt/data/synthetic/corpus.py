"""The embedded corpus: sentence pairs from the grammar, split so that the test asks for composition.

Each sentence notes which words it puts together (eat + cherry, red + coat). A stable hash gives every such
combination to one split, and a held-out sentence holds at least one combination that training never shows, while
all of its words occur in training.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from random import Random

from transformer_mt.data.synthetic import (
    english,
    patterns_clauses,
    patterns_descriptions,
    patterns_idioms,
    patterns_pronouns,
    patterns_questions,
    patterns_sentences,
    patterns_statements,
)
from transformer_mt.data.synthetic.draw import Draw
from transformer_mt.errors import DataError
from transformer_mt.files import atomic_file

HELD_OUT_PERCENT = 6
"""Share of the combinations that belong to validation, and to test."""
PATIENCE = 20_000
"""So many sentences in a row without a new one mean that the grammar holds no more."""


MODULES = (
    patterns_clauses,
    patterns_descriptions,
    patterns_idioms,
    patterns_pronouns,
    patterns_questions,
    patterns_sentences,
    patterns_statements,
)
"""Each has a table PATTERNS: its sentence patterns and how often they are drawn."""


@dataclass(frozen=True)
class SyntheticCorpus:
    """English–French pairs; no sentence of one split, in either language, occurs in another."""

    train: list[tuple[str, str]]
    validation: list[tuple[str, str]]
    test: list[tuple[str, str]]


@dataclass(frozen=True)
class Sentence:
    """One generated pair, with its pattern, its words and the split that its combinations belong to."""

    pair: tuple[str, str]
    pattern: str
    lemmas: tuple[str, ...]
    combinations: tuple[tuple[str, str], ...]
    split: str | None


@cache
def split_of(first: str, second: str) -> str:
    """The split that a combination of two words belongs to, the same on every machine."""
    digest = blake2b(f"{first}\t{second}".encode(), digest_size=4).digest()
    percent = int.from_bytes(digest, "big") % 100
    return "test" if percent < HELD_OUT_PERCENT else "validation" if percent < 2 * HELD_OUT_PERCENT else "train"


def sentences(seed: int) -> Iterator[Sentence]:
    """Sentences without end, some of them again and again."""
    rng = Random(seed)
    weights = {pattern: weight for module in MODULES for pattern, weight in module.PATTERNS.items()}
    patterns, bounds = list(weights), list(accumulate(weights.values()))
    while True:
        pattern = rng.choices(patterns, cum_weights=bounds)[0]
        d = Draw(rng)
        while (pair := pattern(d)) is None:  # the words drawn do not suit each other
            d = Draw(rng)
        en = english.contracted(pair.en) if d.chance(0.5) else pair.en
        # a sentence without lexical combinations is one itself
        combinations = d.combinations or [("", pair.fr)]
        splits = {split_of(*combination) for combination in combinations} - {"train"}
        split = "train" if not splits else splits.pop() if len(splits) == 1 else None
        yield Sentence((en, pair.fr), pattern.__name__, tuple(d.lemmas), tuple(combinations), split)


def _distinct(seed: int) -> Iterator[Sentence]:
    """Sentences that are new, and whose French no other split has, until nearly all there is has come."""
    english_seen: set[str] = set()
    split_of_french: dict[str, str] = {}
    repeats = 0
    for sentence in sentences(seed):
        en, fr = sentence.pair
        if sentence.split is None or en in english_seen or split_of_french.get(fr, sentence.split) != sentence.split:
            repeats += 1
            if repeats > PATIENCE:
                return
            continue
        repeats = 0
        english_seen.add(en)
        split_of_french[fr] = sentence.split
        yield sentence


def generate(seed: int, num_train: int, num_validation: int, num_test: int) -> dict[str, list[Sentence]]:
    """The sentences of each split, with their patterns and words."""
    wanted = {"train": num_train, "validation": num_validation, "test": num_test}
    pools: dict[str, list[Sentence]] = {split: [] for split in wanted}
    known: set[str] = set()
    complete = False
    for sentence in _distinct(seed):
        pool = pools[sentence.split or "train"]
        if complete and (sentence.split == "train" or not known.issuperset(sentence.lemmas)):
            continue
        pool.append(sentence)
        if not complete and len(pools["train"]) >= num_train:
            complete = True
            known = {lemma for member in pools["train"] for lemma in member.lemmas}
            for split in ("validation", "test"):
                pools[split] = [member for member in pools[split] if known.issuperset(member.lemmas)]
        if complete and all(len(pools[split]) >= number for split, number in wanted.items()):
            return {split: pools[split][:number] for split, number in wanted.items()}
    held = ", ".join(f"{len(pool):,} {split}" for split, pool in pools.items())
    raise ValueError(f"the grammar holds no more than about {held} pairs, but {wanted} were asked for")


def synthesize(
    seed: int = 1, num_train: int = 30_000, num_validation: int = 1_000, num_test: int = 1_000
) -> SyntheticCorpus:
    """Generate the corpus, a pure function of its arguments; ValueError if the grammar holds less."""
    splits = generate(seed, num_train, num_validation, num_test)
    train, validation, test = ([member.pair for member in splits[name]] for name in ("train", "validation", "test"))
    return SyntheticCorpus(train, validation, test)


def write_corpus(corpus: SyntheticCorpus, directory: Path, src_lang: str = "en", tgt_lang: str = "fr") -> list[Path]:
    """Write {train,val,test}.{en,fr}, one sentence a line, and return the six paths.

    Raises DataError when one of these files is there already and holds something else; none is written then.
    """
    contents: dict[Path, bytes] = {}
    for name, pairs in (("train", corpus.train), ("val", corpus.validation), ("test", corpus.test)):
        for side, lang in enumerate((src_lang, tgt_lang)):
            path = directory / f"{name}.{lang}"
            contents[path] = "".join(pair[side] + "\n" for pair in pairs).encode()
    for path, content in contents.items():
        if path.exists() and path.read_bytes() != content:
            raise DataError(f"{path}: holds something else; nothing is overwritten, choose another directory")
    for path, content in contents.items():
        with atomic_file(path) as file:
            file.write(content)
    return list(contents)
