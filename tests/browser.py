"""A real browser for pages on disk: Chromium without a window, driven by Selenium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

WIDTH, HEIGHT = 1280, 900
_ALONE = (
    "--headless=new",
    "--no-sandbox",  # Chromium does not start as root with one, and these pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """Start Chromium with a new profile in the folder `profile`; skips the test where Chromium or its driver is not
    on PATH."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip(f"no {'Chromium' if browser is None else 'chromedriver'} on PATH: no page is opened in a browser")
    options = ChromeOptions()
    options.binary_location = browser
    for argument in (*_ALONE, f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = Chrome(options=options, service=Service(executable_path=driver))
    try:
        yield window
    finally:
        window.quit()


class OpenPage:
    """A page on disk, opened in the browser."""

    def __init__(self, window: Chrome, path: Path) -> None:
        self._window = window
        window.get_log("browser")  # drop what earlier pages left
        window.get(path.resolve().as_uri())

    def errors(self) -> list[str]:
        """What the console reported as an error since the page was opened or this was last called."""
        return [entry["message"] for entry in self._window.get_log("browser") if entry["level"] == "SEVERE"]

    def all(self, selector: str) -> list[WebElement]:
        """The elements that a CSS selector finds, in the page's order."""
        return self._window.find_elements(By.CSS_SELECTOR, selector)

    def click(self, element: WebElement) -> None:
        """Scroll the element into view and click it as a user does: fails where something else covers it."""
        self._window.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", element)
        element.click()

    def column(self, head: WebElement) -> list[str]:
        """The text of each cell below a table's heading, from top to bottom."""
        script = """
            const head = arguments[0], rows = [...head.closest('table').tBodies[0].rows];
            return rows.map(row => row.cells[head.cellIndex].textContent.trim());
        """
        return list(self._window.execute_script(script, head))

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(
            self._window.execute_script(
                "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )

    def in_alphabetical_order(self, texts: list[str]) -> bool:
        """Whether the texts rise in the browser's own order."""
        script = "return arguments[0].every((text, i, all) => i === 0 || all[i - 1].localeCompare(text) <= 0)"
        return bool(self._window.execute_script(script, texts))

    def broken_images(self) -> list[str]:
        """The descriptions of images that the browser could not decode."""
        script = """
            const images = [...document.images];
            for (const image of images) image.loading = "eager";
            return Promise.all(images.map(image => image.decode().then(() => null, () => image.alt)));
        """
        return [alt for alt in self._window.execute_script(script) if alt is not None]
