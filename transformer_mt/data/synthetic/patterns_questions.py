"""Questions: est-ce que for yes or no, inversion after question words and with être, vouloir, pouvoir."""

from transformer_mt.data.synthetic import english, grammar, lexicon, predicates
from transformer_mt.data.synthetic.draw import Draw, describe, name, relative_of, somebody, state, subject, trait
from transformer_mt.data.synthetic.french import contract, participle
from transformer_mt.data.synthetic.grammar import (
    HE,
    PRONOUNS,
    SHE,
    THEY,
    WE,
    YOU,
    NounPhrase,
    Pair,
    Predicate,
    agreeing,
    direct_question,
    familiar_you,
    finish,
    infinitive,
    question,
    statement,
)
from transformer_mt.data.synthetic.patterns_descriptions import be, definite_thing, fitting, spot
from transformer_mt.data.synthetic.predicates import of_verb

INVERTIBLE = (YOU, YOU, HE, SHE, WE, THEY)
QUESTION_TENSES: tuple[english.Tense, ...] = ("past", "past", "future", "progressive", "near_future")
PUNCTUAL_TENSES: tuple[english.Tense, ...] = ("past", "past", "future")
WHY = Pair("why", "pourquoi")


def yes_no(d: Draw) -> Pair:
    """Did you buy some bread: est-ce que vous avez acheté du pain."""
    who = subject(d)
    what = predicates.anything(d, who)
    if what.stative or what.lasting:
        return finish(question(who, what, d.choice(("present", "past", "future"))), "?")
    return finish(question(who, what, d.choice(PUNCTUAL_TENSES if what.punctual else QUESTION_TENSES)), "?")


def familiar(d: Draw) -> Pair:
    """Are you tired, Marie: one who is called by name is tu, in agreement."""
    called = name(d)
    you = d.you = familiar_you(called.gender)
    if d.chance(0.4):
        feeling = state(d, called)
        asked = question(you, be(feeling.en, agreeing(feeling.fr, you)), "present")
    else:
        what = predicates.anything(d, you)
        tenses = PUNCTUAL_TENSES if what.punctual else QUESTION_TENSES
        asked = question(you, what, "present" if what.stative or what.lasting else d.choice(tenses))
    return finish(Pair(f"{asked.en}, {called.en}", f"{asked.fr}, {called.fr}"), "?")


def be_question(d: Draw) -> Pair:
    """Are you ready: êtes-vous prêt; were they happy: étaient-ils heureux."""
    who = d.choice(INVERTIBLE)
    if d.chance(0.6):
        feeling = state(d, who)
    else:
        quality, fr = trait(d, who)
        feeling = Pair(quality.en, fr)
    return finish(direct_question(who, be(feeling.en, feeling.fr), d.choice(("present", "past"))), "?")


def why_pronoun(d: Draw) -> Pair:
    """Why are you laughing: pourquoi riez-vous."""
    who = d.choice(INVERTIBLE)
    what = predicates.ongoing(d, who)
    return finish(direct_question(who, what, d.choice(("progressive", "past", "past_progressive")), WHY), "?")


def why_noun(d: Draw) -> Pair:
    """Why is Marie crying: pourquoi est-ce que Marie pleure."""
    who = somebody(d)
    what = predicates.ongoing(d, who)
    return finish(question(who, what, d.choice(("progressive", "past", "past_progressive")), WHY), "?")


def when_pronoun(d: Draw) -> Pair:
    """When will they leave: quand partiront-ils."""
    who = d.choice(INVERTIBLE)
    what = predicates.activity(d, who)
    return finish(direct_question(who, what, d.choice(("past", "future")), Pair("when", "quand")), "?")


def when_noun(d: Draw) -> Pair:
    """When did your sister arrive: quand est-ce que votre sœur est arrivée."""
    who = somebody(d)
    what = predicates.activity(d, who)
    return finish(question(who, what, d.choice(("past", "future")), Pair("when", "quand")), "?")


def how_done(d: Draw) -> Pair:
    """How did you find this key: comment avez-vous trouvé cette clé."""
    who = d.choice(INVERTIBLE)
    verb = d.word(lexicon.verbs_among("TRANSITIVE", HOW_VERBS))
    noun = d.word(verb.objects)
    d.combine(verb.en, noun.en)
    what = predicates.with_object(verb, definite_thing(d, noun))
    return finish(direct_question(who, what, d.choice(("past", "future")), Pair("how", "comment")), "?")


HOW_VERBS = frozenset("find lose break open close repair build choose clean peel move prepare hide".split())


def where_is(d: Draw) -> Pair:
    """Where are my keys: où sont mes clés."""
    if d.chance(0.7):
        what = definite_thing(d, d.noun("thing", "clothes", "jewelry", "dishware", "place", "animal", "vehicle"))
    else:
        what = somebody(d)
    d.combine("where", what.en)
    past = d.chance(0.3)
    en = (english.BE_PAST if past else english.BE_PRESENT)[what.person]
    fr = {(False, False): "est", (False, True): "sont", (True, False): "était", (True, True): "étaient"}[
        past, what.plural
    ]
    return finish(Pair(f"where {en} {what.en}", f"où {fr} {what.fr}"), "?")


def where_does(d: Draw) -> Pair:
    """Where did you buy this hat: où avez-vous acheté ce chapeau."""
    who = d.choice(INVERTIBLE) if d.chance(0.6) else somebody(d)
    verb = d.word(lexicon.verbs_among("TRANSITIVE", WHERE_VERBS))
    noun = d.word(verb.objects)
    d.combine(verb.en, noun.en)
    what, word = predicates.with_object(verb, definite_thing(d, noun)), Pair("where", "où")
    ask = direct_question if who.is_pronoun else question
    return finish(ask(who, what, d.choice(("past", "past", "future")), word), "?")


WHERE_VERBS = frozenset("buy find lose meet see hide build photograph sell".split())


def where_acts(d: Draw) -> Pair:
    """Where are you working: où travaillez-vous."""
    who = d.choice(INVERTIBLE) if d.chance(0.5) else somebody(d)
    verb = d.word(lexicon.verbs_among("INTRANSITIVE", PLACE_VERBS))
    d.combine(who.en, verb.en)
    ask = direct_question if who.is_pronoun else question
    return finish(ask(who, of_verb(verb), d.choice(("progressive", "past", "future")), Pair("where", "où")), "?")


PLACE_VERBS = frozenset(("work", "sleep", "eat", "study", "swim", "run", "wait", "play", "dance"))


def what_object(d: Draw) -> Pair:
    """What are you eating: que mangez-vous; what is Marie reading: qu'est-ce que Marie lit."""
    who = d.choice(INVERTIBLE) if d.chance(0.6) else somebody(d)
    verb = d.word(lexicon.verbs_among("TRANSITIVE", WHAT_VERBS))
    d.combine(who.en, verb.en)
    tense = (
        d.choice(("past", "future", "past"))
        if verb.stative or verb.punctual
        else d.choice(("progressive", "past", "future", "past_progressive"))
    )
    ask = direct_question if who.is_pronoun else question
    return finish(ask(who, of_verb(verb), tense, Pair("what", "que")), "?")


WHAT_VERBS = frozenset(
    "eat drink buy sell read write see hear find lose prepare order draw choose hide sing break carry".split()
) | {"look for"}


def who_did(d: Draw) -> Pair:
    """Who broke this glass: qui a cassé ce verre."""
    anyone = NounPhrase("who", "qui")
    what = predicates.ongoing(d, anyone)
    return finish(statement(anyone, what, d.choice(("past", "past", "progressive", "future"))), "?")


def whom(d: Draw) -> Pair:
    """Who are you waiting for: qui attendez-vous."""
    who = d.choice(INVERTIBLE)
    verb = d.word(lexicon.verbs_among("TRANSITIVE", WHOM_VERBS))
    d.combine(who.en, verb.en)
    tense = "past" if verb.stative or verb.punctual else d.choice(("past", "progressive", "future"))
    return finish(direct_question(who, of_verb(verb), tense, Pair("whom", "qui")), "?")


WHOM_VERBS = frozenset(
    ("help", "invite", "meet", "see", "hear", "thank", "follow", "recognize", "greet", "accompany", "call")
)


def which(d: Draw) -> Pair | None:
    """Which dress did you choose: quelle robe avez-vous choisie; the participle agrees."""
    return _with_object_first(d, "which")


def how_many(d: Draw) -> Pair | None:
    """How many letters did she write: combien de lettres a-t-elle écrites."""
    return _with_object_first(d, "how many")


def _with_object_first(d: Draw, word: str) -> Pair | None:
    who = d.choice(INVERTIBLE)
    verb, noun = predicates.verb_and_noun(d)
    if noun.is_mass or noun.noun_class == "family" or noun.en in ("sky", "moon", "sea") or verb.lasting:
        return None
    many = word == "how many" or d.chance(0.3)
    part = grammar.core(noun, many)
    asking = f"combien de {part.fr}" if word == "how many" else f"{agreeing_which(part)} {part.fr}"
    what = Predicate(verb.en, verb.fr, object_agreement=(part.gender, part.plural))
    tense = d.choice(("past", "past", "future"))
    return finish(direct_question(who, what, tense, Pair(f"{word} {part.en}", asking)), "?")


def agreeing_which(part: grammar.Core) -> str:
    """quel, quelle, quels, quelles."""
    return ("quelle" if part.gender == "f" else "quel") + ("s" if part.plural else "")


def what_color(d: Draw) -> Pair:
    """What color is your car: de quelle couleur est votre voiture."""
    thing = definite_thing(d, d.noun("clothes", "vehicle", "thing", "furniture"))
    d.combine("color", thing.en)
    en, fr = ("are", "sont") if thing.plural else ("is", "est")
    return finish(Pair(f"what color {en} {thing.en}", f"de quelle couleur {fr} {thing.fr}"), "?")


def how_old(d: Draw) -> Pair:
    """How old is your sister: quel âge a votre sœur."""
    if d.chance(0.3):
        who = d.choice(INVERTIBLE)
        asked = direct_question(who, Predicate("be", "avoir"), "present", Pair("how old", "quel âge"))
        return finish(Pair(asked.en, asked.fr), "?")
    who = somebody(d)
    d.combine("how old", who.en)
    return finish(
        Pair(f"how old {english.BE_PRESENT[who.person]} {who.en}", f"quel âge {'ont' if who.plural else 'a'} {who.fr}"),
        "?",
    )


def how_is(d: Draw) -> Pair:
    """How is your mother: comment va votre mère."""
    who = somebody(d)
    d.combine("how", who.en)
    return finish(
        Pair(f"how {english.BE_PRESENT[who.person]} {who.en}", f"comment {'vont' if who.plural else 'va'} {who.fr}"),
        "?",
    )


def can_you(d: Draw) -> Pair:
    """Can you help my brother: pouvez-vous aider mon frère."""
    who = d.choice(INVERTIBLE)
    done = infinitive(predicates.deliberate(d, who), who)
    asked = direct_question(who, Predicate("", "pouvoir", done.fr), "present")
    return finish(Pair(f"can {who.en} {done.en}", asked.fr), "?")


def do_you_want(d: Draw) -> Pair:
    """Do you want to dance: voulez-vous danser; do you want some tea: voulez-vous du thé."""
    who = d.choice(INVERTIBLE)
    if d.chance(0.5):
        noun = d.noun("drink", "food")
        some = grammar.partitive(grammar.core(noun, described=describe(d, noun)))
        d.combine("want", noun.en)
        return finish(direct_question(who, Predicate(f"want {some.en}", "vouloir", some.fr), "present"), "?")
    done = infinitive(predicates.deliberate(d, who), who)
    return finish(direct_question(who, Predicate(f"want to {done.en}", "vouloir", done.fr), "present"), "?")


def is_there(d: Draw) -> Pair:
    """Is there any bread in the kitchen: est-ce qu'il y a du pain dans la cuisine."""
    noun = d.noun("food", "drink", "thing", "fruit", "dishware")
    part = grammar.core(noun, plural=not noun.is_mass and d.chance(0.6))
    thing = grammar.partitive(part) if noun.is_mass else grammar.indefinite(part)
    where = spot(d, noun)
    en = f"any {part.en}" if noun.is_mass or part.plural else thing.en
    return finish(
        Pair(f"{'are' if part.plural else 'is'} there {en} {where.en}", f"est-ce qu'il y a {thing.fr} {where.fr}"), "?"
    )


def have_you_ever(d: Draw) -> Pair:
    """Have you ever seen a lion: avez-vous déjà vu un lion."""
    who = d.choice(INVERTIBLE)
    what = predicates.activity(d, who)
    helper = "has" if who.person == 2 else "have"
    fr = grammar.inverted(who, what, "past")
    first, _, rest = fr.partition(f"-{who.fr}")
    return finish(Pair(f"{helper} {who.en} ever {english.experienced(what.en)}", f"{first}-{who.fr} déjà{rest}"), "?")


def whose(d: Draw) -> Pair:
    """Whose coat is this: à qui est ce manteau."""
    noun = d.noun("clothes", "thing", "vehicle", "jewelry", "animal")
    thing = grammar.demonstrative(grammar.core(noun, d.chance(0.35), describe(d, noun)))
    en = thing.en.split(" ", 1)
    d.combine("whose", noun.en)
    fr = f"à qui {'sont' if thing.plural else 'est'} {thing.fr}"
    return finish(Pair(f"whose {en[1]} {'are these' if thing.plural else 'is this'}", fr), "?")


def is_thing(d: Draw) -> Pair:
    """Is this soup hot: est-ce que cette soupe est chaude."""
    noun = d.noun("food", "drink", "dish", "clothes", "thing", "abstract", "vehicle", "fruit")
    thing, quality = definite_thing(d, noun), fitting(d, noun)
    return finish(
        question(thing, be(quality.en, agreeing(quality.fr, thing)), d.choice(("present", "present", "past"))), "?"
    )


def by_whom(d: Draw) -> Pair:
    """Was this letter written by Paul: est-ce que cette lettre a été écrite par Paul."""
    noun = d.noun("writing")
    thing, author = definite_thing(d, noun), somebody(d)
    d.combine("write", author.en)
    en = f"{english.BE_PAST[thing.person]} {thing.en} written by {author.en}"
    helper = "ont" if thing.plural else "a"
    return finish(
        Pair(
            en, f"est-ce que {thing.fr} {helper} été {participle('écrire', thing.gender, thing.plural)} par {author.fr}"
        ),
        "?",
    )


def to_whom(d: Draw) -> Pair:
    """Did you talk to your sister: est-ce que vous avez parlé à votre sœur."""
    who = d.choice(PRONOUNS)
    verb = d.word([item for item in lexicon.verbs("INDIRECT") if not item.stative])
    other = relative_of(d, who)
    d.combine(verb.en, other.en)
    return finish(question(who, of_verb(verb, other.en, contract("à", other.fr)), d.choice(("past", "future"))), "?")


PATTERNS = {
    yes_no: 3, familiar: 2, be_question: 1, why_pronoun: 1, why_noun: 1, when_pronoun: 1, when_noun: 1,
    how_done: 1, where_is: 1, where_does: 1, where_acts: 1, what_object: 1, who_did: 1, whom: 1, which: 1,
    how_many: 1, what_color: 1, how_old: 1, how_is: 1, can_you: 1, do_you_want: 1, is_there: 1, have_you_ever: 1,
    whose: 1, is_thing: 1, by_whom: 1, to_whom: 1,
}  # fmt: skip
