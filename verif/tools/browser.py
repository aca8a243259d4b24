"""Chromium, without a screen, for tests of the web page and pictures of it. Nothing is downloaded."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["chromium", "draw", "open_browser"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium() -> str | None:
    """Where it is; None if it is not installed."""
    return next((path for path in map(shutil.which, _NAMES) if path), None)


@contextmanager
def open_browser() -> Iterator:
    """A browser of playwright's, which ends with the block."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        raise FileNotFoundError(f"a browser was not found: install chromium (one of {', '.join(_NAMES)})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])  # root may have no sandbox
        try:
            yield browser
        finally:
            browser.close()


def draw(page, strokes) -> None:
    """Draws strokes on the pad with the mouse; points are x and y from 0 to 1."""
    box = page.locator("#pad").bounding_box()
    for stroke in strokes:
        for index, (x, y) in enumerate(stroke):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            if index == 0:
                page.mouse.down()
        page.mouse.up()
