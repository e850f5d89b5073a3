"""Random choices of words, noted as they are made, and the noun phrases that they make."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TypeVar

from transformer_mt.data.synthetic import grammar, lexicon
from transformer_mt.data.synthetic.french import Gender, adjective, contract
from transformer_mt.data.synthetic.grammar import HE, ME, PRONOUNS, SHE, THEY, WE, YOU, NounPhrase, Pair
from transformer_mt.data.synthetic.lexicon import ADJECTIVE_GROUPS, COLORS, Adjective, Noun, Term

T = TypeVar("T")

ONE_OF_A_KIND = frozenset(("sky", "moon", "sea"))
FIXED = frozenset(("transport", "housepart", "surface", "way", "sound", "room", "screen"))
OWNABLE = frozenset(
    ("thing", "clothes", "jewelry", "vehicle", "animal", "writing", "room", "furniture", "dishware", "abstract")
)


class Draw:
    """One sentence's choices: rng makes them, lemmas and combinations are the record of them."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.lemmas: list[str] = []
        self.combinations: list[tuple[str, str]] = []
        self.you = YOU
        """Who you is in this sentence: vous, or the tu of someone called by name."""

    def chance(self, probability: float) -> bool:
        """True that often."""
        return self.rng.random() < probability

    def choice(self, options: Sequence[T]) -> T:
        """One of the options, not noted: for what is no word of the lexicon."""
        return options[int(self.rng.random() * len(options))]

    def word(self, options: Sequence[T]) -> T:
        """One of the words, noted as a lemma."""
        found = self.choice(options)
        self.lemmas.append(f"{found.en}={found.fr}" if isinstance(found, Term) else f"{found}={found}")
        return found

    def noun(self, *classes: str) -> Noun:
        """A noun of one of the classes."""
        return self.word(lexicon.nouns()[self.choice(classes)])

    def combine(self, first: str, second: str) -> None:
        """Note that two words stand together: the pair belongs to one split only."""
        self.combinations.append((first, second))


def describe(d: Draw, noun: Noun, always: bool = False, probability: float = 0.18) -> tuple[Adjective, ...]:
    """No, one or (a size and a color) two adjectives that go with a noun."""
    group = ADJECTIVE_GROUPS.get(noun.noun_class, "")
    if not group or noun.en in ONE_OF_A_KIND or not (always or d.chance(probability)):
        return ()
    first = d.word(lexicon.adjectives()[group])
    d.combine(first.en, noun.en)
    if not first.before or first.en in ("good", "bad") or not d.chance(0.2):
        return (first,)
    colors = [item for item in lexicon.adjectives()[group] if item.en in COLORS]
    return (first, d.word(colors)) if colors else (first,)


def phrase(d: Draw, noun: Noun, owner: NounPhrase | None = None) -> NounPhrase:
    """A noun with a determiner, and perhaps adjectives, that suit its class; owner may own it."""
    if noun.noun_class == "family":
        return relative_of(d, owner, noun)
    if noun.en in ONE_OF_A_KIND:
        return grammar.definite(grammar.core(noun))
    described = describe(d, noun)
    if noun.is_mass:
        make = d.choice((grammar.partitive, grammar.partitive, grammar.definite, grammar.demonstrative))
        return make(grammar.core(noun, False, described))
    if noun.noun_class in FIXED:
        make = grammar.definite if noun.noun_class == "transport" or d.chance(0.7) else grammar.demonstrative
        return make(grammar.core(noun, False, described))
    return _countable(d, noun, described, owner)


def _countable(d: Draw, noun: Noun, described: tuple[Adjective, ...], owner: NounPhrase | None) -> NounPhrase:
    one, many = grammar.core(noun, False, described), grammar.core(noun, True, described)
    die = d.rng.random()
    if die < 0.2 and owner is not None and noun.noun_class in OWNABLE:
        return grammar.owned(one if die < 0.14 else many, owner)
    if die < 0.47:
        return grammar.definite(one)
    if die < 0.68:
        return grammar.indefinite(one)
    if die < 0.77:
        return grammar.demonstrative(one if die < 0.73 else many)
    if die < 0.85:
        return grammar.definite(many)
    if die < 0.94:
        return grammar.indefinite(many)
    return number_of(d, many)


def number_of(d: Draw, part: grammar.Core) -> NounPhrase:
    """A small number of things."""
    number = d.word(lexicon.words("NUMBERS")[:11])
    return grammar.counted(part, number.en, number.fr)


def relative_of(d: Draw, owner: NounPhrase | None = None, noun: Noun | None = None) -> NounPhrase:
    """Someone's relative: of the owner mostly, or my brother."""
    noun = noun or d.noun("family")
    whose = owner if owner is not None and d.chance(0.7) else d.choice((ME, ME, d.you, HE, SHE, WE, THEY))
    return grammar.owned(grammar.core(noun), whose)


def name(d: Draw, gender: Gender | None = None) -> NounPhrase:
    """A first name."""
    is_man = gender == "m" if gender else d.chance(0.5)
    word = d.word(lexicon.people()["man" if is_man else "woman"])
    return NounPhrase(word, word, "m" if is_man else "f")


def couple(d: Draw) -> NounPhrase:
    """Two first names, of which the first is a man's or both are women's."""
    first, second = name(d), name(d, "f")
    if first.en == second.en:
        second = name(d, "m")
    gender: Gender = "f" if first.gender == second.gender == "f" else "m"
    return NounPhrase(f"{first.en} and {second.en}", f"{first.fr} et {second.fr}", gender, True, person=5)


def somebody(d: Draw) -> NounPhrase:
    """A person or people who are not in the conversation, never a pronoun."""
    die = d.rng.random()
    if die < 0.4:
        return name(d)
    if die < 0.62:
        return relative_of(d)
    if die < 0.7:
        return couple(d)
    noun = d.noun("person", "profession")
    return grammar.definite(grammar.core(noun, plural=die > 0.88, described=describe(d, noun, probability=0.1)))


def subject(d: Draw) -> NounPhrase:
    """Who does it: a pronoun about half of the time."""
    return d.choice(PRONOUNS) if d.chance(0.5) else somebody(d)


def third_person(d: Draw) -> NounPhrase:
    """he, she, or somebody."""
    return d.choice((HE, SHE)) if d.chance(0.3) else somebody(d)


def state(d: Draw, of: NounPhrase) -> Pair:
    """A state that someone is in, in agreement: tired, fatiguée."""
    found = d.word(lexicon.adjectives()["S"])
    d.combine("state", f"{of.en} {found.en}")
    return Pair(found.en, grammar.agreeing(found.fr, of))


def trait(d: Draw, of: NounPhrase) -> tuple[Adjective, str]:
    """A person's nature, in agreement; young and tall do here as well."""
    found = d.word([item for item in lexicon.adjectives()["P"] if item.en != "foreign"])
    d.combine("trait", f"{of.en} {found.en}")
    return found, adjective(found.fr, of.gender, of.plural)


def destination(d: Draw, verb: str) -> Pair:
    """Where one goes: to the market, to Paris, to Japan, to my uncle's house."""
    return _where(d, verb, "to", "to")


def whereabouts(d: Draw, verb: str) -> Pair:
    """Where one is: at the market, in Paris, in Japan, at my uncle's house."""
    return _where(d, verb, "at", "in")


def destination_abroad(d: Draw, verb: str) -> Pair:
    """A destination that is no public place."""
    return _where(d, verb, "to", "to", 0.5 + d.rng.random() / 2)


def _where(d: Draw, verb: str, at: str, inside: str, die: float = -1.0) -> Pair:
    die = die if die >= 0 else d.rng.random()
    if die < 0.5:
        place = d.noun("place")
        d.combine(verb, place.en)
        spot = grammar.definite(grammar.core(place))
        return Pair(f"{at} {spot.en}", contract("à", spot.fr))
    if die < 0.88:
        place = d.noun("town", "country")
        d.combine(verb, place.en)
        return Pair(f"{inside} {place.en}", in_land(place) if place.noun_class == "country" else f"à {place.fr}")
    host = relative_of(d)
    return Pair(f"{at} {host.en}'s house", f"chez {host.fr}")


def in_land(country: Noun) -> str:
    """en France, en Iran, au Japon, aux Pays-Bas."""
    if country.plural_only:
        return f"aux {country.fr}"
    return f"en {country.fr}" if country.gender == "f" else f"au {country.fr}"


def origin(d: Draw, verb: str) -> Pair:
    """Where one comes from: from the market, from Paris, from Japan."""
    place = d.noun("place", "town", "country")
    d.combine(verb, place.en)
    if place.noun_class == "place":
        spot = grammar.definite(grammar.core(place))
        return Pair(f"from {spot.en}", contract("de", spot.fr))
    article = "les " if place.plural_only else "le " if place.noun_class == "country" and place.gender == "m" else ""
    return Pair(f"from {place.en}", contract("de", article + place.fr))


def plain(phrase: NounPhrase) -> NounPhrase:
    """The phrase as one that negation does not change."""
    return replace(phrase, en_negated="", fr_negated="")


def again_pronoun(who: NounPhrase) -> NounPhrase:
    """The pronoun that takes up a person: they is ils unless all are women."""
    if who.is_pronoun:
        return who
    if who.plural:
        return NounPhrase("they", "elles" if who.gender == "f" else "ils", who.gender, True, person=5, is_pronoun=True)
    return SHE if who.gender == "f" else HE
