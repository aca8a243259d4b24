"""Cells of Lattice iCE40: rules for their pins."""

from __future__ import annotations

from taylorvit.fpga.families import FAMILIES
from taylorvit.simulation.dsp_cells import DSP_CELLS
from verif.netlist.logic import Logic, Register, look_up, net
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


def _inline_table(_name: str, cell: Cell) -> Logic:
    logic = Logic()
    logic.drive(cell.pins["O"], look_up(cell.pins["LUT_INIT"], *(cell.pins[f"I{index}"] for index in range(4))))
    return logic


def _inline_register(_name: str, cell: Cell) -> Logic:
    """A register with a synchronous reset or set, if any, which only acts when the clock is enabled."""
    enable = net(cell.pins.get("E", ["1"])[0])
    reset = net(cell.pins.get("R", cell.pins.get("S", ["0"]))[0])
    output, data, clock = (net(cell.pins[port][0]) for port in ("Q", "D", "C"))
    level = f"1'b{int('S' in cell.pins)}"
    return Logic(registers=[Register(output, data, clock, enable, reset, level, enable_first=True)])


def _inline_logic_cell(name: str, cell: Cell) -> Logic | None:
    """A table and a register without a carry; the others stay instances."""
    parameters = {key: value.strip("0") for key, value in cell.parameters.items()}
    if any(parameters.get(key) for key in ("NEG_CLK", "CARRY_ENABLE", "ASYNC_SR")) or cell.pins.get("COUT"):
        return None
    pins, table = cell.pins, f"{name}_table"
    logic = Logic([table], [(table, look_up(pins["LUT_INIT"], *(pins[f"I{index}"] for index in range(4))))])
    logic.drive(pins.get("LO"), table)
    if not parameters.get("DFF_ENABLE"):
        logic.drive(pins.get("O"), table)
    elif isinstance(pins["O"][0], int):
        enable, reset, output, clock = (net(pins[port][0]) for port in ("CEN", "SR", "O", "CLK"))
        level = f"1'b{int(bool(parameters.get('SET_NORESET')))}"
        logic.registers.append(Register(output, table, clock, enable, reset, level, enable_first=True))
    return logic


ICE40_CELLS = CellModels(
    family=FAMILIES["ice40"],
    part={"device": "HX8K", "package": "CT256"},
    sources=(HERE / "ice40.v", DSP_CELLS / "ice40_dsp.v"),
    rule=_pins,
    inlined={
        "SB_LUT4": _inline_table,
        "ICESTORM_LC": _inline_logic_cell,
        **dict.fromkeys(("SB_DFF", "SB_DFFE", "SB_DFFSR", "SB_DFFSS", "SB_DFFESR", "SB_DFFESS"), _inline_register),
    },
    options=("--hx8k", "--package", "ct256", "--pcf-allow-unconstrained"),
)
