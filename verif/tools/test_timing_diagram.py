"""The picture of the schedule: how cycles become spans."""

import numpy as np

from .timing_diagram import Span, spans_of_packets, spans_of_products


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


def test_bars_say_what_they_are():
    span = Span(0, 50, 6, "QG", 2)
    assert (span.label, span.style) == ("QG 6, pass 2", "h1 QG")
    assert Span(0, 50, 3).label == "3"
