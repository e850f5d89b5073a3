"""French morphology by rule: conjugation, agreement, elision and contraction.

Persons are numbered je 0, tu 1, il/elle 2, nous 3, vous 4, ils/elles 5.
"""

import re
from functools import cache, lru_cache
from typing import Literal

Gender = Literal["m", "f"]
Tense = Literal["present", "imperfect", "future", "conditional", "past", "near_future", "recent_past"]

VOWELS_AND_H = frozenset("aeiouyhàâäéèêëîïôöùûüœæAEIOUYHÀÂÉÈÊÎÔÛŒ")
ASPIRATED = frozenset(  # no elision before these, although they begin with h, y or a vowel
    "hamster haricot harpe haut haute hibou homard héros huit hutte hockey hasard honte onze oui yaourt".split()
)

REFLEXIVE = ("me", "te", "se", "nous", "vous", "se")

ETRE_VERBS = frozenset(
    "aller arriver devenir descendre entrer monter mourir naître partir rentrer rester retourner "
    "revenir sortir tomber venir".split()
)

# infinitive | present, six forms | future stem | participle; compounds follow their base (apprendre: prendre)
IRREGULAR = """
être|suis es est sommes êtes sont|ser|été
avoir|ai as a avons avez ont|aur|eu
aller|vais vas va allons allez vont|ir|allé
faire|fais fais fait faisons faites font|fer|fait
dire|dis dis dit disons dites disent|dir|dit
pouvoir|peux peux peut pouvons pouvez peuvent|pourr|pu
vouloir|veux veux veut voulons voulez veulent|voudr|voulu
devoir|dois dois doit devons devez doivent|devr|dû
savoir|sais sais sait savons savez savent|saur|su
voir|vois vois voit voyons voyez voient|verr|vu
recevoir|reçois reçois reçoit recevons recevez reçoivent|recevr|reçu
venir|viens viens vient venons venez viennent|viendr|venu
tenir|tiens tiens tient tenons tenez tiennent|tiendr|tenu
prendre|prends prends prend prenons prenez prennent|prendr|pris
mettre|mets mets met mettons mettez mettent|mettr|mis
battre|bats bats bat battons battez battent|battr|battu
connaître|connais connais connaît connaissons connaissez connaissent|connaîtr|connu
naître|nais nais naît naissons naissez naissent|naîtr|né
boire|bois bois boit buvons buvez boivent|boir|bu
croire|crois crois croit croyons croyez croient|croir|cru
lire|lis lis lit lisons lisez lisent|lir|lu
écrire|écris écris écrit écrivons écrivez écrivent|écrir|écrit
vivre|vis vis vit vivons vivez vivent|vivr|vécu
suivre|suis suis suit suivons suivez suivent|suivr|suivi
rire|ris ris rit rions riez rient|rir|ri
courir|cours cours court courons courez courent|courr|couru
mourir|meurs meurs meurt mourons mourez meurent|mourr|mort
asseoir|assieds assieds assied asseyons asseyez asseyent|assiér|assis
dormir|dors dors dort dormons dormez dorment|dormir|dormi
partir|pars pars part partons partez partent|partir|parti
sortir|sors sors sort sortons sortez sortent|sortir|sorti
sentir|sens sens sent sentons sentez sentent|sentir|senti
mentir|mens mens ment mentons mentez mentent|mentir|menti
servir|sers sers sert servons servez servent|servir|servi
ouvrir|ouvre ouvres ouvre ouvrons ouvrez ouvrent|ouvrir|ouvert
offrir|offre offres offre offrons offrez offrent|offrir|offert
souffrir|souffre souffres souffre souffrons souffrez souffrent|souffrir|souffert
falloir|_ _ faut fallons _ _|faudr|fallu
pleuvoir|_ _ pleut pleuvons _ _|pleuvr|plu
"""

FEMININE = dict(
    pair.split("=")
    for pair in (
        "beau=belle nouveau=nouvelle vieux=vieille blanc=blanche frais=fraîche sec=sèche doux=douce roux=rousse "
        "jaloux=jalouse gentil=gentille long=longue public=publique malin=maligne bas=basse gros=grosse "
        "épais=épaisse inquiet=inquiète discret=discrète complet=complète secret=secrète bon=bonne favori=favorite "
        "violet=violette fou=folle travailleur=travailleuse menteur=menteuse gras=grasse grec=grecque franc=franche"
    ).split()
)
INVARIABLE = frozenset(
    ("marron", "debout", "en colère", "en retard", "à l'heure", "en bois", "bon marché", "en avance")
)
BEFORE_VOWEL = {"beau": "bel", "nouveau": "nouvel", "vieux": "vieil"}

NOUN_PLURALS = {
    "œil": "yeux",
    "bijou": "bijoux",
    "genou": "genoux",
    "hibou": "hiboux",
    "travail": "travaux",
    "festival": "festivals",
    "appareil photo": "appareils photo",
    "grand-mère": "grands-mères",
    "grand-père": "grands-pères",
}

PRESENT_ENDINGS = {"er": "e es e ons ez ent", "ir": "is is it issons issez issent", "re": "s s _ ons ez ent"}
IMPERFECT_ENDINGS = "ais ais ait ions iez aient".split()
FUTURE_ENDINGS = "ai as a ons ez ont".split()


@cache
def starts_with_vowel(text: str) -> bool:
    """Whether le, je, de … elide before this text: a vowel or a mute h, not an aspirated one."""
    if text[:1] not in VOWELS_AND_H:
        return False
    word = text.split()[0].rstrip(".,?!").lower()
    return word not in ASPIRATED and word.removesuffix("s") not in ASPIRATED


_ELIDED = re.compile(r"(?<![\w'-])(je|me|te|se|ne|le|la|de|que|lorsque|puisque|si|ce) (?=(\S+))", re.IGNORECASE)
_ONLY_BEFORE = {"si": ("il", "ils"), "ce": ("est", "était", "étaient")}


def elide(text: str) -> str:
    """Write every elision of a sentence: je ai → j'ai, si il → s'il, ce est → c'est."""

    def short(match: re.Match[str]) -> str:
        word, following = match[1], match[2]
        only = _ONLY_BEFORE.get(word.lower())
        if following not in only if only else not starts_with_vowel(following):
            return match[0]
        return word[:-1] + "'"

    return _ELIDED.sub(short, text)


def contract(preposition: Literal["de", "à"], phrase: str) -> str:
    """Put de or à before a noun phrase: de + le → du, à + les → aux, but de l'eau, à la mer."""
    first, both, second = phrase.partition(" et ")
    if both:  # de Paul et de Marie
        return f"{contract(preposition, first)} et {contract(preposition, second)}"
    article, _, rest = phrase.partition(" ")
    if article == "les":
        return f"{'des' if preposition == 'de' else 'aux'} {rest}"
    if article == "le" and not starts_with_vowel(rest):
        return f"{'du' if preposition == 'de' else 'au'} {rest}"
    return f"{preposition} {phrase}"


@lru_cache(maxsize=1)
def _irregular() -> dict[str, tuple[list[str], str, str]]:
    rows = (line.split("|") for line in IRREGULAR.strip().splitlines())
    return {infinitive: (present.split(), future, past) for infinitive, present, future, past in rows}


def _irregular_base(infinitive: str) -> tuple[str, str] | None:
    """The prefix and the longest irregular verb it is put before: comprendre → (com, prendre)."""
    bases = [base for base in _irregular() if infinitive.endswith(base)]
    if not bases:
        return None
    base = max(bases, key=len)
    return infinitive[: -len(base)], base


def _strong_stem(stem: str) -> str:
    """The stem of an -er verb before a mute e: achet → achèt, appel → appell, préfér → préfèr, nettoy → nettoi."""
    if re.search(r"(appel|jet)$", stem):
        return stem + stem[-1]
    if stem.endswith("y"):
        return stem[:-1] + "i"
    return re.sub(r"[eé](?=(?:[cdglmnprstv]|ch|br|gl|gr|tr)$)", "è", stem)


@cache
def forms(infinitive: str) -> tuple[tuple[str, ...], str, str]:
    """The present's six forms, the future stem and the past participle of a verb without its se."""
    if found := _irregular_base(infinitive):
        prefix, base = found
        present, future, past = _irregular()[base]
        return tuple(prefix + form for form in present), prefix + future, prefix + past
    if infinitive.endswith("uire"):
        stem = infinitive[:-2]
        return _six(stem, "s s t sons sez sent"), infinitive[:-1], stem + "t"
    if infinitive.endswith("indre"):
        stem = infinitive[:-4]
        return _six(stem, "ns ns nt gnons gnez gnent"), infinitive[:-1], stem + "nt"
    stem, ending = infinitive[:-2], infinitive[-2:]
    if ending == "er":
        return _first_group(stem)
    return _six(stem, PRESENT_ENDINGS[ending]), infinitive.removesuffix("e"), stem + ("i" if ending == "ir" else "u")


def _six(stem: str, endings: str) -> tuple[str, ...]:
    return tuple(stem + ending.strip("_") for ending in endings.split())


def _first_group(stem: str) -> tuple[tuple[str, ...], str, str]:
    strong = _strong_stem(stem)
    soft = stem + "e" if stem.endswith("g") else stem[:-1] + "ç" if stem.endswith("c") else stem
    present = (strong + "e", strong + "es", strong + "e", soft + "ons", stem + "ez", strong + "ent")
    if stem.endswith("envoy"):
        return present, "enverr", stem + "é"
    # é stays in the future (préférerai), as in the spelling most texts still use
    future = stem if re.search(r"é[^aeiou]+$", stem) else strong
    return present, future + "er", stem + "é"


@cache
def conjugate(infinitive: str, tense: Literal["present", "imperfect", "future", "conditional"], person: int) -> str:
    """One simple form of a verb: conjugate("aller", "future", 0) is "irai"."""
    present, future, _ = forms(infinitive)
    if tense == "present":
        return present[person]
    if tense == "future":
        return future + FUTURE_ENDINGS[person]
    if tense == "conditional":
        return future + IMPERFECT_ENDINGS[person]
    stem = "ét" if infinitive == "être" else present[3].removesuffix("ons")
    if person in (3, 4):  # mangions, commencions: no softening before i
        stem = stem[:-1] if stem.endswith("ge") else stem[:-1] + "c" if stem.endswith("ç") else stem
    return stem + IMPERFECT_ENDINGS[person]


def participle(infinitive: str, gender: Gender = "m", plural: bool = False) -> str:
    """The past participle, in agreement: participle("prendre", "f", True) is "prises"."""
    past = forms(infinitive)[2]
    if gender == "m":
        return past + "s" if plural and not past.endswith("s") else past
    return past.replace("û", "u") + ("es" if plural else "e")


@cache
def adjective(lemma: str, gender: Gender = "m", plural: bool = False, before: str = "") -> str:
    """An adjective in agreement; before is the word it precedes: adjective("beau", before="arbre") is "bel"."""
    if lemma in INVARIABLE:
        return lemma
    if gender == "m" and not plural:
        return BEFORE_VOWEL[lemma] if lemma in BEFORE_VOWEL and starts_with_vowel(before) else lemma
    if gender == "f":
        return _feminine(lemma) + ("s" if plural else "")
    if lemma.endswith(("s", "x")):
        return lemma
    if lemma.endswith("eau"):
        return lemma + "x"
    return lemma[:-2] + "aux" if lemma.endswith("al") else lemma + "s"


def _feminine(lemma: str) -> str:
    if lemma in FEMININE:
        return FEMININE[lemma]
    if lemma.endswith("e"):
        return lemma
    for ending, feminine in (
        ("eux", "euse"),
        ("f", "ve"),
        ("er", "ère"),
        ("el", "elle"),
        ("en", "enne"),
        ("on", "onne"),
    ):
        if lemma.endswith(ending):
            return lemma.removesuffix(ending) + feminine
    return lemma + "e"


@cache
def noun_plural(noun: str) -> str:
    """The plural of a noun; of a compound with de, à or an adjective, that of its parts."""
    if noun in NOUN_PLURALS:
        return NOUN_PLURALS[noun]
    if " " in noun:
        head, rest = noun.split(" ", 1)
        both = rest if rest.startswith(("de ", "d'", "à ")) else noun_plural(rest)
        return f"{noun_plural(head)} {both}"
    if noun.endswith(("s", "x", "z")):
        return noun
    if noun.endswith(("eau", "eu")):
        return noun + "x"
    return noun[:-2] + "aux" if noun.endswith("al") else noun + "s"
