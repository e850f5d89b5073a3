"""The embedded corpus: French and English forms against hand-written tables, and the promises of the splits."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from transformer_mt.data.synthetic import corpus, english, french, grammar, lexicon
from transformer_mt.data.synthetic.corpus import Sentence, SyntheticCorpus, synthesize, write_corpus

PRESENT = """
être: suis es est sommes êtes sont
avoir: ai as a avons avez ont
aller: vais vas va allons allez vont
faire: fais fais fait faisons faites font
prendre: prends prends prend prenons prenez prennent
comprendre: comprends comprends comprend comprenons comprenez comprennent
devenir: deviens deviens devient devenons devenez deviennent
reconnaître: reconnais reconnais reconnaît reconnaissons reconnaissez reconnaissent
conduire: conduis conduis conduit conduisons conduisez conduisent
peindre: peins peins peint peignons peignez peignent
manger: mange manges mange mangeons mangez mangent
commencer: commence commences commence commençons commencez commencent
acheter: achète achètes achète achetons achetez achètent
appeler: appelle appelles appelle appelons appelez appellent
jeter: jette jettes jette jetons jetez jettent
préférer: préfère préfères préfère préférons préférez préfèrent
sécher: sèche sèches sèche séchons séchez sèchent
nettoyer: nettoie nettoies nettoie nettoyons nettoyez nettoient
aider: aide aides aide aidons aidez aident
rencontrer: rencontre rencontres rencontre rencontrons rencontrez rencontrent
finir: finis finis finit finissons finissez finissent
choisir: choisis choisis choisit choisissons choisissez choisissent
dormir: dors dors dort dormons dormez dorment
offrir: offre offres offre offrons offrez offrent
vendre: vends vends vend vendons vendez vendent
écrire: écris écris écrit écrivons écrivez écrivent
couvrir: couvre couvres couvre couvrons couvrez couvrent
"""

SIMPLE_FORMS = """
imperfect 0 être étais; imperfect 3 manger mangions; imperfect 2 manger mangeait; imperfect 5 commencer commençaient;
imperfect 4 commencer commenciez; imperfect 0 finir finissais; imperfect 2 boire buvait;
imperfect 3 étudier étudiions;
imperfect 2 voir voyait; imperfect 5 prendre prenaient; future 0 aller irai; future 2 avoir aura;
future 3 être serons;
future 4 voir verrez; future 5 envoyer enverront; future 0 acheter achèterai; future 2 appeler appellera;
future 1 préférer préféreras; future 2 nettoyer nettoiera; future 3 vendre vendrons; future 2 s'asseoir assiéra;
future 5 courir courront; future 2 venir viendra; future 0 finir finirai; conditional 0 vouloir voudrais;
conditional 3 pouvoir pourrions; conditional 2 savoir saurait; conditional 5 devoir devraient;
conditional 2 acheter achèterait
"""

PARTICIPLES = """
manger m mangé; vendre f vendue; finir fp finies; prendre f prise; mettre mp mis; écrire fp écrites; ouvrir f ouverte;
devoir m dû; devoir f due; naître f née; mourir mp morts; peindre f peinte; construire f construite; lire fp lues;
recevoir f reçue; boire m bu; apprendre f apprise; découvrir m découvert; s'asseoir f assise; être m été
"""

ADJECTIVES = """
petit f petite; heureux f heureuse; heureux mp heureux; beau f belle; beau mp beaux; nouveau fp nouvelles;
vieux f vieille;
blanc f blanche; cher f chère; frais f fraîche; gentil f gentille; bon f bonne; inquiet f inquiète;
original mp originaux;
travailleur f travailleuse; marron fp marron; rouge f rouge; naïf f naïve; bleu mp bleus; gris mp gris;
public f publique;
doux f douce; sec f sèche; léger f légère; jaloux f jalouse; malin f maligne; long f longue; violet f violette;
violet mp violets; fatigué fp fatiguées
"""

ENGLISH_FORMS = """
eat s eats; watch s watches; carry s carries; play s plays; have s has; go s goes; buy past bought;
carry past carried;
stop past stopped; love past loved; knit past knitted; run ing running; write ing writing; lie ing lying;
see ing seeing;
sit ing sitting; carry ing carrying; take done taken; write done written; open past opened; visit ing visiting
"""


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Sentence]]:
    """The default corpus, with the patterns and words of its sentences."""
    return corpus.generate(1, 30_000, 1_000, 1_000)


@pytest.fixture(scope="module")
def everything(splits: dict[str, list[Sentence]]) -> list[Sentence]:
    return [sentence for members in splits.values() for sentence in members]


def rows(table: str) -> Iterator[list[str]]:
    return (row.split() for row in table.replace("\n", " ").split(";"))


def test_present_tense_is_that_of_the_grammar_books() -> None:
    for line in PRESENT.strip().splitlines():
        verb, _, expected = line.partition(": ")
        assert [french.conjugate(verb, "present", person) for person in range(6)] == expected.split()


def test_other_simple_tenses_are_those_of_the_grammar_books() -> None:
    for tense, person, verb, expected in rows(SIMPLE_FORMS):
        bare = grammar.split_reflexive(verb)[1]
        assert french.conjugate(bare, tense, int(person)) == expected


@pytest.mark.parametrize(("make", "table"), [(french.participle, PARTICIPLES), (french.adjective, ADJECTIVES)])
def test_participles_and_adjectives_agree(make, table: str) -> None:
    for lemma, form, expected in rows(table):
        assert make(grammar.split_reflexive(lemma)[1], form[0], form.endswith("p")) == expected


def test_adjectives_before_a_vowel_have_their_own_form() -> None:
    assert french.adjective("beau", before="arbre") == "bel"
    assert french.adjective("vieux", before="hôtel") == "vieil"
    assert french.adjective("nouveau", before="hibou") == "nouveau"


def test_english_forms_are_those_of_the_grammar_books() -> None:
    for verb, form, expected in rows(ENGLISH_FORMS):
        assert english.inflect(verb, form) == expected


def test_plurals_of_both_languages() -> None:
    many = "cheval=chevaux gâteau=gâteaux œil=yeux bijou=bijoux nez=nez jeu=jeux clou=clous grand-mère=grands-mères"
    assert all(french.noun_plural(one) == more for one, _, more in (pair.partition("=") for pair in many.split()))
    assert french.noun_plural("pomme de terre") == "pommes de terre"
    assert french.noun_plural("carte postale") == "cartes postales"
    many = "child=children knife=knives box=boxes story=stories boy=boys tomato=tomatoes sheep=sheep wife=wives"
    assert all(english.plural(one) == more for one, _, more in (pair.partition("=") for pair in many.split()))


@pytest.mark.parametrize(
    ("plain", "elided"),
    [
        ("je ai", "j'ai"),
        ("le homme", "l'homme"),
        ("le hibou", "le hibou"),
        ("la harpe", "la harpe"),
        ("que il ne a pas", "qu'il n'a pas"),
        ("si il", "s'il"),
        ("si elle", "si elle"),
        ("ce est", "c'est"),
        ("elle se habille", "elle s'habille"),
        ("beaucoup de eau", "beaucoup d'eau"),
        ("le onze", "le onze"),
        ("je y vais", "j'y vais"),
        ("est-ce que Alice", "est-ce qu'Alice"),
        ("prenez-le aussi", "prenez-le aussi"),
    ],
)
def test_elision(plain: str, elided: str) -> None:
    assert french.elide(plain) == elided


def test_contraction() -> None:
    assert french.contract("de", "le chat") == "du chat"
    assert french.contract("à", "les enfants") == "aux enfants"
    assert french.contract("à", "le hibou") == "au hibou"
    assert french.elide(french.contract("de", "le arbre")) == "de l'arbre"
    assert french.contract("de", "la mer") == "de la mer"
    assert french.contract("à", "Paul et Marie") == "à Paul et à Marie"


KNOWN = (
    (grammar.ME, grammar.Predicate("see him", "voir", clitics=("le",)), "past", grammar.NOT),
    (grammar.SHE, grammar.Predicate("get up", "se lever"), "past", None),
    (grammar.WE, grammar.Predicate("arrive", "arriver"), "past", grammar.NEVER),
    (grammar.THEY, grammar.Predicate("eat", "manger"), "used_to", None),
    (grammar.HE, grammar.Predicate("go there", "aller", clitics=("y",)), "near_future", None),
    (grammar.YOU, grammar.Predicate("help her", "aider", clitics=("la",), object_agreement=("f", False)), "past", None),
)
KNOWN_SENTENCES = [
    ("I did not see him.", "Je ne l'ai pas vu."),
    ("She got up.", "Elle s'est levée."),
    ("We never arrived.", "Nous ne sommes jamais arrivés."),
    ("They used to eat.", "Ils mangeaient."),
    ("He is going to go there.", "Il va y aller."),
    ("You helped her.", "Vous l'avez aidée."),
]


def test_known_sentences() -> None:
    assert [grammar.finish(grammar.statement(*known)) for known in KNOWN] == KNOWN_SENTENCES


def test_a_negated_verb_reaches_into_the_infinitive_after_it() -> None:
    car = grammar.indefinite(grammar.core(lexicon.nouns()["car"][0]))
    bread = grammar.partitive(grammar.core(lexicon.nouns()["bread"][0]))
    for thing, en, fr in ((car, "sell a car", "vendre de voiture"), (bread, "sell any bread", "vendre de pain")):
        sell = grammar.Predicate(
            f"sell {thing.en}", "vendre", thing.fr, thing.en_negated and f"sell {thing.en_negated}", thing.fr_negated
        )
        assert grammar.infinitive(sell.under_negation(), grammar.ME) == (en, fr)


@pytest.mark.parametrize(("name", "expected"), [("go to Rome", "been to Rome"), ("go home", "gone home")])
def test_one_who_went_and_came_back_has_been_there(name: str, expected: str) -> None:
    assert english.experienced(name) == expected


def test_inversion_puts_a_t_between_vowels() -> None:
    sing = grammar.Predicate("sing", "chanter")
    assert grammar.inverted(grammar.SHE, sing, "present") == "chante-t-elle"
    assert grammar.inverted(grammar.HE, sing, "past") == "a-t-il chanté"
    assert grammar.inverted(grammar.YOU, grammar.Predicate("rest", "se reposer"), "past") == "vous êtes-vous reposé"


def test_noun_phrases_agree() -> None:
    tree, car = lexicon.nouns()["tree"][0], lexicon.nouns()["car"][0]
    old = next(item for item in lexicon.adjectives()["T"] if item.en == "old")
    red = next(item for item in lexicon.adjectives()["T"] if item.en == "red")
    assert grammar.indefinite(grammar.core(tree, False, (old,))).fr == "un vieil arbre"
    assert grammar.demonstrative(grammar.core(tree)).fr == "cet arbre"
    assert grammar.indefinite(grammar.core(car, True, (old, red))).fr == "de vieilles voitures rouges"
    assert grammar.owned(grammar.core(lexicon.nouns()["idea"][0]), grammar.ME).fr == "mon idée"


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, again, other = synthesize(3, 800, 40, 40), synthesize(3, 800, 40, 40), synthesize(4, 800, 40, 40)
    assert first == again
    assert first != other
    for path, twin in zip(write_corpus(first, tmp_path / "a"), write_corpus(again, tmp_path / "b"), strict=True):
        assert path.read_bytes() == twin.read_bytes()


def test_files_hold_one_sentence_a_line(tmp_path: Path) -> None:
    small = SyntheticCorpus([("A.", "À."), ("B.", "B.")], [("C.", "Ç.")], [("D.", "D.")])
    paths = write_corpus(small, tmp_path / "new")
    assert [path.name for path in paths] == ["train.en", "train.fr", "val.en", "val.fr", "test.en", "test.fr"]
    assert paths[1].read_bytes() == "À.\nB.\n".encode()


def test_sizes_are_those_asked_for(splits: dict[str, list[Sentence]]) -> None:
    assert {name: len(members) for name, members in splits.items()} == {
        "train": 30_000,
        "validation": 1_000,
        "test": 1_000,
    }


def test_each_english_sentence_has_one_french_one(everything: list[Sentence]) -> None:
    translations: dict[str, str] = {}
    # the raw stream as well: what the corpus drops as a repetition may not be another translation
    for sentence in (*everything, *islice(corpus.sentences(7), 8_000)):
        en, fr = sentence.pair
        assert translations.setdefault(en, fr) == fr, f"{sentence.pattern}: {en}"


def test_no_sentence_of_one_split_is_in_another(splits: dict[str, list[Sentence]]) -> None:
    for side in (0, 1):
        train, validation, test = ({member.pair[side] for member in members} for members in splits.values())
        assert not train & validation and not train & test and not validation & test


def test_held_out_combinations_are_never_trained(splits: dict[str, list[Sentence]]) -> None:
    assert all(member.split == name for name, members in splits.items() for member in members)
    trained = {combination for member in splits["train"] for combination in member.combinations}
    for member in (*splits["validation"], *splits["test"]):
        assert not trained.issuperset(member.combinations)


def test_every_held_out_word_is_trained(splits: dict[str, list[Sentence]]) -> None:
    trained = {lemma for member in splits["train"] for lemma in member.lemmas}
    assert all(trained.issuperset(member.lemmas) for member in (*splits["validation"], *splits["test"]))


def test_there_are_many_words_and_patterns(everything: list[Sentence]) -> None:
    assert len({lemma for sentence in everything for lemma in sentence.lemmas}) >= 900
    assert len({sentence.pattern for sentence in everything}) >= 120


def test_lengths_are_well_mixed(everything: list[Sentence]) -> None:
    lengths = [len(sentence.pair[0].split()) for sentence in everything]
    assert max(lengths) <= 20
    for number in range(2, 13):
        assert lengths.count(number) >= 100


def test_sentences_are_typed_as_people_type(everything: list[Sentence]) -> None:
    for en, fr in (sentence.pair for sentence in everything):
        for text in (en, fr):
            assert "  " not in text and text == text.strip() and text[0].isupper() and text[-1] in ".?!", text
            assert not re.search(r"[{}_=<]|None| ,", text), text
        assert not re.search(r"[^ ][?!:;]|’|' | '", fr), fr
        assert not re.search(r" [?!]", en), en
        assert en[-1] == fr[-1]


ASPIRATED = "|".join(sorted(french.ASPIRATED))


def test_no_elision_is_missed(everything: list[Sentence]) -> None:
    vowel = rf"(?!(?:{ASPIRATED})s?\b)[aeiouyhàâéèêëîïôœù]"
    missed = re.compile(rf"(?<![\w'-])(?:le|la|je|ne|de|que|se|me|te) {vowel}", re.IGNORECASE)
    wrong = re.compile(rf"\b[ldjnsmtcq]u?'(?:(?:{ASPIRATED})s?\b|[bcdfgjklmnpqrstvwxz])", re.IGNORECASE)
    for fr in (sentence.pair[1] for sentence in everything):
        assert not missed.search(fr) and not wrong.search(fr), fr
        assert not re.search(r"\b[Ss]i ils?\b|\b[Cc]e est\b|\bce [aeiou]|\b[mts]a [aeéiou]", fr), fr


def test_no_contraction_is_missed(everything: list[Sentence]) -> None:
    uncontracted = re.compile(r"\b(?:de|à) (?:le|les) (\S+)")
    for fr in (sentence.pair[1] for sentence in everything):
        found = uncontracted.search(fr)
        # before an infinitive le and les are pronouns
        assert found is None or re.search(r"(?:er|ir|re)$", found[1].rstrip(".?!,")), fr


def test_english_articles_fit_their_word(everything: list[Sentence]) -> None:
    for en in (sentence.pair[0] for sentence in everything):
        assert not re.search(r"\b[Aa] (?:[aeio]|u(?!ni|se))|\b[Aa]n [bcdfgjklmnpqrstvwxz]|\ban uni", en), en


def test_one_called_by_name_is_tu_throughout(everything: list[Sentence]) -> None:
    for sentence in everything:
        if sentence.pattern in ("familiar", "order_by_name", "thanks_for", "set_phrase") and "," in sentence.pair[1]:
            assert not re.search(r"(?<!-)\b(?:vous|votre|vos)\b", sentence.pair[1].lower()), sentence.pair


def test_nobody_does_to_themselves_what_takes_another(everything: list[Sentence]) -> None:
    selves = {"I": "me|us", "We": "me|us", "You": "you"}
    for sentence in everything:
        who, _, rest = sentence.pair[0].partition(" ")
        if who in selves and sentence.pattern in ("direct_pronoun", "indirect_pronoun", "gives_me", "wants_pronoun"):
            assert not re.search(rf"\b(?:{selves[who]})\b", rest), sentence.pair


def test_what_takes_no_time_is_never_going_on(everything: list[Sentence]) -> None:
    going_on = re.compile(r"\b(?:am|is|are|was|were|'m|'re)\b.* (?:losing|finding|forgetting|receiving|recognizing)\b")
    for en in (sentence.pair[0] for sentence in everything):
        assert not going_on.search(en), en


def test_every_word_is_trained_several_times(splits: dict[str, list[Sentence]]) -> None:
    counts = Counter(lemma for member in splits["train"] for lemma in set(member.lemmas))
    assert min(counts.values()) >= 5, counts.most_common()[-3:]


def test_asking_for_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    few = list(islice(corpus.sentences(1), 50))
    monkeypatch.setattr(corpus, "sentences", lambda seed: (few[n % 50] for n in range(10**9)))
    with pytest.raises(ValueError, match="no more than about"):
        synthesize(1, 1_000, 10, 10)


def test_names_of_classes_and_nouns_do_not_collide() -> None:
    for key, members in lexicon.nouns().items():
        assert len(members) == 1 or key not in {member.en for member in members}, key


def test_each_english_word_has_one_french_word(everything: list[Sentence]) -> None:
    nouns = {noun for members in lexicon.nouns().values() for noun in members}
    assert len({noun.en for noun in nouns}) == len(nouns)
    adjectives = {item for members in lexicon.adjectives().values() for item in members}
    assert len({item.en for item in adjectives}) == len(adjectives)
