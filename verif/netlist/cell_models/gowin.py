"""Cells of Gowin GW1N and GW2A: rules for their pins."""

from __future__ import annotations

import re

from taylorvit.fpga.families import FAMILIES
from taylorvit.simulation.dsp_cells import DSP_CELLS
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


GOWIN_CELLS = CellModels(
    family=FAMILIES["gowin"],
    part={"device": "GW2AR-LV18QN88C8/I7", "chip": "GW2A-18C"},
    sources=(HERE / "block_ram.v", HERE / "gowin.v", DSP_CELLS / "gowin_dsp.v"),
    rule=_pins,
)
