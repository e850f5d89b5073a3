"""Whatever is translated: as many lines come out as go in, and what a line becomes does not depend on the others.

Translations are computed in float32 without the compiled loops. Sums of floats depend on the shape of a batch in the
last bits, so two hypotheses whose scores differ by less than `TIE` may change places; nothing else may.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.tiny import WORDS
from transformer_mt.bundle import Bundle, load_bundle
from transformer_mt.cli.main import main
from transformer_mt.decoding.characters import LINE_BREAKS
from transformer_mt.decoding.translation import Translation
from transformer_mt.decoding.translator import Translator
from transformer_mt.device import set_threads
from transformer_mt.native import build

TIE = 1e-4
"""A score is a mean of log-probabilities; float32 sums of a model as small leave errors of some 1e-6 in it."""

ODD = "\n\r\x00\x0b\x0c\x1c\x85\u2028\u2029\ufeff\u200b\u202e\ue581\u2581\ufffd<s>▁é🎉 .,\t"
SENTENCE = st.lists(st.sampled_from(sorted(WORDS)), max_size=12).map(" ".join)
LINE = SENTENCE | st.text(st.characters() | st.sampled_from(ODD), max_size=30)
CONTENT = st.binary(max_size=60) | st.lists(LINE, max_size=6).map(
    lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")
)


@pytest.fixture(scope="module")
def bundle(tiny_run: Path) -> Iterator[Bundle]:
    """The tiny model; while it is used there are no compiled loops."""
    with pytest.MonkeyPatch.context() as context:
        context.setattr(build, "_library", lambda: None)
        set_threads(1)
        yield load_bundle(tiny_run)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


@settings(max_examples=30)
@given(content=CONTENT)
@example(content=b"")
@example(content=b"\n\n")
@example(content=b"\xef\xbb\xbf\n\r\n\xff")
def test_any_bytes_give_as_many_lines_as_they_have(bundle: Bundle, folder: Path, content: bytes) -> None:
    assume(not content.startswith((b"\xff\xfe", b"\xfe\xff")))  # UTF-16, which is refused
    source, output, report = (folder / name for name in ("in", "out", "report"))
    source.write_bytes(content)
    words = ["translate", str(bundle.path), str(source), "-o", str(output), "--report", str(report)]
    assert main([*words, "--threads", "1", "--precision", "fp32", "--beam-size", "2", "--quiet"]) == 0
    num_lines = content.count(b"\n") + (not content.endswith(b"\n") and content != b"")
    translated = output.read_bytes().decode("utf-8")
    assert translated.count("\n") == num_lines and (num_lines == 0 or translated.endswith("\n"))
    assert not any(LINE_BREAKS.search(line) for line in translated.split("\n"))
    entries = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    assert [entry["line"] for entry in entries] == list(range(1, num_lines + 1))


def translate(bundle: Bundle, lines: Sequence[str], beam_size: int, batch_tokens: int) -> list[Translation]:
    decoding = replace(bundle.config.decoding, precision="fp32", beam_size=beam_size, batch_tokens=batch_tokens)
    return list(Translator.from_bundles([bundle], torch.device("cpu"), decoding).stream(lines))


def assert_same_up_to_ties(found: Translation, expected: Translation) -> None:
    assert found.score == pytest.approx(expected.score, abs=TIE)
    if found.text == expected.text:
        assert found.flags == expected.flags


@settings(max_examples=40)
@given(
    lines=st.lists(LINE, min_size=1, max_size=12),
    beam_size=st.sampled_from([1, 3]),
    batch_tokens=st.sampled_from([1, 16, 60, 4096]),
    random=st.randoms(use_true_random=False),
)
def test_a_line_becomes_the_same_alone_and_in_any_batch_and_order(
    bundle: Bundle, lines: list[str], beam_size: int, batch_tokens: int, random: Random
) -> None:
    alone = [translate(bundle, [line], beam_size, 4096)[0] for line in lines]
    order = random.sample(range(len(lines)), len(lines))
    together = translate(bundle, [lines[i] for i in order], beam_size, batch_tokens)
    assert len(together) == len(lines)
    for place, found in zip(order, together, strict=True):
        assert_same_up_to_ties(found, alone[place])
