"""How things and people are: agreement, comparison, possession, quantity, place, and idioms with avoir."""

from transformer_mt.data.synthetic import french, grammar, lexicon
from transformer_mt.data.synthetic.draw import (
    ONE_OF_A_KIND,
    Draw,
    describe,
    name,
    somebody,
    state,
    subject,
    third_person,
    trait,
)
from transformer_mt.data.synthetic.french import contract
from transformer_mt.data.synthetic.grammar import (
    HE,
    NOT,
    SHE,
    NounPhrase,
    Pair,
    Predicate,
    agreeing,
    finish,
    statement,
)
from transformer_mt.data.synthetic.lexicon import ADJECTIVE_GROUPS, COLORS, Adjective, Noun

DESCRIBED = ("thing", "clothes", "vehicle", "furniture", "building", "abstract", "writing", "event", "fruit", "dish")
BE_TENSES = ("present", "present", "past", "future")


def be(en: str, fr: str) -> Predicate:
    """be tired: être fatigué; was is an imparfait."""
    return Predicate(f"be {en}", "être", fr, stative=True, lasting=True)


def fitting(d: Draw, noun: Noun) -> Adjective:
    """An adjective that goes with the noun."""
    group = lexicon.adjectives()[ADJECTIVE_GROUPS.get(noun.noun_class, "T")]
    found = d.word([item for item in group if item.en != "new"])  # after être it would be neuf for some things
    d.combine(found.en, noun.en)
    return found


def definite_thing(d: Draw, noun: Noun) -> NounPhrase:
    """The, this or my thing or things."""
    if noun.en in ONE_OF_A_KIND:
        return grammar.definite(grammar.core(noun))
    part = grammar.core(noun, plural=d.chance(0.35) and not noun.is_mass)
    die = d.rng.random()
    if die < 0.55:
        return grammar.definite(part)
    return grammar.demonstrative(part) if die < 0.75 else grammar.owned(part, d.choice(grammar.PRONOUNS))


def thing_is(d: Draw) -> Pair:
    """These shoes are expensive: ces chaussures sont chères."""
    noun = d.noun(*DESCRIBED, "food", "drink", "room", "animal", "nature", "screen")
    thing, quality = definite_thing(d, noun), fitting(d, noun)
    middle = NOT if d.chance(0.25) else None
    degree = d.choice((("", ""), ("", ""), ("very ", "très "), ("too ", "trop ")))
    degree = ("", "") if quality.fr in french.INVARIABLE or quality.en in NOT_GRADED else degree
    what = be(degree[0] + quality.en, degree[1] + agreeing(quality.fr, thing))
    return finish(statement(thing, what, d.choice(BE_TENSES), middle))


def person_is_in_state(d: Draw) -> Pair:
    """She was tired."""
    who = subject(d)
    feeling = state(d, who)
    middle = NOT if d.chance(0.25) else None
    return finish(statement(who, be(feeling.en, feeling.fr), d.choice(BE_TENSES), middle))


def person_is_by_nature(d: Draw) -> Pair:
    """My aunt is very kind."""
    who = subject(d)
    quality, fr = trait(d, who)
    degree = d.choice((("", ""), ("very ", "très "), ("so ", "si "), ("too ", "trop ")))
    degree = ("", "") if quality.en in NOT_GRADED else degree
    return finish(statement(who, be(degree[0] + quality.en, degree[1] + fr), d.choice(("present", "present", "past"))))


def seems(d: Draw) -> Pair:
    """He seems worried: il a l'air inquiet would not agree, il semble does."""
    who = subject(d)
    found = d.word([item for item in lexicon.adjectives()["S"] if item.en not in OUTWARD])
    d.combine("state", f"{who.en} {found.en}")
    feeling = Pair(found.en, agreeing(found.fr, who))
    what = Predicate(f"seem {feeling.en}", "sembler", feeling.fr, lasting=True)
    return finish(statement(who, what, d.choice(("present", "past"))))


OUTWARD = frozenset(("standing", "married", "late", "early", "absent", "retired", "wounded", "free", "alone"))
"""States that do not only seem so."""


def becomes(d: Draw) -> Pair:
    """She became famous: elle est devenue célèbre."""
    who = subject(d)
    quality, fr = trait(d, who)
    what = Predicate(f"become {quality.en}", "devenir", fr)
    return finish(statement(who, what, d.choice(("past", "future", "progressive"))))


def has_job(d: Draw) -> Pair:
    """He is a baker: il est boulanger."""
    noun = d.noun("profession")
    named = name(d, noun.gender)
    who = d.choice((HE if noun.gender == "m" else SHE, named, named))
    d.combine(named.en, noun.en)
    verb = d.choice((be(f"a {noun.en}", noun.fr), be(f"a {noun.en}", noun.fr), None))
    if verb is None:
        become = Predicate(f"become a {noun.en}", "devenir", noun.fr)
        return finish(statement(who, become, d.choice(("past", "future"))))
    return finish(statement(who, verb, d.choice(("present", "past"))))


def this_is(d: Draw) -> Pair:
    """This is a beautiful house: c'est une belle maison."""
    noun = d.noun(*DESCRIBED, "animal", "jewelry")
    many = d.chance(0.3)
    part = grammar.core(noun, many, describe(d, noun, probability=0.75))
    owned = d.chance(0.25)
    thing = grammar.owned(part, d.choice(grammar.PRONOUNS)) if owned else grammar.indefinite(part)
    if d.chance(0.2):
        # être keeps the article: ce n'est pas une table
        en, fr = ("these are not", "ce ne sont pas") if many else ("this is not", "ce n'est pas")
        return finish(Pair(f"{en} {thing.en}", f"{fr} {thing.fr}"))
    en, fr = ("these are", "ce sont") if many else ("this is", "c'est")
    return finish(Pair(f"{en} {thing.en}", f"{fr} {thing.fr}"))


PLACED = ("thing", "clothes", "jewelry", "dishware", "fruit")


def there_is(d: Draw) -> Pair:
    """There is a red book on the table; there were three cats in the garden."""
    noun = d.noun(*PLACED)
    many = d.chance(0.5)
    part = grammar.core(noun, many, describe(d, noun))
    number = d.word(lexicon.words("NUMBERS")[:14])
    thing = grammar.counted(part, number.en, number.fr) if many and d.chance(0.5) else grammar.indefinite(part)
    where = spot(d, noun)
    en, fr = d.choice((("is", "il y a"), ("was", "il y avait"), ("will be", "il y aura")))
    en = {"is": "are", "was": "were"}.get(en, en) if many else en
    return finish(Pair(f"there {en} {thing.en} {where.en}", f"{fr} {thing.fr} {where.fr}"))


def there_is_no(d: Draw) -> Pair:
    """There is no bread in the kitchen: il n'y a pas de pain dans la cuisine."""
    noun = d.noun("food", "drink", "ingredient", *PLACED)
    part = grammar.core(noun, plural=not noun.is_mass and d.chance(0.6))
    where = spot(d, noun)
    past = d.chance(0.35)
    en_verb = ("were" if past else "are") if part.plural else ("was" if past else "is")
    none = grammar.indefinite(part).fr_negated
    fr = f"{'il n’y avait' if past else 'il n’y a'} pas {none} {where.fr}".replace("’", "'")
    return finish(Pair(f"there {en_verb} no {part.en} {where.en}", fr))


def spot(d: Draw, noun: Noun) -> Pair:
    """A place for a small thing: on the table, in the drawer, under the bed."""
    en, fr, classes = d.choice(FOOD_SPOTS if noun.noun_class in FOODS else SPOTS)
    place = d.word(
        [item for item in lexicon.nouns()[d.choice(classes)] if item.en not in ("shutter", "gate", "door", "window")]
    )
    d.combine(noun.en, place.en)
    where = grammar.definite(grammar.core(place))
    if fr.endswith(" de"):
        return Pair(f"{en} {where.en}", f"{fr.removesuffix(' de')} {contract('de', where.fr)}")
    return Pair(f"{en} {where.en}", f"{fr} {where.fr}")


FOODS = frozenset(("food", "drink", "ingredient", "fruit"))
FOOD_SPOTS = (
    ("on", "sur", ("table", "desk", "shelf", "table")),
    ("in", "dans", ("kitchen", "cellar", "cupboard", "dining room")),
)
SPOTS = (
    ("on", "sur", ("furniture",)), ("in", "dans", ("room", "housepart")), ("under", "sous", ("furniture",)),
    ("behind", "derrière", ("furniture",)), ("next to", "à côté de", ("furniture",)),
    ("in front of", "devant", ("furniture",)), ("near", "près de", ("furniture", "building")),
)  # fmt: skip


def located(d: Draw) -> Pair:
    """My keys are on the table."""
    noun = d.noun(*PLACED)
    thing, where = definite_thing(d, noun), spot(d, noun)
    return finish(statement(thing, be(where.en, where.fr), d.choice(BE_TENSES), NOT if d.chance(0.2) else None))


def someone_is_at(d: Draw) -> Pair:
    """My brother is in the garden."""
    who, room = subject(d), d.noun("room")
    d.combine(who.en, room.en)
    where = grammar.definite(grammar.core(room))
    return finish(statement(who, be(f"in {where.en}", f"dans {where.fr}"), d.choice(BE_TENSES)))


def compared(d: Draw) -> Pair | None:
    """Paul is taller than his sister: plus grand que; as … as, aussi … que; better, meilleur."""
    if d.chance(0.55):
        who, other = third_person(d), somebody(d)
        quality, fr = trait(d, who)
    else:
        noun = d.noun("thing", "clothes", "vehicle", "building", "furniture", "animal", "dish")
        quality, other_noun = fitting(d, noun), d.noun(noun.noun_class)
        who = definite_thing(d, noun)
        if other_noun == noun:
            return None
        other = definite_thing(d, other_noun)
        fr = agreeing(quality.fr, who)
    if who.en == other.en or quality.fr in french.INVARIABLE or quality.en in NOT_GRADED:
        return None
    degree = d.choice(DEGREES)
    if quality.en in BETTER and degree[0] == "more":
        en, fr = BETTER[quality.en] + " than", "meilleur" if quality.en == "good" else "pire"
        fr = agreeing(fr, who) + " que"
    else:
        en, fr = comparative(quality.en, degree), f"{degree[1]} {fr} que"
    return finish(statement(who, be(f"{en} {other.en}", f"{fr} {other.fr}"), d.choice(("present", "present", "past"))))


DEGREES = (("more", "plus"), ("more", "plus"), ("less", "moins"), ("as", "aussi"))
BETTER = {"good": "better", "bad": "worse"}


def comparative(en: str, degree: tuple[str, str]) -> str:
    """taller than, more expensive than, less old than, as old as."""
    if degree[0] != "more":
        return f"as {en} as" if degree[0] == "as" else f"less {en} than"
    return f"{graded(en, 'er', 'more')} than"


def graded(en: str, ending: str, word: str) -> str:
    """taller or more useful: short words, and those in -y, take the ending."""
    if en in SHORT_DOUBLED:
        return en + en[-1] + ending
    if en in SHORT:
        return en + ending[1:] if en.endswith("e") else en + ending
    if en.endswith("y") and en not in ("shy", "gray"):
        return f"{en[:-1]}i{ending}"
    return f"{word} {en}"


SHORT_DOUBLED = frozenset(("big", "thin", "sad", "hot", "wet", "red", "fat"))
SHORT = frozenset(
    "tall young old kind rich poor strong mean clever small new heavy light cheap clean soft short long cold fresh "
    "sweet large quiet brave proud rare deep wild shy narrow simple dry".split()
)


def most(d: Draw) -> Pair | None:
    """This is the most beautiful house in the city: c'est la plus belle maison de la ville."""
    noun = d.noun("building", "thing", "clothes", "furniture", "animal", "abstract", "event", "dish")
    quality = fitting(d, noun)
    if quality.fr in french.INVARIABLE or quality.en in NOT_GRADED:
        return None
    many = d.chance(0.2)
    part = grammar.core(noun, many)
    article = "les" if many else "la" if noun.gender == "f" else "le"
    if quality.en in BETTER:
        word = french.adjective("meilleur" if quality.en == "good" else "pire", noun.gender, many)
        en, fr = {"good": "best", "bad": "worst"}[quality.en], f"{article} {word} {part.fr}"
    else:
        en = graded(quality.en, "est", "most")
        word = french.adjective(quality.fr, noun.gender, many, part.fr)
        fr = f"{article} plus {word} {part.fr}" if quality.before else f"{article} {part.fr} {article} plus {word}"
    start = ("these are", "ce sont") if many else ("this is", "c'est")
    end = d.choice(
        (("", ""), (" in the world", " du monde"), (" of all", " de tous" if noun.gender == "m" else " de toutes"))
    )
    return finish(Pair(f"{start[0]} the {en} {part.en}{end[0]}", f"{start[1]} {fr}{end[1]}"))


NOT_GRADED = frozenset(
    "excellent magnificent huge tiny wooden perfect necessary original wonderful broken black white brown round "
    "rectangular historic red green blue yellow gray pink purple delicious absent public rural "
    "deserted rare foreign blond".split()
)


def owns(d: Draw) -> Pair:
    """She has a black cat; they do not have any children."""
    who = subject(d)
    noun = d.noun("thing", "clothes", "vehicle", "animal", "jewelry", "abstract", "furniture")
    if noun.noun_class == "abstract":
        noun = d.word([item for item in lexicon.nouns()["abstract"] if item.en in OWNED])
    d.combine("have", noun.en)
    many = d.chance(0.4)
    part = grammar.core(noun, many, describe(d, noun, probability=0.35))
    thing = grammar.indefinite(part)
    what = Predicate(
        f"have {thing.en}", "avoir", thing.fr, f"have {thing.en_negated or thing.en}", thing.fr_negated, lasting=True
    )  # fmt: skip
    return finish(
        statement(who, what, d.choice(("present", "present", "past", "future")), NOT if d.chance(0.4) else None)
    )


OWNED = frozenset("idea problem question secret plan dream project method opinion reason example proposal".split())


def belongs(d: Draw) -> Pair:
    """This car belongs to my uncle: cette voiture appartient à mon oncle."""
    noun = d.noun("thing", "vehicle", "clothes", "building", "animal", "jewelry")
    many = d.chance(0.3)
    thing, owner = d.choice((grammar.definite, grammar.demonstrative))(grammar.core(noun, many)), somebody(d)
    d.combine("belong", noun.en)
    what = Predicate(f"belong to {owner.en}", "appartenir", contract("à", owner.fr), lasting=True)
    return finish(statement(thing, what, d.choice(("present", "present", "past"))))


def somebodys(d: Draw) -> Pair:
    """Marie's dress is red: la robe de Marie est rouge."""
    noun = d.noun("thing", "vehicle", "clothes", "animal", "room", "abstract")
    part, owner, quality = grammar.core(noun, d.chance(0.3)), somebody(d), fitting(d, noun)
    thing = grammar.definite(part)
    en = f"{owner.en}'{'' if owner.plural and owner.en.endswith('s') else 's'} {part.en}"
    whole = NounPhrase(en, f"{thing.fr} {contract('de', owner.fr)}", thing.gender, thing.plural, person=thing.person)
    return finish(statement(whole, be(quality.en, agreeing(quality.fr, thing)), d.choice(BE_TENSES)))


def it_is_but(d: Draw) -> Pair | None:
    """The apple is green, but it is good: mais elle est bonne."""
    noun = d.noun("clothes", "thing", "fruit", "dish", "vehicle", "building", "furniture", "abstract")
    thing = definite_thing(d, noun)
    first, second = fitting(d, noun), fitting(d, noun)
    if first.en == second.en or {first.en, second.en} <= COLORS:
        return None
    again = grammar.pronoun_for(thing)
    tense = d.choice(("present", "present", "past"))
    one = statement(thing, be(first.en, agreeing(first.fr, thing)), tense)
    two = statement(again, be(second.en, agreeing(second.fr, thing)), tense)
    if (first.en in UNWELCOME) == (second.en in UNWELCOME):
        return finish(Pair(f"{one.en} and {two.en}", f"{one.fr} et {two.fr}"))
    return finish(Pair(f"{one.en}, but {two.en}", f"{one.fr}, mais {two.fr}"))


UNWELCOME = frozenset(
    "ugly bad heavy expensive dirty broken boring difficult complicated dangerous noisy cold wet fragile strange "
    "stupid salty empty old narrow".split()
)
"""Qualities that a but sets against the others."""


PATTERNS = {
    thing_is: 4, person_is_in_state: 2, person_is_by_nature: 2, seems: 1, becomes: 1, has_job: 1, this_is: 2,
    there_is: 2, there_is_no: 1, located: 2, someone_is_at: 1, compared: 2, most: 1, owns: 2, belongs: 1,
    somebodys: 1, it_is_but: 2,
}  # fmt: skip
