"""Lines in, lines out: the contract that holds whatever the input."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from transformer_mt.bundle import load_bundle
from transformer_mt.config.schema import Arithmetic
from transformer_mt.data.batching import pad_rows
from transformer_mt.data.vocabulary import BOS_ID, EOS_ID
from transformer_mt.decoding.characters import LINE_BREAKS
from transformer_mt.decoding.precision import precisions
from transformer_mt.decoding.search import Sampling, SearchSettings, beam_search
from transformer_mt.decoding.segments import segments
from transformer_mt.decoding.step import ModelStep
from transformer_mt.decoding.translation import Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.model.transformer import Transformer


class FullStep:
    """The model's distribution from the whole prefix each time, without caches: the cached step's oracle."""

    def __init__(self, model: Transformer, src: Tensor) -> None:
        self.model = model
        self.src_mask = model.source_mask(src)
        self.memory = model.encode(src)
        self.prefix: Tensor | None = None

    def step(self, tokens: Tensor) -> None:
        newest = tokens.unsqueeze(-1)
        self.prefix = newest if self.prefix is None else torch.cat([self.prefix, newest], dim=-1)  # (B, K, t)
        memory, mask = (x.repeat_interleave(tokens.shape[1], dim=0) for x in (self.memory, self.src_mask))
        hidden = self.model.decode(self.prefix.flatten(0, 1), memory, mask)[:, -1]  # (B * K, D)
        self.next = self.model.project(hidden).log_softmax(-1).unflatten(0, tokens.shape)

    def log_probs(self, sentences: slice) -> Tensor:
        return self.next[sentences]

    def reorder(self, parents: Tensor) -> None:
        assert self.prefix is not None
        self.prefix = self.prefix.gather(1, parents.unsqueeze(-1).expand_as(self.prefix))

    def select(self, rows: Tensor) -> None:
        assert self.prefix is not None
        self.memory, self.src_mask, self.prefix = self.memory[rows], self.src_mask[rows], self.prefix[rows]


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    return Translator.load(tiny_run, threads=1)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_cached_search_equals_search_without_caches(tiny_run: Path, beam_size: int) -> None:
    bundle = load_bundle(tiny_run)
    lines = (tiny_run.parent / "test.en").read_text().splitlines()[:12]
    rows = [[*ids, EOS_ID] for ids in bundle.tokenizers.src.encode(lines)]
    src = torch.from_numpy(pad_rows(rows))
    limits = torch.tensor([2 * len(row) + 5 for row in rows])
    wanted = SearchSettings(beam_size=beam_size, length_penalty=1.0, bos_id=BOS_ID, eos_id=EOS_ID, n_best=beam_size)
    with torch.inference_mode():
        cached = beam_search(ModelStep(bundle.model, src), limits, wanted)
        full = beam_search(FullStep(bundle.model, src), limits, wanted)
    assert [[one.tokens for one in row] for row in cached] == [[one.tokens for one in row] for row in full]
    for row, other in zip(cached, full, strict=True):
        assert [one.score for one in row] == pytest.approx([one.score for one in other], abs=1e-5)


NASTY = [
    "", " ", "\t", "the cat", "\u2028", "a\u2028b", "a\x0bb", "a\x85b", "\ud800", "\x00", "😀" * 50, "e\u0301" * 200,
    "\u202e the cat", "▁", "<s> </s> <unk> <pad>", "word " * 500, "x" * 3000, "1 2 3", "\u200b",
    "the dog sees a cat. " * 30,
]  # fmt: skip


def test_every_nasty_line_has_one_answer_without_line_breaks(translator: Translator) -> None:
    answers = translator.translate(NASTY)
    assert len(answers) == len(NASTY)
    assert not any(LINE_BREAKS.search(answer) for answer in answers)
    assert answers[:3] == ["", " ", "\t"]


@settings(max_examples=25)
@given(st.lists(st.text(max_size=30), max_size=6))
def test_as_many_lines_come_out_as_go_in(translator: Translator, lines: list[str]) -> None:
    answers = list(translator.stream(lines))
    assert len(answers) == len(lines)
    for line, answer in zip(lines, answers, strict=True):
        assert bool(line.strip()) or not answer.flags
        answer.text.encode()  # no lone surrogate can have come through


def test_a_single_string_is_no_list_of_lines(translator: Translator) -> None:
    with pytest.raises(TypeError, match=r"translate\(\[text\]\)"):
        translator.translate("the cat")


def test_flags_name_what_happened(translator: Translator) -> None:
    flags = {line: answer.flags for line, answer in zip(NASTY, translator.stream(NASTY), strict=True)}
    assert flags[""] == ()
    assert "split" in flags["the dog sees a cat. " * 30]
    assert "replaced" in flags["\ud800"] and "replaced" in flags["\x00"]
    assert "split" not in flags["the cat"]


def test_a_line_is_translated_alike_alone_and_in_any_company(translator: Translator, tiny_run: Path) -> None:
    lines = (tiny_run.parent / "test.en").read_text().splitlines()
    together = translator.translate(lines)
    assert [translator.translate([line])[0] for line in lines] == together
    assert translator.translate(lines[::-1]) == together[::-1]


def test_a_split_line_is_the_translation_of_its_parts(translator: Translator) -> None:
    encode = translator.tokenizers.src.encode
    line = " ".join(["the old dog likes the bird."] * 40)
    parts = segments(line, translator.max_source_pieces - 1, lambda text: len(encode([text])[0]))
    (answer,) = translator.stream([line])
    assert answer.text == " ".join(translator.translate(parts))
    assert "split" in answer.flags and len(parts) > 1


def test_alternatives_begin_with_the_translation(translator: Translator) -> None:
    plain = translator.translate(["the small cat sees the house"])[0]
    (answer,) = translator.stream(["the small cat sees the house"], Wishes(n_best=2))
    assert answer.text == plain == answer.alternatives[0][0]
    assert len(answer.alternatives) == 2
    assert answer.alternatives[0][1] >= answer.alternatives[1][1]


def test_the_same_seed_draws_the_same_translation(translator: Translator) -> None:
    lines = ["the cat sees the dog", "the old house"] * 3
    draws = [[a.text for a in translator.stream(lines, Wishes(sampling=Sampling(seed=seed)))] for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_lines_stream_through_a_window_at_a_time(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformer_mt.decoding.translator.WINDOW", 4)
    taken = 0

    def lines():  # type: ignore[no-untyped-def]
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield "the cat"

    answers = translator.stream(lines())
    next(answers)
    assert taken == 4
    assert len(list(answers)) == 99


@pytest.mark.parametrize("beam_size", [1, 5])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_batch_invariant_translations_do_not_depend_on_the_lines_beside_them(
    tiny_run: Path, precision: Arithmetic, beam_size: int
) -> None:
    """One result for batches of 1, 7 and 20 lines in three orders, to the last bit of the scores."""
    if precision not in precisions(torch.device("cpu")):
        pytest.skip(f"{precision} is not fast here")
    lines = (tiny_run.parent / "test.en").read_text().splitlines()[:20]
    decoding = load_bundle(tiny_run).config.decoding
    decoding = replace(decoding, beam_size=beam_size, batch_invariant=True, precision=precision)
    translator = Translator.load(tiny_run, settings=decoding, threads=2)
    results = set()
    for size in (1, 7, 20):
        for seed in range(3):
            order = random.Random(seed).sample(range(20), 20)
            found: dict[int, tuple[str, float]] = {}
            for start in range(0, 20, size):
                chosen = order[start : start + size]
                translations = translator.stream([lines[i] for i in chosen])
                found.update(zip(chosen, ((one.text, one.score) for one in translations), strict=True))
            results.add(tuple(found[i] for i in range(20)))
    assert len(results) == 1
