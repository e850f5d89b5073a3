"""What is not said word for word: avoir idioms, manquer, ages, amounts, hours and the weather."""

from transformer_mt.data.synthetic import grammar, lexicon
from transformer_mt.data.synthetic.draw import (
    Draw,
    in_land,
    name,
    plain,
    relative_of,
    subject,
)
from transformer_mt.data.synthetic.french import contract
from transformer_mt.data.synthetic.grammar import (
    NOT,
    Middle,
    Pair,
    Predicate,
    finish,
    statement,
)
from transformer_mt.data.synthetic.patterns_descriptions import be


def has_relatives(d: Draw) -> Pair:
    """I have two brothers and a sister."""
    who, noun, other = subject(d), *d.choice(KIN)
    number = d.word(lexicon.words("NUMBERS")[:5])
    en, fr = f"have {number.en} {noun[0]}", f"{number.fr} {noun[1]}"
    if d.chance(0.5):
        en, fr = f"{en} and a {other[0]}", f"{fr} et {other[1]}"
    return finish(statement(who, Predicate(en, "avoir", fr, lasting=True), d.choice(("present", "past"))))


KIN = (
    (("brothers", "frères"), ("sister", "une sœur")), (("sisters", "sœurs"), ("brother", "un frère")),
    (("daughters", "filles"), ("son", "un fils")), (("sons", "fils"), ("daughter", "une fille")),
    (("uncles", "oncles"), ("aunt", "une tante")), (("children", "enfants"), ("dog", "un chien")),
    (("aunts", "tantes"), ("cousin", "un cousin")), (("cats", "chats"), ("horse", "un cheval")),
)  # fmt: skip


def age(d: Draw) -> Pair:
    """My sister is twenty years old: ma sœur a vingt ans."""
    who, number = subject(d), d.word(lexicon.words("NUMBERS"))
    d.combine(who.en, number.en)
    if number.en == "a hundred" or d.chance(0.75):
        fr = statement(who, Predicate("", "avoir", f"{number.fr} ans"), "present").fr
        return finish(Pair(statement(who, be(f"{number.en} years old", ""), "present").en, fr))
    what = Predicate(f"be {number.en} years old", "avoir", f"{number.fr} ans", lasting=True)
    return finish(statement(who, what, d.choice(("past", "future"))))


def quantity(d: Draw) -> Pair:
    """We bought a lot of apples: beaucoup de pommes; I drank too much coffee."""
    who = subject(d)
    verb = d.word(lexicon.verbs_among("TRANSITIVE", ("eat", "drink", "buy", "sell", "order", "prepare")))
    noun = d.word(
        [item for item in verb.objects if item.noun_class in ("fruit", "dish", "food", "drink", "ingredient")]
    )
    d.combine(verb.en, noun.en)
    amount = d.word(lexicon.words("MASS_QUANTITIES" if noun.is_mass else "QUANTITIES"))
    part = grammar.core(noun, plural=not noun.is_mass)
    fr = f"{amount.fr} {part.fr}" if amount.fr in ("quelques", "plusieurs") else f"{amount.fr} de {part.fr}"
    what = Predicate(f"{verb.en} {amount.en} {part.en}", verb.fr, fr)
    return finish(statement(who, what, d.choice(("past", "past", "future", "present"))))


def portion(d: Draw) -> Pair:
    """He drank a glass of water."""
    container = d.word(lexicon.words("CONTAINERS"))
    fr, _, kind = container.fr.rpartition(" ")
    who, noun = subject(d), d.word([item for name in CONTAINED[kind].split() for item in lexicon.nouns()[name]])
    use = ("drink", "boire") if noun.noun_class == "drink" else ("buy", "acheter") if kind == "K" else ("eat", "manger")
    verb = d.choice((use, ("order", "commander"), ("want", "vouloir")))
    d.combine(container.en, noun.en)
    what = Predicate(f"{verb[0]} {container.en} {noun.en}", verb[1], f"{fr} de {noun.fr}", lasting=verb[0] == "want")
    return finish(statement(who, what, d.choice(("past", "present"))))


# What is in a glass or bottle, in a cup, comes by the piece or by the kilo
CONTAINED = {
    "C": "water wine milk beer lemonade cider", "H": "coffee tea milk",
    "P": "bread cheese meat fish chocolate ham chicken",
    "K": "cheese meat fish rice butter ham beef chicken",
}  # fmt: skip


def avoir_idiom(d: Draw) -> Pair:
    """You are right: vous avez raison; I am not hungry: je n'ai pas faim."""
    who, feeling = subject(d), d.word(lexicon.verbs("AVOIR"))
    d.combine(who.en, feeling.en)
    what = Predicate(feeling.en, "avoir", feeling.fr, fr_negated=feeling.fr.replace("de la ", "de "), lasting=True)
    middle = d.choice((None, None, NOT, Middle("always", "toujours", False)))
    return finish(statement(who, what, d.choice(("present", "present", "past")), middle))


def very_avoir_idiom(d: Draw) -> Pair:
    """He is very thirsty: il a très soif."""
    who = subject(d)
    feeling = d.word(lexicon.verbs_among("AVOIR", ("be hungry", "be thirsty", "be cold", "be hot", "be scared")))
    d.combine(who.en, feeling.en)
    what = Predicate(f"be very {feeling.en[3:]}", "avoir", f"très {feeling.fr}", lasting=True)
    return finish(statement(who, what, d.choice(("present", "past"))))


def hurts(d: Draw) -> Pair:
    """My leg hurts: j'ai mal à la jambe."""
    who = subject(d)
    part = d.noun("body")
    d.combine("hurt", part.en)
    many = part.en == "tooth" or (part.en in PAIRED and (who.plural or d.chance(0.5)))
    core = grammar.core(part, many)
    fr = statement(who, Predicate("", "avoir", f"mal {contract('à', grammar.definite(core).fr)}"), "present").fr
    owner = (
        grammar.possessive(who) if who.is_pronoun else f"{who.en}'{'' if who.en.endswith('s') and who.plural else 's'}"
    )
    several = many or who.plural  # our heads hurt: nous avons mal à la tête
    return finish(Pair(f"{owner} {grammar.core(part, several).en} {'hurt' if several else 'hurts'}", fr))


PAIRED = frozenset(("foot", "ear", "shoulder", "knee", "leg", "arm"))


def misses(d: Draw) -> Pair | None:
    """I miss my brother: mon frère me manque."""
    who, missed = subject(d), name(d) if d.chance(0.5) else relative_of(d)
    d.combine("miss", missed.en)
    if who.en == missed.en:
        return None
    past = d.chance(0.25)
    # the one who is missed is the French subject
    clitic = {0: "me", 3: "nous", 4: "vous"}.get(who.person) if who.is_pronoun else None
    clitic = clitic or ("leur" if who.is_pronoun and who.plural else "lui" if who.is_pronoun else None)
    miss = Predicate("", "manquer", "" if clitic else contract("à", who.fr), clitics=(clitic,) if clitic else ())
    fr = statement(missed, miss, "past_progressive" if past else "present").fr
    en = statement(who, Predicate(f"miss {missed.en}", "manquer"), "past" if past else "present").en
    return finish(Pair(en, fr))


def costs(d: Draw) -> Pair:
    """This hat costs twenty euros."""
    noun = d.noun("clothes", "thing", "jewelry", "furniture", "dishware")
    thing = d.choice((grammar.definite, grammar.demonstrative))(grammar.core(noun, d.chance(0.3)))
    number = d.word(lexicon.words("NUMBERS"))
    d.combine(noun.en, number.en)
    what = Predicate(f"cost {number.en} euros", "coûter", f"{number.fr} euros")
    return finish(statement(plain(thing), what, d.choice(("present", "future"))))


def clock(d: Draw) -> Pair:
    """It is three o'clock; it is half past four."""
    number = d.word(lexicon.words("NUMBERS")[:10])
    tail = d.choice(
        (
            ("o'clock", ""),
            ("half past", " et demie"),
            ("a quarter past", " et quart"),
            ("a quarter to", " moins le quart"),
        )
    )
    en = f"{number.en} o'clock" if tail[0] == "o'clock" else f"{tail[0]} {number.en}"
    part = d.choice((("", ""), (" in the morning", " du matin")))
    start = d.choice((("it is", "il est"), ("it was", "il était")))
    return finish(Pair(f"{start[0]} {en}{part[0]}", f"{start[1]} {number.fr} heures{tail[1]}{part[1]}"))


def weather(d: Draw) -> Pair:
    """It is raining in Paris: il pleut à Paris."""
    en, fr = d.choice(WEATHER)
    place = d.noun("town", "country")
    d.combine(en, place.en)
    where = in_land(place) if place.noun_class == "country" else f"à {place.fr}"
    often = d.choice((("", ""), (" today", " aujourd'hui"), (" this week", " cette semaine")))
    return finish(Pair(f"it {en} in {place.en}{often[0]}", f"il {fr} {where}{often[1]}"))


WEATHER = (
    ("is raining", "pleut"),
    ("is snowing", "neige"),
    ("is cold", "fait froid"),
    ("is hot", "fait chaud"),
    ("is sunny", "fait beau"),
    ("was raining", "pleuvait"),
    ("will rain", "pleuvra"),
    ("will snow", "neigera"),
    ("was cold", "faisait froid"),
    ("is going to rain", "va pleuvoir"),
    ("was snowing", "neigeait"),
    ("will be cold", "fera froid"),
    ("is windy", "y a du vent"),
)


PATTERNS = {
    has_relatives: 1, age: 2, quantity: 1, portion: 1, avoir_idiom: 1, very_avoir_idiom: 1, hurts: 2, misses: 1,
    costs: 1, clock: 1, weather: 1,
}  # fmt: skip
