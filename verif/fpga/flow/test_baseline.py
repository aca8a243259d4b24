"""Baselines: one small board is built and compared with its own; the others' are what a build writes."""

import json

import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.families import RESOURCES
from taylorvit.fpga.flow.baseline import BaselineError, baseline_file, compare, make_baseline, read_baseline
from taylorvit.fpga.flow.build import prepare
from verif import ROOT

from .example_report import example_report

BUILT = "icebreaker"  # the fastest to build, and the one with the least room


def presets():
    """What a baseline is named after -> its preset: a board's first one, and its networks."""
    boards = {name: load_board(name) for name in board_names()}
    networks = {network.config.name: network for board in boards.values() for network in board.networks.values()}
    return {name: board.preset() for name, board in boards.items()} | networks


def with_baseline():
    return [name for name in presets() if baseline_file(name).is_file()]


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
    baseline, preset = json.loads(baseline_file(name).read_text(encoding="utf-8")), presets()[name]
    assert baseline["config"] == preset.config.name
    assert baseline["core_clock_mhz"] == pytest.approx(preset.core_hz / 1e6, rel=0.01)
    assert baseline["figures"].keys() == {*RESOURCES, "fmax_mhz"}
    assert baseline["figures"]["fmax_mhz"]["value"] >= baseline["core_clock_mhz"]


def test_the_board_that_is_built_has_a_baseline():
    assert BUILT in with_baseline()


def test_baseline_is_compared_figure_by_figure():
    report = example_report()
    baseline = make_baseline(report)
    assert compare(report, baseline) == []
    figures = baseline["figures"]
    assert figures.keys() == {"lut", "ff", "dsp", "block_ram", "fmax_mhz"}
    faster = figures | {"fmax_mhz": figures["fmax_mhz"] | {"value": figures["fmax_mhz"]["value"] / 2}}
    assert compare(report, baseline | {"figures": faster}) == []
    slower = figures | {"fmax_mhz": figures["fmax_mhz"] | {"value": figures["fmax_mhz"]["value"] * 2}}
    (difference,) = compare(report, baseline | {"figures": slower})
    assert difference.startswith("fmax_mhz is ") and difference.endswith("(tolerance 10%)")
    smaller = figures | {"dsp": {"value": 146, "tolerance": 0.0}}
    assert compare(report, baseline | {"figures": smaller}) == ["dsp is 144, and was 146 (tolerance 0%)"]
    with pytest.raises(BaselineError, match="^config of the build must be that of the baseline, 'other', not 'edge"):
        compare(report, baseline | {"config": "other"})


def test_missing_baseline(tmp_path):
    with pytest.raises(BaselineError, match="^cannot compare with a baseline: there is no .*none.json; make"):
        read_baseline(tmp_path / "none.json")
