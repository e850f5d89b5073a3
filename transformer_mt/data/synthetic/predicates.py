"""What someone does: predicates of every frame, drawn for a subject."""

from collections.abc import Callable
from functools import lru_cache

from transformer_mt.data.synthetic import english, grammar, lexicon
from transformer_mt.data.synthetic.draw import Draw, destination, name, origin, phrase, relative_of, whereabouts
from transformer_mt.data.synthetic.french import contract
from transformer_mt.data.synthetic.grammar import NounPhrase, Predicate
from transformer_mt.data.synthetic.lexicon import Noun, Verb

FREE_TENSES: tuple[english.Tense, ...] = ("progressive", "past", "past_progressive", "used_to", "future", "near_future")
LASTING_TENSES: tuple[english.Tense, ...] = ("present", "past", "used_to", "future")


def of_verb(verb: Verb, en_tail: str = "", fr_tail: str = "") -> Predicate:
    """A verb with what follows it; the second word of a French verb (avoir besoin) follows it too."""
    head, rest = _split(verb.fr)
    tail = " ".join(part for part in (rest, fr_tail) if part)
    en = f"{verb.en} {en_tail}" if en_tail else verb.en
    return Predicate(en, head, tail, stative=verb.stative, lasting=verb.lasting, punctual=verb.punctual)


def _split(fr: str) -> tuple[str, str]:
    """avoir besoin → (avoir, besoin); se laver stays whole."""
    reflexive = "se " if fr.startswith("se ") else ""
    head, _, rest = fr.removeprefix("se ").partition(" ")
    return reflexive + head, rest


def with_object(verb: Verb, thing: NounPhrase) -> Predicate:
    """A transitive verb and its object."""
    return Predicate(
        f"{verb.en} {thing.en}",
        verb.fr,
        thing.fr,
        en_negated=f"{verb.en} {thing.en_negated}" if thing.en_negated else "",
        fr_negated=thing.fr_negated,
        stative=verb.stative,
        lasting=verb.lasting,
        punctual=verb.punctual,
    )


def transitive(d: Draw, subject: NounPhrase) -> Predicate:
    """eat an apple: manger une pomme."""
    verb, noun = verb_and_noun(d)
    return with_object(verb, phrase(d, noun, subject))


def verb_and_noun(d: Draw, among: frozenset[str] | None = None) -> tuple[Verb, Noun]:
    """A transitive verb, perhaps one of some, and a noun that can be its object."""
    if among is None and d.chance(0.6):  # the noun first, so that those that few verbs take are not rare
        noun, takers = d.choice(_takers())
        d.lemmas.append(f"{noun.en}={noun.fr}")
        verb = d.word(takers)
    else:
        verb = d.word(lexicon.verbs_among("TRANSITIVE", among) if among else lexicon.verbs("TRANSITIVE"))
        noun = d.word(verb.objects)
    d.combine(verb.en, noun.en)
    return verb, noun


@lru_cache(maxsize=1)
def _takers() -> tuple[tuple[Noun, tuple[Verb, ...]], ...]:
    """Each noun and the transitive verbs that can have it as their object."""
    found: dict[Noun, list[Verb]] = {}
    for verb in lexicon.verbs("TRANSITIVE"):
        for noun in verb.objects:
            found.setdefault(noun, []).append(verb)
    # those that few verbs take, or that are in few other patterns, come up more often
    return tuple(
        (noun, tuple(verbs))
        for noun, verbs in found.items()
        for _ in range(8 if noun.noun_class in SELDOM else 3 if len(verbs) < 3 else 1)
    )


SELDOM = frozenset(("transport", "sound", "ingredient", "surface"))


def intransitive(d: Draw, subject: NounPhrase) -> Predicate:
    """sleep: dormir."""
    verb = d.word(lexicon.verbs("INTRANSITIVE"))
    d.combine(subject.en, verb.en)
    return of_verb(verb)


def reflexive(d: Draw, subject: NounPhrase) -> Predicate:
    """wake up: se réveiller."""
    verb = d.word(lexicon.verbs("REFLEXIVE"))
    d.combine(subject.en, verb.en)
    return of_verb(verb)


def motion(d: Draw, subject: NounPhrase) -> Predicate:
    """go to the market: aller au marché."""
    verb = d.word(lexicon.verbs("MOTION"))
    if verb.place == "none":
        d.combine(subject.en, verb.en)
        return of_verb(verb)
    where = {"to": destination, "at": whereabouts, "from": origin}[verb.place](d, verb.en)
    return of_verb(verb, where.en, where.fr)


def person_spoken_to(d: Draw, subject: NounPhrase) -> NounPhrase:
    """Someone to talk or give to, other than the subject."""
    if d.chance(0.35):
        other = name(d)
        if other.en not in subject.en:
            return other
    if d.chance(0.6):
        other = relative_of(d, subject)
        if other.en != subject.en:
            return other
    noun = d.noun("person", "profession")
    other = grammar.definite(grammar.core(noun, plural=d.chance(0.2)))
    return other if other.en != subject.en else grammar.definite(grammar.core(noun, plural=not other.plural))


def indirect(d: Draw, subject: NounPhrase) -> Predicate:
    """talk to my sister: parler à ma sœur."""
    verb = d.word(lexicon.verbs("INDIRECT"))
    whom = person_spoken_to(d, subject)
    d.combine(verb.en, whom.en)
    return of_verb(verb, whom.en, contract("à", whom.fr))


def ditransitive(d: Draw, subject: NounPhrase) -> Predicate:
    """give a book to Marie: donner un livre à Marie."""
    verb = d.word(lexicon.verbs("DITRANSITIVE"))
    noun = d.word(verb.objects)
    d.combine(verb.en, noun.en)
    thing = phrase(d, noun, subject)
    whom = person_spoken_to(d, subject)
    return with_object(verb, thing).with_tail(f"to {whom.en}", contract("à", whom.fr))


def de_thing(thing: NounPhrase) -> str:
    """de before any noun phrase: of some water and of cars is only d'eau, de voitures."""
    if thing.fr.startswith(("des ", "de ", "d'", "du ")):
        return thing.fr_negated or thing.fr
    return contract("de", thing.fr)


def about(d: Draw, subject: NounPhrase) -> Predicate:
    """talk about the party: parler de la fête."""
    verb = d.word(lexicon.verbs("ABOUT"))
    noun = d.word(verb.objects)
    d.combine(verb.en, noun.en)
    thing = phrase(d, noun, subject)
    return of_verb(verb, thing.en, de_thing(thing))


def play(d: Draw, subject: NounPhrase) -> Predicate:
    """play the piano: jouer du piano; play tennis: jouer au tennis."""
    noun = d.noun("instrument", "sport")
    d.combine(subject.en, noun.en)
    part = grammar.definite(grammar.core(noun))
    if noun.noun_class == "instrument":
        return Predicate(f"play {part.en}", "jouer", contract("de", part.fr))
    return Predicate(f"play {noun.en}", "jouer", contract("à", part.fr))


def study(d: Draw, subject: NounPhrase) -> Predicate:
    """learn French: apprendre le français."""
    noun = d.noun("language", "study")
    en, fr = d.choice((("learn", "apprendre"), ("study", "étudier"), ("teach", "enseigner")))
    d.combine(en, noun.en)
    return Predicate(f"{en} {noun.en}", fr, grammar.definite(grammar.core(noun)).fr)


def general(noun: Noun) -> NounPhrase:
    """What one likes in general: apples, les pommes; bread, le pain."""
    part = grammar.core(noun, plural=not noun.is_mass and noun.noun_class not in ("study", "sport"))
    return NounPhrase(part.en, grammar.definite(part).fr, part.gender, part.plural)


TASTES = ("fruit", "dish", "food", "drink", "ingredient", "animal", "wild", "study", "sport", "nature")


def taste_noun(d: Draw, *classes: str) -> Noun:
    """Something that there is more than one of, or much."""
    noun = d.noun(*classes)
    return noun if noun.en not in ("sky", "moon", "sea") else d.noun("fruit")


def taste(d: Draw, subject: NounPhrase) -> Predicate:
    """like apples: aimer les pommes."""
    verb = d.word([item for item in lexicon.verbs("TASTE") if item.en != "prefer"])
    noun = taste_noun(d, *TASTES)
    d.combine(verb.en, noun.en)
    thing = general(noun)
    return of_verb(verb, thing.en, thing.fr)


def wash_body(d: Draw, subject: NounPhrase) -> Predicate:
    """wash my hands: me laver les mains; the participle does not agree, for the hands come after."""
    noun = d.noun("washed")
    en, fr = d.choice((("wash", "se laver"), ("dry", "se sécher")))
    d.combine(en, noun.en)
    owner = grammar.possessive(subject)
    part = grammar.definite(grammar.core(noun))
    return Predicate(f"{en} {owner} {noun.en}", fr, part.fr, agrees_with_subject=False)


FRAMES: tuple[Callable[[Draw, NounPhrase], Predicate], ...] = (
    (transitive,) * 7 + (ditransitive,) * 2 + (motion,) * 2
    + (intransitive, reflexive, indirect, about, play, study, wash_body)
)  # fmt: skip


def activity(d: Draw, subject: NounPhrase) -> Predicate:
    """Something that one does, of any frame, and can be doing."""
    lemmas, combinations = list(d.lemmas), list(d.combinations)
    while True:
        found = d.choice(FRAMES)(d, subject)
        if not found.stative and not found.lasting:
            return found
        d.lemmas, d.combinations = list(lemmas), list(combinations)


# What nobody does on purpose, or can be told to do
UNWILLED = frozenset(
    "lose receive miss find recognize meet arrive surprise suffer snore tremble cough blush yawn exaggerate forget "
    "break".split()
) | {"get lost", "make a mistake", "fall asleep", "get angry", "wake up", "be bored", "remember", "look like"}


def unwilled(what: Predicate) -> bool:
    """Whether it only happens to one."""
    return what.en in UNWILLED or what.en.split()[0] in UNWILLED or " ".join(what.en.split()[:2]) in UNWILLED


def _activity_unless(d: Draw, subject: NounPhrase, unfit: Callable[[Predicate], bool]) -> Predicate:
    lemmas, combinations = list(d.lemmas), list(d.combinations)
    while unfit(found := activity(d, subject)):
        d.lemmas, d.combinations = list(lemmas), list(combinations)
    return found


def deliberate(d: Draw, subject: NounPhrase) -> Predicate:
    """An activity that one can want, or be asked for."""
    return _activity_unless(d, subject, unwilled)


def ongoing(d: Draw, subject: NounPhrase) -> Predicate:
    """An activity that takes its time."""
    return _activity_unless(d, subject, lambda what: what.punctual)


def anything(d: Draw, subject: NounPhrase) -> Predicate:
    """Any predicate, of states as well."""
    return d.choice(FRAMES)(d, subject)


def tense_for(d: Draw, predicate: Predicate) -> english.Tense:
    """A tense that the verb can stand in and that shows in English."""
    if predicate.lasting:
        return d.choice(LASTING_TENSES)
    if predicate.stative:
        return d.choice(("present", "past", "past", "future", "near_future"))
    if predicate.punctual:
        return d.choice(("past", "past", "future", "near_future"))
    if english.ambiguous_past(predicate.en):
        return d.choice(FREE_TENSES)
    return d.choice((*FREE_TENSES, "present", "past"))


def simple_tense(d: Draw, predicate: Predicate) -> english.Tense:
    """Present, past or future, where not and never go well."""
    if english.ambiguous_past(predicate.en):
        return d.choice(("past", "future"))
    return d.choice(("present", "past", "future"))
