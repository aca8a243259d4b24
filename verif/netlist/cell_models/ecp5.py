"""Cells of Lattice ECP5: rules for their pins."""

from __future__ import annotations

import re

from taylorvit.fpga.families import FAMILIES
from taylorvit.simulation.dsp_cells import DSP_CELLS
from verif.netlist.logic import Logic, Register, look_up, net
from verif.netlist.netlist import Cell, NetlistError

from .models import HERE, CellModels
from .pins import connected, join, make_pin, parameter_to_port, starts_at_zero

__all__ = ["ECP5_CELLS"]


def _pins(label: str, cell: Cell) -> None:
    rules = {
        "LUT4": lambda _label, cell: parameter_to_port(cell, "INIT", 16),
        "CCU2C": lambda _label, cell: [parameter_to_port(cell, name, 16) for name in ("INIT0", "INIT1")],
        "TRELLIS_COMB": _comb,
        "TRELLIS_FF": _register,
        "TRELLIS_RAMW": _write_port,
        "DP16KD": _memory,
        "MULT18X18D": _multiplier,
        "DCCA": _clock_buffer,
        "EHXPLLL": _pll,
        "TRELLIS_IO": _pin,
    }
    rules.get(cell.type, connected)(label, cell)


def _comb(label: str, cell: Cell) -> None:
    """Half a slice: a look-up table, the carry or memory around it, and a multiplexer that joins two of them."""
    for port in cell.inputs:
        if cell.pins[port] == [None]:
            cell.pins[port] = ["1" if port in "ABCD" else "0"]
    joins_tables, joins_multiplexers = (cell.pins.get(port, ["0"]) != ["0"] for port in ("F1", "FXA"))
    if joins_tables and joins_multiplexers:
        raise NetlistError(f"TRELLIS_COMB must have one multiplexer, not that of both halves: {label}")
    cell.parameters["MULTIPLEXER"] = "FX" if joins_multiplexers else "F"
    for port in ("DI0", "DI1"):
        cell.pins.pop(port, None)
    if cell.text("MODE") == "DPRAM":
        starts_at_zero(label, cell)
    parameter_to_port(cell, "INITVAL", 16)


def _register(label: str, cell: Cell) -> None:
    """A register takes its data from the look-up table (DI) or, where nextpnr says SD = 0, from the fabric (M)."""
    source = "M" if cell.take_text("SD", "1") == "0" else "DI"
    data = cell.pins[source]
    cell.pins.pop("M", None)
    for port, free in (("LSR", "0"), ("CE", "1")):
        if cell.pins.get(port, [None]) == [None]:
            cell.add_input(port, [free])
    cell.add_input("DI", data)
    connected(label, cell)


def _write_port(label: str, cell: Cell) -> None:
    """Write port of distributed memory: data (A1 to D1) that is not used is free."""
    for port in ("A1", "B1", "C1", "D1"):
        if cell.pins[port] == [None]:
            cell.pins[port] = ["1"]
    connected(label, cell)


def _memory(label: str, cell: Cell) -> None:
    """Block RAM. Control pins are free at 1, with an inverter at hand; a parameter has the level of the others."""
    for port in cell.inputs:
        inverted = port.startswith(("CLK", "WE", "RST", "CS"))
        control = inverted or port.startswith(("CE", "OCE"))
        selected = cell.take_text(f"{port}MUX", ("INV" if inverted else port) if control else "0")
        if cell.pins[port] != [None]:
            if selected == "INV" and not inverted or selected not in ("INV", "0", port):
                raise NetlistError(f"{port}MUX of a DP16KD must be {port}, not {selected!r}: {label}")
        elif control:
            cell.pins[port] = ["0" if selected == "INV" else "1"]
        else:
            cell.pins[port] = [selected]
    fixed = {"RSTA": "0", "RSTB": "0", "WEB": "0", **{f"CS{port}{bit}": "0" for port in "AB" for bit in range(3)}}
    for port, level in fixed.items():
        if cell.pins.pop(port, [level]) != [level]:
            raise NetlistError(f"{port} of a DP16KD must be {level}: {label}")
    starts_at_zero(label, cell)
    for port, width in (("ADA", 14), ("ADB", 14), ("DIA", 18), ("DIB", 18), ("DOA", 18), ("DOB", 18)):
        join(cell, port, width)


def _multiplier(label: str, cell: Cell) -> None:
    """Multiplier. Data pins are free at 0 unless a parameter says 1; clock enables and resets are free at 1."""
    for port in (f"{name}{index}" for name in ("CE", "RST") for index in range(4)):
        if port not in cell.pins:
            cell.add_input(port, [None])
    if not any(cell.text(f"REG_{name}_CLK", "NONE") != "NONE" for name in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")):
        cell.parameters["GSR"] = "DISABLED"  # without registers it means nothing
    for port in cell.inputs:
        free = cell.pins[port] == [None]
        if re.fullmatch(r"[ABC]\d+", port):
            level = cell.take_text(f"{port}MUX", "0")
            if free:
                cell.pins[port] = [level]
        elif free and re.fullmatch(r"(CLK|SRI[AB])\d+", port):
            cell.pins[port] = ["0"]
        elif free and re.fullmatch(r"(CE|RST)\d", port):
            cell.pins[port] = ["1"]
    connected(label, cell)


def _clock_buffer(label: str, cell: Cell) -> None:
    """Buffer onto a global net, enabled where nothing says otherwise."""
    if cell.pins.pop("CE", [None]) not in ([None], ["1"]):
        raise NetlistError(f"CE of a DCCA must be free: {label}")
    connected(label, cell)


def _pll(label: str, cell: Cell) -> None:
    """The ratio of a PLL is not modelled, so none of its parameters is."""
    cell.parameters = {}
    cell.pins = {port: bits for port, bits in cell.pins.items() if port in ("CLKI", "CLKOP", "CLKOS", "LOCK")}
    connected(label, cell)


def _pin(label: str, cell: Cell) -> None:
    """I/O cell: an input or an output, always enabled."""
    kinds = {"INPUT": ("TRELLIS_IO_input", "B", "O"), "OUTPUT": ("TRELLIS_IO_output", "I", "B")}
    make_pin(label, cell, kinds, cell.text("DIR", "INPUT"))


def _inline_table(_name: str, cell: Cell) -> Logic:
    logic = Logic()
    logic.drive(cell.pins["Z"], look_up(cell.pins["INIT"], *(cell.pins[port] for port in "ABCD")))
    return logic


def _inline_comb(name: str, cell: Cell) -> Logic | None:
    """A table, with or without its bit of a carry chain, and the multiplexer; memory stays an instance."""
    pins, mode, multiplexer = cell.pins, cell.text("MODE", "LOGIC"), cell.text("MULTIPLEXER")
    if mode not in ("LOGIC", "CCU2") or cell.text("CCU2_INJECT1", "NO") not in ("YES", "NO"):
        return None
    table, value = f"{name}_table", f"{name}_value"
    logic = Logic([table, value], [(table, look_up(pins["INITVAL"], *(pins[port] for port in "ABCD")))])
    if mode == "CCU2" and cell.text("CCU2_INJECT1", "NO") == "NO":
        carry, low = net(pins.get("FCI", ["0"])[0]), f"{name}_low"
        logic.wires.append(low)
        logic.values += [(low, look_up(pins["INITVAL"][:4], pins["A"], pins["B"])), (value, f"{table} ^ {carry}")]
        logic.drive(pins.get("FCO"), f"{table} ? {carry} : {low}")
    else:
        logic.values.append((value, table))
        logic.drive(pins.get("FCO"), f"{table} && {net(pins['FCI'][0])}" if mode == "CCU2" else "1'b0")
    logic.drive(pins.get("F"), value)
    low, high = (value, "F1") if multiplexer == "F" else (net(pins.get("FXA", ["0"])[0]), "FXB")
    logic.drive(pins.get("OFX"), f"{net(pins.get('M', ['0'])[0])} ? {net(pins.get(high, ['0'])[0])} : {low}")
    return logic


_REGISTER = {  # parameters of a register, and their values that `_inline_register` knows
    "GSR": ("DISABLED", "ENABLED"),
    "CEMUX": ("1", "CE", "INV"),
    "CLKMUX": ("CLK",),
    "LSRMUX": ("LSR", "INV"),
    "SRMODE": ("LSR_OVER_CE", "ASYNC"),
    "REGSET": ("RESET", "SET"),
    "LSRMODE": ("LSR",),
}


def _inline_register(_name: str, cell: Cell) -> Logic | None:
    if any(cell.text(parameter) not in _REGISTER.get(parameter, ()) for parameter in cell.parameters):
        return None
    enable, reset, output = (net(cell.pins[port][0]) for port in ("CE", "LSR", "Q"))
    level = f"1'b{int(cell.text('REGSET') == 'SET')}"
    if cell.text("SRMODE") == "ASYNC" or cell.text("LSRMUX") == "INV" or not isinstance(cell.pins["Q"][0], int):
        return None  # too few to matter
    enable = {"1": "1'b1", "CE": enable, "INV": f"!{enable}"}[cell.text("CEMUX", "1")]
    data, clock = net(cell.pins["DI"][0]), net(cell.pins["CLK"][0])
    return Logic(registers=[Register(output, data, clock, enable, reset, level, start=level)])


ECP5_CELLS = CellModels(
    family=FAMILIES["ecp5"],
    part={"device": "LFE5U-25F", "package": "CABGA381", "speed": "6"},
    sources=(HERE / "block_ram.v", HERE / "ecp5.v", DSP_CELLS / "ecp5_dsp.v"),
    rule=_pins,
    inlined={"LUT4": _inline_table, "TRELLIS_COMB": _inline_comb, "TRELLIS_FF": _inline_register},
    options=("--25k", "--package", "CABGA381", "--out-of-context"),
    shows_pll=True,
)
