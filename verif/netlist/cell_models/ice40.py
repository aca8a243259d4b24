"""Cells of Lattice iCE40: rules for their pins."""

from __future__ import annotations

from taylorvit.fpga.families import FAMILIES
from taylorvit.simulation.dsp_cells import DSP_CELLS
from verif.netlist.netlist import Cell, NetlistError

from .models import HERE, CellModels
from .pins import connected, join, make_pin, parameter_to_port, starts_at_zero

__all__ = ["ICE40_CELLS"]


def _pins(label: str, cell: Cell) -> None:
    rules = {
        "SB_LUT4": lambda _label, cell: parameter_to_port(cell, "LUT_INIT", 16),
        "ICESTORM_LC": _logic_cell,
        "SB_RAM40_4K": starts_at_zero,
        "ICESTORM_RAM": _memory,
        "ICESTORM_DSP": _multiplier,
        "SB_IO": _pin,
    }
    rules.get(cell.type, lambda _label, _cell: None)(label, cell)
    connected(label, cell)


def _logic_cell(label: str, cell: Cell) -> None:
    """Table, carry and register: the register is enabled where nothing says otherwise, all else is free at 0."""
    for port in cell.inputs:
        if cell.pins[port] == [None]:
            cell.pins[port] = ["1" if port == "CEN" else "0"]
    parameter_to_port(cell, "LUT_INIT", 16)


def _memory(label: str, cell: Cell) -> None:
    """Block RAM after routing: as before it, but with a pin for each bit. Clocks are enabled if nothing says so."""
    for edge in ("NEG_CLK_R", "NEG_CLK_W"):
        if cell.take_text(edge, "0").strip("0"):
            raise NetlistError(f"{edge} of an ICESTORM_RAM must be 0: {label}")
    for port in cell.inputs:
        if cell.pins[port] == [None]:
            cell.pins[port] = ["1" if port in ("RCLKE", "WCLKE") else "0"]
    starts_at_zero(label, cell)
    for port, width in (("RADDR", 11), ("WADDR", 11), ("RDATA", 16), ("WDATA", 16), ("MASK", 16)):
        join(cell, port, width, separator="_")
    cell.type = "SB_RAM40_4K"


def _multiplier(label: str, cell: Cell) -> None:
    """DSP cell after routing: as before it, but with a pin for each bit; outputs for cascades are not modelled."""
    for port in [port for port in cell.pins if port in ("CO", "ACCUMCO", "SIGNEXTOUT")]:
        if cell.pins.pop(port) != [None]:
            raise NetlistError(f"{port} of an ICESTORM_DSP must be free: {label}")
    for port in cell.inputs:
        if cell.pins[port] == [None]:
            cell.pins[port] = ["1" if port == "CE" else "0"]
    for port, width in (("A", 16), ("B", 16), ("C", 16), ("D", 16), ("O", 32)):
        join(cell, port, width, separator="_")
    cell.type = "SB_MAC16"


def _pin(label: str, cell: Cell) -> None:
    """I/O cell: an input or an output without registers."""
    kinds = {"000001": ("SB_IO_input", "PACKAGE_PIN", "D_IN_0"), "011001": ("SB_IO_output", "D_OUT_0", "PACKAGE_PIN")}
    make_pin(label, cell, kinds, cell.parameters["PIN_TYPE"][-6:])


ICE40_CELLS = CellModels(
    family=FAMILIES["ice40"],
    part={"device": "HX8K", "package": "CT256"},
    sources=(HERE / "ice40.v", DSP_CELLS / "ice40_dsp.v"),
    rule=_pins,
    options=("--hx8k", "--package", "ct256", "--pcf-allow-unconstrained"),
)
