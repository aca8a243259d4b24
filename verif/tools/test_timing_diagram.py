"""The picture of the schedule: what is sampled, how cycles become spans, and that the drawing is well formed."""

from xml.etree import ElementTree

import numpy as np
import pytest

from .timing_diagram import Span, draw, read_vcd, spans_of_packets, spans_of_products

VCD = """$timescale 1ps $end
$scope module top $end
$var wire 1 ! clk $end
$scope module block $end
$var wire 1 " valid $end
$var wire 4 # data [3:0] $end
$upscope $end
$upscope $end
$enddefinitions $end
#0
0!
0"
b0000 #
#5
1!
1"
b0011 #
#10
0!
#15
1!
0"
b1010 #
#20
0!
#25
1!
#30
0!
"""


@pytest.fixture
def waveform(tmp_path):
    path = tmp_path / "waves.vcd"
    path.write_text(VCD, encoding="ascii")
    return path


def test_samples_are_the_values_before_the_edge(waveform):
    trace = read_vcd(waveform, "top", ["block.valid", "block.data"])
    assert trace["block.valid"].tolist() == [0, 1, 0]
    assert trace["block.data"].tolist() == [0, 3, 10]
    assert trace.from_cycle(1)["block.data"].tolist() == [3, 10]


def test_unknown_signal(waveform):
    with pytest.raises(ValueError, match="signal must be one below top in the waveform, not 'block.ready'"):
        read_vcd(waveform, "top", ["block.ready"])


def test_packets_are_numbered_and_short_pauses_bridged():
    active = np.array([1, 1, 0, 1, 0, 0, 0, 1, 1, 1])
    ends = np.array([0, 0, 0, 0, 0, 0, 0, 1, 0, 1])
    assert spans_of_packets(active, ends, gap=2) == [Span(0, 4, 0), Span(7, 8, 0), Span(8, 10, 1)]


def test_products_are_told_apart_by_phase_head_and_pass():
    active = np.array([1, 1, 1, 1, 0, 1, 1, 1])
    phase = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    ends = np.array([0, 0, 0, 1, 0, 1, 0, 1])
    starts = np.array([1, 0, 1, 0, 0, 1, 1, 0])
    assert spans_of_products(active, phase, ends) == [Span(0, 4, 0, "G"), Span(5, 6, 1, "G"), Span(6, 8, 0, "QG")]
    assert spans_of_products(active, phase, ends, starts) == [
        Span(0, 2, 0, "G", 1),
        Span(2, 4, 0, "G", 2),
        Span(5, 6, 1, "G", 1),
        Span(6, 8, 0, "QG", 1),
    ]


def test_drawing_shows_every_span_that_is_in_its_window():
    overview = {"array": [Span(0, 50, 0, "G"), Span(50, 100, 0, "QG")]}
    detail = {"array row 0": [Span(0, 50, 0, "G", 1), Span(50, 60, 0, "QG", 1), Span(60, 100, 0, "QG", 2)]}
    root = ElementTree.fromstring(draw(overview, detail, (40, 60), "job", "detail"))
    boxes = [element for element in root.iter() if element.get("class", "").startswith("span")]
    assert len(boxes) == 2 + 2
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"job", "detail", "array", "array row 0", "G 0", "QG 0", "QG 0, pass 1"} <= texts
