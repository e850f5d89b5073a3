"""The server's page in a real browser: it shows what the server says, whatever that is and however it is used."""

from pathlib import Path
from typing import Any

import pytest

from tests.serving.browser import DOWN, END, HOME, RIGHT, Page
from tests.serving.running import Server
from transformer_mt.decoding.translator import Translator

TEXT = "the old cat sees the dog"
HOSTILE = '<img src=x onerror=alert(1)> <script>alert(2)</script> \u202ecat\u202c &amp; {{7*7}} "the" \u0000dog'


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    return Translator.load(tiny_run, device="cpu", threads=1)


def inspected(server: Server, text: str) -> dict[str, Any]:
    """What the server tells of a text."""
    found: dict[str, Any] = server.ask("/inspect", {"q": text, "source": "en", "target": "fr"}).json
    return found


def test_what_is_typed_is_translated_without_asking(page: Page, translator: Translator) -> None:
    page("source").send_keys("the red bird")
    expected = translator.translate(["the red bird"])[0]
    page.until(lambda: page.translation() == expected)
    assert page("translation").get_attribute("lang") == "fr" and page("source").get_attribute("lang") == "en"
    assert page("translation").get_attribute("role") == "status" and page("copy").is_enabled()
    assert page("count").text.startswith("12")


def test_lines_stay_lines_and_each_can_be_looked_into(page: Page, translator: Translator) -> None:
    lines = ["the cat eats", "", "  the old dog sees the house"]
    assert page.translate("\n".join(lines)) == "\n".join(translator.translate(lines))
    assert [option.get_attribute("value") for option in page.all("#line option")] == ["0", "2"]
    page.run("const line = document.getElementById('line'); line.value = '0'; line.dispatchEvent(new Event('change'))")
    page.until(lambda: page.texts("#source-words .chip > :first-child") == ["the", "cat", "eats"])


def test_answers_that_come_late_are_not_shown(page: Page) -> None:
    page.run(
        """
        window.waiting = [];
        window.fetch = (path, options) => new Promise((resolve) => waiting.push({options, answer: (translatedText) =>
          resolve(new Response(JSON.stringify({translatedText})))}));
        """
    )
    page.type("the cat")
    page.until(lambda: page.run("return waiting.length") == 1)
    page.type("the dog")
    page.until(lambda: page.run("return waiting.length") == 2)
    assert page.run("return waiting.map(one => one.options.signal.aborted)") == [True, False]
    page.run("waiting[1].answer('new')")
    page.until(lambda: page.translation() == "new")
    page.run("waiting[0].answer('old')")
    page.run("return new Promise(done => setTimeout(done, 50))")
    assert page.translation() == "new"


def crossed(page: Page) -> None:
    """Show words that belong together crosswise: red is rouge, cat is both chat and rouge."""
    words = {"src": ["the", "red", "cat"], "tgt": ["le", "chat", "rouge"], "links": [[0, 0], [1, 2], [2, 1], [2, 2]]}
    page.stub((200, {"translatedText": "le chat rouge"}, {}))
    page.stub((200, {"words": words, "probability": [0.9, 0.5, 0.1], "attention": None}, {}), path="inspect")
    page.translate("the red cat")


LIGHTS = [(0, 1, "red", "rouge"), (0, 2, "cat", "chat rouge"), (1, 2, "red cat", "rouge"), (1, 1, "cat", "chat")]
"""Side and number of a word, and what lights up on both sides."""


@pytest.mark.parametrize(("side", "number", "source", "target"), LIGHTS)
def test_words_light_up_with_those_that_belong_to_them(
    page: Page, side: int, number: int, source: str, target: str
) -> None:
    crossed(page)
    places = [("#mirror .word", "#source-words .chip"), ("#translation .word", "#target-words .chip")][side]
    for selector in places:
        page.point(selector, number)
        page.until(lambda: page.lit("mirror") == source.split())
        assert page.lit("translation") == target.split()
        assert len(page.all(".chip.lit")) == len(f"{source} {target}".split())
        page.point("h1", 0)
        page.until(lambda: not page.all(".lit"))


def test_words_light_up_at_the_keyboard_too(page: Page) -> None:
    crossed(page)
    page("source").send_keys(HOME)  # the cursor is at the first word
    assert (page.lit("mirror"), page.lit("translation")) == (["the"], ["le"])
    page.run("document.querySelector('#source-words [tabindex=\"0\"]').focus()")
    page.press(RIGHT, RIGHT)
    assert (page.lit("mirror"), page.lit("translation")) == (["cat"], ["chat", "rouge"])
    assert page.run("return document.activeElement.ariaSelected") == "true"
    page.press(DOWN)
    assert page.run("return document.activeElement.textContent").startswith("chat")
    page.press(END)
    assert (page.lit("mirror"), page.lit("translation")) == (["red", "cat"], ["rouge"])
    assert page.driver.switch_to.active_element.accessible_name == "rouge 10\u00a0% from red, cat"
    page.type("the red cat sees")
    assert page.lit("mirror") == []  # what is not known any more is not shown


def test_how_sure_the_model_is_is_told_in_numbers_and_shades(page: Page, server: Server) -> None:
    page.translate(TEXT)
    shares = inspected(server, TEXT)["confidence"]
    level = [sum(share >= least for least in (0.25, 0.5, 0.75, 0.9)) for share in shares]
    for words in (page.all("#target-words .chip"), page.all("#translation .word")):
        assert [f"sure-{one}" in word.get_attribute("class") for one, word in zip(level, words, strict=True)]
    told = page.texts("#target-words .chip .sure")
    assert told == [f"{int(100 * share)}\u00a0%" for share in shares]
    assert [word.get_attribute("title") for word in page.all("#translation .word")] == told
    assert page("measure").text.startswith("Confidence")
    assert " from the" in page.all("#target-words .chip")[0].accessible_name


def test_an_alternative_takes_the_place_of_the_translation(page: Page) -> None:
    first = page.translate(TEXT)
    others = page.texts("#alternatives button")
    assert others and first not in others
    page.all("#alternatives button")[0].click()
    assert page.translation() == others[0]
    assert page.texts("#alternatives button") == [first, *others[1:]]
    page.until(lambda: page.texts("#target-words .chip > :first-child") == others[0].split())


def test_the_heat_map_shows_the_weights_of_each_part_layer_and_head(page: Page, server: Server) -> None:
    page.translate(TEXT)
    page.unfold("attention")
    page.until(lambda: page("map").is_displayed())
    expected = inspected(server, TEXT)
    read = ["<s>", *expected["tgt"][:-1]]
    rows = {"encoder": expected["src"], "decoder": expected["tgt"], "memory": expected["tgt"]}
    columns = {"encoder": expected["src"], "decoder": read, "memory": expected["src"]}
    shown = """
        for (const [id, value] of Object.entries(arguments[0])) document.getElementById(id).value = value;
        document.getElementById("head").dispatchEvent(new Event("change"));
        const texts = (selector) => [...document.querySelectorAll("#map " + selector)].map(one => one.textContent);
        const cells = [...document.querySelectorAll("#map tbody tr")].map(row => [...row.querySelectorAll("td")]);
        return [texts("th[scope=row]"), texts("th[scope=col]"),
          cells.map(row => row.map(cell => Number(cell.dataset.weight))),
          cells.map(row => row.map(cell => cell.ariaLabel.split(": ").at(-1)))];
    """
    for part, layers in expected["attention"].items():
        for layer, heads in enumerate(layers):
            for head, weights in enumerate(heads):
                found = page.run(shown, {"part": part, "layer": layer, "head": head})
                assert found[:3] == [rows[part], columns[part], weights]
                assert [float(value) for value in found[3][1]] == pytest.approx(weights[1], abs=6e-4)
    mean = page.run(shown, {"part": "memory", "layer": 0, "head": -1})[2]
    both = expected["attention"]["memory"][0]
    assert mean[1] == pytest.approx([sum(pair) / 2 for pair in zip(both[0][1], both[1][1], strict=True)])


def test_the_heat_map_is_read_with_the_pointer_and_with_arrow_keys(page: Page, server: Server) -> None:
    page.translate("the cat")
    page.unfold("attention")
    page.until(lambda: page("map").is_displayed())
    expected = inspected(server, "the cat")
    page.run("document.querySelector('#map td[tabindex=\"0\"]').focus()")
    for key in (RIGHT, DOWN, END):
        page.driver.switch_to.active_element.send_keys(key)
    cell = page.driver.switch_to.active_element
    heads = expected["attention"]["memory"][-1]
    weight = sum(head[1][-1] for head in heads) / len(heads)
    assert cell.accessible_name == f"{expected['tgt'][1]} to </s>: {weight:.3f}"
    assert page("reading").text == cell.accessible_name.replace(" to ", " → ")
    assert page.texts("#map .at") == ["</s>", expected["tgt"][1]]
    assert len(page.run("return document.getElementById('as-text').textContent")) > 20


def test_words_are_shown_where_attention_is_too_much(page: Page) -> None:
    page.unfold("attention")
    page.stub((400, {"error": "Invalid request: 9 attention weights exceed 8"}, {}), path="inspect")
    page.translate("the cat")
    assert page("inside-note").text == "9 attention weights exceed 8."
    assert page.texts("#target-words .chip > :first-child") == ["le", "chat"] and not page("map").is_displayed()


def test_a_line_that_cannot_be_looked_into_says_so(page: Page) -> None:
    page.type("the cat " * 6)
    page.until(lambda: "at most 7 in one part" in page("inside-note").text)
    assert not page("words").is_displayed() and not page("attention").is_displayed()
    page.translate("the cat")
    assert page("words").is_displayed() and page("inside-note").text == ""


def test_a_file_is_sent_with_a_bar_and_comes_back_as_a_link(page: Page, translator: Translator, tmp_path: Path) -> None:
    lines = ["the red bird sees a cat", "", "the old house"] * 40
    path = tmp_path / "three & <b>lines.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    page.unfold("files")
    page.run(
        "window.seen = []; const [row, status] = ['file-row', 'file-status'].map(id => document.getElementById(id));"
        "new MutationObserver(() => seen.push([row.hidden, status.textContent]))"
        ".observe(document.getElementById('files'), {subtree: true, childList: true, attributes: true})"
    )
    page("file").send_keys(str(path))
    page.until(lambda: page("download").is_displayed())
    assert page("file-status").text == f"{path.name} is translated."
    assert any(not hidden and told.startswith("Translating") for hidden, told in page.run("return seen"))
    text = page.run("return fetch(document.getElementById('download').href).then(answer => answer.text())")
    assert text.splitlines() == translator.translate(lines)
    assert not page("file-row").is_displayed()


def test_a_dropped_file_is_taken(page: Page) -> None:
    page.run(
        """
        const data = new DataTransfer();
        data.items.add(new File(["the cat\\n"], "dropped.txt", {type: "text/plain"}));
        for (const type of ["dragover", "drop"]) document.body.dispatchEvent(
          new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
        """
    )
    page.until(lambda: page("download").is_displayed())
    assert "dropped.txt" in page("download").text and "dropping" not in page.all("body")[0].get_attribute("class")


@pytest.mark.parametrize(
    ("status", "headers", "words", "is_tried_again"),
    [
        (503, {"Retry-After": "1"}, "too much to do", True),
        (429, {"Retry-After": "1"}, "Too many requests", True),
        (0, {}, "cannot be reached", True),
        (504, {}, "too long and was stopped", False),
        (413, {}, "too large", False),
        (400, {}, "Words of the server.", False),
        (403, {}, "wants an API key", False),
        (500, {}, "made a mistake", False),
        (200, {}, "made a mistake", False),
    ],
)
def test_trouble_is_told_in_words_and_tried_again_where_that_helps(
    page: Page, status: int, headers: dict[str, str], words: str, is_tried_again: bool
) -> None:
    page.stub((status, {"error": "Invalid request: words of the server"}, headers))
    page.type("the cat")
    page.until(lambda: words in page.told())
    assert ("Trying again in 1 s" in page.told()) == is_tried_again
    assert page("retry").is_displayed()
    if is_tried_again and status == 503:
        page.until(lambda: page.translation() == "le chat")  # by itself
    else:
        page("retry").click()
        page.until(lambda: page.translation() == "le chat")
    assert page.told() == "" and not page("retry").is_displayed()


def test_waiting_gets_longer_and_ends_when_the_text_changes(page: Page) -> None:
    page.stub(*[(503, {"error": ""}, {"Retry-After": "1"})] * 2)
    page.type("the cat")
    page.until(lambda: "in 2 s" in page.told())
    page.type("the dog")
    page.until(lambda: page.translation() == "le chien")


def test_a_server_that_is_not_there_yet_is_waited_for(page: Page) -> None:
    failing = page.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument",
        {"source": "const real = fetch; window.tries = 0; window.fetch = (path, options) => "
                   "tries++ < 2 ? Promise.reject(new TypeError('down')) : real(path, options)"},
    )  # fmt: skip
    try:
        page.driver.get(page.address)
        page.until(lambda: "Trying again in 1 s" in page.told())
        page("source").send_keys("the cat")
        page.until(lambda: page.translation() == "le chat")
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", failing)


@pytest.mark.parametrize("text", [HOSTILE, f"{HOSTILE} " * 40, "\u202e" * 200, "x" * 5_000, "</textarea><b>cat</b>"])
def test_hostile_text_is_text(page: Page, text: str) -> None:
    page.stub((200, {"translatedText": text, "alternatives": [f"{text}!", "<b>bold</b>"]}, {}))
    page.type(text[:5_000])
    page.until(lambda: page.translation() == text)
    assert page.run("return document.querySelectorAll('main img, main b, main script').length") == 0
    assert page.run("return document.getElementById('alternatives').textContent") == f"{text}!<b>bold</b>"
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")


def test_a_text_that_is_too_long_is_not_sent(page: Page) -> None:
    page.stub((500, {}, {}))
    page.type("x" * 5_001)
    page.until(lambda: "too long" in page.told())
    assert "5,001 / 5,000" in page("count").text and page("source").get_attribute("aria-invalid") == "true"
    page.type("x")
    page.until(lambda: "made a mistake" in page.told())  # the answer that was prepared is still there
