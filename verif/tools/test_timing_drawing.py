"""Timing diagrams: the drawing is well formed and shows what it is given."""

from xml.etree import ElementTree

from .timing_diagram import Span
from .timing_drawing import Panel, draw


def _drawn(panels):
    root = ElementTree.fromstring(draw(panels, "array"))
    boxes = [element for element in root.iter() if element.get("class", "").startswith("span")]
    frames = [element for element in root.iter() if element.get("class") == "window"]
    return boxes, frames, {element.text for element in root.iter() if element.tag.endswith("text")}


def test_drawing_shows_every_bar_that_is_in_its_window():
    overview = {"array": [Span(0, 50, 0, "G"), Span(50, 100, 0, "QG")]}
    detail = {"array row 0": [Span(0, 50, 0, "G", 1), Span(50, 60, 0, "QG", 1), Span(60, 100, 0, "QG", 2)]}
    boxes, frames, texts = _drawn([Panel("job", overview, (0, 100)), Panel("detail", detail, (40, 60))])
    assert (len(boxes), len(frames)) == (2 + 2, 1)
    assert {"job", "detail", "array", "array row 0", "G 0", "QG 0", "QG 0, pass 1"} <= texts


def test_a_label_that_is_too_long_is_shortened_or_left_out():
    lanes = {"array": [Span(0, 4, 0, "G", 1), Span(4, 5, 0, "QG", 1), Span(5, 100, 1, "QG", 1)]}
    _boxes, _frames, texts = _drawn([Panel("job", lanes, (0, 100))])
    assert "G 0" in texts and "QG 1, pass 1" in texts
    assert not {"G 0, pass 1", "QG 0", "QG 0, pass 1"} & texts
