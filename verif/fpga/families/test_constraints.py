"""Constraint files: each port of the board top has its pin, in the family's words."""

import re

import pytest

from taylorvit.fpga.board import board_names, load_board
from taylorvit.fpga.families.constraints import constraints
from taylorvit.fpga.top import BoardTop
from taylorvit.gen.generate import port_table

PATTERNS = {
    "ecp5": r'LOCATE COMP "(.+)" SITE "(.+)";',
    "ice40": r"set_io (?:-\w+ \w+ )*(\S+) (\S+)",
    "gowin": r'IO_LOC "(.+)" (\S+);',
}


@pytest.mark.parametrize("name", board_names())
def test_every_port_has_a_pin(name):
    board = load_board(name)
    ports = {port if width == 1 else f"{port}[{bit}]"
             for port, _direction, width, _signed in port_table(BoardTop(board, board.preset().config))
             for bit in range(width)}  # fmt: skip
    placed = dict(re.fullmatch(PATTERNS[board.family], line).groups()
                  for line in constraints(board).splitlines() if re.match(r"LOCATE|set_io|IO_LOC", line))  # fmt: skip
    assert placed.keys() == ports
    assert placed["clock"] == board.clock.pins[0]
    assert placed["uart_tx"] == board.uart_tx.pins[0]
    assert placed["led[1]"] == board.led.pins[1]


def test_formats():
    assert 'IOBUF PORT "led[0]" IO_TYPE=LVCMOS33 DRIVE=4;' in constraints(load_board("ulx3s-85f"))
    assert 'FREQUENCY PORT "clock" 25 MHZ;' in constraints(load_board("ulx3s-85f"))
    assert "set_io -pullup yes uart_rx 6" in constraints(load_board("icebreaker"))
    assert "set_frequency clock 12" in constraints(load_board("icebreaker"))
    assert 'IO_PORT "uart_rx" IO_TYPE=LVCMOS33 PULL_MODE=UP;' in constraints(load_board("tang-nano-9k"))
