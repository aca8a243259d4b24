"""A picture of the web page, for the documents: somebody has drawn a five.

    python -m verif.tools.page_picture [-o docs/web.png] [--model NAME] [--dark] [--width PIXELS]

The page is that of `taylorvit serve --sim`: the digit goes through the generated Verilog. Chromium must be installed.
"""

from __future__ import annotations

import argparse
import io
import sys
import threading
from pathlib import Path

from PIL import Image

from taylorvit.boundary.command import run_command, whole_number
from taylorvit.boundary.writing import written_whole
from taylorvit.commands.model_choice import chosen_model
from taylorvit.web.app import make_app
from taylorvit.web.server import Server, listen, url_of
from taylorvit.web.simulated import SimulatedClassifier
from verif.taylorvit.web.digits import STROKES

from .browser import draw, open_browser

__all__ = ["main"]

DIGIT = 5
COLOURS = 256  # of the file, which is half as large then
SECONDS = 60


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Takes a picture of the web page, for the documents.")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/web.png"), help="(default: docs/web.png)")
    parser.add_argument("--model", default="mnist5k", help="as that of `taylorvit serve` (default: mnist5k)")
    parser.add_argument("--dark", action="store_true", help="as under a dark theme")
    parser.add_argument("--width", type=whole_number(320, 4096), default=960, help="pixels (default: 960)")
    arguments = parser.parse_args(argv)
    return run_command("page_picture", lambda: _picture(arguments))


def _picture(arguments: argparse.Namespace) -> None:
    classifier = SimulatedClassifier(chosen_model(arguments.model))
    with listen("127.0.0.1", 0) as listener:
        server = Server(make_app(classifier), classifier)
        thread = threading.Thread(target=server.serve_until_interrupted, args=[listener])
        thread.start()
        try:
            content = _screenshot(url_of(listener), "dark" if arguments.dark else "light", arguments.width)
        finally:
            server.should_exit = True
            thread.join()
    picture = Image.open(io.BytesIO(content)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    with written_whole(arguments.output) as partial:
        picture.save(partial, "PNG", optimize=True)


def _screenshot(address: str, theme: str, width: int) -> bytes:
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
        page.set_default_timeout(SECONDS * 1000)
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        draw(page, STROKES[DIGIT])
        page.wait_for_selector("#result[aria-busy=false] #found:not([hidden])")
        return page.screenshot(full_page=True)


if __name__ == "__main__":
    sys.exit(main())
