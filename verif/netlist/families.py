"""The FPGA families whose netlists are simulated: their cells, and how their tools are called.

What a cell's pin reads when no net is on it is a property of the bitstream, which nextpnr writes. The rules below
follow its sources (`ecp5/pack.cc`, `ecp5/bitstream.cc`, `ice40/cells.cc`, `himbaechel/uarch/gowin/pack.cc`): they
resolve each free pin, and each parameter that says what a pin reads, so that the models in `cells/` are of the cell
alone. A pin or a parameter that no rule covers is a `NetlistError`, as a parameter's value that a model does not have
is an error of the simulator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from taylorvit.fpga.families import gowin_synthesis
from taylorvit.simulation.dsp_cells import DSP_CELLS

from .netlist import Cell, NetlistError, PinRule

__all__ = ["FAMILIES", "Family"]

CELLS = Path(__file__).resolve().parent / "cells"


@dataclass(frozen=True)
class Family:
    """One family.

    Parameters
    ----------
    name: as in `fpga.board.FAMILIES`.
    synthesis: the Yosys command that maps the module {top} to the family's cells and writes {output}.
    sources: Verilog files with the models of these cells.
    rule: resolves the free pins of a cell.
    options: those of nextpnr for a device with pins enough for an accelerator without a board, or for one that is
        placed without pins; None where there is none.
    """

    name: str
    synthesis: str
    sources: tuple[Path, ...]
    rule: PinRule
    options: tuple[str, ...] | None = None

    def models(self) -> str:
        """The text of the cell models."""
        return "\n".join(source.read_text(encoding="utf-8") for source in self.sources)


# ECP5


def _ecp5_pins(label: str, cell: Cell) -> None:
    rules = {
        "LUT4": lambda _label, cell: _parameter_to_port(cell, "INIT", 16),
        "CCU2C": lambda _label, cell: [_parameter_to_port(cell, name, 16) for name in ("INIT0", "INIT1")],
        "TRELLIS_COMB": _ecp5_comb,
        "TRELLIS_FF": _ecp5_register,
        "TRELLIS_RAMW": _ecp5_write_port,
        "DP16KD": _ecp5_memory,
        "MULT18X18D": _ecp5_multiplier,
        "DCCA": _ecp5_clock_buffer,
        "EHXPLLL": _ecp5_pll,
        "TRELLIS_IO": _ecp5_pin,
    }
    rules.get(cell.type, _connected)(label, cell)


def _ecp5_comb(label: str, cell: Cell) -> None:
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
        _starts_at_zero(label, cell)
    _parameter_to_port(cell, "INITVAL", 16)


def _ecp5_register(label: str, cell: Cell) -> None:
    """A register takes its data from the look-up table (DI) or, where nextpnr says SD = 0, from the fabric (M)."""
    source = "M" if cell.take_text("SD", "1") == "0" else "DI"
    data = cell.pins[source]
    cell.pins.pop("M", None)
    for port, free in (("LSR", "0"), ("CE", "1")):
        if cell.pins.get(port, [None]) == [None]:
            cell.add_input(port, [free])
    cell.add_input("DI", data)
    _connected(label, cell)


def _ecp5_write_port(label: str, cell: Cell) -> None:
    """Write port of distributed memory: data (A1 to D1) that is not used is free."""
    for port in ("A1", "B1", "C1", "D1"):
        if cell.pins[port] == [None]:
            cell.pins[port] = ["1"]
    _connected(label, cell)


def _ecp5_memory(label: str, cell: Cell) -> None:
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
    _starts_at_zero(label, cell)
    for port, width in (("ADA", 14), ("ADB", 14), ("DIA", 18), ("DIB", 18), ("DOA", 18), ("DOB", 18)):
        _join(cell, port, width)


def _ecp5_multiplier(label: str, cell: Cell) -> None:
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
    _connected(label, cell)


def _ecp5_clock_buffer(label: str, cell: Cell) -> None:
    """Buffer onto a global net, enabled where nothing says otherwise."""
    if cell.pins.pop("CE", [None]) not in ([None], ["1"]):
        raise NetlistError(f"CE of a DCCA must be free: {label}")
    _connected(label, cell)


def _ecp5_pll(label: str, cell: Cell) -> None:
    """The ratio of a PLL is not modelled, so none of its parameters is."""
    cell.parameters = {}
    cell.pins = {port: bits for port, bits in cell.pins.items() if port in ("CLKI", "CLKOP", "CLKOS", "LOCK")}
    _connected(label, cell)


def _ecp5_pin(label: str, cell: Cell) -> None:
    """I/O cell: an input or an output, always enabled."""
    kinds = {"INPUT": ("TRELLIS_IO_input", "B", "O"), "OUTPUT": ("TRELLIS_IO_output", "I", "B")}
    _make_pin(label, cell, kinds, cell.text("DIR", "INPUT"))


# iCE40


def _ice40_pins(label: str, cell: Cell) -> None:
    rules = {
        "SB_LUT4": lambda _label, cell: _parameter_to_port(cell, "LUT_INIT", 16),
        "ICESTORM_LC": _ice40_logic_cell,
        "SB_RAM40_4K": _starts_at_zero,
        "ICESTORM_RAM": _ice40_memory,
        "ICESTORM_DSP": _ice40_multiplier,
        "SB_IO": _ice40_pin,
    }
    rules.get(cell.type, lambda _label, _cell: None)(label, cell)
    _connected(label, cell)


def _ice40_logic_cell(label: str, cell: Cell) -> None:
    """Table, carry and register: the register is enabled where nothing says otherwise, all else is free at 0."""
    for port in cell.inputs:
        if cell.pins[port] == [None]:
            cell.pins[port] = ["1" if port == "CEN" else "0"]
    _parameter_to_port(cell, "LUT_INIT", 16)


def _ice40_memory(label: str, cell: Cell) -> None:
    """Block RAM after routing: as before it, but with a pin for each bit. Clocks are enabled if nothing says so."""
    for edge in ("NEG_CLK_R", "NEG_CLK_W"):
        if cell.take_text(edge, "0").strip("0"):
            raise NetlistError(f"{edge} of an ICESTORM_RAM must be 0: {label}")
    for port in cell.inputs:
        if cell.pins[port] == [None]:
            cell.pins[port] = ["1" if port in ("RCLKE", "WCLKE") else "0"]
    _starts_at_zero(label, cell)
    for port, width in (("RADDR", 11), ("WADDR", 11), ("RDATA", 16), ("WDATA", 16), ("MASK", 16)):
        _join(cell, port, width, separator="_")
    cell.type = "SB_RAM40_4K"


def _ice40_multiplier(label: str, cell: Cell) -> None:
    """DSP cell after routing: as before it, but with a pin for each bit; outputs for cascades are not modelled."""
    for port in [port for port in cell.pins if port in ("CO", "ACCUMCO", "SIGNEXTOUT")]:
        if cell.pins.pop(port) != [None]:
            raise NetlistError(f"{port} of an ICESTORM_DSP must be free: {label}")
    for port in cell.inputs:
        if cell.pins[port] == [None]:
            cell.pins[port] = ["1" if port == "CE" else "0"]
    for port, width in (("A", 16), ("B", 16), ("C", 16), ("D", 16), ("O", 32)):
        _join(cell, port, width, separator="_")
    cell.type = "SB_MAC16"


def _ice40_pin(label: str, cell: Cell) -> None:
    """I/O cell: an input or an output without registers."""
    kinds = {"000001": ("SB_IO_input", "PACKAGE_PIN", "D_IN_0"), "011001": ("SB_IO_output", "D_OUT_0", "PACKAGE_PIN")}
    _make_pin(label, cell, kinds, cell.parameters["PIN_TYPE"][-6:])


# Gowin


def _gowin_pins(label: str, cell: Cell) -> None:
    if re.fullmatch("LUT[1-4]", cell.type):
        _parameter_to_port(cell, "INIT", 1 << int(cell.type[-1]))
    elif cell.type == "RAM16SDP4":
        _starts_at_zero(label, cell)
    elif cell.type in ("SDPB", "SDPX9B", "DPB", "DPX9B"):
        _gowin_memory(label, cell)
    _connected(label, cell)


def _gowin_memory(label: str, cell: Cell) -> None:
    """Block RAM: one port writes, the other one reads; neither is reset, or selected by a block address."""
    fixed = {"RESETA": "0", "RESETB": "0", "WREB": "0", "BLKSELA": "000", "BLKSELB": "000"}
    for port, level in fixed.items():
        if cell.pins.pop(port, list(level)) != list(level):
            raise NetlistError(f"{port} of a {cell.type} must be {level}: {label}")
    for parameter in ("BLK_SEL_0", "BLK_SEL_1"):
        if cell.take_text(parameter, "000") != "000":
            raise NetlistError(f"{parameter} of a {cell.type} must be 000: {label}")
    cell.pins.pop("DIB", None)
    _starts_at_zero(label, cell)


# What the rules are made of


def _starts_at_zero(label: str, cell: Cell) -> None:
    """Memories are zero at first; the parameters that say so are removed."""
    for parameter in [name for name in cell.parameters if name.startswith("INIT")]:
        if cell.parameters.pop(parameter).strip("0x"):
            raise NetlistError(f"{cell.type} must be zero at first: {label}")


def _parameter_to_port(cell: Cell, parameter: str, width: int) -> None:
    """Give a parameter to a port of its name: the simulator makes a copy of the model for each value of a parameter."""
    value = cell.parameters.pop(parameter, "0").rjust(width, "0")
    cell.add_input(parameter, ["1" if bit == "1" else "0" for bit in reversed(value)])


def _make_pin(label: str, cell: Cell, kinds: dict[str, tuple[str, str, str]], kind: str) -> None:
    """Turn an I/O cell into the model of its kind: the kind's type, its input, its output."""
    if kind not in kinds:
        raise NetlistError(f"kind of a {cell.type} must be one of {', '.join(kinds)}, not {kind!r}: {label}")
    cell.type, source, target = kinds[kind]
    cell.parameters = {}
    cell.pins = {source: cell.pins[source], target: cell.pins[target]}
    cell.directions = {source: "input", target: "output"}


def _join(cell: Cell, port: str, width: int, separator: str = "") -> None:
    """Make one port of the pins that have its name and a number."""
    pins = [cell.pins.pop(f"{port}{separator}{index}") for index in range(width)]
    cell.pins[port] = [bit for [bit] in pins]
    cell.directions[port] = cell.directions[f"{port}{separator}0"]


def _connected(label: str, cell: Cell) -> None:
    for port in cell.inputs:
        if None in cell.pins[port]:
            raise NetlistError(f"pin {port} of a {cell.type} must be connected: {label}")


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="ecp5",
            synthesis="synth_ecp5 -noflatten -top {top}; flatten; clean; write_json {output}",
            sources=(CELLS / "block_ram.v", CELLS / "ecp5.v", DSP_CELLS / "ecp5_dsp.v"),
            rule=_ecp5_pins,
            options=("--25k", "--package", "CABGA381", "--out-of-context"),
        ),
        Family(
            name="ice40",
            synthesis="synth_ice40 -top {top} -json {output}",
            sources=(CELLS / "ice40.v", DSP_CELLS / "ice40_dsp.v"),
            rule=_ice40_pins,
            options=("--hx8k", "--package", "ct256", "--pcf-allow-unconstrained"),
        ),
        Family(
            name="gowin",
            synthesis="; ".join([*gowin_synthesis("{top}", "gw2a"), "write_json {output}"]),
            sources=(CELLS / "block_ram.v", CELLS / "gowin.v", DSP_CELLS / "gowin_dsp.v"),
            rule=_gowin_pins,
        ),
    )
}
