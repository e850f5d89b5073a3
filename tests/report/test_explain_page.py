"""The page of an explanation is whole, shows what the model did, and lets nothing of a sentence become HTML."""

import base64
import json
import re
import shutil
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from transformer_mt.bundle import load_bundle
from transformer_mt.cli.main import main
from transformer_mt.decoding.translator import Translator
from transformer_mt.errors import DataError
from transformer_mt.report.explain_page import explain_page
from transformer_mt.report.explanation import MOST_PIECES, Explanation, explain
from transformer_mt.report.heat import png

SENTENCE = "the old dog likes the"


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    settings = replace(load_bundle(tiny_run).config.decoding, precision="fp32", beam_size=3)
    translator = Translator.load(tiny_run, threads=1, settings=settings)
    translator.max_source_pieces = 200  # else sentences of more than six words would be translated in parts
    return translator


@pytest.fixture(scope="module")
def found(translator: Translator) -> Explanation:
    return explain(translator, SENTENCE)


class Page(HTMLParser):
    """What a browser sees: elements with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, name: str, **wanted: str) -> list[dict[str, str | None]]:
        return [found for tag, found in self.elements if tag == name and wanted.items() <= found.items()]


def pixels(uri: str) -> torch.Tensor:
    """The alphas (R, C) of a picture with a palette, read by the rules of PNG."""
    chunks = dict(chunks_of(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = torch.frombuffer(bytearray(zlib.decompress(chunks[b"IDAT"])), dtype=torch.uint8).view(height, width + 1)
    assert (lines[:, 0] == 0).all() and len(chunks[b"PLTE"]) == 3 * len(chunks[b"tRNS"])
    return torch.tensor(list(chunks[b"tRNS"]))[lines[:, 1:].long()]


def chunks_of(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    place = 8
    while place < len(file):
        (size,) = struct.unpack_from(">I", file, place)
        name, data = file[place + 4 : place + 8], file[place + 8 : place + 8 + size]
        assert struct.unpack_from(">I", file, place + 8 + size) == (zlib.crc32(name + data),)
        yield name, data
        place += 12 + size


def test_a_picture_has_the_shade_of_each_number() -> None:
    values = torch.rand(7, 11) * 2 - 1
    assert (pixels(png(values)).float() / 255 - values.abs()).abs().max() < 0.005
    assert (pixels(png(values, 4.0)).float() / 255 - values.abs() / 4).abs().max() < 0.005
    assert pixels(png(torch.linspace(-1, 1, 999)[None])).shape == (1, 999)
    assert (pixels(png(torch.zeros(2, 3), 0.0)) == 0).all()


def test_each_layer_and_head_is_a_picture_of_its_weights(found: Explanation) -> None:
    page, trace = Page(explain_page(found)), found.inspection.trace
    pictures = [image for image in page.of("img") if (image["alt"] or "").startswith("attention")]
    every = [*trace.encoder_attention[0], *trace.decoder_attention[0], *trace.memory_attention[0]]
    assert len(pictures) == len(every) == 6
    for picture, weights in zip(pictures, every, strict=True):
        assert (pixels(picture["src"] or "") - 255 * weights).abs().max() < 0.51
    views = page.of("div", **{"class": "attention"})
    src, tgt = list(found.inspection.src), list(found.inspection.tgt)
    assert [json.loads(view["data-rows"] or "") for view in views] == [src, tgt, tgt]
    assert [json.loads(view["data-columns"] or "") for view in views] == [src, ["<s>", *tgt[:-1]], src]


def test_all_stages_are_told(found: Explanation) -> None:
    page, inspection = Page(explain_page(found)), found.inspection
    assert len(page.of("section")) == 10
    for text in (SENTENCE, inspection.translation, "(1, 2, 6, 6)", "computed in fp32", *map(str, inspection.src_ids)):
        assert text in page.text
    boxes = [box["class"] for box in page.of("g") if (box.get("class") or "").startswith("box")]
    assert len(boxes) == sum(map(len, found.steps))
    for fate in ("kept", "ended", "dropped"):
        kind = [one for step in found.steps for one in step if one.fate == fate]
        assert sum((box or "").split()[1] == fate for box in boxes) == len(kind) > 0
    assert sum((box or "").endswith("best") for box in boxes) == len(inspection.tgt)
    assert found.ended[0].is_best and found.ended[0].text == inspection.translation
    assert len(page.of("path")) == sum(map(len, found.steps[1:])) + len(inspection.links)


def test_a_page_needs_nothing_else_and_is_small(found: Explanation) -> None:
    html = explain_page(found)
    page = Page(html)
    assert len(html) < 200_000 and not page.of("link") and not page.of("iframe")
    links = [found[name] for _, found in page.elements for name in ("src", "href") if name in found]
    assert links and all((link or "").startswith(("data:image/png", "#s")) for link in links)
    assert not re.search(r"url\(|@import|https?://", html)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "a\x00b\u202ec \ud800", "&amp; ]]> -->"]
)
def test_nothing_of_a_sentence_becomes_html(translator: Translator, text: str) -> None:
    plain = Page(explain_page(explain(translator, "the cat")))
    html = explain_page(explain(translator, text))
    html.encode()
    page = Page(html)
    assert len(page.of("script")) == len(plain.of("script")) == 1
    assert {name for _, found in page.elements for name in found} <= {
        name for _, found in plain.elements for name in found
    }
    assert "\u202e" not in html and "\x00" not in html
    for view in page.of("div", **{"class": "attention"}):
        json.loads(view["data-rows"] or "")


def test_a_long_sentence_is_bounded(translator: Translator) -> None:
    words = SENTENCE.split()
    with pytest.raises(DataError, match=f"at most {MOST_PIECES} can be shown"):
        explain(translator, " ".join(words * 20))
    found = explain(translator, " ".join((words * 20)[: MOST_PIECES - 4]))
    assert len(explain_page(found)) < 2_000_000


@pytest.mark.parametrize("changes", [
    {"positions": "rotary", "norm": "rms", "activation": "swiglu"}, {"positions": "learned", "norm_order": "post"},
    {"positions": "none", "attention_window": 2, "output_bias": True, "tied_embeddings": "decoder"},
], ids=lambda changes: changes["positions"])  # fmt: skip
def test_every_architecture_can_be_explained(tiny_run: Path, changes: dict[str, object]) -> None:
    from transformer_mt.bundle import build_model

    bundle = load_bundle(tiny_run)
    config = replace(bundle.config, model=replace(bundle.config.model, **changes))  # type: ignore[arg-type]
    torch.manual_seed(1)
    drawn = replace(bundle, config=config, model=build_model(config, bundle.tokenizers).eval())
    found = explain(Translator.from_bundles([drawn], torch.device("cpu")), "the cat")
    assert ("cosines of these angles" in explain_page(found)) == (changes["positions"] == "rotary")
    assert found.positions.abs().sum() > 0 or changes["positions"] == "none"


def test_a_click_shows_a_head_large_and_the_pointer_its_weights(found: Explanation, tmp_path: Path) -> None:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and driver):
        pytest.skip("needs chromium; Debian: apt install chromium chromium-driver")
    (tmp_path / "page.html").write_text(explain_page(found), encoding="utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1200"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as page:
        page.get((tmp_path / "page.html").as_uri())
        view = page.find_elements("css selector", ".attention")[2]
        page.execute_script("arguments[0].scrollIntoView()", view)
        view.find_elements("css selector", ".tiles button")[1].click()
        picture, caption = (view.find_element("css selector", name) for name in ("svg image", "figcaption"))
        assert caption.text.startswith("layer 1, head 2: full shade at")
        weights = found.inspection.trace.memory_attention[0, 1]  # (T, S)
        for row, column in ((0, 0), (2, 1), (4, 5)):
            down, right = row + 0.5 - weights.shape[0] / 2, column + 0.5 - weights.shape[1] / 2
            pointer = webdriver.ActionChains(page).move_to_element_with_offset(picture, int(18 * right), int(18 * down))
            pointer.perform()
            told = f"{found.inspection.tgt[row]} looks at {found.inspection.src[column]} by "
            assert caption.text.startswith(told)
            assert int(caption.text[len(told) : -1]) == pytest.approx(100 * weights[row, column].item(), abs=1)
        assert page.get_log("browser") == []


def test_the_command_writes_the_page(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["explain", str(tiny_run), SENTENCE, "-o", str(page), "--beam-size", "1"]) == 0
    assert "greedy" in page.read_text(encoding="utf-8")
    assert "le vieux chien aime le" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((" ", "-o", "page.html"), "is blank"),
        ((" ".join([SENTENCE] * 9), "-o", "page.html"), "look at a shorter one"),
        ((SENTENCE, "-o", "."), "is a directory"),
        ((SENTENCE, "-o", "page.html", "--ensemble", "other"), "--ensemble"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    tiny_run: Path, tmp_path: Path, words: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["explain", str(tiny_run), *words]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and problem in told
    assert list(tmp_path.iterdir()) == []
