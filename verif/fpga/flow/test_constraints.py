"""Constraint files: each port of the board top has its pin, and the oscillator its frequency."""

from dataclasses import replace

import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.flow.constraints import constraints
from taylorvit.fpga.memory.pads import pin_widths
from taylorvit.fpga.top import BoardTop
from taylorvit.gen.generate import port_table


def given_to_the_family(board, **options):
    """(frequency of the oscillator, port -> pin and attributes): what the family's writer gets."""
    given = []
    family = replace(board.family, constraints=lambda *arguments: given.append(arguments) or "")
    assert constraints(replace(board, family=family), **options) == ""
    ((oscillator, ports),) = given
    return oscillator, {each.port: (each.pin, each.io) for each in ports}


@pytest.mark.parametrize("name", board_names())
def test_every_port_has_a_pin(name):
    board = load_board(name)
    ports = {
        port if width == 1 else f"{port}[{bit}]"
        for port, _direction, width, _signed in port_table(BoardTop(board, board.preset().config))
        for bit in range(width)
    }
    _oscillator, placed = given_to_the_family(board)
    assert placed.keys() == ports
    assert placed["clock"] == (board.clock.pins[0], board.clock.io)
    assert placed["uart_tx"] == (board.uart_tx.pins[0], board.uart_tx.io)
    assert placed["led[1]"] == (board.led.pins[1], board.led.io)
    text = constraints(board)
    for port, (pin, _io) in placed.items():
        assert any(port in line and pin in line for line in text.splitlines()), port


def test_pins_of_the_sdram_are_placed_where_they_are_used():
    board = load_board("ulx3s-85f")
    _oscillator, without = given_to_the_family(board)
    _oscillator, placed = given_to_the_family(board, sdram=True)
    widths = pin_widths(board.sdram.chip)
    bits = {
        f"sdram_{name}[{bit}]" if width > 1 else f"sdram_{name}"
        for name, width in widths.items()
        for bit in range(width)
    }
    assert placed.keys() - without.keys() == bits
    assert placed["sdram_dq[3]"] == (board.sdram.pins["dq"].pins[3], board.sdram.pins["dq"].io)


def test_margin_makes_the_oscillator_faster_or_slower():
    board = load_board("ulx3s-85f")
    assert given_to_the_family(board)[0] == "25"
    assert given_to_the_family(board, margin_percent=4)[0] == "26"
    assert given_to_the_family(board, margin_percent=-20)[0] == "20"


def test_single_led_has_no_index():
    board = load_board("icebreaker")
    board = replace(board, led=replace(board.led, pins=board.led.pins[:1]), button=None)
    assert given_to_the_family(board)[1].keys() == {"clock", "uart_rx", "uart_tx", "led"}
