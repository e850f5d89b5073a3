"""Forced beginnings, n-grams that may not repeat and terms, each against all hypotheses that keep to it."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.decoding.test_search import BOS, EOS, VOCAB, TableStep, all_hypotheses, settings
from transformer_mt.data.tokenizer import Tokenizer
from transformer_mt.decoding.constraints import TokenConstraints
from transformer_mt.decoding.search import Beam, Sampling, advance, beam_search, best_continuations, sample
from transformer_mt.decoding.terms import Form, Glossary, Term, TermRules, arrange_by_progress, make_term
from transformer_mt.errors import DataError

SENTENCES, LENGTH = [5, 6, 7], 5


def best_of(sentence: int, keeps: Callable[[list[int]], bool], length: int = LENGTH) -> list[list[int]]:
    return [tokens for _, tokens in all_hypotheses(sentence, length, 1.0) if keeps(tokens)][:5]


def found(constraints: TokenConstraints, beam_size: int = 120, length: int = LENGTH) -> list[list[list[int]]]:
    lengths = torch.full((len(SENTENCES),), length)
    answers = beam_search(TableStep(SENTENCES), lengths, settings(beam_size, min(5, beam_size)), constraints)
    return [[one.tokens for one in hypotheses] for hypotheses in answers]


def repeats(tokens: list[int], size: int) -> bool:
    ngrams = [tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
    return len(set(ngrams)) < len(ngrams)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_without_repeated_ngrams_the_best_is_that_of_all_hypotheses_without_any(size: int) -> None:
    expected = [best_of(sentence, lambda tokens: not repeats(tokens, size)) for sentence in SENTENCES]
    assert found(TokenConstraints(no_repeat_ngram=size)) == expected
    assert size == 3 or expected != [best_of(sentence, lambda _: True) for sentence in SENTENCES]


def test_a_forced_beginning_gives_the_best_of_all_hypotheses_that_begin_so() -> None:
    prefixes = [[2, 0], [], [3]]
    expected = [
        best_of(sentence, lambda tokens, prefix=prefix: tokens[: len(prefix)] == prefix)
        for sentence, prefix in zip(SENTENCES, prefixes, strict=True)
    ]
    assert found(TokenConstraints(prefixes=prefixes)) == expected
    greedy = found(TokenConstraints(prefixes=prefixes), beam_size=1)
    assert all(one[: len(prefix)] == prefix for (one,), prefix in zip(greedy, prefixes, strict=True))


def test_a_forced_beginning_may_repeat_what_may_not_repeat_later() -> None:
    for one, *_ in found(TokenConstraints(prefixes=[[2, 2, 2]] * 3, no_repeat_ngram=1), length=7):
        assert one[:3] == [2, 2, 2] and not repeats(one[2:], 1)


def test_no_token_goes_on_with_the_last_word_of_a_forced_beginning() -> None:
    goes_on = TermRules([False, False, False, True], [True, False, False, False], EOS)  # 3 goes on, but behind 0 it may
    prefixes = [[2], [0], []]
    expected = [
        best_of(s, lambda tokens, own=own: tokens[: len(own)] == own and (own != [2] or tokens[1:2] != [3]))
        for s, own in zip(SENTENCES, prefixes, strict=True)
    ]
    assert found(TokenConstraints(prefixes=prefixes, rules=goes_on)) == expected
    assert expected[0] != best_of(SENTENCES[0], lambda tokens: tokens[:1] == [2])


def test_a_score_with_a_forced_beginning_is_the_models_own() -> None:
    (best,) = beam_search(TableStep([3]), torch.tensor([6]), settings(4), TokenConstraints(prefixes=[[3, 0, 2]]))[0]
    table = TableStep([3])
    tokens = [*best.tokens, EOS]
    total = sum(float(table.row(3, (BOS, *tokens[:i]))[token]) for i, token in enumerate(tokens))
    assert best.log_prob == pytest.approx(total, rel=1e-5)


def test_draws_keep_to_constraints_too() -> None:
    constraints = TokenConstraints(prefixes=[[2, 0]], no_repeat_ngram=2)
    draws = sample(TableStep([9]), torch.tensor([9]), settings(1, 200), Sampling(), [0], constraints)[0]
    assert all(one.tokens[:2] == [2, 0] and not repeats(one.tokens, 2) for one in draws)
    assert len({tuple(one.tokens) for one in draws}) > 2


def a_term(*tokens: int) -> Term:
    return Term(str(tokens), (Form(tokens, is_inside=False),))


RULES = TermRules([False] * VOCAB, [False] * VOCAB, EOS)


def holds(tokens: list[int], term: Term) -> bool:
    wanted = list(term.forms[0].tokens)
    return any(tokens[i : i + len(wanted)] == wanted for i in range(len(tokens)))


def test_terms_give_the_best_of_all_hypotheses_that_say_them() -> None:
    terms = [[a_term(2, 0)], [a_term(3), a_term(0, 2)], []]
    expected = [
        best_of(sentence, lambda tokens, wanted=wanted: all(holds(tokens, term) for term in wanted))
        for sentence, wanted in zip(SENTENCES, terms, strict=True)
    ]
    assert found(TokenConstraints(terms=terms, rules=RULES)) == expected


@pytest.mark.parametrize("beam_size", [2, 4, 8])
def test_a_narrow_beam_says_every_term_too(beam_size: int) -> None:
    sentences = list(range(40))
    terms = [[a_term(3, 3), a_term(2)] if sentence % 2 else [a_term(0, 2, 0)] for sentence in sentences]
    constraints = TokenConstraints(terms=terms, rules=RULES)
    answers = beam_search(TableStep(sentences), torch.full((40,), 10), settings(beam_size), constraints)
    for (one,), wanted in zip(answers, terms, strict=True):
        assert all(holds(one.tokens, term) for term in wanted) and one.log_prob > -1000


def test_an_end_is_kept_for_having_said_all_however_improbable_the_term_was() -> None:
    live = Beam(torch.tensor([[[BOS, 2], [BOS, 3]]]), torch.tensor([[-0.1, -9.0]]))
    log_probs = torch.tensor([[[-1.0, -1.0, -1.0, -9.0], [-5.0, -0.05, -5.0, -5.0]]])
    best = best_continuations(live.scores, log_probs, 4)
    assert (best.parents[0, :2] == 0).all()  # the ends that an unbound search would take
    kept = arrange_by_progress(best, log_probs, live, [[a_term(3)]], RULES)
    _, ended, _ = advance(live, kept, EOS)
    assert ended is not None and [BOS, 3, EOS] in ended.tokens[0].tolist()


def test_terms_that_cannot_be_said_in_time_are_given_up_at_the_maximum_length() -> None:
    constraints = TokenConstraints(terms=[[a_term(3, 2, 3, 2)]], rules=RULES)
    (one,) = beam_search(TableStep([1]), torch.tensor([3]), settings(4), constraints)[0]
    assert one.log_prob < -1000 and len(one.tokens) == 2


def test_no_token_makes_another_word_of_a_term() -> None:
    rules = TermRules([False, False, False, True], [False] * VOCAB, EOS)  # 3 goes on with a word
    for sentence in range(20):
        constraints = TokenConstraints(terms=[[a_term(2)]], rules=rules)
        (one,) = beam_search(TableStep([sentence]), torch.tensor([8]), settings(3), constraints)[0]
        assert 2 in one.tokens and (2, 3) not in pairwise(one.tokens)


def test_an_inner_form_is_said_only_behind_what_leaves_a_word_open() -> None:
    rules = TermRules([False] * VOCAB, [False, False, False, True], EOS)  # a word may begin right behind 3
    term = Term("x", (Form((2, 2), is_inside=False), Form((0,), is_inside=True)))
    assert rules.unsaid([0], [term]) == [term] and rules.unsaid([2, 0], [term]) == [term]
    assert rules.unsaid([3, 0], [term]) == [] and rules.unsaid([2, 2], [term]) == []
    assert rules.progress([3], [term]) == (0, [2, 0]) and rules.progress([0], [term]) == (0, [2])
    assert rules.progress([0, 2], [term]) == (1, [2]) and rules.progress([3, 0], [term])[0] == 2


@pytest.fixture(scope="module")
def tokenizer(tiny_run: Path) -> Tokenizer:
    return Tokenizer.load(tiny_run / "bundle" / "tokenizer" / "joint.model")


def test_a_glossary_finds_whole_words_in_any_case_longest_first(tokenizer: Tokenizer) -> None:
    glossary = Glossary([("cat", "minou"), ("red cat", "minou roux"), ("dog", "toutou")], tokenizer)
    assert [term.text for term in glossary.terms_of("The Red  cat and a CAT")] == ["minou roux", "minou"]
    assert glossary.terms_of("cats, catdog, hot-dogs") == []
    assert [term.text for term in glossary.terms_of("a hot-dog, a dog")] == ["toutou"]


def test_a_glossary_tells_every_line_that_is_wrong(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = tmp_path / "en2fr.txt"
    path.write_text("cat\tchat\n\ndog\nCat\tminou\n\tchat\n")
    with pytest.raises(DataError) as error:
        Glossary.load(path, tokenizer)
    assert [line.split(": ")[0] for line in str(error.value).splitlines()] == [f"{path}:{n}" for n in (3, 4, 5)]
    path.write_text("\n")
    with pytest.raises(DataError, match="no terms"):
        Glossary.load(path, tokenizer)


def test_the_forms_of_a_term_are_what_the_tokenizer_makes_of_it(tokenizer: Tokenizer) -> None:
    term = make_term("maison", tokenizer)
    assert tokenizer.decode([[*term.forms[0].tokens]]) == ["maison"]
    (dash,) = tokenizer.encode(["-"])
    assert tokenizer.decode([[*dash, *form.tokens] for form in term.forms]) == ["- maison", "-maison"]
