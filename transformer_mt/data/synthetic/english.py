"""English morphology by rule: verb groups with their auxiliaries, plurals, a/an, contractions.

Persons are numbered as in `french`: I 0, (familiar) you 1, he/she/it 2, we 3, you 4, they 5.
"""

import re
from functools import cache, lru_cache
from typing import Literal, TypeAlias

Tense: TypeAlias = str
"""One of present, progressive, past, past_progressive, used_to, future, near_future, conditional, recent_past."""

# base past participle, where they are not made with -ed
IRREGULAR_VERBS = """
be was been; have had had; do did done; go went gone; come came come; become became become; eat ate eaten;
drink drank drunk; buy bought bought; sell sold sold; read read read; write wrote written; see saw seen;
hear heard heard; know knew known; find found found; lose lost lost; meet met met; break broke broken;
wear wore worn; take took taken; put put put; drive drove driven; build built built; draw drew drawn;
choose chose chosen; send sent sent; forget forgot forgotten; understand understood understood;
teach taught taught; hide hid hidden; cut cut cut; sing sang sung; feed fed fed; steal stole stolen;
throw threw thrown; win won won; give gave given; show showed shown; lend lent lent; bring brought brought;
tell told told; sleep slept slept; run ran run; swim swam swum; leave left left; fall fell fallen;
get got got; wake woke woken; lie lied lied; think thought thought; speak spoke spoken; say said said;
sit sat sat; make made made; begin began begun; feel felt felt; stand stood stood; hold held held;
keep kept kept; forgive forgave forgiven; catch caught caught; pay paid paid; spend spent spent;
ring rang rung; bite bit bitten; set set set; fly flew flown; ride rode ridden; cost cost cost; hurt hurt hurt;
dream dreamed dreamed; learn learned learned; tear tore torn; burn burned burned; sew sewed sewn; die died died
"""
DOUBLED = frozenset(
    "run swim sit cut get put win forget begin stop plan hug chat rob shop set jog drop hum knit prefer slip".split()
)

IRREGULAR_NOUNS = dict(
    pair.split("=")
    for pair in (
        "man=men woman=women child=children mouse=mice goose=geese foot=feet tooth=teeth sheep=sheep fish=fish "
        "knife=knives wolf=wolves shelf=shelves leaf=leaves wife=wives scarf=scarves life=lives thief=thieves "
        "policeman=policemen postman=postmen fisherman=fishermen potato=potatoes tomato=tomatoes hero=heroes "
        "piano=pianos photo=photos zoo=zoos radio=radios stadium=stadiums roof=roofs snowman=snowmen loaf=loaves"
    ).split()
)

BE_PRESENT = ("am", "are", "is", "are", "are", "are")
BE_PAST = ("was", "were", "was", "were", "were", "were")
_CONTRACTED = re.compile(
    r"\b(?:(do|does|did|is|are|was|were|would|could|should|has|have) not|"
    r"(will not)|(cannot)|(I) am|(you|we|they) are)\b",
    re.IGNORECASE,
)
_AN = re.compile(r"\b([Aa]) (?=([aeiouAEIOU]\w*|hour\w*|hon\w*))")
_LIKE_Y = ("uni", "use", "euro", "one", "ukul")


@lru_cache(maxsize=1)
def _irregular_verbs() -> dict[str, tuple[str, str]]:
    rows = (row.split() for row in IRREGULAR_VERBS.replace("\n", " ").split(";"))
    return {base: (past, done) for base, past, done in rows}


def _with_e(word: str, suffix: str) -> str:
    """Add -ed or -ing: stop → stopp, love → lov, carry → carri."""
    if word in DOUBLED:
        return word + word[-1] + suffix
    if suffix == "ing":
        if word.endswith("ie"):
            return word[:-2] + "ying"
        return (word[:-1] if re.search(r"[^eoy]e$", word) and word != "be" else word) + suffix
    if word.endswith("e"):
        return word + "d"
    return word[:-1] + "ied" if re.search(r"[^aeiou]y$", word) else word + suffix


def _sibilant_s(word: str) -> str:
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")


@cache
def inflect(verb: str, form: Literal["s", "past", "done", "ing"]) -> str:
    """One form of a one-word verb: third person, past, past participle or -ing."""
    if form == "s":
        return {"have": "has", "do": "does", "go": "goes", "be": "is"}.get(verb) or _sibilant_s(verb)
    if form == "ing":
        return _with_e(verb, "ing")
    past, done = _irregular_verbs().get(verb) or (_with_e(verb, "ed"),) * 2
    return past if form == "past" else done


def ambiguous_past(phrase: str) -> bool:
    """Whether the verb's past looks like its present (read, put), so that the tense would not show."""
    verb = phrase.split(" ", 1)[0]
    return inflect(verb, "past") == verb


def gerund(phrase: str) -> str:
    """eat an apple → eating an apple."""
    return _head(phrase, "ing")


def past_participle(phrase: str) -> str:
    """eat an apple → eaten an apple."""
    return _head(phrase, "done")


def experienced(phrase: str) -> str:
    """As past_participle, but one who has gone and come back has been: go to Rome → been to Rome."""
    return re.sub("^gone to ", "been to ", past_participle(phrase))


def _head(phrase: str, form: Literal["s", "past", "done", "ing"]) -> str:
    verb, space, rest = phrase.partition(" ")
    return inflect(verb, form) + space + rest


def auxiliary(phrase: str, person: int, tense: Tense, do: bool) -> tuple[str, str]:
    """The auxiliary (empty where there is none) and what follows it, for a verb phrase in its base form.

    With do, simple tenses take do, does or did, as questions and not require.
    """
    verb, space, rest = phrase.partition(" ")
    if tense == "progressive":
        return BE_PRESENT[person], gerund(phrase)
    if tense == "past_progressive":
        return BE_PAST[person], gerund(phrase)
    if tense == "near_future":
        return BE_PRESENT[person], f"going to {phrase}"
    if tense == "recent_past":
        return ("has" if person == 2 else "have"), f"just {past_participle(phrase)}"
    if tense in ("future", "conditional"):
        return ("will" if tense == "future" else "would"), phrase
    if verb == "be" and tense != "used_to":
        return (BE_PRESENT if tense == "present" else BE_PAST)[person], rest
    if do:
        helper = "did" if tense != "present" else "does" if person == 2 else "do"
        return helper, f"use to {phrase}" if tense == "used_to" else phrase
    if tense == "used_to":
        return "", f"used to {phrase}"
    if tense == "past":
        return "", _head(phrase, "past")
    return "", _head(phrase, "s") if person == 2 else phrase


@cache
def plural(noun: str) -> str:
    """The plural of a noun, at the last word unless it has an of in it: glass → glasses."""
    before, space, last = noun.rpartition(" ")
    return before + space + (IRREGULAR_NOUNS.get(last) or _sibilant_s(last))


def articles(text: str) -> str:
    """Write a as an before a vowel sound: a apple → an apple, a university stays."""

    def sounded(match: re.Match[str]) -> str:
        return f"{match[1]} " if match[2].lower().startswith(_LIKE_Y) else f"{match[1]}n "

    return _AN.sub(sounded, text)


def contracted(text: str) -> str:
    """Write the usual contractions: does not → doesn't, I am → I'm."""

    def short(match: re.Match[str]) -> str:
        helper, will, cannot, first, others = match.groups()
        if will or cannot:
            return "won't" if will else "can't"
        return f"{helper}n't" if helper else f"{first}'m" if first else f"{others}'re"

    return _CONTRACTED.sub(short, text)
