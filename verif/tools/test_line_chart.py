"""Charts: the drawing is well formed and shows what it is given."""

from xml.etree import ElementTree

import pytest

from .line_chart import Chart, Mark, draw


def _elements(text, kind, style):
    return [
        each for each in ElementTree.fromstring(text).iter() if each.get("class") == style and each.tag.endswith(kind)
    ]


def test_points_texts_and_scales():
    lines = {"one": [(10, 100), (100, 10_000)], "two": [(10, 100), (100, 1_000)]}
    text = draw([Chart("both", lines, Mark(31.6, "middle")), Chart("again", lines)], "tokens")
    texts = {each.text for each in ElementTree.fromstring(text).iter() if each.tag.endswith("text")}
    assert texts == {"both", "again", "one", "two", "middle", "tokens", "10", "100", "1,000", "10,000"}
    for style in ("line h0", "line h1"):
        assert len(_elements(text, "path", style)) == 2
    [mark] = _elements(text, "path", "mark")
    first, last = _elements(text, "circle", "dot h0")[:2]
    middle = (float(first.get("cx")) + float(last.get("cx"))) / 2
    assert float(mark.get("d")[1:].split()[0]) == pytest.approx(middle, abs=1)
    # Two decades of one line are as high as two of the other.
    heights = [float(each.get("cy")) for style in ("dot h0", "dot h1") for each in _elements(text, "circle", style)[:2]]
    assert heights[0] - heights[1] == pytest.approx(2 * (heights[2] - heights[3]), abs=0.2)
