"""Sentences in both languages at once: noun phrases, subjects, predicates and the clauses they make."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from transformer_mt.data.synthetic import english, french
from transformer_mt.data.synthetic.french import Gender
from transformer_mt.data.synthetic.lexicon import Adjective, Noun


class Pair(NamedTuple):
    """The same words in English and in French."""

    en: str
    fr: str


@dataclass(frozen=True)
class NounPhrase:
    """A noun with its determiner; after a negation an indefinite one changes (a car, de voiture)."""

    en: str
    fr: str
    gender: Gender = "m"
    plural: bool = False
    en_negated: str = ""
    fr_negated: str = ""
    person: int = 2
    is_pronoun: bool = False


NO_QUESTION_WORD = Pair("", "")


class Middle(NamedTuple):
    """What stands by the verb: not, never, often; negative ones bring a French ne."""

    en: str
    fr: str
    negative: bool = True


NOT = Middle("not", "pas")
NEVER = Middle("never", "jamais")
NO_LONGER = Middle("no longer", "plus")
NO_WORD = Middle("not", "")  # the negative word is elsewhere: I did not see anyone, je n'ai vu personne


@dataclass(frozen=True)
class Predicate:
    """A verb and what follows it; clitics stand before the French verb.

    A preceding direct object makes the participle of avoir agree: its gender and number are in object_agreement.
    """

    en: str
    fr_verb: str
    fr_tail: str = ""
    en_negated: str = ""
    fr_negated: str = ""
    clitics: tuple[str, ...] = ()
    object_agreement: tuple[Gender, bool] | None = None
    stative: bool = False
    lasting: bool = False
    punctual: bool = False
    agrees_with_subject: bool = True

    def with_tail(self, en: str, fr: str) -> "Predicate":
        """The same with more words at its end."""
        return replace(
            self,
            en=_words(self.en, en),
            fr_tail=_words(self.fr_tail, fr),
            en_negated=_words(self.en_negated, en) if self.en_negated else "",
            fr_negated=_words(self.fr_negated, fr) if self.fr_negated else "",
        )

    def under_negation(self) -> "Predicate":
        """As it stands after another verb that is negated: cannot buy any bread, ne peut pas acheter de pain."""
        return replace(self, en=self.en_negated or self.en, fr_tail=self.fr_negated or self.fr_tail)


ME = NounPhrase("I", "je", person=0, is_pronoun=True)
YOU = NounPhrase("you", "vous", person=4, is_pronoun=True)
HE = NounPhrase("he", "il", person=2, is_pronoun=True)
SHE = NounPhrase("she", "elle", "f", person=2, is_pronoun=True)
WE = NounPhrase("we", "nous", plural=True, person=3, is_pronoun=True)
THEY = NounPhrase("they", "ils", plural=True, person=5, is_pronoun=True)
PRONOUNS = (ME, YOU, HE, SHE, WE, THEY)


def familiar_you(gender: Gender) -> NounPhrase:
    """The tu of someone called by their first name."""
    return NounPhrase("you", "tu", gender, person=1, is_pronoun=True)


POSSESSIVES = {  # by person: English, French before masculine, feminine, plural
    0: ("my", "mon", "ma", "mes"),
    1: ("your", "ton", "ta", "tes"),
    2: ("his", "son", "sa", "ses"),
    3: ("our", "notre", "notre", "nos"),
    4: ("your", "votre", "votre", "vos"),
    5: ("their", "leur", "leur", "leurs"),
}


def possessive(owner: NounPhrase) -> str:
    """The English possessive of an owner."""
    if owner.en == "one":
        return "one's"
    return "her" if owner.person == 2 and owner.gender == "f" else POSSESSIVES[owner.person][0]


def french_possessive(owner: NounPhrase, gender: Gender, plural: bool, before: str) -> str:
    """The French possessive: that of the owner's person, mon before a feminine vowel."""
    _, masculine, feminine, many = POSSESSIVES[owner.person]
    if plural:
        return many
    return feminine if gender == "f" and not french.starts_with_vowel(before) else masculine


@dataclass(frozen=True)
class Core:
    """A noun with its adjectives, without its determiner."""

    en: str
    fr: str
    gender: Gender
    plural: bool
    has_adjective_before: bool


def core(noun: Noun, plural: bool = False, described: tuple[Adjective, ...] = ()) -> Core:
    """A noun with adjectives, in agreement: old car, vieille voiture."""
    plural = plural or noun.plural_only
    head = french.noun_plural(noun.fr) if plural and not noun.plural_only else noun.fr
    before, after = "", ""
    for item in described:
        if item.before:
            before = french.adjective(item.fr, noun.gender, plural, head) + " "
        else:
            after += " " + french.adjective(item.fr, noun.gender, plural)
    en_noun = english.plural(noun.en) if plural and not noun.plural_only else noun.en
    en = " ".join([item.en for item in described] + [en_noun])
    return Core(en, before + head + after, noun.gender, plural, bool(before))


def definite(part: Core) -> NounPhrase:
    """the cat: le chat."""
    article = "les" if part.plural else "la" if part.gender == "f" else "le"
    return _phrase(part, f"the {part.en}", f"{article} {part.fr}")


def indefinite(part: Core) -> NounPhrase:
    """a cat: un chat; cats: des chats, but de beaux chats; after a negation, de."""
    none = f"de {part.fr}"
    if part.plural:
        some = none if part.has_adjective_before else f"des {part.fr}"
        return replace(_phrase(part, part.en, some), en_negated=f"any {part.en}", fr_negated=none)
    article = "une" if part.gender == "f" else "un"
    return replace(_phrase(part, f"a {part.en}", f"{article} {part.fr}"), fr_negated=none)


def partitive(part: Core) -> NounPhrase:
    """some water: de l'eau; after a negation, d'eau."""
    some = french.contract("de", definite(part).fr)
    none = f"de {part.fr}"
    return replace(_phrase(part, f"some {part.en}", some), en_negated=f"any {part.en}", fr_negated=none)


def demonstrative(part: Core) -> NounPhrase:
    """this cat: ce chat, cet arbre, cette table, ces tables."""
    masculine = "cet" if french.starts_with_vowel(part.fr) else "ce"
    word = "ces" if part.plural else "cette" if part.gender == "f" else masculine
    return _phrase(part, f"{'these' if part.plural else 'this'} {part.en}", f"{word} {part.fr}")


def owned(part: Core, owner: NounPhrase) -> NounPhrase:
    """my cat: mon chat."""
    word = french_possessive(owner, part.gender, part.plural, part.fr)
    return _phrase(part, f"{possessive(owner)} {part.en}", f"{word} {part.fr}")


def counted(part: Core, en: str, fr: str) -> NounPhrase:
    """two cats: deux chats."""
    fr = "vingt et une" if fr == "vingt et un" and part.gender == "f" else fr
    return _phrase(part, f"{en} {part.en}", f"{fr} {part.fr}")


def _phrase(part: Core, en: str, fr: str) -> NounPhrase:
    return NounPhrase(en, fr, part.gender, part.plural, person=5 if part.plural else 2)


def pronoun_for(phrase: NounPhrase) -> NounPhrase:
    """The it or they that takes up a thing: il, elle, ils, elles."""
    french_word = ("elle" if phrase.gender == "f" else "il") + ("s" if phrase.plural else "")
    return replace(phrase, en="they" if phrase.plural else "it", fr=french_word, is_pronoun=True)


def object_pronoun(phrase: NounPhrase) -> str:
    """le, la or les for a thing or a person."""
    return "les" if phrase.plural else "la" if phrase.gender == "f" else "le"


def agreeing(fr: str, subject: NounPhrase) -> str:
    """A French adjective in agreement with the subject."""
    return french.adjective(fr, subject.gender, subject.plural)


FRENCH_TENSES: dict[english.Tense, french.Tense] = {
    "present": "present",
    "progressive": "present",
    "past": "past",
    "past_progressive": "imperfect",
    "used_to": "imperfect",
    "future": "future",
    "near_future": "near_future",
    "conditional": "conditional",
    "recent_past": "recent_past",
}


def french_tense(predicate: Predicate, tense: english.Tense) -> french.Tense:
    """The French tense of an English one: a simple past is a passé composé, of a lasting state an imparfait."""
    return "imperfect" if tense == "past" and predicate.lasting else FRENCH_TENSES[tense]


def split_reflexive(verb: str) -> tuple[bool, str]:
    """(True, laver) for se laver, (False, laver) for laver."""
    if verb.startswith(("se ", "s'")):
        return True, verb[3:] if verb.startswith("se ") else verb[2:]
    return False, verb


def infinitive(predicate: Predicate, subject: NounPhrase, negative: bool = False) -> Pair:
    """to be put after another verb: see him, le voir; rest, me reposer."""
    reflexive, verb = split_reflexive(predicate.fr_verb)
    clitics = ([french.REFLEXIVE[subject.person]] if reflexive else []) + list(predicate.clitics)
    fr = _words("ne pas" if negative else "", *clitics, verb, _tail(predicate, negative))
    en = predicate.en_negated if negative and predicate.en_negated else predicate.en
    return Pair(en, fr)


def _words(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _tail(predicate: Predicate, negative: bool) -> str:
    return predicate.fr_negated if negative and predicate.fr_negated else predicate.fr_tail


def _participle(predicate: Predicate, subject: NounPhrase, verb: str, reflexive: bool) -> str:
    if (reflexive or verb in french.ETRE_VERBS) and predicate.agrees_with_subject:
        return french.participle(verb, subject.gender, subject.plural)
    return french.participle(verb, *(predicate.object_agreement or ("m", False)))


def _core_verbs(predicate: Predicate, subject: NounPhrase, tense: french.Tense) -> tuple[list[str], str, list[str]]:
    """The clitics, the finite verb, and what comes after it and after pas."""
    reflexive, verb = split_reflexive(predicate.fr_verb)
    clitics = ([french.REFLEXIVE[subject.person]] if reflexive else []) + list(predicate.clitics)
    if tense == "near_future":
        return [], french.conjugate("aller", "present", subject.person), [*clitics, verb]
    if tense == "recent_past":
        return [], french.conjugate("venir", "present", subject.person), ["de", *clitics, verb]
    if tense == "past":
        helper = "être" if reflexive or verb in french.ETRE_VERBS else "avoir"
        done = _participle(predicate, subject, verb, reflexive)
        return clitics, french.conjugate(helper, "present", subject.person), [done]
    return clitics, french.conjugate(verb, tense, subject.person), []


def statement(subject: NounPhrase, predicate: Predicate, tense: english.Tense, middle: Middle | None = None) -> Pair:
    """A clause with its subject first, perhaps negated: he never eats bread, il ne mange jamais de pain."""
    negative = middle is not None and middle.negative
    phrase = predicate.en_negated if negative and predicate.en_negated else predicate.en
    helper, rest = english.auxiliary(phrase, subject.person, tense, do=middle is not None and middle.en == "not")
    en = _words(subject.en, helper, middle.en if middle else "", rest)
    clitics, finite, after = _core_verbs(predicate, subject, french_tense(predicate, tense))
    ne = "ne" if negative else ""
    words = [subject.fr, ne, *clitics, finite, middle.fr if middle else "", *after, _tail(predicate, negative)]
    return Pair(en, _words(*words))


def asked(subject: NounPhrase, predicate: Predicate, tense: english.Tense) -> str:
    """The English order of a question: does he eat bread."""
    helper, rest = english.auxiliary(predicate.en, subject.person, tense, do=True)
    return _words(helper, subject.en, rest)


def inverted(subject: NounPhrase, predicate: Predicate, tense: english.Tense) -> str:
    """The French order of a question with a pronoun: mange-t-il du pain, vous êtes-vous levé."""
    clitics, finite, after = _core_verbs(predicate, subject, french_tense(predicate, tense))
    link = "-t-" if finite[-1] in "aec" and subject.fr[0] in "ie" else "-"
    return _words(*clitics, finite + link + subject.fr, *after, predicate.fr_tail)


def question(subject: NounPhrase, predicate: Predicate, tense: english.Tense, word: Pair = NO_QUESTION_WORD) -> Pair:
    """A question with est-ce que, after a question word if there is one."""
    _, fr = statement(subject, predicate, tense)
    return Pair(_words(word.en, asked(subject, predicate, tense)), _words(word.fr, "est-ce que", fr))


def direct_question(
    subject: NounPhrase, predicate: Predicate, tense: english.Tense, word: Pair = NO_QUESTION_WORD
) -> Pair:
    """A question with inversion, after a question word if there is one."""
    return Pair(_words(word.en, asked(subject, predicate, tense)), _words(word.fr, inverted(subject, predicate, tense)))


def finish(pair: Pair, mark: str = ".") -> Pair:
    """Write a clause as a sentence: a/an, elision, capitals, punctuation in each language's manner."""
    en, fr = english.articles(pair.en), french.elide(pair.fr)
    space = "" if mark == "." else " "
    return Pair(en[0].upper() + en[1:] + mark, fr[0].upper() + fr[1:] + space + mark)
