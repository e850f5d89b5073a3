"""Pronouns before the French verb: le, la, les, lui, leur, y, en; and orders, where they stand after it."""

from dataclasses import replace

from transformer_mt.data.synthetic import english, french, grammar, lexicon, predicates
from transformer_mt.data.synthetic.draw import Draw, name, phrase, relative_of, subject
from transformer_mt.data.synthetic.french import Gender
from transformer_mt.data.synthetic.grammar import (
    HE,
    ME,
    NOT,
    PRONOUNS,
    SHE,
    THEY,
    WE,
    YOU,
    Middle,
    NounPhrase,
    Pair,
    Predicate,
    finish,
    infinitive,
    question,
    statement,
)
from transformer_mt.data.synthetic.lexicon import Noun, Verb
from transformer_mt.data.synthetic.patterns_descriptions import be, definite_thing, fitting
from transformer_mt.data.synthetic.patterns_statements import person_verb

# English object, its owner, French direct and indirect clitic, and its agreement
ObjectPronoun = tuple[str, NounPhrase, str, str, Gender, bool]
OBJECTS: tuple[ObjectPronoun, ...] = (
    ("me", ME, "me", "me", "m", False),
    ("you", YOU, "vous", "vous", "m", False),
    ("him", HE, "le", "lui", "m", False),
    ("her", SHE, "la", "lui", "f", False),
    ("us", WE, "nous", "nous", "m", True),
    ("them", THEY, "les", "leur", "m", True),
)


def other_than(d: Draw, who: NounPhrase) -> ObjectPronoun:
    """An object pronoun that is not the subject itself."""
    taken = {0: (0, 3), 3: (0, 3), 4: (4,)}.get(who.person, ()) if who.is_pronoun else ()  # neither I me nor we me
    return d.choice([item for item in OBJECTS if item[1].person not in taken])


def with_pronoun(verb: str, word: str) -> str:
    """look at it, but put it on: a pronoun stands inside verbs that can be parted."""
    head, _, particle = verb.partition(" ")
    return f"{head} {word} {particle}" if particle in ("on", "up") else f"{verb} {word}"


def it_agreeing(verb: Verb, thing: NounPhrase, en: str = "") -> Predicate:
    """see it: la voir, with a participle that agrees."""
    word = en or ("them" if thing.plural else "it")
    return Predicate(
        with_pronoun(verb.en, word),
        verb.fr,
        clitics=(grammar.object_pronoun(thing),),
        object_agreement=(thing.gender, thing.plural),
        stative=verb.stative,
        lasting=verb.lasting,
    )


def direct_pronoun(d: Draw) -> Pair:
    """He helped her: il l'a aidée."""
    who = subject(d)
    what = _person_object(d, who)
    tense = "present" if what.stative and d.chance(0.5) else d.choice(("past", "past", "future"))
    return finish(statement(who, what, tense, NOT if d.chance(0.25) else None))


def _person_object(d: Draw, who: NounPhrase) -> Predicate:
    en, _, clitic, _, gender, plural = other_than(d, who)
    verb = person_verb(d)
    d.combine(verb.en, f"{who.en} {en}")
    bare = predicates.of_verb(verb, en)
    return replace(bare, clitics=(clitic,), object_agreement=(gender, plural))


def indirect_pronoun(d: Draw) -> Pair:
    """She phoned them: elle leur a téléphoné."""
    who = subject(d)
    what = _indirect_object(d, who)
    tense = "present" if what.stative else d.choice(("past", "past", "future", "present"))
    return finish(statement(who, what, tense, NOT if d.chance(0.25) else None))


def _indirect_object(d: Draw, who: NounPhrase) -> Predicate:
    en, _, _, clitic, _, _ = other_than(d, who)
    verb = d.word(lexicon.verbs("INDIRECT"))
    d.combine(verb.en, f"{who.en} {en}")
    return Predicate(f"{verb.en} {en}", verb.fr, clitics=(clitic,), stative=verb.stative, lasting=verb.lasting)


def gives_me(d: Draw) -> Pair:
    """He gave me a book: il m'a donné un livre."""
    who = subject(d)
    en, _, _, clitic, _, _ = other_than(d, who)
    verb = d.word(lexicon.verbs_among("DITRANSITIVE", DATIVE))
    noun = d.word(verb.objects)
    d.combine(verb.en, noun.en)
    thing = phrase(d, noun, who)
    negated = f"{verb.en} {en} {thing.en_negated}" if thing.en_negated else ""
    what = Predicate(f"{verb.en} {en} {thing.en}", verb.fr, thing.fr, negated, thing.fr_negated, (clitic,))
    tense = "future" if english.ambiguous_past(what.en) else d.choice(("past", "past", "future", "near_future"))
    return finish(statement(who, what, tense, NOT if d.chance(0.25) else None))


DATIVE = frozenset(("give", "show", "lend", "send", "offer", "bring", "sell"))


def wants_pronoun(d: Draw) -> Pair | None:
    """I want to see him: je veux le voir; she cannot help us: elle ne peut pas nous aider."""
    who = subject(d)
    what = _person_object(d, who) if d.chance(0.6) else _indirect_object(d, who)
    if what.lasting or predicates.unwilled(what):
        return None
    return finish(_modal(d, who, what))


def _modal(d: Draw, who: NounPhrase, what: Predicate) -> Pair:
    done = infinitive(what, who)
    kind = d.choice(("can", "cannot", "must", "want", "want", "going"))
    if kind == "going":
        return statement(who, what, "near_future")
    if kind == "want":
        return statement(
            who, Predicate(f"want to {done.en}", "vouloir", done.fr, lasting=True), d.choice(("present", "past"))
        )
    french_verb = "devoir" if kind == "must" else "pouvoir"
    fr = statement(who, Predicate("", french_verb, done.fr), "present", NOT if kind == "cannot" else None).fr
    return Pair(f"{who.en} {kind} {done.en}", fr)


def object_thing(d: Draw) -> tuple[Verb, Noun, NounPhrase] | None:
    """A verb that is done to a thing, the noun, and the, this or my thing; or None, if it was none of these."""
    verb, noun = predicates.verb_and_noun(d)
    if noun.is_mass or noun.noun_class in ("family", "person", "profession", "sound", "transport") or verb.lasting:
        return None
    return verb, noun, definite_thing(d, noun)


def topic_it(d: Draw) -> Pair | None:
    """This dress? I bought it yesterday. Cette robe ? Je l'ai achetée hier."""
    who = subject(d)
    found = object_thing(d)
    if found is None:
        return None
    verb, _, thing = found
    tense, times = d.choice((("past", "PAST_TIMES"), ("past", "PAST_TIMES"), ("future", "FUTURE_TIMES")))
    said = statement(who, it_agreeing(verb, thing), tense, NOT if d.chance(0.2) else None)
    when = d.word(lexicon.words(times)) if d.chance(0.6) else None
    tail = Pair(f" {when.en}", f" {when.fr}") if when else Pair("", "")
    return after_question(thing, Pair(said.en + tail.en, said.fr + tail.fr))


def after_question(topic: NounPhrase | Pair, said: Pair) -> Pair:
    """A topic as a question of its own, then what is said about it."""
    first, second = finish(Pair(topic.en, topic.fr), "?"), finish(said)
    return Pair(f"{first.en} {second.en}", f"{first.fr} {second.fr}")


def where_is_it(d: Draw) -> Pair:
    """Where is my key? I lost it. Où est ma clé ? Je l'ai perdue."""
    noun = d.noun("thing", "clothes", "jewelry")
    thing, who = definite_thing(d, noun), subject(d)
    verb = d.word([item for item in lexicon.verbs("TRANSITIVE") if item.en in LOSING and noun in item.objects])
    d.combine(verb.en, noun.en)
    en, fr = ("are", "sont") if thing.plural else ("is", "est")
    asked = Pair(f"where {en} {thing.en}", f"où {fr} {thing.fr}")
    return after_question(asked, statement(who, it_agreeing(verb, thing), "past"))


LOSING = frozenset(("lose", "find", "forget", "hide", "sell"))


def do_you_see(d: Draw) -> Pair:
    """Do you know Marie? Yes, I know her. Connaissez-vous …: Est-ce que vous connaissez Marie ? Oui, je la connais."""
    verb = person_verb(d)
    person = d.choice((name(d), relative_of(d, YOU)))
    d.combine(verb.en, person.en)
    tense = d.choice(("present", "past", "past")) if verb.stative or verb.lasting else d.choice(("past", "future"))
    asked = question(YOU, predicates.with_object(verb, person), tense)
    answer = it_agreeing(verb, person, "her" if person.gender == "f" else "him")
    yes, middle = (Pair("yes", "oui"), None) if d.chance(0.55) else (Pair("no", "non"), NOT)
    said = statement(ME, answer, tense, middle)
    return after_question(asked, Pair(f"{yes.en}, {said.en}", f"{yes.fr}, {said.fr}"))


def knows_person(d: Draw) -> Pair:
    """I like Sophie: I see her every day. J'aime … je la vois tous les jours."""
    who, person = d.choice(PRONOUNS), name(d) if d.chance(0.6) else relative_of(d)
    verb = d.word(lexicon.verbs_among("TRANSITIVE", REGULARLY))
    when = d.word(lexicon.words("HABITS"))
    d.combine(verb.en, when.en)
    d.combine("know", person.en)
    said = statement(who, Predicate(f"know {person.en}", "connaître", person.fr), "present")
    pronoun = "her" if person.gender == "f" else "him"
    more = statement(who, it_agreeing(verb, person, pronoun), "present" if not verb.lasting else "past")
    if verb.lasting:
        return finish(Pair(f"{said.en} well", _well(said.fr, person.fr)))
    return finish(Pair(f"{said.en}; {more.en} {when.en}", f"{said.fr} ; {more.fr} {when.fr}"))


REGULARLY = frozenset(("see", "hear", "call", "greet", "help", "invite", "love", "know", "accompany", "meet"))


def _well(fr: str, person: str) -> str:
    """bien stands between the verb and its object."""
    return fr.removesuffix(person) + f"bien {person}"


def there_y(d: Draw) -> Pair:
    """The museum? We went there yesterday. Le musée ? Nous y sommes allés hier."""
    who = subject(d)
    place = d.noun("place", "town")
    topic = Pair(place.en, place.fr) if place.noun_class == "town" else Pair(*_definite(place))
    en, fr = d.choice(
        (("go", "aller"), ("go back", "retourner"), ("stay", "rester"), ("arrive", "arriver"), ("work", "travailler"))
    )
    d.combine(en, place.en)
    what = Predicate(f"{en} there", fr, clitics=("y",))
    tense, times = d.choice(
        (("past", "PAST_TIMES"), ("future", "FUTURE_TIMES"), ("near_future", "FUTURE_TIMES"), ("present", "HABITS"))
    )
    when = d.word(lexicon.words(times))
    if fr in ("aller", "retourner") and tense == "future" and fr == "aller":
        tense = "near_future"  # j'irai, not j'y irai: y drops before the future of aller
    said = statement(who, what.with_tail(when.en, when.fr), tense)
    return after_question(topic, said)


def _definite(noun: Noun) -> tuple[str, str]:
    whole = grammar.definite(grammar.core(noun))
    return whole.en, whole.fr


def some_en(d: Draw) -> Pair:
    """Apples? I bought five of them. Des pommes ? J'en ai acheté cinq."""
    who = subject(d)
    verb = d.word(lexicon.verbs_among("TRANSITIVE", ("eat", "buy", "sell", "order", "prepare", "find", "borrow")))
    noun = d.word([item for item in verb.objects if not item.is_mass])
    d.combine(verb.en, noun.en)
    some = grammar.indefinite(grammar.core(noun, True))
    number = d.word(lexicon.words("NUMBERS")[:11])
    what = Predicate(f"{verb.en} {number.en} of them", verb.fr, number.fr, clitics=("en",))
    return after_question(some, statement(who, what, d.choice(("past", "past", "future", "near_future"))))


def none_en(d: Draw) -> Pair:
    """Some bread? She does not want any. Du pain ? Elle n'en veut pas."""
    who, noun = subject(d), d.noun("food", "drink", "fruit", "dish", "ingredient")
    part = grammar.core(noun, plural=not noun.is_mass)
    thing = grammar.partitive(part) if noun.is_mass else grammar.indefinite(part)
    en, fr = d.choice((("want", "vouloir"), ("have", "avoir"), ("buy", "acheter"), ("sell", "vendre")))
    d.combine(en, noun.en)
    what = Predicate(f"{en} any", fr, clitics=("en",), lasting=en in ("want", "have"))
    tense = "present" if what.lasting else d.choice(("past", "present", "future"))
    return after_question(thing, statement(who, what, tense, NOT))


def talks_about_it(d: Draw) -> Pair:
    """This party? They talk about it every day: ils en parlent tous les jours; need it, en avoir besoin."""
    who = subject(d)
    verb = d.word(lexicon.verbs_among("ABOUT", ("talk about", "need", "complain about", "dream about")))
    noun = d.word([item for item in verb.objects if item.noun_class not in ("family", "person")])
    d.combine(verb.en, noun.en)
    thing = definite_thing(d, noun)
    bare = predicates.of_verb(verb, "them" if thing.plural else "it")
    what = Predicate(bare.en, bare.fr_verb, bare.fr_tail, clitics=("en",), lasting=bare.lasting)
    tense = d.choice(("present", "past", "future"))
    middle = d.choice((None, None, NOT, Middle("often", "souvent", False)))
    return after_question(thing, statement(who, what, tense, middle))


def order(d: Draw) -> Pair:
    """Open the window! Ouvrez la fenêtre !"""
    what = predicates.deliberate(d, YOU)
    if d.chance(0.3):
        return finish(Pair(f"do not {what.en_negated or what.en}", _forbid(what, 4)), "!")
    return finish(Pair(what.en, _order(what, 4)), "!")


def lets(d: Draw) -> Pair:
    """Let us go to the cinema! Allons au cinéma !"""
    what = predicates.deliberate(d, WE)
    return finish(Pair(f"let us {what.en}", _order(what, 3)), "!")


def order_by_name(d: Draw) -> Pair:
    """Paul, close the door! Paul, ferme la porte ! One who is called by name is tu."""
    called = name(d)
    d.you = grammar.familiar_you(called.gender)
    what = predicates.deliberate(d, d.you)
    if d.chance(0.3):
        return finish(
            Pair(f"{called.en}, do not {what.en_negated or what.en}", f"{called.fr}, {_forbid(what, 1)}"), "!"
        )
    return finish(Pair(f"{called.en}, {what.en}", f"{called.fr}, {_order(what, 1)}"), "!")


def _imperative(verb: str, person: int) -> str:
    form = french.conjugate(verb, "present", person)
    # ferme, va, ouvre: no s after e and a
    return form[:-1] if person == 1 and form.endswith(("es", "as")) else form


def _order(what: Predicate, person: int) -> str:
    reflexive, verb = grammar.split_reflexive(what.fr_verb)
    after = {1: "-toi", 3: "-nous", 4: "-vous"}[person] if reflexive else ""
    return f"{_imperative(verb, person)}{after} {what.fr_tail}".strip()


def _forbid(what: Predicate, person: int) -> str:
    reflexive, verb = grammar.split_reflexive(what.fr_verb)
    before = french.REFLEXIVE[person] + " " if reflexive else ""
    return f"ne {before}{_imperative(verb, person)} pas {what.fr_negated or what.fr_tail}".strip()


def order_with_pronoun(d: Draw) -> Pair | None:
    """Give me the book! Donnez-moi le livre ! Do not look at her! Ne la regardez pas !"""
    en, _, direct, indirect, _, _ = d.choice([item for item in OBJECTS if item[0] != "you"])
    if d.chance(0.5):
        verb = d.word(lexicon.verbs_among("DITRANSITIVE", DATIVE))
        noun = d.word(verb.objects)
        d.combine(verb.en, noun.en)
        thing = definite_thing(d, noun)
        strong = {"me": "moi"}.get(indirect, indirect)
        return finish(Pair(f"{verb.en} {en} {thing.en}", f"{_imperative(verb.fr, 4)}-{strong} {thing.fr}"), "!")
    verb = person_verb(d)
    if verb.stative or verb.lasting or verb.en in predicates.UNWILLED:
        return None
    d.combine("order", f"{verb.en} {en}")
    if d.chance(0.5):
        strong = {"me": "moi"}.get(direct, direct)
        return finish(Pair(f"{verb.en} {en}", f"{_imperative(verb.fr, 4)}-{strong}"), "!")
    return finish(Pair(f"do not {verb.en} {en}", f"ne {direct} {_imperative(verb.fr, 4)} pas"), "!")


def not_it(d: Draw) -> Pair | None:
    """The dog is mean: do not touch it! Le chien est méchant : ne le touchez pas !"""
    found = object_thing(d)
    if found is None:
        return None
    verb, noun, thing = found
    if verb.stative or verb.en in predicates.UNWILLED:
        return None
    quality = fitting(d, noun)
    said = statement(thing, be(quality.en, grammar.agreeing(quality.fr, thing)), "present")
    forbid = d.chance(0.5)
    word, clitic = ("them" if thing.plural else "it"), grammar.object_pronoun(thing)
    form = _imperative(verb.fr, 4)
    en = ("do not " if forbid else "") + with_pronoun(verb.en, word)
    fr = f"ne {clitic} {form} pas" if forbid else f"{form}-{clitic}"
    return finish(Pair(f"{said.en}: {en}", f"{said.fr} : {fr}"), "!")


PATTERNS = {
    direct_pronoun: 3, indirect_pronoun: 2, gives_me: 2, wants_pronoun: 2, topic_it: 3, where_is_it: 1,
    do_you_see: 1, knows_person: 1, there_y: 1, some_en: 1, none_en: 1, talks_about_it: 1, order: 2, lets: 1,
    order_by_name: 1, order_with_pronoun: 1, not_it: 1,
}  # fmt: skip
