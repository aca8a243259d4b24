"""Baselines: one small board is built and compared with its own; the others' are what a build writes."""

import json

import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.families import RESOURCES
from taylorvit.fpga.flow.baseline import baseline_file, compare
from taylorvit.fpga.flow.build import prepare
from verif import ROOT

BUILT = "icebreaker"  # the fastest to build, and the one with the least room


def with_baseline():
    return [name for name in board_names() if baseline_file(name).is_file()]


def test_the_smallest_board_agrees_with_its_baseline():
    """A bitstream from the Verilog as it is now: timing met, buffers in block RAM, figures within their tolerance."""
    board = load_board(BUILT)
    preset = board.preset()
    finished = prepare(board, preset.config, seed=preset.seed, root=ROOT / "build").run()
    assert finished.bitstream.stat().st_size > 100_000
    assert finished.report["timing_met"]
    baseline = json.loads(baseline_file(BUILT).read_text(encoding="utf-8"))
    assert compare(finished.report, baseline) == [], "make a new one if so it should be: --write-baseline"


@pytest.mark.parametrize("name", with_baseline())
def test_baselines_are_of_the_boards_as_they_are(name):
    baseline, preset = json.loads(baseline_file(name).read_text(encoding="utf-8")), load_board(name).preset()
    assert baseline["config"] == preset.config.name
    assert baseline["core_clock_mhz"] == pytest.approx(preset.core_hz / 1e6, rel=0.01)
    assert baseline["figures"].keys() == {*RESOURCES, "fmax_mhz"}
    assert baseline["figures"]["fmax_mhz"]["value"] >= baseline["core_clock_mhz"]


def test_the_board_that_is_built_has_a_baseline():
    assert BUILT in with_baseline()
