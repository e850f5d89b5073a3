"""Sentences of several clauses: that, who, which, where, if, because, when, and."""

from transformer_mt.data.synthetic import english, grammar, lexicon, predicates
from transformer_mt.data.synthetic.draw import (
    Draw,
    again_pronoun,
    describe,
    name,
    state,
    subject,
    trait,
)
from transformer_mt.data.synthetic.grammar import (
    NOT,
    PRONOUNS,
    NounPhrase,
    Pair,
    Predicate,
    agreeing,
    finish,
    statement,
)
from transformer_mt.data.synthetic.patterns_descriptions import be, fitting
from transformer_mt.data.synthetic.predicates import of_verb

IT = NounPhrase("it", "il", person=2)


def thinks_that(d: Draw) -> Pair:
    """I think that she is sick: je pense qu'elle est malade."""
    who, verb = d.choice(PRONOUNS) if d.chance(0.7) else name(d), d.word(lexicon.verbs("OPINION"))
    other = subject(d)
    if d.chance(0.4):
        feeling = state(d, other)
        said = statement(other, be(feeling.en, feeling.fr), "present")
    else:
        what = predicates.anything(d, other)
        said = statement(other, what, "present" if what.lasting else d.choice(("past", "future")))
    d.combine(verb.en, other.en)
    that = d.choice(("that ", "that ", ""))
    what = of_verb(verb, f"{that}{said.en}", f"que {said.fr}")
    return finish(statement(who, what, "present"))


def relative_who(d: Draw) -> Pair:
    """The man who is eating an apple is my uncle: l'homme qui mange une pomme est mon oncle."""
    noun = d.noun("person", "profession")
    part = grammar.core(noun, d.chance(0.2))
    who = grammar.definite(part)
    linked = NounPhrase(f"{who.en} who", f"{who.fr} qui", who.gender, who.plural, person=who.person)
    done = predicates.ongoing(d, who)
    tense = d.choice(("progressive", "past"))
    said = statement(linked, done, tense)
    feeling = state(d, who) if d.chance(0.5) else None
    if feeling is None:
        quality, fr = trait(d, who)
        feeling = Pair(quality.en, fr)
    whole = NounPhrase(said.en, said.fr, who.gender, who.plural, person=who.person)
    return finish(
        statement(
            whole, be(feeling.en, feeling.fr), "present" if tense == "progressive" else d.choice(("present", "past"))
        )
    )


def sees_one_who(d: Draw) -> Pair:
    """I know a woman who speaks Russian: je connais une femme qui parle russe."""
    who = d.choice(PRONOUNS)
    verb = d.word(lexicon.verbs_among("TRANSITIVE", ("know", "see", "meet", "help", "hear")))
    noun = d.noun("person", "profession")
    one = grammar.indefinite(grammar.core(noun, described=describe(d, noun)))
    done = predicates.anything(d, one)
    d.combine(verb.en, noun.en)
    linked = NounPhrase("who", "qui", one.gender)
    now = verb.lasting and not done.stative
    said = statement(linked, done, "present" if done.lasting else "progressive" if now else "past")
    what = of_verb(verb, f"{one.en} {said.en}", f"{one.fr} {said.fr}")
    return finish(statement(who, what, "present" if verb.lasting else "past"))


def relative_that(d: Draw) -> Pair | None:
    """The dress that I bought is red: la robe que j'ai achetée est rouge."""
    who = subject(d)
    verb, noun = predicates.verb_and_noun(d)
    if (
        noun.noun_class in ("family", "sound", "way", "surface", "transport")
        or verb.lasting
        or noun.en in ("sky", "moon", "sea")
    ):
        return None
    part = grammar.core(noun, d.chance(0.3) and not noun.is_mass)
    thing = grammar.definite(part)
    bought = Predicate(verb.en, verb.fr, object_agreement=(thing.gender, thing.plural))
    tense = d.choice(("past", "past", "future"))
    inside = statement(who, bought, tense)
    whole = NounPhrase(
        f"{thing.en} that {inside.en}", f"{thing.fr} que {inside.fr}", thing.gender, thing.plural, person=thing.person
    )
    quality = fitting(d, noun)
    then = "present" if tense == "future" else d.choice(("present", "past"))
    return finish(statement(whole, be(quality.en, agreeing(quality.fr, thing)), then))


def relative_dont(d: Draw) -> Pair:
    """Here is the book that I need: voici le livre dont j'ai besoin."""
    who = subject(d)
    verb = d.word(lexicon.verbs_among("ABOUT", ("talk about", "need", "dream about", "be afraid of")))
    noun = d.word([item for item in verb.objects if item.noun_class != "family"])
    d.combine(verb.en, noun.en)
    thing = grammar.definite(grammar.core(noun, d.chance(0.3)))
    inside = statement(who, of_verb(verb), "present" if verb.lasting else d.choice(("past", "present", "future")))
    start = d.choice((("here is", "voici"), ("here is", "voici"), ("this is", "c'est")))
    if thing.plural:
        start = ("here are", "voici")
    return finish(Pair(f"{start[0]} {thing.en} that {inside.en}", f"{start[1]} {thing.fr} dont {inside.fr}"))


def relative_where(d: Draw) -> Pair:
    """This is the house where I was living; la ville où je suis né."""
    who, noun = subject(d), d.noun("building", "settlement", "place")
    verb = d.word(lexicon.verbs_among("INTRANSITIVE", ("work", "sleep", "wait", "study", "play", "dance")))
    d.combine(verb.en, noun.en)
    thing = grammar.definite(grammar.core(noun))
    inside = statement(who, of_verb(verb), d.choice(("present", "past_progressive", "used_to")))
    return finish(Pair(f"this is {thing.en} where {inside.en}", f"c'est {thing.fr} où {inside.fr}"))


def if_future(d: Draw) -> Pair | None:
    """If it rains, we will stay at the hotel."""
    who = subject(d)
    result = predicates.activity(d, who)
    said = statement(who, result, "future", NOT if d.chance(0.2) else None)
    condition = _condition(d)
    if condition is None:
        return None
    d.combine("if", result.en.split()[0])
    if d.chance(0.5):
        return finish(Pair(f"if {condition.en}, {said.en}", f"si {condition.fr}, {said.fr}"))
    return finish(Pair(f"{said.en} if {condition.en}", f"{said.fr} si {condition.fr}"))


def _condition(d: Draw) -> Pair | None:
    die = d.rng.random()
    if die < 0.25:
        return Pair(
            *d.choice(
                (
                    ("it rains", "il pleut"),
                    ("it snows", "il neige"),
                    ("it is hot", "il fait chaud"),
                    ("it is cold", "il fait froid"),
                )
            )
        )
    who = subject(d)
    if die < 0.55:
        feeling = state(d, who)
        return statement(who, be(feeling.en, feeling.fr), "present", NOT if d.chance(0.2) else None)
    what = predicates.activity(d, who)
    if english.ambiguous_past(what.en):
        return None
    return statement(who, what, "present", NOT if d.chance(0.2) else None)


def if_conditional(d: Draw) -> Pair:
    """If I were rich, I would buy a castle: si j'étais riche, j'achèterais un château."""
    who = subject(d)
    result = statement(who, predicates.activity(d, who), "conditional", NOT if d.chance(0.15) else None)
    other = who if d.chance(0.6) else subject(d)
    if other is who and not who.is_pronoun:
        other = d.choice(PRONOUNS)
    if d.chance(0.5):
        quality, fr = trait(d, other)
        was = statement(other, be(quality.en, fr), "past")
        was = Pair(was.en.replace(" was ", " were ", 1), was.fr)
    else:
        noun = d.noun("vehicle", "animal", "building", "thing")
        d.combine("have", noun.en)
        thing = grammar.indefinite(grammar.core(noun, described=describe(d, noun)))
        was = statement(other, Predicate(f"have {thing.en}", "avoir", thing.fr, lasting=True), "past")
    return finish(Pair(f"if {was.en}, {result.en}", f"si {was.fr}, {result.fr}"))


def because(d: Draw) -> Pair:
    """He is sleeping because he is tired: il dort parce qu'il est fatigué."""
    who = subject(d)
    effect, reasons = d.choice(CAUSES)
    verb = d.word(lexicon.verbs_among("INTRANSITIVE", (effect,)) + lexicon.verbs_among("REFLEXIVE", (effect,)))
    tense = d.choice(("progressive", "past"))
    said = statement(who, of_verb(verb), tense)
    again = again_pronoun(who)
    cause = d.choice(reasons.split(", "))
    d.combine(effect, cause)
    then: english.Tense = "past" if tense == "past" else "present"
    if idioms := lexicon.verbs_among("AVOIR", (f"be {cause}",)):
        reason = statement(again, Predicate(f"be {cause}", "avoir", d.word(idioms).fr, lasting=True), then)
    else:
        found = d.word([item for item in lexicon.adjectives()["S"] if item.en == cause])
        reason = statement(again, be(cause, agreeing(found.fr, again)), then)
    return finish(Pair(f"{said.en} because {reason.en}", f"{said.fr} parce que {reason.fr}"))


CAUSES = (
    ("sleep", "tired, exhausted, sick, sleepy"),
    ("rest", "tired, exhausted, sick, hot, wounded"),
    ("go to bed", "tired, exhausted, sick, sleepy, cold"),
    ("yawn", "tired, exhausted, sleepy"),
    ("cry", "sad, disappointed, wounded, lost, alone, scared, ashamed"),
    ("laugh", "happy, delighted, nervous, relaxed, right"),
    ("smile", "happy, delighted, satisfied, lucky, relaxed"),
    ("sing", "happy, delighted, free, alone"),
    ("dance", "happy, delighted, free, relaxed"),
    ("hurry", "late, worried, nervous, hungry, cold"),
    ("run", "late, scared, cold, early"),
    ("shout", "furious, angry, scared, lost, surprised"),
    ("tremble", "cold, scared, nervous, sick, exhausted"),
    ("eat", "hungry, sad, nervous"),
    ("wait", "early, worried, lost"),
    ("blush", "embarrassed, ashamed, hot, delighted"),
    ("smoke", "nervous, worried, sad"),
    ("get angry", "right, wrong, disappointed, tired, late"),
    ("worry", "late, alone, lost, sick"),
    ("travel", "free, retired"),
    ("hesitate", "surprised, embarrassed, worried, scared"),
    ("undress", "hot"),
)


def when_was_doing(d: Draw) -> Pair | None:
    """I was sleeping when the teacher arrived: je dormais quand le professeur est arrivé."""
    who, other = subject(d), subject(d)
    what = predicates.ongoing(d, who)
    verb = d.word(lexicon.verbs_among("MOTION", EVENTS) + lexicon.verbs("ACCIDENT"))
    d.combine(verb.en, what.en.split()[0])
    background = statement(who, what, "past_progressive")
    event = statement(other, of_verb(verb), "past")
    if who.en == other.en:
        return None
    return finish(Pair(f"{background.en} when {event.en}", f"{background.fr} quand {event.fr}"))


EVENTS = frozenset(("go out", "leave", "go home", "come", "go upstairs", "go downstairs"))


def and_then(d: Draw) -> Pair:
    """She opened the window and looked at the sea is two clauses here: and she looked."""
    who = subject(d)
    first, second = predicates.activity(d, who), predicates.activity(d, who)
    tense = d.choice(("past", "past", "future"))
    again = again_pronoun(who)
    one, two = statement(who, first, tense), statement(again, second, tense)
    link = d.choice((("and then", "et ensuite"), ("and", "et"), ("but", "mais")))
    d.combine(first.en.split()[0], second.en.split()[0])
    comma = "," if link[0] == "but" else ""
    return finish(Pair(f"{one.en}{comma} {link[0]} {two.en}", f"{one.fr}{comma} {link[1]} {two.fr}"))


PATTERNS = {
    thinks_that: 2, relative_who: 1, sees_one_who: 1, relative_that: 2, relative_dont: 1, relative_where: 1,
    if_future: 1, if_conditional: 1, because: 2, when_was_doing: 1, and_then: 1,
}  # fmt: skip
