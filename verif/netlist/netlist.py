"""Netlists as Yosys and nextpnr write them, flat JSON.

Both tools write the same format: modules of cells, each with parameters and with the net at every bit of its ports,
nets being numbers. What nextpnr leaves of the constants of a netlist is not in the connections: it sets pins free, or
names the level of a pin in a parameter, and the bitstream's defaults do the rest. So whoever writes the Verilog has to
know what a pin without a net reads; a family's `PinRule` says it, and cell models then need no defaults of their own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "Bit",
    "Cell",
    "Netlist",
    "NetlistError",
    "PinRule",
    "Port",
    "driven",
    "read_netlist",
    "restore_constant_ports",
]

# Yosys notes the module that cells came from in cells of this type, which are no hardware.
_NO_HARDWARE = ("$scopeinfo",)
# Cells that hold a net at a level: type -> port, level.
_CONSTANTS = {"GND": ("G", "0"), "VCC": ("V", "1")}


#: What is on a bit of a pin: the number of a net, "0", "1", "x", or None on a free pin.
Bit = int | str | None


class NetlistError(ValueError):
    """A netlist that cannot be understood, or holds what no model here describes."""


@dataclass
class Port:
    """A port of the module: `direction` is "input", "output" or "inout", `bits` its nets as in a cell."""

    direction: str
    bits: list[int | str | None]


@dataclass
class Cell:
    """One cell: its type, its parameters, its ports.

    `parameters` are as in the file, where text that could be taken for bits ends with a space: `text` reads it.
    `pins` has for each port the nets of its bits, lowest first: a number, or "0", "1", "x"; None is a free pin.
    """

    type: str
    parameters: dict[str, str]
    directions: dict[str, str]
    pins: dict[str, list[int | str | None]]

    def copy(self) -> Cell:
        """An equal cell that can be changed without changing this one."""
        pins = {port: list(bits) for port, bits in self.pins.items()}
        return Cell(self.type, dict(self.parameters), dict(self.directions), pins)

    def text(self, parameter: str, default: str = "") -> str:
        """A parameter's text, without the space that marks it as such."""
        return self.parameters.get(parameter, default).removesuffix(" ")

    def take_text(self, parameter: str, default: str = "") -> str:
        """`text` of a parameter that the cell's model does not have, and which is removed."""
        value = self.text(parameter, default)
        self.parameters.pop(parameter, None)
        return value

    def add_input(self, port: str, bits: list[int | str]) -> None:
        """Give the cell an input with nets, which replaces one of the same name."""
        self.pins[port], self.directions[port] = bits, "input"

    @property
    def inputs(self) -> list[str]:
        """Names of the ports that are inputs."""
        return [port for port in self.pins if self.directions[port] == "input"]


@dataclass
class Netlist:
    """A flat module."""

    name: str
    ports: dict[str, Port]
    cells: dict[str, Cell] = field(default_factory=dict)

    def cell_types(self) -> Counter:
        """How many cells of each type there are."""
        return Counter(cell.type for cell in self.cells.values())


#: Called with a cell for the Verilog, it changes the cell's pins and parameters to what the cell's model has.
PinRule = Callable[[str, Cell], None]


def read_netlist(path: Path) -> Netlist:
    """The one module with cells in a netlist that Yosys (`write_json`) or nextpnr (`--write`) wrote.

    Raises `NetlistError` if there is no such module, or several.
    """
    modules = json.loads(path.read_text(encoding="utf-8"))["modules"]
    designs = {name: module for name, module in modules.items() if not _is_library_cell(module)}
    if len(designs) != 1:
        raise NetlistError(f"netlist must have one module, not {sorted(designs)!r}: {path}")
    [(name, module)] = designs.items()
    ports = {port: Port(value["direction"], value["bits"]) for port, value in module["ports"].items()}
    cells = {
        label: Cell(
            type=cell["type"],
            parameters={key: _bits(value) for key, value in cell.get("parameters", {}).items()},
            directions=cell["port_directions"],
            pins={port: bits or [None] for port, bits in cell["connections"].items()},
        )
        for label, cell in module["cells"].items()
        if cell["type"] not in _NO_HARDWARE
    }
    netlist = Netlist(name, ports, cells)
    _free_undriven_pins(netlist)
    _fold_constants(netlist)
    return netlist


def restore_constant_ports(routed: Netlist, synthesized: Netlist) -> None:
    """Give the outputs that nextpnr left without a net, since they are constant, the level they have before it.

    Raises `NetlistError` if one of them is not constant there.
    """
    for name, port in routed.ports.items():
        for index, bit in enumerate(port.bits):
            if bit is None and port.direction == "output":
                level = synthesized.ports[name].bits[index]
                if level not in ("0", "1"):
                    raise NetlistError(f"output must be constant before routing to be left out of it: {name}[{index}]")
                port.bits[index] = level


def driven(netlist: Netlist) -> Iterator[int]:
    """Each net that an input of the module or an output of a cell drives, as often as it is driven.

    A cell's pin of both directions is that of an I/O cell, which drives what is an output of the module.
    """
    inputs = {bit for port in netlist.ports.values() if port.direction == "input" for bit in port.bits}
    yield from inputs
    for cell in netlist.cells.values():
        for port, bits in cell.pins.items():
            if cell.directions[port] != "input":
                both = cell.directions[port] == "inout"
                yield from (bit for bit in bits if isinstance(bit, int) and not (both and bit in inputs))


def _free_undriven_pins(netlist: Netlist) -> None:
    """nextpnr numbers also what is on no net: such a number is read, and nothing drives it."""
    known = set(driven(netlist))
    for pins in _all_pins(netlist):
        for bits in pins.values():
            bits[:] = [None if isinstance(bit, int) and bit not in known else bit for bit in bits]


def _fold_constants(netlist: Netlist) -> None:
    """Nets that a cell holds at a level become that level, in which form a rule sees that they are constant."""
    levels = {}
    for label, cell in list(netlist.cells.items()):
        if cell.type in _CONSTANTS:
            port, level = _CONSTANTS[cell.type]
            levels.update((bit, level) for bit in netlist.cells.pop(label).pins[port])
    for pins in _all_pins(netlist):
        for bits in pins.values():
            bits[:] = [levels.get(bit, bit) for bit in bits]


def _all_pins(netlist: Netlist) -> list[dict[str, list[int | str | None]]]:
    """The pins of all cells, and the ports of the module as if they were pins."""
    return [{name: port.bits for name, port in netlist.ports.items()}, *(cell.pins for cell in netlist.cells.values())]


def _is_library_cell(module: Mapping) -> bool:
    attributes = module.get("attributes", {})
    return any(int(attributes.get(name, "0"), 2) for name in ("blackbox", "whitebox"))


def _bits(value: str | int) -> str:
    return f"{value:032b}" if isinstance(value, int) else value
