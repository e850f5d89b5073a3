"""Longer sentences: infinitives, that-clauses, relatives, conditions, reasons, passives; and a few set phrases."""

from transformer_mt.data.synthetic import english, french, grammar, lexicon, predicates
from transformer_mt.data.synthetic.draw import (
    Draw,
    again_pronoun,
    describe,
    destination_abroad,
    name,
    phrase,
    relative_of,
    somebody,
    subject,
    third_person,
)
from transformer_mt.data.synthetic.french import contract, participle
from transformer_mt.data.synthetic.grammar import (
    NOT,
    NounPhrase,
    Pair,
    Predicate,
    agreeing,
    finish,
    infinitive,
    statement,
)
from transformer_mt.data.synthetic.patterns_descriptions import be, definite_thing
from transformer_mt.data.synthetic.predicates import of_verb

IT = NounPhrase("it", "il", person=2)


def wants_to(d: Draw) -> Pair:
    """She decided to learn French: elle a décidé d'apprendre le français."""
    who, verb = subject(d), d.word(lexicon.verbs("MODAL"))
    what = predicates.deliberate(d, who)
    d.combine(verb.en, what.en.split()[0])
    middle = NOT if d.chance(0.2) and verb.en not in NOT_DENIED else None
    done = infinitive(what.under_negation() if middle and verb.en in DENYING else what, who)
    begun = of_verb(verb, done.en, done.fr)
    tenses = ("present", "past") if verb.lasting else ("past", "past", "future")
    return finish(statement(who, begun, d.choice(tenses), middle))


NOT_DENIED = frozenset(("refuse to", "have to", "be about to", "adore to", "love to", "get ready to"))
DENYING = frozenset(("want to", "know how to", "dare to", "manage to", "like to", "try to", "need to"))
"""Verbs whose negation reaches what comes after: he does not want to eat any bread."""


def can_must(d: Draw) -> Pair:
    """I cannot sleep: je ne peux pas dormir; you must wait: vous devez attendre; we should, nous devrions."""
    who = subject(d)
    what = predicates.deliberate(d, who)
    en, fr, tense, negative = d.choice(MODALS)
    done = infinitive(what.under_negation() if negative else what, who)
    return finish(Pair(f"{who.en} {en} {done.en}", _modal_french(who, fr, tense, negative, done.fr)))


MODALS: tuple[tuple[str, str, english.Tense, bool], ...] = (
    ("can", "pouvoir", "present", False),
    ("cannot", "pouvoir", "present", True),
    ("must", "devoir", "present", False),
    ("must not", "devoir", "present", True),
    ("should", "devoir", "conditional", False),
    ("should not", "devoir", "conditional", True),
    ("will be able to", "pouvoir", "future", False),
    ("would like to", "aimer", "conditional", False),
)


def _modal_french(who: NounPhrase, verb: str, tense: english.Tense, negative: bool, done: str) -> str:
    return statement(who, Predicate("", verb, done), tense, NOT if negative else None).fr


def helps_to(d: Draw) -> Pair | None:
    """He helped his sister wash the car: il a aidé sa sœur à laver la voiture."""
    who = subject(d)
    en, fr, link = d.choice(
        (("help", "aider", "à"), ("ask", "demander", "de"), ("let", "laisser", ""), ("tell", "dire", "de"))
    )
    other = relative_of(d, who) if d.chance(0.6) else name(d)
    done = infinitive(predicates.deliberate(d, other), other)
    if other.en == who.en:
        return None
    whom = contract("à", other.fr) if link == "de" else other.fr
    if en == "let":
        en, fr, link = "help", "aider", "à"
    what = Predicate(f"{en} {other.en} to {done.en}", fr, f"{whom} {link} {done.fr}")
    return finish(statement(who, what, d.choice(("past", "future"))))


def in_order_to(d: Draw) -> Pair:
    """He went to Paris to visit his aunt: pour voir sa tante."""
    who = subject(d)
    place, verbs, classes = d.choice(PURPOSES)
    where = _at(place) if place else destination_abroad(d, "go")
    verb = d.word(lexicon.verbs_among("TRANSITIVE", tuple(verbs.split(", "))))
    noun = d.word([item for item in verb.objects if item.noun_class in classes.split() or item.en in classes.split()])
    d.combine(verb.en, noun.en)
    d.combine("go", where.en)
    what = Predicate(f"go {where.en}", "aller", where.fr)
    done = infinitive(predicates.with_object(verb, phrase(d, noun)), who)
    what = what.with_tail(f"to {done.en}", f"pour {done.fr}")
    return finish(statement(who, what, d.choice(("past", "near_future", "future"))))


def _at(place: str) -> Pair:
    spot = grammar.definite(grammar.core(lexicon.nouns()[place][0]))
    return Pair(f"to {spot.en}", contract("à", spot.fr))


# Where one goes (to a town or a country where there is nothing), to do what, with which nouns
PURPOSES = (
    ("", "visit", "settlement building"), ("", "buy, rent", "vehicle clothes"), ("", "photograph", "building nature"),
    ("", "see, meet", "family"), ("", "sell", "vehicle jewelry"), ("", "admire", "building nature"),
    ("", "help, accompany", "family"), ("", "organize", "event"), ("", "draw", "building nature"),
    ("market", "buy, sell", "fruit"), ("supermarket", "buy", "food drink ingredient"),
    ("bakery", "buy", "bread cake pie"),
    ("bookstore", "buy", "book novel magazine dictionary"), ("library", "read", "newspaper magazine novel dictionary"),
    ("library", "borrow", "book novel"), ("theater", "watch", "play performance"), ("cinema", "watch", "movie"),
    ("stadium", "watch", "match"), ("zoo", "see, photograph, draw", "wild"), ("station", "wait for", "family train"),
    ("airport", "wait for", "family plane"), ("port", "wait for", "family ferry"), ("farm", "feed", "animal"),
    ("restaurant", "eat", "dish"), ("museum", "look at", "jewelry"), ("post office", "buy", "stamp envelope"),
)  # fmt: skip


def without_doing(d: Draw) -> Pair | None:
    """She left without closing the door: sans fermer la porte; before eating: avant de manger."""
    who = subject(d)
    verb = d.word([item for item in lexicon.verbs("MOTION") if item.place == "none" and item.en != "fall"])
    done = predicates.deliberate(d, who)
    if done.fr_verb in french.ETRE_VERBS:  # to go downstairs without going upstairs says nothing
        return None
    d.combine(verb.en, done.en.split()[0])
    fr = infinitive(done, who).fr
    en_link, fr_link = d.choice((("without", "sans"), ("before", "avant de")))
    what = of_verb(verb, f"{en_link} {english.gerund(done.en)}", f"{fr_link} {fr}")
    return finish(statement(who, what, d.choice(("past", "past", "future"))))


def it_is_adjective_to(d: Draw) -> Pair:
    """It is difficult to learn Chinese: il est difficile d'apprendre le chinois."""
    done = infinitive(predicates.deliberate(d, OTHERS), OTHERS)
    quality = d.word([item for item in lexicon.adjectives()["A"] if item.en in TASKS])
    d.combine(quality.en, done.en.split()[0])
    what = be(f"{quality.en} to {done.en}", f"{quality.fr} de {done.fr}")
    return finish(
        statement(IT, what, d.choice(("present", "present", "past", "future")), NOT if d.chance(0.3) else None)
    )


TASKS = frozenset(
    (
        "important",
        "difficult",
        "easy",
        "interesting",
        "boring",
        "useful",
        "dangerous",
        "stupid",
        "necessary",
        "complicated",
    )
)
OTHERS = NounPhrase("one", "on", person=2)


def it_is_necessary(d: Draw) -> Pair:
    """You have to wait for the bus said of everybody is il faut attendre le bus: it is time to, il est temps de."""
    done = infinitive(predicates.deliberate(d, OTHERS), OTHERS)
    en, fr = d.choice(
        (("it is time to", "il est temps de"), ("it is forbidden to", "il est interdit de"), ("one must", "il faut"))
    )
    d.combine(en, done.en.split()[0])
    return finish(Pair(f"{en} {done.en}", f"{fr} {done.fr}"))


def too_tired_to(d: Draw) -> Pair:
    """He is too tired to work: il est trop fatigué pour travailler."""
    who = subject(d)
    feeling = d.word([item for item in lexicon.adjectives()["S"] if item.en in TIRING])
    d.combine("too", feeling.en)
    done = infinitive(predicates.deliberate(d, who), who)
    what = be(f"too {feeling.en} to {done.en}", f"trop {agreeing(feeling.fr, who)} pour {done.fr}")
    return finish(statement(who, what, d.choice(("present", "past"))))


def so_that(d: Draw) -> Pair:
    """She is so tired that she is falling asleep: tellement fatiguée que."""
    who = third_person(d)
    again = again_pronoun(who)
    feeling = d.word([item for item in lexicon.adjectives()["S"] if item.en in TIRING])
    d.combine("so", f"{who.en} {feeling.en}")
    done = predicates.deliberate(d, again)
    said = statement(again, done, "future" if d.chance(0.5) else "near_future", NOT)
    first = statement(who, be(f"so {feeling.en}", f"tellement {agreeing(feeling.fr, who)}"), "present")
    return finish(Pair(f"{first.en} that {said.en}", f"{first.fr} que {said.fr}"))


TIRING = frozenset(
    "tired sad sick busy worried nervous furious exhausted disappointed embarrassed surprised relaxed".split()
)


def passive(d: Draw) -> Pair | None:
    """The house was built by my uncle: la maison a été construite par mon oncle."""
    author = somebody(d)
    verb, noun = predicates.verb_and_noun(d, PASSIVE)
    if noun.noun_class == "family":
        return None
    d.combine("by", f"{verb.en} {author.en}")
    thing = definite_thing(d, noun)
    done = participle(verb.fr, thing.gender, thing.plural)
    future = d.chance(0.35)
    helper = "will be" if future else english.BE_PAST[thing.person]
    en = f"{thing.en} {helper} {english.past_participle(verb.en)} by {author.en}"
    fr_helper = french.conjugate("être", "future", thing.person) if future else ("ont été" if thing.plural else "a été")
    return finish(Pair(en, f"{thing.fr} {fr_helper} {done} par {author.fr}"))


PASSIVE = frozenset(
    "build write translate correct repair wash clean open close paint draw sell buy steal hide find break choose sign "
    "organize cancel plant rent accept eat drink prepare peel cut adopt photograph examine".split()
)


def thanks_for(d: Draw) -> Pair:
    """Thank you for the flowers, Marie! Merci pour les fleurs, Marie !"""
    called, noun = name(d), d.noun("thing", "dish", "jewelry", "clothes", "writing")
    d.combine("thank", noun.en)
    make = grammar.demonstrative if d.chance(0.3) else grammar.definite
    thing = make(grammar.core(noun, d.chance(0.4), describe(d, noun)))
    return finish(Pair(f"thank you for {thing.en}, {called.en}", f"merci pour {thing.fr}, {called.fr}"), "!")


def set_phrase(d: Draw) -> Pair:
    """Good morning, Paul! Bonjour, Paul !"""
    en, fr, mark = d.choice(PHRASES)
    if d.chance(0.85):
        called = name(d)
        fr = fr.replace("vous voulez", "tu veux")  # one who is called by name is tu
        return finish(Pair(f"{en}, {called.en}", f"{fr}, {called.fr}"), mark)
    return finish(Pair(en, fr), mark)


PHRASES = (
    ("good morning", "bonjour", "!"),
    ("good evening", "bonsoir", "!"),
    ("good night", "bonne nuit", "!"),
    ("goodbye", "au revoir", "!"),
    ("happy birthday", "joyeux anniversaire", "!"),
    ("see you tomorrow", "à demain", "!"),
    ("see you soon", "à bientôt", "!"),
    ("good luck", "bonne chance", "!"),
    ("enjoy your meal", "bon appétit", "!"),
    ("thank you very much", "merci beaucoup", "."),
    ("congratulations", "félicitations", "!"),
    ("have a good trip", "bon voyage", "!"),
    ("welcome", "bienvenue", "!"),
    ("it does not matter", "ce n'est pas grave", "."),
    ("of course", "bien sûr", "."),
    ("what is happening", "que se passe-t-il", "?"),
    ("that is enough", "ça suffit", "!"),
    ("as you wish", "comme vous voulez", "."),
    ("it is all the same to me", "ça m'est égal", "."),
)


def introduces(d: Draw) -> Pair:
    """My name is Paul and I am a baker: je m'appelle Paul et je suis boulanger."""
    noun = d.noun("profession")
    called = name(d, noun.gender)
    d.combine(called.en, noun.en)
    who = d.choice(
        (grammar.ME,) if noun.gender == "m" and d.chance(0.5) else (grammar.HE if noun.gender == "m" else grammar.SHE,)
    )
    named = statement(who, Predicate("", "s'appeler", called.fr), "present").fr
    job = statement(who, be(f"a {noun.en}", noun.fr), "present")
    return finish(Pair(f"{grammar.possessive(who)} name is {called.en} and {job.en}", f"{named} et {job.fr}"))


def for_someone(d: Draw) -> Pair | None:
    """I bought this hat for my mother: pour ma mère; with my brother: avec mon frère."""
    who, other = subject(d), relative_of(d) if d.chance(0.5) else name(d)
    if other.en in who.en:
        return None
    verb, noun = predicates.verb_and_noun(d, SHARED)
    link = d.choice((("for", "pour"), ("with", "avec")))
    d.combine(link[0], f"{verb.en} {other.en}")
    what = predicates.with_object(verb, phrase(d, noun, who)).with_tail(
        f"{link[0]} {other.en}", f"{link[1]} {other.fr}"
    )
    tenses = ("past", "future") if what.punctual else ("past", "past", "future", "past_progressive")
    return finish(statement(who, what, d.choice(tenses)))


SHARED = frozenset(
    "buy prepare choose paint draw repair clean wash build plant translate order find write sing".split()
)


PATTERNS = {
    wants_to: 3, can_must: 3, helps_to: 1, in_order_to: 1, without_doing: 1, it_is_adjective_to: 1,
    it_is_necessary: 1, too_tired_to: 1, so_that: 1,
    passive: 2, thanks_for: 1, set_phrase: 1, introduces: 1, for_someone: 1,
}  # fmt: skip
