"""A netlist written as Verilog."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping

from .logic import Inline, Logic, always_blocks, net
from .netlist import Bit, Cell, Netlist, NetlistError, PinRule, driven

__all__ = ["write_verilog"]


def write_verilog(netlist: Netlist, name: str, rule: PinRule, inlined: Mapping[str, Inline] | None = None) -> str:
    """The netlist as a Verilog module `name`, one wire a net: instances, connected by name, and logic.

    `rule` is applied to a copy of each cell first. `inlined` has the types of cells that are written as logic. A
    don't-care is written as 0. Raises `NetlistError` if a net has two drivers, or an output none.
    """
    drivers = Counter(driven(netlist))
    inlined = {} if inlined is None else inlined
    lines, logic = [], Logic()
    for number, (label, original) in enumerate(netlist.cells.items()):
        cell = original.copy()
        rule(label, cell)
        written = inlined[cell.type](f"c{number}", cell) if cell.type in inlined else None
        if written is None:
            lines.append(_instance(f"c{number}", label, cell))
        else:
            logic.add(written)

    header, body = [], []
    for label, port in netlist.ports.items():
        header.append(f"  {port.direction} wire [{len(port.bits) - 1}:0] {_identifier(label)}")
        for index, bit in enumerate(port.bits):
            pin = f"{_identifier(label)}[{index}]"
            if port.direction == "input":
                body.append(f"  assign {net(bit)} = {pin};")
            elif bit is None:
                raise NetlistError(f"output must have a net: {label}[{index}]")
            else:
                body.append(f"  assign {pin} = {net(bit)};")
    for number, count in drivers.items():
        if count > 1:
            raise NetlistError(f"net must have one driver, not {count}: {number}")
    registers = {register.output for register in logic.registers}
    wires = [
        f"  {'reg' if wire in registers else 'wire'} {wire};" for wire in [*map(net, sorted(drivers)), *logic.wires]
    ]
    body += [f"  assign {target} = {value};" for target, value in logic.values]
    body += always_blocks(logic.registers)
    return "\n".join([f"module {name} (", ",\n".join(header), ");", *wires, *body, *lines, "endmodule", ""])


def _instance(name: str, label: str, cell: Cell) -> str:
    parameters = ", ".join(f".{name}({_constant(value)})" for name, value in sorted(cell.parameters.items()))
    pins = [
        f".{_identifier(port)}({_vector(bits)})"
        for port, bits in sorted(cell.pins.items())
        if any(bit is not None for bit in bits)
    ]
    kind = _identifier(cell.type) + (f" #({parameters})" if parameters else "")
    return f"  {kind} {name} ({', '.join(pins)});  // {label}"


def _constant(value: str) -> str:
    if re.fullmatch("[01xz]+", value):
        return f"{len(value)}'b{value.translate(str.maketrans('xz', '00'))}"
    return json.dumps(value.removesuffix(" "))


def _vector(bits: list[Bit]) -> str:
    nets = [net(bit) for bit in reversed(bits)]
    return nets[0] if len(nets) == 1 else "{" + ", ".join(nets) + "}"


def _identifier(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) and name != "initial" else f"\\{name} "
