"""The benchmark of networks measures what it says, and fails when it should."""

import pytest

from taylorvit.golden.network.vit import SHAPES

from . import network_benchmark
from .network_benchmark import Case

GOOD_ROW = {"case": "c", "mismatches": 0, "compared": 10, "cycles": 100, "limit": 100}
GOOD_EMISSION = {"preset": "p", "seconds": 20.0, "processor_seconds": 1.0, "bytes": 1000}


def test_images_of_a_small_network():
    row = network_benchmark.measure(Case(network="digits", preset="vit-tiny-4x4", bytes_per_cycle=4, limit=100_000))
    assert row["mismatches"] == 0 and row["compared"] == 20
    assert 0 < row["cycles"] <= row["limit"]
    assert 0.5 < row["useful"] < row["nominal"] <= 1.2


def test_products_are_those_of_the_published_network():
    assert network_benchmark.nominal_products(SHAPES["deit_tiny"]) == pytest.approx(1_133e6, rel=1e-3)
    assert network_benchmark.nominal_products(SHAPES["deit_tiny"], "softmax") == pytest.approx(1_254e6, rel=1e-3)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"cycles": 101}, "c: an image must take at most 100 cycles, not 101"),
        ({"mismatches": 2}, "c: 2 of 10 logits differ from the golden"),
        ({"processor_seconds": 15.0}, "p: emission must take under 15.0 s of processor time, not 15.0 s"),
        ({"bytes": 1_500_000}, "p: Verilog must be under 1,500,000 bytes, not 1,500,000"),
    ],
)
def test_missed_targets(change, message):
    assert network_benchmark.missed_targets(GOOD_EMISSION, [GOOD_ROW]) == []
    emission = GOOD_EMISSION | {key: value for key, value in change.items() if key in GOOD_EMISSION}
    row = GOOD_ROW | {key: value for key, value in change.items() if key in GOOD_ROW}
    assert network_benchmark.missed_targets(emission, [row]) == [message]
