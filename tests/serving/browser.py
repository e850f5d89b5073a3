"""A real Chromium without a window, and what tests of the page do with it."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import pytest

CONTROL, ENTER = "\ue009", "\ue007"
RIGHT, DOWN, HOME, END, TAB = "\ue014", "\ue015", "\ue011", "\ue010", "\ue004"
"""Keys as WebDriver names them."""
PATIENCE = 10
"""Seconds that something may take to show up; a busy machine is slow, not wrong."""


def find_program(*names: str) -> str:
    """The first of these programs that is there; skips the test when none is."""
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.skip(f"needs {names[0]}; Debian: apt install chromium chromium-driver")


class Page:
    """The page in a browser."""

    def __init__(self, address: str) -> None:
        webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium, which the extra test has")
        from selenium.webdriver.chrome.service import Service

        self.address = address
        options = webdriver.ChromeOptions()
        options.binary_location = find_program("chromium", "chromium-browser", "google-chrome")
        for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(find_program("chromedriver")))
        self.resize(1280, 900)

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.driver.quit()

    def open(self) -> None:
        """Load the page anew, and wait until it has its languages."""
        self.driver.get(self.address)
        self.until(lambda: self("source-name").text == "English")

    def __call__(self, id: str) -> Any:
        """The element of this id."""
        return self.driver.find_element("id", id)

    def all(self, selector: str) -> list[Any]:
        """The elements that a CSS selector finds."""
        return list(self.driver.find_elements("css selector", selector))

    def run(self, script: str, *values: object) -> Any:
        """What a script returns, or the value of the promise that it returns."""
        return self.driver.execute_script(script, *values)

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"it did not happen; the page says: {self.told()!r}"
            time.sleep(0.02)

    def told(self) -> str:
        """What the page says of itself."""
        return str(self.run("return document.getElementById('status').textContent"))

    def translation(self) -> str:
        """The translation that is shown."""
        return str(self.run("return document.getElementById('translation').textContent"))

    def type(self, text: str) -> None:
        """Put a text into the field as one stroke, and ask for its translation at once."""
        self.run(
            "const field = document.getElementById('source'); field.value = arguments[0];"
            "field.dispatchEvent(new InputEvent('input', {bubbles: true}))",
            text,
        )
        self("source").send_keys(CONTROL, ENTER)

    def point(self, selector: str, number: int) -> None:
        """Move the pointer to the middle of one of the elements that a CSS selector finds."""
        box = "const box = document.querySelectorAll(arguments[0])[arguments[1]].getBoundingClientRect();"
        x, y = self.run(f"{box} return [box.x + box.width / 2, box.y + box.height / 2]", selector, number)
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})

    def press(self, *keys: str, held: str = "") -> None:
        """Press keys one after the other, wherever the focus is."""
        from selenium.webdriver import ActionChains

        actions = ActionChains(self.driver)
        if held:
            actions.key_down(held)
        actions.send_keys(*keys)
        if held:
            actions.key_up(held)
        actions.perform()

    def translate(self, text: str) -> str:
        """Type a text, and wait for its translation and for what is inside it."""
        self.type(text)
        self.until(lambda: self.translation() and self.all("#target-words[aria-busy=false] .chip"))
        return self.translation()

    def unfold(self, *ids: str) -> None:
        """Open parts of the page."""
        self.run("for (const id of arguments[0]) document.getElementById(id).open = true", ids)

    def stub(self, *answers: tuple[int, dict[str, Any], dict[str, str]], path: str = "translate") -> None:
        """Let the next requests to a path have these answers, (status, JSON, headers); status 0 is no answer."""
        self.run(
            """
            const [answers, stubbed] = arguments, real = window.fetch;
            window.fetch = (path, options) => {
              if (path !== stubbed || !answers.length) return real(path, options);
              const [status, body, headers] = answers.shift();
              if (!status) return Promise.reject(new TypeError("no network"));
              return Promise.resolve(new Response(JSON.stringify(body), {status, headers}));
            };
            """,
            json.loads(json.dumps(answers)),
            path,
        )

    def lit(self, id: str) -> list[str]:
        """The words that are lit up in an element."""
        return self.texts(f"#{id} .lit")

    def texts(self, selector: str) -> list[str]:
        """What is in the elements that a CSS selector finds."""
        return list(
            self.run("return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)", selector)
        )

    def resize(self, width: int, height: int) -> None:
        """Make the window this large."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    @contextmanager
    def medium(self, medium: str = "", **features: str) -> Iterator[None]:
        """Show it as on this medium (print), or to a reader with these preferences."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": named})
        yield
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})

    def errors(self) -> list[str]:
        """What the browser complained of since the last call, refusals that the page tells in words left out."""
        told = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        return [message for message in told if "responded with a status of 400" not in message]
