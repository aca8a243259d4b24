"""Cells of Gowin GW1N and GW2A: rules for their pins."""

from __future__ import annotations

import re

from taylorvit.fpga.families import FAMILIES
from taylorvit.simulation.dsp_cells import DSP_CELLS
from verif.netlist.logic import Logic, Register, look_up, net
from verif.netlist.netlist import Cell, NetlistError

from .models import HERE, CellModels
from .pins import connected, parameter_to_port, starts_at_zero

__all__ = ["GOWIN_CELLS"]


def _pins(label: str, cell: Cell) -> None:
    if re.fullmatch("LUT[1-4]", cell.type):
        parameter_to_port(cell, "INIT", 1 << int(cell.type[-1]))
    elif cell.type == "RAM16SDP4":
        starts_at_zero(label, cell)
    elif cell.type in ("SDPB", "SDPX9B", "DPB", "DPX9B"):
        _memory(label, cell)
    connected(label, cell)


def _memory(label: str, cell: Cell) -> None:
    """Block RAM: one port writes, the other one reads; neither is reset, or selected by a block address."""
    fixed = {"RESETA": "0", "RESETB": "0", "WREB": "0", "BLKSELA": "000", "BLKSELB": "000"}
    for port, level in fixed.items():
        if cell.pins.pop(port, list(level)) != list(level):
            raise NetlistError(f"{port} of a {cell.type} must be {level}: {label}")
    for parameter in ("BLK_SEL_0", "BLK_SEL_1"):
        if cell.take_text(parameter, "000") != "000":
            raise NetlistError(f"{parameter} of a {cell.type} must be 000: {label}")
    cell.pins.pop("DIB", None)
    starts_at_zero(label, cell)


def _inline_table(_name: str, cell: Cell) -> Logic:
    logic = Logic()
    logic.drive(cell.pins["F"], look_up(cell.pins["INIT"], *(cell.pins[f"I{n}"] for n in range(int(cell.type[-1])))))
    return logic


def _inline_register(_name: str, cell: Cell) -> Logic:
    """A register with a synchronous reset or set, if any, which acts whether the clock is enabled or not."""
    level = f"1'b{int('SET' in cell.pins)}"
    start = f"1'b{cell.parameters['INIT'][-1]}" if "INIT" in cell.parameters else level
    enable = net(cell.pins.get("CE", ["1"])[0])
    reset = net(cell.pins.get("RESET", cell.pins.get("SET", ["0"]))[0])
    output, data, clock = (net(cell.pins[port][0]) for port in ("Q", "D", "CLK"))
    return Logic(registers=[Register(output, data, clock, enable, reset, level, start)])


GOWIN_CELLS = CellModels(
    family=FAMILIES["gowin"],
    part={"device": "GW2AR-LV18QN88C8/I7", "chip": "GW2A-18C"},
    sources=(HERE / "block_ram.v", HERE / "gowin.v", DSP_CELLS / "gowin_dsp.v"),
    rule=_pins,
    inlined={
        **dict.fromkeys(("LUT1", "LUT2", "LUT3", "LUT4"), _inline_table),
        **dict.fromkeys(("DFF", "DFFE", "DFFS", "DFFSE", "DFFR", "DFFRE"), _inline_register),
    },
)
