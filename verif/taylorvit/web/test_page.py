"""The page in Chromium: somebody draws a digit, and sees its class."""

import numpy as np
import pytest

from taylorvit.boundary.errors import CommandError
from taylorvit.commands.model_choice import chosen_model
from taylorvit.web.simulated import SimulatedClassifier
from verif.tools.browser import chromium, draw, open_browser

from .digits import STROKES
from .serving import ByTheModel, digits, served
from .test_submissions import content_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="chromium is not installed (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


@pytest.fixture
def opened(browser):
    """opened(port, ...) -> the page, loaded; at the end, nothing may have gone wrong in its scripts."""
    pages, complaints = [], []

    def open_page(port, **options):
        page = browser.new_page(**{"viewport": {"width": 1100, "height": 900}} | options)
        page.set_default_timeout(20_000)
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.on("request", lambda request: request.url.startswith((f"http://127.0.0.1:{port}/", "data:", "blob:"))
                or complaints.append(f"request to {request.url}"))  # fmt: skip
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert not complaints


def settled(page, text):
    """Waits until the page shows an answer of this class."""
    page.wait_for_function(
        "text => document.getElementById('class').textContent === text && "
        "document.getElementById('result').getAttribute('aria-busy') === 'false'",
        arg=text,
    )


@pytest.fixture(scope="module")
def port():
    with served(ByTheModel(digits())) as port:
        yield port


def test_digit_is_drawn_and_classified_by_the_verilog(opened):
    with served(SimulatedClassifier(chosen_model("digits"))) as port:
        page = opened(port)
        assert page.locator("#served").inner_text() == "digits on simulated Verilog of vit-tiny-4x4, 4 x 4 PEs"
        for digit in (3, 5):
            draw(page, STROKES[digit])
            settled(page, str(digit))
            assert page.locator("#equal").inner_text() == "✓ all 10 logits equal the integer model"
            margins = page.locator("#bars .value").all_inner_texts()
            assert len(margins) == 10 and [text[0] for text in margins].count("+") == 1
            facts = dict(zip(*(page.locator(f"#facts {kind}").all_inner_texts() for kind in ("dt", "dd"))))
            assert 1000 < int(facts["cycles"].replace(",", "")) < 1_000_000 and facts["time at 100 MHz"].endswith(" µs")
            page.get_by_role("button", name="Clear").click()
            assert not page.locator("#found").is_visible()


def test_keys_alone(opened, port):
    page = opened(port)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "pad":
            break
    for key in [*["ArrowUp"] * 10, " ", *["ArrowDown"] * 20, " "]:
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    settled(page, "1")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "undo"
    page.keyboard.press("Enter")
    assert page.locator("#hint").is_visible() and not page.locator("#found").is_visible()


def test_finger_on_a_telephone(opened, port):
    page = opened(port, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    box = page.locator("#pad").bounding_box()
    session = page.context.new_cdp_session(page)
    for stroke in STROKES[0]:
        for index, (x, y) in enumerate(stroke):
            point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            kind = "touchMove" if index else "touchStart"
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settled(page, "0")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_long_names_on_a_telephone(opened):
    model = digits()
    model = model._replace(classes=[f"{'a class whose name has many words ' * 2}{digit}" for digit in model.classes])
    with served(ByTheModel(model)) as port:
        page = opened(port, viewport={"width": 360, "height": 740})
        draw(page, STROKES[3])
        settled(page, model.classes[3])
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert page.locator("#bars .best .bar").bounding_box()["width"] > 50


def test_examples_and_layers(opened, port):
    page = opened(port)
    buttons = page.locator("#thumbnails button")
    assert buttons.count() == 24
    label = buttons.nth(3).get_attribute("aria-label").rpartition(" ")[2]
    buttons.nth(3).click()
    settled(page, label)
    assert page.locator("#label").inner_text() == "as labelled"
    assert page.locator("#layer-text").inner_text() == "3 of 3, of Taylor attention"
    before = page.evaluate("document.getElementById('taylor').toDataURL()")
    page.locator("#layer").press("ArrowLeft")
    assert page.locator("#layer-text").inner_text() == "2 of 3, of Taylor attention"
    assert page.evaluate("document.getElementById('taylor').toDataURL()") != before
    assert page.locator("#taylor-caption").inner_text().startswith("Taylor attention, as the model computes: ")


def test_files(opened, port, tmp_path):
    page = opened(port)
    (tmp_path / "a.png").write_bytes(content_of(np.full((20, 20), 255, dtype=np.uint8)))
    (tmp_path / "b.txt").write_text("no image")
    page.locator("#file").set_input_files(tmp_path / "a.png")
    page.wait_for_selector("#found:not([hidden])")
    page.locator("#file").set_input_files(tmp_path / "b.txt")
    page.wait_for_selector("#error:not([hidden])")
    assert page.locator("#error").inner_text() == "File must be an image in PNG, JPEG, WEBP, GIF or BMP."
    assert not page.locator("#found").is_visible()
    page.locator("#thumbnails button").first.click()
    page.wait_for_selector("#found:not([hidden])")
    assert not page.locator("#error").is_visible()


def test_lost_hardware(opened):
    class Lost(ByTheModel):
        def classify(self, pixels):
            raise CommandError("no answer from /dev/ttyUSB0")

    with served(Lost(digits())) as port:
        page = opened(port)
        draw(page, STROKES[1])
        page.wait_for_selector("#error:not([hidden])")
        text = "The hardware does not answer: no answer from /dev/ttyUSB0."
        assert page.locator("#error").inner_text() == text


def test_colours_follow_the_theme(opened, port):
    colours = {
        opened(port, color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert len(colours) == 2
