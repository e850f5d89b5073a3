"""POST /inspect: what it tells is what the model does, within limits."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.serving.running import Server
from transformer_mt.bundle import load_bundle
from transformer_mt.decoding.inspection import inspect_translation
from transformer_mt.decoding.translation import Wishes
from transformer_mt.decoding.translator import Translator
from transformer_mt.serving import inspection
from transformer_mt.serving.inspection import MOST_CHARACTERS, MOST_PIECES, Inspecting, words_worth
from transformer_mt.serving.refusals import Refusal

TEXT = "the old cat sees the dog"


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    """As the server has it."""
    settings = replace(load_bundle(tiny_run).config.decoding, precision="fp32")
    return Translator.load(tiny_run, device="cpu", settings=settings, threads=1)


def asked(server: Server, **values: object) -> tuple[int, dict[str, Any]]:
    """Status and answer for these parameters, or the usual ones; None leaves one out."""
    all_values = {"q": TEXT, "source": "en", "target": "fr"} | values
    reply = server.ask("/inspect", {name: value for name, value in all_values.items() if value is not None})
    return reply.status, reply.json


def test_it_tells_what_happens_in_the_model(server: Server, translator: Translator) -> None:
    status, told = asked(server)
    expected = inspect_translation(translator, TEXT).as_json()
    assert status == 200 and told["translation"] == translator.translate([TEXT])[0]
    for name in ("translation", "src", "tgt", "words"):
        assert told[name] == expected[name]
    for part, layers in expected["attention"].items():
        for layer, heads in enumerate(layers):
            for head, rows in enumerate(heads):
                for row, weights in enumerate(rows):
                    assert told["attention"][part][layer][head][row] == pytest.approx(weights, abs=2e-4)


def test_words_are_as_probable_as_their_pieces_together(translator: Translator) -> None:
    found = inspect_translation(translator, "with", "avec, avecavec")
    of_pieces = [0.9 - 0.05 * number for number in range(len(found.tgt))]
    second = next(i for i, piece in enumerate(found.tgt) if i and piece.startswith("▁"))
    assert 1 < second < len(found.tgt) - 2  # both words have several pieces
    told = words_worth(translator, replace(found, log_probs=torch.tensor(of_pieces).log()))["probability"]
    assert told == pytest.approx([math.prod(of_pieces[:second]), math.prod(of_pieces[second:-1])], abs=1e-4)


def test_confidence_is_that_of_translations(server: Server, translator: Translator) -> None:
    (translation,) = translator.stream([TEXT], Wishes(confidence=True))
    _, told = asked(server)
    assert translator.calibration is not None and translation.word_confidences
    assert told["confidence"] == pytest.approx(translation.word_confidences, abs=1e-3)
    translator.calibration = None
    assert "confidence" not in json.loads(str(Inspecting(translator)([TEXT], lambda: None)[0]))


def test_it_looks_into_what_the_model_is_made_to_say(server: Server) -> None:
    status, told = asked(server, translation="le chien", attention=False)
    assert status == 200 and told["translation"] == "le chien" and told["attention"] is None
    assert told["words"]["tgt"] == ["le", "chien"] and max(told["probability"]) <= 1


@pytest.mark.parametrize("text", ["\ud800 cat", "\0", "\u202e", "<i>", "\U0001f431"])
def test_any_text_is_looked_into(server: Server, text: str) -> None:
    status, told = asked(server, q=text, translation=text)
    assert status == 200 and len(told["words"]["src"]) == len(text.split())
    assert len(told["probability"]) == len(told["words"]["tgt"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"q": None}, "missing q"),
        ({"q": "  "}, "one line that is not blank"),
        ({"q": ["the", "cat"]}, "must be a text"),
        ({"q": "the\ncat"}, "one line"),
        ({"q": "the\u2028cat"}, "one line"),
        ({"q": "x" * (MOST_CHARACTERS + 1)}, f"exceeds text limit ({MOST_CHARACTERS}"),
        ({"translation": "y" * (MOST_CHARACTERS + 1)}, "exceeds text limit"),
        ({"translation": 3}, "translation parameter must be a text"),
        ({"attention": "yes"}, "true or false"),
        ({"source": None}, "missing source"),
        ({"target": "xx"}, "not supported"),
        ({"q": "the cat " * 20}, "at most"),
        ({"translation": "\U0001f431" * (MOST_PIECES // 4)}, f"exceeds text limit ({MOST_PIECES} pieces)"),
    ],
)
def test_what_cannot_be_told_is_refused_in_one_sentence(server: Server, values: dict[str, object], words: str) -> None:
    status, told = asked(server, **values)
    assert status == 400 and words in told["error"] and "\n" not in told["error"]


def test_the_key_is_needed_where_there_is_one(strict_server: Server) -> None:
    assert strict_server.ask("/inspect", {"q": TEXT}, {"authorization": ""}).status == 403
    assert asked(strict_server)[0] == 200


def test_a_text_that_is_refused_leaves_the_others_alone(translator: Translator) -> None:
    good, bad, again = Inspecting(translator, attention=False)(["the cat", "the cat " * 30, "the cat"], lambda: None)
    assert isinstance(bad, Refusal) and bad.status == 400 and good == again and "le chat" in str(good)


def test_too_many_weights_are_refused_and_words_still_told(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "MOST_WEIGHTS", 100)
    (refused,) = Inspecting(translator)([TEXT], lambda: None)
    assert isinstance(refused, Refusal) and "exceeds text limit (100 attention weights)" in refused.message
    assert isinstance(Inspecting(translator, attention=False)([TEXT], lambda: None)[0], str)
