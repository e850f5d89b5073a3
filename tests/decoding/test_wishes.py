"""What can be asked for beside a translation: scores, alignments, terms, beginnings, votes, consensus."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests import tiny
from transformer_mt.bundle import load_bundle
from transformer_mt.data.tokenizer import Tokenizer, escape
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID
from transformer_mt.decoding.consensus import by_consensus
from transformer_mt.decoding.search import Sampling
from transformer_mt.decoding.terms import Glossary
from transformer_mt.decoding.translation import Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.decoding.word_alignment import pharaoh, word_links, word_of_each_piece
from transformer_mt.errors import BundleError, TransformerMTError
from transformer_mt.evaluation.scores import sentence_chrf


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    settings = replace(load_bundle(tiny_run).config.decoding, precision="fp32")
    return Translator.load(tiny_run, threads=1, settings=settings)


@pytest.fixture(scope="module")
def lines(tiny_run: Path) -> list[str]:
    return (tiny_run.parent / "test.en").read_text().splitlines()


def probabilities(paths: Sequence[Path], src: list[int], tgt: list[int]) -> list[float]:
    """Log of the mean over models of the probability of each token, from whole sentences one by one: the oracle."""
    each = []
    for path in paths:
        model = load_bundle(path).model
        with torch.inference_mode():
            logits = model(torch.tensor([[*src, EOS_ID]]), torch.tensor([[BOS_ID, *tgt]]))
        each.append(logits[0].double().softmax(-1)[torch.arange(len(tgt) + 1), [*tgt, EOS_ID]])
    return torch.stack(each).mean(0).log().tolist()  # type: ignore[no-any-return]


def test_given_translations_have_the_probability_that_the_model_gives_them(
    translator: Translator, tiny_run: Path, lines: list[str]
) -> None:
    targets = [" ".join(reversed(line.split())) for line in lines]  # nothing it would say itself
    for line, target, scored in zip(lines, targets, translator.score(zip(lines, targets, strict=True)), strict=True):
        src, tgt = (tokenizer.encode([text])[0] for tokenizer, text in (
            (translator.tokenizers.src, line), (translator.tokenizers.tgt, target)
        ))  # fmt: skip
        expected = probabilities([tiny_run], src, tgt)
        assert [log_prob for _, log_prob in scored.tokens] == pytest.approx(expected, abs=1e-4)
        assert scored.log_prob == pytest.approx(sum(expected), abs=1e-3)
        assert [piece for piece, _ in scored.tokens] == [*translator.tokenizers.tgt.pieces(tgt), "</s>"]


def test_scores_of_tokens_add_up_to_that_of_the_search(translator: Translator, lines: list[str]) -> None:
    for answer in translator.stream(lines, Wishes(token_scores=True)):
        log_probs = [log_prob for _, log_prob in answer.tokens]
        assert sum(log_probs) / len(log_probs) == pytest.approx(answer.score, abs=1e-5)


def test_words_translated_one_by_one_are_linked_one_by_one(translator: Translator, lines: list[str]) -> None:
    found = wanted = 0
    for line, answer in zip(lines, translator.stream(lines, Wishes(alignments=True)), strict=True):
        assert sorted(tgt for _, tgt in answer.links) == list(range(len(answer.text.split())))
        found += sum(src == tgt for src, tgt in answer.links)
        wanted += len(line.split())
    assert found >= 0.9 * wanted


def test_links_of_a_split_line_are_counted_in_the_whole_line(translator: Translator) -> None:
    line = " ".join(["the old dog likes the bird."] * 40)
    (answer,) = translator.stream([line], Wishes(alignments=True))
    assert "split" in answer.flags
    assert {tgt for _, tgt in answer.links} == set(range(len(answer.text.split())))
    words, said = line.replace(".", "").split(), answer.text.split()
    right = [src for src, tgt in answer.links if tiny.WORDS[words[src]] == said[tgt]]
    assert len(right) >= 0.8 * len(words) and max(right) >= len(words) - 3


def test_blank_lines_alone_have_no_links(translator: Translator) -> None:
    assert [answer.links for answer in translator.stream(["", " "], Wishes(alignments=True))] == [(), ()]


@pytest.mark.parametrize("text", [
    "a plain line", " two\u00a0 blanks\u3000and more ", "l'été «à» 😀 x", "▁ a▁b \ue581", "", "日本語 \ufb01n e\u0301",
])  # fmt: skip
def test_pieces_belong_to_the_words_that_they_spell(translator: Translator, text: str) -> None:
    tokenizer = translator.tokenizers.src
    (ids,), (ends,) = tokenizer.encode([text]), tokenizer.piece_ends([text])
    words = word_of_each_piece(escape(text), ends)
    assert len(words) == len(ids)
    assert words == sorted(words) and set(words) >= set(range(len(text.split())))
    for number, word in enumerate(text.split()):
        own = [index for index, of in zip(ids, words, strict=True) if of == number]
        assert tokenizer.decode([own]) == tokenizer.decode(tokenizer.encode([word]))
    (back,), (decoded,) = tokenizer.decoded_ends([ids]), tokenizer.decode([ids])
    assert word_of_each_piece(escape(decoded), back) == words


def test_a_word_is_linked_to_where_its_pieces_look_most_together() -> None:
    weights = torch.tensor([[0.4, 0.3, 0.3, 0.0], [0.2, 0.2, 0.2, 0.4], [0.0, 0.9, 0.0, 0.1]])
    assert word_links(weights, [0, 1, 1, -1], [0, 1, 1]) == [(1, 0), (1, 1)]
    assert word_links(weights, [0, 1, 2, -1], [0, 0, -1]) == [(0, 0)]
    assert word_links(weights, [-1] * 4, [0, 1, 2]) == []
    assert pharaoh([(1, 0), (1, 1)]) == "1-0 1-1"


def test_terms_are_said_as_whole_words_and_lines_without_them_stay(translator: Translator, lines: list[str]) -> None:
    glossary = Glossary([("cat", "minou"), ("old house", "vieille bicoque")], translator.tokenizers.tgt)
    plain, lines = translator.translate(lines), [*lines, "the old house sees a cat"]
    answers = list(translator.stream(lines, Wishes(glossary=glossary)))
    for line, answer in zip(lines, answers, strict=True):
        assert ("minou" in answer.text.split()) == ("cat" in line.split())
        assert ("vieille bicoque" in answer.text) == ("old house" in line)
        assert "term" not in answer.flags and answer.score > -10
    unbound = [i for i, line in enumerate(lines[:-1]) if not glossary.terms_of(line)]
    assert unbound and all(answers[i].text == plain[i] for i in unbound)


def test_a_term_that_finds_no_room_is_flagged(tiny_run: Path) -> None:
    translator = Translator.load(tiny_run, threads=1)
    translator.searcher.longest_sequence = 5  # as where positions are learned
    wishes = Wishes(glossary=Glossary([("cat", "un petit chat rouge")], translator.tokenizers.tgt))
    (answer,) = translator.stream(["the cat"], wishes)
    assert "term" in answer.flags and "truncated" in answer.flags


def test_room_is_made_for_a_term(tiny_run: Path) -> None:
    settings = replace(load_bundle(tiny_run).config.decoding, max_length_ratio=0.1, max_length_extra=1)
    translator = Translator.load(tiny_run, threads=1, settings=settings)
    wishes = Wishes(glossary=Glossary([("cat", "un petit chat rouge")], translator.tokenizers.tgt))
    (answer,) = translator.stream(["the cat"], wishes)
    assert answer.text == "un petit chat rouge"


def test_a_translation_goes_on_from_its_beginning(translator: Translator, lines: list[str]) -> None:
    beginnings = ["" if i % 2 else "la maison" for i in range(len(lines))]
    plain = translator.translate(lines)
    for i, answer in enumerate(translator.stream(lines, beginnings=beginnings)):
        assert answer.text.startswith("la maison") if beginnings[i] else answer.text == plain[i]
    with pytest.raises(TransformerMTError, match="beginnings for 1 lines"):
        list(translator.stream(lines, beginnings=["la"]))


def test_no_piece_comes_twice_where_none_may(tiny_run: Path) -> None:
    settings = replace(load_bundle(tiny_run).config.decoding, no_repeat_ngram=1)
    line = "the cat and the dog"
    free, bound = Translator.load(tiny_run, threads=1), Translator.load(tiny_run, threads=1, settings=settings)
    pieces = [[p for p, _ in next(t.stream([line], Wishes(token_scores=True))).tokens] for t in (free, bound)]
    assert len(set(pieces[1])) == len(pieces[1]) and len(set(pieces[0])) < len(pieces[0])


@pytest.fixture(scope="module")
def second_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model; its tokenizer, of the same sentences, is the same."""
    folder = tmp_path_factory.mktemp("second")
    assert tiny.train(tiny.write_config(folder), ("training.seed=2", "training.max_steps=60")) == 0
    return folder / "run"


def test_an_ensemble_has_the_mean_of_its_models_probabilities(
    translator: Translator, tiny_run: Path, second_run: Path, lines: list[str]
) -> None:
    both = Translator.load(tiny_run, threads=1, settings=translator.settings, ensemble=[second_run])
    for line, answer in zip(lines[:8], both.stream(lines[:8], Wishes(token_scores=True)), strict=True):
        (src,), (tgt,) = both.tokenizers.src.encode([line]), both.tokenizers.tgt.encode([answer.text])
        expected = probabilities([tiny_run, second_run], src, tgt)
        assert sum(expected) / len(expected) == pytest.approx(answer.score, abs=1e-4)
        assert [log_prob for _, log_prob in answer.tokens] == pytest.approx(expected, abs=1e-4)
    assert both.translate(lines) != Translator.load(second_run, threads=1).translate(lines)


def test_models_with_other_tokenizers_cannot_vote(tiny_run: Path, tmp_path: Path) -> None:
    config = tiny.write_config(tmp_path)
    assert tiny.train(config, ("training.max_steps=2", "evaluation.every_steps=2", "tokenizer.vocab_size=300")) == 0
    with pytest.raises(BundleError, match="run/bundle: has another tokenizer than"):
        Translator.load(tiny_run, ensemble=[tmp_path / "run"])


def test_consensus_is_the_largest_mean_chrf_against_all_draws() -> None:
    draws = ["le chat dort", "le chat mange", "un chien dort", "le chat dort", "le chat dort bien", ""]
    gains = [sum(sentence_chrf(text, other) for other in draws) for text in draws]
    expected = sorted(range(len(draws)), key=lambda i: -gains[i])
    assert by_consensus(draws) == expected
    assert draws[expected[0]] == "le chat dort bien" and expected[1:3] == [0, 3]


def test_of_several_draws_the_most_agreed_one_is_the_translation(translator: Translator, lines: list[str]) -> None:
    wishes = Wishes(n_best=8, sampling=Sampling(temperature=1.5))
    drawn = list(translator.stream(lines, wishes))
    agreed = list(translator.stream(lines, replace(wishes, by_consensus=True)))
    for before, after in zip(drawn, agreed, strict=True):
        texts = [text for text, _ in before.alternatives]
        assert [text for text, _ in after.alternatives] == [texts[i] for i in by_consensus(texts)]
        assert after.text == after.alternatives[0][0] and after.score == after.alternatives[0][1]
    assert [one.text for one in drawn] != [one.text for one in agreed]


def test_a_tokenizer_tells_the_ends_of_special_ids_too(tiny_run: Path) -> None:
    tokenizer = Tokenizer.load(tiny_run / "bundle" / "tokenizer" / "joint.model")
    ids = [1, *tokenizer.encode(["the cat"])[0], BOS_ID, 1]
    assert len(tokenizer.decoded_ends([ids])[0]) == len(ids)
