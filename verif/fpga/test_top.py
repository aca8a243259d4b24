"""The board's top level: for every board it joins what it should."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.protocol import build_id
from taylorvit.fpga.top import BoardTop
from taylorvit.gen.generate import port_table
from taylorvit.gen.presets import load_preset
from taylorvit.gen.verilog import emit
from taylorvit.rtl.config import AcceleratorConfig
from verif.tools.yosys import run_yosys

SMALL = load_preset("tiny-4x4")


@pytest.mark.parametrize("name", board_names())
def test_ports_are_the_pins_of_the_board(name):
    board = load_board(name)
    ports = {port: (direction, width) for port, direction, width, _signed in port_table(BoardTop(board, SMALL))}
    expected = {
        "clock": ("input", 1),
        "uart_rx": ("input", 1),
        "uart_tx": ("output", 1),
        "led": ("output", len(board.led.pins)),
    }
    if board.button:
        expected["button"] = ("input", 1)
    assert ports == expected


@pytest.mark.parametrize("name", ["ulx3s-85f", "icebreaker", "tang-nano-9k"])
def test_verilog_joins_the_blocks(name):
    board = load_board(name).with_core_hz(24_000_000)
    verilog = emit(BoardTop(board, SMALL))
    assert verilog.count("module board_top (") == 1
    top = verilog.partition("module board_top (")[2].partition("endmodule")[0]
    for instance in ("clock_generator clock_generator (", "reset_generator reset_generator (", "host_link host_link (",
                     "taylorvit accelerator (", "indicators indicators ("):  # fmt: skip
        assert instance in top
    # The accelerator has a reset of its own, everything else that of the board.
    accelerator = top.partition("taylorvit accelerator (")[2].partition(");")[0]
    assert ".rst(reset_generator__accelerator_reset)" in accelerator
    assert ".rst(rst)" in top.partition("host_link host_link (")[2].partition(");")[0]
    # Nothing that crosses between link and accelerator is left open.
    assert not re.search(r"\.(s_axis|m_axis|s_axil)_\w+\(\)", accelerator)
    inverted = bool(re.search(r"led = ~|\.button\(!", top))
    assert inverted == (board.led.active_low or board.button.active_low)


def test_an_accelerator_with_a_prefix_is_part_of_a_board(tmp_path):
    board = load_board("icebreaker").with_core_hz(24_000_000)
    (tmp_path / "board_top.v").write_text(emit(BoardTop(board, replace(SMALL, prefix="left_"))))
    script = "read_verilog board_top.v; read_verilog -lib +/ice40/cells_sim.v; hierarchy -check -top board_top"
    assert run_yosys(tmp_path, "-q", "-p", script) == (True, "")
    assert "left_taylorvit accelerator (" in (tmp_path / "board_top.v").read_text()


def test_timeout_outlasts_a_pause_of_the_line():
    board = load_board("icebreaker")
    BoardTop(board, replace(SMALL, counter_width=22, input_timeout=1))
    text = (
        "counter_width must be at least 22 at 24,000,000 Hz, so that TIMEOUT outlasts a pause of 0.1 s on the "
        "line, not 21"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        BoardTop(board, replace(SMALL, counter_width=21, input_timeout=1))


@pytest.mark.parametrize(
    ("name", "multiplier", "possible"),
    [
        ("ulx3s-85f", "gowin", "inferred, ecp5, booth"),
        ("icebreaker", "ecp5", "inferred, ice40, booth"),
        ("tang-nano-9k", "ice40", "inferred, gowin, booth"),
    ],
)
def test_multipliers_are_cells_of_the_family(name, multiplier, possible):
    config = replace(SMALL, multiplier=multiplier, pe_pipeline=1)
    text = f"multiplier must be one of {possible} on {name}, not {multiplier!r}"
    with pytest.raises(ValueError, match=f"^{text}$"):
        BoardTop(load_board(name), config)


def test_core_clock_is_fast_enough_for_the_link():
    text = "core_hz must be at least 9,000,000 on ulx3s-85f, whose link has 3,000,000 baud, not 5,000,000"
    with pytest.raises(ValueError, match=f"^{text}$"):
        BoardTop(load_board("ulx3s-85f").with_core_hz(5_000_000), SMALL)


def test_link_is_told_clock_baud_and_build():
    board = load_board("ulx3s-85f").with_core_hz(50_000_000).with_baud(12_500_000)
    top = BoardTop(board, SMALL)
    assert (top.clock_hz, top.baud) == (50_000_000, 12_500_000)
    assert top.host_link.clock_hz == 50_000_000 and top.host_link.baud == 12_500_000
    assert top.host_link.build_id == build_id("ulx3s-85f", SMALL)
    assert top.host_link.stream_bytes == SMALL.stream_width // 8


def test_same_board_and_configuration_are_the_same_component():
    board = load_board("ulx3s-85f")
    other = AcceleratorConfig.from_mapping(SMALL.to_mapping() | {"max_tokens": 32})
    assert BoardTop(board, SMALL).parameters == BoardTop(board, SMALL).parameters
    assert BoardTop(board, SMALL).parameters != BoardTop(board, other).parameters
    assert BoardTop(board, SMALL).parameters != BoardTop(board.with_core_hz(50_000_000), SMALL).parameters
