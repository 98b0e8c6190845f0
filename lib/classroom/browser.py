"""A browser that is already on the machine, driven by Playwright; none is downloaded."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]


def find_browser() -> str | None:
    """The path of a Chromium or Chrome on this machine, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def missing() -> str:
    """What a browser that draws pictures lacks on this machine, with the remedy; "" if nothing."""
    if find_spec("playwright") is None:
        return "Playwright; install it: make .venv/ready-to-test"
    if find_browser() is None:
        return "Chromium or Chrome on the path; install one"
    return ""


@contextmanager
def open_browser() -> Iterator["Browser"]:
    """A browser without network, closed at the end. ValueError where something is missing."""
    if lacking := missing():
        raise ValueError(f"to look at figures and slides takes {lacking}.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
