"""The benchmark of networks with SDRAM measures what it says, and fails when it should."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taylorvit.fpga.memory.chips import CHIPS
from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.vit import SHAPES

from . import sdram_benchmark
from .sdram_benchmark import Case

GOOD_ROW = {"case": "c", "mismatches": 0, "compared": 10, "lost": 0.05}


def test_images_of_a_small_network():
    config = replace(load_preset("vit-tiny-4x4"), tape_width=16)
    case = Case(name="digits", shape=SHAPES["vit_8"], config=config, chip=CHIPS["MT48LC16M16"])
    row = sdram_benchmark.measure(case, 75_000_000)  # where data come a cycle later
    assert (row["mismatches"], row["compared"]) == (0, 20)
    assert 0 < row["ideal"] < row["cycles"]
    assert 0 < row["lost"] < 0.1
    assert row["tape_stalls"] > row["lost"] / 2


@pytest.mark.parametrize(
    "change, message",
    [
        ({"mismatches": 2}, "c: 2 of 10 logits differ from the golden"),
        ({"lost": 0.061}, "c: memory must take at most 5% of the time, not 6.1%"),
    ],
)
def test_missed_targets(change, message):
    assert sdram_benchmark.missed_targets([GOOD_ROW]) == []
    assert sdram_benchmark.missed_targets([GOOD_ROW | change]) == [message]


def test_a_clock_that_is_too_fast(capsys):
    assert sdram_benchmark.main(["--case", "layer", "--megahertz", "120"]) == 2
    assert "clock of MT48LC16M16 must be at most 100,000,000 Hz, not 120,000,000" in capsys.readouterr().err
