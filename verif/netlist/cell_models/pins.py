"""What the rules for the pins of a family's cells are made of."""

from __future__ import annotations

from verif.netlist.netlist import Cell, NetlistError

__all__ = ["connected", "join", "make_pin", "parameter_to_port", "starts_at_zero"]


def starts_at_zero(label: str, cell: Cell) -> None:
    """Memories are zero at first; the parameters that say so are removed."""
    for parameter in [name for name in cell.parameters if name.startswith("INIT")]:
        if cell.parameters.pop(parameter).strip("0x"):
            raise NetlistError(f"{cell.type} must be zero at first: {label}")


def parameter_to_port(cell: Cell, parameter: str, width: int) -> None:
    """Give a parameter to a port of its name: the simulator makes a copy of the model for each value of a parameter."""
    value = cell.parameters.pop(parameter, "0").rjust(width, "0")
    cell.add_input(parameter, ["1" if bit == "1" else "0" for bit in reversed(value)])


def make_pin(label: str, cell: Cell, kinds: dict[str, tuple[str, str, str]], kind: str) -> None:
    """Turn an I/O cell into the model of its kind: the kind's type, its input, its output."""
    if kind not in kinds:
        raise NetlistError(f"kind of a {cell.type} must be one of {', '.join(kinds)}, not {kind!r}: {label}")
    cell.type, source, target = kinds[kind]
    cell.parameters = {}
    cell.pins = {source: cell.pins[source], target: cell.pins[target]}
    cell.directions = {source: "input", target: "output"}


def join(cell: Cell, port: str, width: int, separator: str = "") -> None:
    """Make one port of the pins that have its name and a number."""
    pins = [cell.pins.pop(f"{port}{separator}{index}") for index in range(width)]
    cell.pins[port] = [bit for [bit] in pins]
    cell.directions[port] = cell.directions[f"{port}{separator}0"]


def connected(label: str, cell: Cell) -> None:
    """Refuse a cell with an input that nothing is on."""
    for port in cell.inputs:
        if None in cell.pins[port]:
            raise NetlistError(f"pin {port} of a {cell.type} must be connected: {label}")
