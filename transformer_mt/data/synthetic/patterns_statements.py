"""Plain statements: every tense, adverbs, negation, indirect objects, idioms of taste and place."""

from dataclasses import replace

from transformer_mt.data.synthetic import english, grammar, lexicon, predicates
from transformer_mt.data.synthetic.draw import (
    Draw,
    describe,
    in_land,
    name,
    origin,
    phrase,
    somebody,
    subject,
    third_person,
    whereabouts,
)
from transformer_mt.data.synthetic.french import ETRE_VERBS, contract
from transformer_mt.data.synthetic.grammar import (
    NEVER,
    NO_LONGER,
    NO_WORD,
    NOT,
    Middle,
    NounPhrase,
    Pair,
    Predicate,
    finish,
    statement,
)
from transformer_mt.data.synthetic.predicates import of_verb, with_object


def transitive_any_tense(d: Draw) -> Pair:
    """He is eating an apple."""
    who = subject(d)
    what = predicates.transitive(d, who)
    return finish(statement(who, what, predicates.tense_for(d, what)))


def any_frame_any_tense(d: Draw) -> Pair:
    """She will play the piano."""
    who = subject(d)
    what = predicates.anything(d, who)
    return finish(statement(who, what, predicates.tense_for(d, what)))


def short_intransitive(d: Draw) -> Pair:
    """She is sleeping."""
    who = subject(d)
    what = d.choice((predicates.intransitive, predicates.reflexive))(d, who)
    return finish(statement(who, what, predicates.tense_for(d, what)))


def with_manner(d: Draw) -> Pair:
    """She is walking slowly."""
    who = subject(d)
    verbs = lexicon.verbs_among("INTRANSITIVE", MANNERLY)
    verb = d.word(verbs)
    manner = d.word([item for item in lexicon.words("MANNERS") if verb.en in UNLIKELY.get(item.en, (verb.en,))])
    d.combine(verb.en, manner.en)
    what = of_verb(verb, manner.en, manner.fr)
    return finish(statement(who, what, d.choice(("past_progressive", "present", "progressive", "future"))))


# Manners that few of the verbs go with, and those verbs
UNLIKELY = {"patiently": ("work", "cook", "study"), "outside": ("work", "walk", "sing", "dance", "play", "eat")}
MANNERLY = frozenset("work run walk sing dance swim play drive cook study eat".split())


def with_past_time(d: Draw) -> Pair:
    """They arrived in Paris yesterday."""
    return _timed(d, "PAST_TIMES", "past")


def with_future_time(d: Draw) -> Pair:
    """We are going to leave tomorrow."""
    return _timed(d, "FUTURE_TIMES", d.choice(("future", "near_future")))


def _timed(d: Draw, times: str, tense: english.Tense) -> Pair:
    who = subject(d)
    what = predicates.activity(d, who)
    when = d.word(lexicon.words(times))
    return finish(statement(who, what.with_tail(when.en, when.fr), tense))


def time_first(d: Draw) -> Pair:
    """Yesterday, I met Marie's brother."""
    who = subject(d)
    what = predicates.activity(d, who)
    times, tense = d.choice((("PAST_TIMES", "past"), ("FUTURE_TIMES", "future")))
    when = d.word(lexicon.words(times))
    said = statement(who, what, tense)
    return finish(Pair(f"{when.en}, {said.en}", f"{when.fr}, {said.fr}"))


def habit(d: Draw) -> Pair:
    """He writes to his sister every week."""
    who = subject(d)
    what = _habitual(d, who)
    when = d.word(lexicon.words("HABITS"))
    tense = "used_to" if english.ambiguous_past(what.en) else d.choice(("present", "present", "used_to"))
    return finish(statement(who, what.with_tail(when.en, when.fr), tense))


def _habitual(d: Draw, who: NounPhrase) -> Predicate:
    frames = (
        predicates.intransitive, predicates.reflexive, predicates.indirect, predicates.play, predicates.study,
        predicates.wash_body, consumption, consumption,
    )  # fmt: skip
    return d.choice(frames)(d, who)


def consumption(d: Draw, who: NounPhrase) -> Predicate:
    """eat cherries, drink some milk: what is done often, and with partitives."""
    verb = d.word(lexicon.verbs_among("TRANSITIVE", ("eat", "drink", "buy", "order")))
    eaten = [noun for noun in verb.objects if noun.noun_class in ("fruit", "dish", "food", "drink")]
    noun = d.word(eaten)
    d.combine(verb.en, noun.en)
    part = grammar.core(noun, plural=not noun.is_mass)
    thing = grammar.partitive(part) if noun.is_mass else grammar.indefinite(part)
    # what is done often is said without some or any: she drinks coffee, he never eats apples
    return with_object(verb, replace(thing, en=part.en, en_negated=""))


def right_now(d: Draw) -> Pair:
    """She is working at the moment."""
    who = subject(d)
    what = predicates.ongoing(d, who)
    when = d.word(lexicon.words("NOW"))
    return finish(statement(who, what.with_tail(when.en, when.fr), "progressive"))


OFTEN = (
    Middle("often", "souvent", False), Middle("always", "toujours", False), Middle("sometimes", "parfois", False),
    Middle("rarely", "rarement", False),
)  # fmt: skip


def frequency(d: Draw) -> Pair:
    """He often forgets his keys."""
    who = subject(d)
    what = predicates.activity(d, who)
    tense = "future" if english.ambiguous_past(what.en) else "present"
    return finish(statement(who, what, tense, d.choice(OFTEN)))


def already(d: Draw) -> Pair:
    """I have already read this book: the perfect is a passé composé."""
    who = subject(d)
    what = predicates.activity(d, who)
    en = f"{who.en} {'has' if who.person == 2 else 'have'} already {english.experienced(what.en)}"
    return finish(Pair(en, statement(who, what, "past", Middle("", "déjà", False)).fr))


def not_yet(d: Draw) -> Pair:
    """I have not eaten yet."""
    who = subject(d)
    what = predicates.activity(d, who)
    phrase_en = english.past_participle(what.en_negated or what.en)
    en = f"{who.en} {'has' if who.person == 2 else 'have'} not {phrase_en} yet"
    return finish(Pair(en, statement(who, what, "past", Middle("not", "pas encore")).fr))


def just_now(d: Draw) -> Pair:
    """She has just arrived: elle vient d'arriver."""
    who = subject(d)
    return finish(statement(who, predicates.activity(d, who), "recent_past"))


def still(d: Draw) -> Pair | None:
    """He is still sleeping."""
    who = subject(d)
    what = predicates.ongoing(d, who)
    if what.fr_verb in ETRE_VERBS or what.fr_verb in DONE_AT_ONCE:  # he is still coming back: encore would be again
        return None
    return finish(statement(who, what, d.choice(("progressive", "past_progressive")), Middle("still", "encore", False)))


DONE_AT_ONCE = frozenset("donner offrir prêter envoyer vendre rendre apporter montrer".split())


def negated(d: Draw) -> Pair:
    """I did not buy a car: je n'ai pas acheté de voiture."""
    who = subject(d)
    what = predicates.anything(d, who)
    return finish(statement(who, what, d.choice(("past", "future", "present")), NOT))


def negated_progressive(d: Draw) -> Pair:
    """She is not eating any bread."""
    who = subject(d)
    what = predicates.ongoing(d, who)
    return finish(statement(who, what, d.choice(("progressive", "past_progressive", "near_future")), NOT))


def never(d: Draw) -> Pair:
    """He never eats bread."""
    who = subject(d)
    what = predicates.activity(d, who) if d.chance(0.5) else consumption(d, who)
    return finish(statement(who, what, predicates.simple_tense(d, what), NEVER))


def no_longer(d: Draw) -> Pair:
    """She no longer works."""
    who = subject(d)
    what = _habitual(d, who)
    tense = "future" if english.ambiguous_past(what.en) else d.choice(("present", "present", "future"))
    return finish(statement(who, what, tense, NO_LONGER))


PERSON_VERBS = frozenset("see hear know invite help meet recognize love thank greet call accompany".split()) | {
    "wait for",
    "look for",
    "listen to",
}


def person_verb(d: Draw) -> lexicon.Verb:
    """A transitive verb whose object can be anybody."""
    return d.word(lexicon.verbs_among("TRANSITIVE", PERSON_VERBS))


def not_anyone(d: Draw) -> Pair:
    """I did not see anyone: je n'ai vu personne."""
    who, verb = subject(d), person_verb(d)
    d.combine(who.en, verb.en)
    what = of_verb(verb, "anyone", "personne")
    return finish(statement(who, what, d.choice(("past", "present", "future")), NO_WORD))


def not_anything(d: Draw) -> Pair:
    """He is not doing anything: il ne fait rien."""
    who = subject(d)
    verb = d.word(lexicon.verbs_among("TRANSITIVE", THING_VERBS))
    d.combine(who.en, verb.en)
    what = of_verb(verb, "anything")
    return finish(statement(who, what, d.choice(("past", "present", "future")), Middle("not", "rien")))


THING_VERBS = frozenset(
    "eat drink buy read write see hear find understand choose forget explain break sell prepare hide receive".split()
)


def nobody(d: Draw) -> Pair:
    """Nobody is working: personne ne travaille."""
    nobody_there = NounPhrase("nobody", "personne ne")
    what = predicates.activity(d, nobody_there) if d.chance(0.6) else predicates.anything(d, nobody_there)
    return finish(statement(nobody_there, what.under_negation(), "past" if d.chance(0.5) else "future"))


def only(d: Draw) -> Pair:
    """She only drinks water: elle ne boit que de l'eau."""
    who = subject(d)
    what = consumption(d, who)
    said = statement(who, what, "present", Middle("only", "", False))
    fr = statement(who, Predicate("", what.fr_verb), "present", NO_WORD).fr
    return finish(Pair(said.en, f"{fr} que {what.fr_tail}"))


def gives_to_someone(d: Draw) -> Pair:
    """He lent his car to my sister."""
    who = subject(d)
    what = predicates.ditransitive(d, who)
    return finish(statement(who, what, predicates.tense_for(d, what)))


def plays(d: Draw) -> Pair:
    """My aunt plays the piano."""
    who = subject(d)
    return finish(
        statement(who, predicates.play(d, who), d.choice(("present", "past_progressive", "future", "used_to")))
    )


def speaks(d: Draw) -> Pair:
    """She speaks French well."""
    who, language = subject(d), d.noun("language")
    d.combine(who.en, language.en)
    how = d.choice((("", ""), (" very well", "très bien "), (" well", "bien ")))
    what = Predicate(f"speak {language.en}{how[0]}", "parler", f"{how[1]}{language.fr}", lasting=True)
    return finish(statement(who, what, "present"))


def likes(d: Draw) -> Pair:
    """I hate mushrooms: je déteste les champignons."""
    who = subject(d)
    what = predicates.taste(d, who)
    middle = NOT if d.chance(0.5) and what.fr_verb == "aimer" else None  # nobody says that they do not adore tea
    return finish(statement(who, what, d.choice(("present", "present", "past")), middle))


def prefers(d: Draw) -> Pair | None:
    """He prefers tea to coffee: il préfère le thé au café."""
    who, kind = subject(d), d.choice(("fruit", "dish", "food", "drink", "animal", "study", "sport"))
    first, second = predicates.taste_noun(d, kind), predicates.taste_noun(d, kind)
    d.combine(first.en, second.en)
    better, worse = predicates.general(first), predicates.general(second)
    if first.en == second.en:
        return None
    fr_tail = f"{better.fr} {contract('à', worse.fr)}"
    what = Predicate(f"prefer {better.en} to {worse.en}", "préférer", fr_tail, lasting=True)
    return finish(statement(who, what, "present"))


def moves(d: Draw) -> Pair:
    """They went to the cinema."""
    who = subject(d)
    if d.chance(0.12):
        accident = d.word(lexicon.verbs("ACCIDENT"))
        d.combine(who.en, accident.en)
        return finish(statement(who, of_verb(accident), "past"))
    what = predicates.motion(d, who)
    return finish(statement(who, what, d.choice(("past", "past", "future", "near_future", "progressive"))))


def lives_somewhere(d: Draw) -> Pair:
    """My brother lives in Japan."""
    who, place = third_person(d) if d.chance(0.6) else subject(d), d.noun("town", "country")
    d.combine(who.en, place.en)
    where = in_land(place) if place.noun_class == "country" else f"à {place.fr}"
    what = Predicate(f"live in {place.en}", "habiter", where, lasting=True)
    return finish(statement(who, what, d.choice(("present", "used_to"))))


def born(d: Draw) -> Pair:
    """My sister was born in Rome: ma sœur est née à Rome."""
    who, place = subject(d), d.noun("town")
    d.combine(who.en, place.en)
    helper = english.BE_PAST[who.person]
    fr = statement(who, Predicate("", "naître", f"à {place.fr}"), "past").fr
    return finish(Pair(f"{who.en} {helper} born in {place.en}", fr))


def comes_from(d: Draw) -> Pair:
    """These tourists come from Italy."""
    who = somebody(d) if d.chance(0.5) else subject(d)
    where = origin(d, "come")
    return finish(statement(who, Predicate(f"come {where.en}", "venir", where.fr), "present"))


def does_at_place(d: Draw) -> Pair:
    """He works at the hospital."""
    who = subject(d)
    verb = d.word(lexicon.verbs_among("INTRANSITIVE", ("work", "wait", "eat", "smoke", "talk")))
    where = whereabouts(d, verb.en)
    what = of_verb(verb, where.en, where.fr)
    return finish(statement(who, what, predicates.tense_for(d, what)))


def does_in_room(d: Draw) -> Pair:
    """The cat is sleeping in the kitchen."""
    who, room = subject(d), d.noun("room")
    verb = d.word(lexicon.verbs_among("INTRANSITIVE", ROOM_VERBS))
    d.combine(verb.en, room.en)
    where = phrase(d, room, who)
    what = of_verb(verb, f"in {where.en}", f"dans {where.fr}")
    return finish(statement(who, what, predicates.tense_for(d, what)))


ROOM_VERBS = frozenset("work sleep wait eat study dance sing cry play smoke read cook snore".split())


def animal_acts(d: Draw) -> Pair:
    """The black dog is following my brother."""
    noun = d.noun("animal", "wild")
    animal = grammar.definite(grammar.core(noun, plural=d.chance(0.3), described=describe(d, noun, probability=0.4)))
    verb = d.word(lexicon.verbs_among("TRANSITIVE", ("follow", "look at", "see", "hear", "wait for")))
    whom = name(d) if d.chance(0.5) else grammar.definite(grammar.core(d.noun("person", "profession")))
    d.combine(verb.en, whom.en)
    d.combine(noun.en, verb.en)
    what = with_object(verb, whom)
    return finish(statement(animal, what, d.choice(("present", "past", "past", "future"))))


PATTERNS = {
    transitive_any_tense: 7, any_frame_any_tense: 3, short_intransitive: 2, with_manner: 2, with_past_time: 2,
    with_future_time: 2, time_first: 1, habit: 1, right_now: 1, frequency: 1, already: 1, not_yet: 1, just_now: 1,
    still: 1, negated: 3, negated_progressive: 1, never: 1, no_longer: 1, not_anyone: 1, not_anything: 1,
    nobody: 1, only: 1, gives_to_someone: 1, plays: 1, speaks: 1, likes: 2, prefers: 1, moves: 2,
    lives_somewhere: 1, born: 1, comes_from: 1, does_at_place: 1, does_in_room: 1, animal_acts: 1,
}  # fmt: skip
