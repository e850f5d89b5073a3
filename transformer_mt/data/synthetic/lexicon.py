"""The tables of the lexicon as objects, read at first use."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, lru_cache

from transformer_mt.data.synthetic import lexicon_nouns, lexicon_verbs, lexicon_words
from transformer_mt.data.synthetic.french import Gender

# The groups of adjectives (see lexicon_words) that go with each class of nouns
ADJECTIVE_GROUPS = {
    "person": "P", "profession": "P", "animal": "V", "wild": "X", "fruit": "G", "dish": "F", "food": "B", "drink": "D",
    "writing": "W", "reading": "W", "thing": "T", "dishware": "T", "jewelry": "J", "clothes": "C", "vehicle": "K",
    "furniture": "U", "housepart": "U", "room": "R", "place": "L", "building": "L", "settlement": "L", "nature": "N",
    "way": "Y", "abstract": "A", "screen": "E", "event": "E",
}  # fmt: skip
MASS_CLASSES = frozenset(("food", "drink", "ingredient", "mass"))
COLORS = frozenset(("red", "green", "blue", "white", "black", "yellow", "gray", "brown", "pink", "purple"))


@dataclass(frozen=True)
class Term:
    """An English expression and the French one, neither of which is inflected here."""

    en: str
    fr: str


@dataclass(frozen=True)
class Noun(Term):
    """A noun; plural_only ones are written in the plural in the table."""

    gender: Gender
    plural_only: bool
    noun_class: str

    @property
    def is_mass(self) -> bool:
        """Whether it takes a partitive (du pain), not a number."""
        return self.noun_class in MASS_CLASSES


@dataclass(frozen=True)
class Adjective(Term):
    """An adjective, which stands before or after a French noun, and the groups of nouns it goes with."""

    before: bool
    groups: str


@dataclass(frozen=True)
class Verb(Term):
    """A verb; stative ones have no progressive, lasting ones have an imparfait for an English simple past.

    What a punctual one says takes no time: it is not said to be going on (no: he was losing his key).
    """

    stative: bool
    lasting: bool
    punctual: bool
    objects: tuple[Noun, ...] = ()
    place: str = ""


def _entries(table: str) -> list[tuple[str, str]]:
    """The en=fr pairs of a table whose entries are parted by semicolons, or else by lines."""
    rows = " ".join(table.split()).split(";") if ";" in table else table.splitlines()
    pairs = (row.strip().partition("=") for row in rows if row.strip())
    return [(en, fr) for en, _, fr in pairs]


def terms(table: str) -> tuple[Term, ...]:
    """The plain terms of a table."""
    return tuple(Term(en, fr) for en, fr in _entries(table))


@lru_cache(maxsize=1)
def nouns() -> dict[str, tuple[Noun, ...]]:
    """The nouns of each class, and each noun under its own English name."""
    found: dict[str, list[Noun]] = {}
    for table in (lexicon_nouns.NOUNS, lexicon_nouns.PLACES):
        for block in table.split("[")[1:]:
            noun_class, _, body = block.partition("]")
            for en, rest in _entries(body.replace("\n", " ")):
                fr, _, gender = rest.rpartition(" ") if rest[-2:] in (" m", " f", "mp", "fp") else (rest, "", "f")
                noun = Noun(en, fr, "m" if gender[0] == "m" else "f", gender.endswith("p"), noun_class)
                found.setdefault(noun_class, []).append(noun)
                found.setdefault(f"{en}", []).append(noun)
    return {key: tuple(group) for key, group in found.items()}


@lru_cache(maxsize=1)
def adjectives() -> dict[str, tuple[Adjective, ...]]:
    """The adjectives of each group."""
    found: dict[str, list[Adjective]] = {}
    for en, rest in _entries(lexicon_words.ADJECTIVES):
        fr, _, groups = rest.rpartition(" ")
        adjective = Adjective(en, fr.removesuffix(" <"), fr.endswith(" <"), groups)
        for group in groups:
            found.setdefault(group, []).append(adjective)
    return {group: tuple(members) for group, members in found.items()}


@cache
def verbs(name: str) -> tuple[Verb, ...]:
    """The verbs of one table of lexicon_verbs, by its name."""
    return tuple(_verb(en, rest) for en, rest in _entries(getattr(lexicon_verbs, name)))


@cache
def verbs_among(name: str, wanted: Collection[str]) -> tuple[Verb, ...]:
    """The verbs of one table that are wanted, by their English."""
    return tuple(verb for verb in verbs(name) if verb.en in wanted)


def _verb(en: str, rest: str) -> Verb:
    fr, colon, takes = rest.partition(":")
    stative, lasting, punctual = en.endswith(("!", "~")), en.endswith("~"), en.endswith("^")
    if not colon or takes.strip() in ("to", "from", "at", "none"):
        return Verb(en.rstrip("!~^"), fr, stative, lasting, punctual, place=takes.strip())
    unwanted = {noun for name in takes.split() if name[0] == "-" for noun in nouns()[name[1:]]}
    objects = dict.fromkeys(noun for name in takes.split() if name[0] != "-" for noun in nouns()[name])
    kept = tuple(noun for noun in objects if noun not in unwanted)
    return Verb(en.rstrip("!~^"), fr, stative, lasting, punctual, kept)


@lru_cache(maxsize=1)
def people() -> dict[str, tuple[str, ...]]:
    """First names of men and women."""
    blocks = (block.partition("]") for block in lexicon_nouns.PEOPLE.split("[")[1:])
    return {kind: tuple(name.strip() for name in body.split(";")) for kind, _, body in blocks}


@cache
def words(name: str) -> tuple[Term, ...]:
    """The plain terms of one table of lexicon_words, by its name."""
    return terms(getattr(lexicon_words, name))
