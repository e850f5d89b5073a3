"""The server's page for everybody: by keyboard, by ear, on a narrow screen, in the dark, on paper. Nothing leaks."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.serving.browser import CONTROL, ENTER, TAB, Page
from tests.serving.running import Server
from transformer_mt.page import STYLE
from transformer_mt.serving.page_files import read_page_files

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FILES = {path: content.decode() for path, (content, _) in read_page_files().items()}
AXE = REPOSITORY / "build" / "axe" / "package" / "axe.min.js"
TEXT = "the old cat sees the dog"
PARTS = ("words", "attention", "files", "help")
LANGUAGES = """
    const real = window.fetch;
    const languages = [{code: "en", name: "English", targets: ["fr"]}, {code: "fr", name: "French", targets: ["en"]}];
    window.asked = [];
    window.fetch = (path, options) => {
      if (path === "languages") return Promise.resolve(new Response(JSON.stringify(languages)));
      if (path !== "translate") return real(path, options);
      const body = JSON.parse(options.body);
      asked.push(body);
      const detectedLanguage = body.source === "auto" ? {language: "fr", confidence: 90} : undefined;
      const answer = {translatedText: `${body.q} to ${body.target}`, detectedLanguage};
      return Promise.resolve(new Response(JSON.stringify(answer)));
    };
"""
CONTRASTS = """
    const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
    const pen = canvas.getContext("2d", {willReadFrequently: true});
    const layers = (one) => one ? [...layers(one.parentElement), getComputedStyle(one).backgroundColor] : [];
    const over = (colours) => {
      for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
      return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => value / 255);
    };
    const luminance = (rgb) => rgb.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const paper = getComputedStyle(document.body).backgroundColor;
    const found = {};
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement, style = getComputedStyle(element);
      if (!walker.currentNode.textContent.trim() || !element.checkVisibility({visibilityProperty: true})) continue;
      if (element.closest(".unseen, .paper, noscript, #mirror") || style.color === "rgba(0, 0, 0, 0)") continue;
      const behind = [paper, ...layers(element)];
      const both = [over(behind), over([...behind, style.color])].map(luminance);
      const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
      const name = `${element.tagName}.${element.className} ${walker.currentNode.textContent.trim().slice(0, 20)}`;
      found[name] = Math.min(found[name] ?? 99, ratio);
    }
    return found;
"""


def variables(css: str) -> list[tuple[str, str]]:
    """Names and values that a style sheet gives to variables, in order."""
    return [(name, value.lower()) for name, value in re.findall(r"--(\w+): (#\w+);", css)]


def opened(page: Page, text: str = TEXT) -> None:
    """Translate, and unfold all there is."""
    page.unfold(*PARTS)
    page.translate(text)
    page.until(lambda: page("map").is_displayed() and page.all("#map td[data-weight]"))


def test_colours_are_those_of_all_pages() -> None:
    assert variables(FILES["/page.css"]) == variables(STYLE) != []


def test_files_load_and_run_nothing_but_each_other() -> None:
    for path, content in FILES.items():
        own = content.replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|//\w+\.|@import|url\(", own), path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", own), path
    page = FILES["/"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)
    named = re.findall(r'(?:\$|find)\("([\w-]+)"\)', "".join(FILES.values()))
    assert set(named) - set(re.findall(r'\sid="([\w-]+)"', page)) == set()


def test_nothing_is_asked_of_any_other_server(page: Page) -> None:
    opened(page)
    asked = page.run("return performance.getEntriesByType('resource').map(one => one.name)")
    assert len(asked) > 8 and all(name.startswith(page.address) for name in asked)
    assert page.run("return [document.cookie, localStorage.length]") == ["", 0]


def test_every_control_has_a_name_and_a_role(page: Page) -> None:
    opened(page)
    selector = "a, button, select, input, textarea, progress, summary, [role]:not([role=gridcell])"
    controls = [one for one in page.all(selector) if one.is_displayed()]
    named = [(one.aria_role, one.accessible_name) for one in controls if one.aria_role != "status"]
    assert len(named) > 25 and [pair for pair in named if not pair[0] or not pair[1]] == []
    roles = {role for role, _ in named}
    assert {"textbox", "button", "listbox", "option", "combobox", "grid"} <= roles
    cells = page.all("#map [role=gridcell]")
    assert all(re.fullmatch(r"\S+ to \S+: [01]\.\d{3}", cell.accessible_name) for cell in cells[:3])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip("needs axe-core, which .ci/run fetches: npm pack axe-core, unpacked in build/axe")
    opened(page)
    page.driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    with page.medium(prefers_color_scheme=scheme, prefers_reduced_motion="reduce"):
        tags = "['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']"
        run = f"; axe.run({{runOnly: {tags}}}).then(arguments[0])"
        found = page.driver.execute_async_script(AXE.read_text(encoding="utf-8") + run)
    assert [(one["id"], one["nodes"]) for one in found["violations"]] == []
    assert len(found["passes"]) > 30


def test_all_is_done_with_keys_alone(page: Page) -> None:
    def focused() -> Any:
        return page.driver.switch_to.active_element

    assert focused().get_attribute("id") == "source"  # the field has the focus from the start
    page.press(*TEXT)
    page.press(ENTER, held=CONTROL)
    page.until(lambda: page.all("#target-words .chip"))
    passed = []
    while len(passed) < 30 and focused().tag_name != "body":
        one = focused()
        passed.append(one.get_attribute("id") or one.get_attribute("role") or one.text or one.tag_name)
        if passed[-1] in ("Attention", "Translate a file"):
            page.press(ENTER)  # opens it
            page.until(lambda: page.all("#map td[data-weight]"))
        if passed[-1] not in ("source", "Word by word", "wide"):
            assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid", passed
        page.press(TAB)
    expected = ["source", "clear", "copy", *page.texts("#alternatives button"), "Word by word", "option", "option"]
    expected += ["Attention", "part", "layer", "head", "gridcell", "What each piece looks at most"]
    assert passed == [*expected, "Translate a file", "file", "Keyboard"]


@pytest.mark.parametrize("width", [360, 320])
def test_a_narrow_screen_needs_no_scrolling_sideways(page: Page, width: int) -> None:
    many = [f"▁{number}" for number in range(40)]
    weights = [[[[1 / 40] * 40] * 40] * 2]
    words = {"src": ["cat"], "tgt": ["chat"], "links": [[0, 0]]}
    attention = {"encoder": weights, "decoder": weights, "memory": weights}
    wide = {"src": many, "tgt": many, "words": words, "probability": [0.5], "attention": attention}
    page.resize(width, 740)
    try:
        page.stub((200, wide, {}), path="inspect")
        opened(page, "cat")
        assert len(page.all("#map thead th")) == 40
        assert page.run("return document.documentElement.scrollWidth") <= width
        page.stub((200, {"translatedText": "W" * 300, "alternatives": ["W" * 300]}, {}))
        page.type("W" * 300)
        page.until(lambda: page.translation() == "W" * 300)
        assert page.run("return document.documentElement.scrollWidth") <= width
        heights = page.run(
            "return [...document.querySelectorAll('button, select, .chip, summary')]"
            ".filter(one => one.checkVisibility()).map(one => one.getBoundingClientRect().height)"
        )
        assert min(heights) >= 24  # for fingers
    finally:
        page.resize(1280, 900)


@pytest.mark.parametrize(("medium", "scheme"), [("", "light"), ("", "dark"), ("print", "light"), ("print", "dark")])
def test_all_that_is_written_can_be_read(page: Page, medium: str, scheme: str) -> None:
    opened(page)
    page.run(
        "document.querySelectorAll('.chip, #translation .word').forEach((one, i) => one.classList.add(`sure-${i % 5}`))"
    )
    page.run("document.querySelectorAll('#source-words .chip')[1].focus()")
    with page.medium(medium, prefers_color_scheme=scheme, prefers_reduced_motion="reduce"):
        found = page.run(CONTRASTS)
        paper = page.run("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(22, 24, 27)" if (medium, scheme) == ("", "dark") else "rgb(255, 255, 255)")
    assert len(found) > 30 and {name: ratio for name, ratio in found.items() if ratio < 4.5} == {}


def test_paper_has_the_texts_and_no_controls(page: Page) -> None:
    opened(page)
    with page.medium("print"):
        assert not any(page(id).is_displayed() for id in ("source", "copy", "clear", "files", "part", "help"))
        assert all(page(id).is_displayed() for id in ("mirror", "translation", "map", "source-words", "map-name"))
        colour, ink = page.run(
            "return [getComputedStyle(document.getElementById('mirror')).color, getComputedStyle(document.body).color]"
        )
        assert colour == ink and page("mirror").text == TEXT


def test_nothing_moves_for_those_who_want_that(page: Page) -> None:
    durations = "return [...document.querySelectorAll('*')].map(one => getComputedStyle(one).transitionDuration)"
    with page.medium(prefers_reduced_motion="reduce"):
        assert set(page.run(durations)) == {"0s"}
    assert set(page.run(durations)) > {"0s"}


def test_no_french_line_begins_with_a_mark_that_has_a_blank_before_it(page: Page) -> None:
    text = "Il dit : « Où est le chat ? » Là !"
    page.stub((200, {"translatedText": text}, {}))
    page.type("the cat")
    page.until(lambda: page.translation() == text)
    held = page.run(
        "return [...document.querySelectorAll('#translation .hold')]"
        ".map(one => one.previousSibling.textContent + one.textContent + one.nextSibling.textContent)"
    )
    assert held == ["dit :", "« Où", "chat ?", "? »", "Là !"]


def test_the_key_is_asked_for_and_kept_for_the_tab_only(browser: Page, strict_server: Server) -> None:
    usual, browser.address = browser.address, f"{strict_server.url}/"
    try:
        browser.open()
        browser.type("the cat")
        browser.until(lambda: "wants an API key" in browser.told())
        browser("key").send_keys("wrong", ENTER)
        browser.until(lambda: "Invalid API key" in browser.told())
        browser("key").clear()
        browser("key").send_keys(strict_server.key, ENTER)
        browser.until(lambda: browser.translation() == "le chat")
        kept = browser.run(
            "return [Object.values(sessionStorage), localStorage.length, document.cookie, location.href]"
        )
        assert kept == [[strict_server.key], 0, "", browser.address]
        browser.open()
        assert browser("key").get_attribute("value") == strict_server.key
        browser.type("the dog")
        browser.until(lambda: browser.translation() == "le chien")
    finally:
        browser.run("sessionStorage.clear()")
        browser.address = usual
        browser.driver.get_log("browser")  # a refusal is an error to the browser


def test_languages_are_chosen_swapped_and_detected(browser: Page) -> None:
    script = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": LANGUAGES})
    try:
        browser.driver.get(browser.address)
        browser.until(lambda: browser("swap").is_displayed())
        assert [one.text for one in browser.all("#source-language option")] == [
            "English",
            "French",
            "Detect the language",
        ]
        browser.type("the cat")
        browser.until(lambda: browser.translation() == "the cat to fr")
        browser("swap").click()
        browser.until(lambda: browser.translation() == "the cat to fr to en")
        assert browser("translation").get_attribute("lang") == "en"
        browser.run(
            "const one = document.getElementById('source-language');"
            "one.value = 'auto'; one.dispatchEvent(new Event('change'))"
        )
        browser.until(lambda: "taken for French" in browser("source-name").text)
        assert [(one["source"], one["target"]) for one in browser.run("return asked")] == [
            ("en", "fr"),
            ("fr", "en"),
            ("auto", "en"),
        ]
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
