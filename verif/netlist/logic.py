"""Cells written as logic: assignments, and registers that share an always block.

An instance of a cell's model costs the simulator far more than the same logic in place: it has to inline tens of
thousands of them. So the most numerous cells of a family have a function beside their rules that gives their
`Logic`; `verif/netlist/test_logic.py` proves each equal to the model in the library of Yosys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .netlist import Bit, Cell

__all__ = ["Inline", "Logic", "Register", "always_blocks", "look_up", "net"]


def net(bit: Bit) -> str:
    """What is on a bit of a pin, in Verilog; a don't-care is 0."""
    if isinstance(bit, int):
        return f"n{bit}"
    return "1'b1" if bit == "1" else "1'b0"


@dataclass(frozen=True)
class Register:
    """A register: expressions of what it takes, the level of its reset, and which of reset and enable comes first."""

    output: str
    data: str
    clock: str
    enable: str = "1'b1"
    reset: str = "1'b0"
    level: str = "1'b0"
    start: str = "1'b0"
    asynchronous: bool = False
    enable_first: bool = False


@dataclass
class Logic:
    """What a cell does: wires of its own, assignments (target, value), registers."""

    wires: list[str] = field(default_factory=list)
    values: list[tuple[str, str]] = field(default_factory=list)
    registers: list[Register] = field(default_factory=list)

    def add(self, other: Logic) -> None:
        """Take over what another cell does."""
        self.wires += other.wires
        self.values += other.values
        self.registers += other.registers

    def drive(self, bits: list[Bit] | None, value: str) -> None:
        """Assign a value to an output, unless it is free."""
        if bits and isinstance(bits[0], int):
            self.values.append((net(bits[0]), value))


#: Called with a name that no other cell has, and with a cell after its rule: the cell's logic, or None if the cell has
#: to stay an instance of its model.
Inline = Callable[[str, Cell], Logic | None]


def look_up(table: list[Bit], *address: list[Bit]) -> str:
    """The bit of a table at an address, lowest bit first. Only bit 0 of the expression counts: it may be wider."""
    bits = [bit for [bit] in address]
    for position in reversed(range(len(bits))):
        if not isinstance(bits[position], int):
            level = int(bits[position] == "1")
            table = [entry for index, entry in enumerate(table) if index >> position & 1 == level]
    wires = [net(bit) for bit in bits if isinstance(bit, int)]
    if len(set(table)) == 1:
        return f"1'b{table[0]}"
    if len(wires) == 1:
        return wires[0] if table == ["0", "1"] else f"!{wires[0]}"
    return f"{len(table)}'b{''.join(map(str, reversed(table)))} >> {{{', '.join(reversed(wires))}}}"


def always_blocks(registers: list[Register]) -> list[str]:
    """Verilog of registers: a block for all that share clock, enable and reset, and one of what they hold at first."""
    if not registers:
        return []
    groups: dict[tuple, list[Register]] = {}
    for register in registers:
        shared = (register.clock, register.enable, register.reset, register.asynchronous, register.enable_first)
        groups.setdefault(shared, []).append(register)
    lines = ["  initial begin", *(f"    {register.output} = {register.start};" for register in registers), "  end"]
    for (clock, enable, reset, asynchronous, enable_first), group in groups.items():
        edges = f"posedge {clock}, posedge {reset}" if asynchronous else f"posedge {clock}"
        resets = "" if reset == "1'b0" else f"if ({reset}) begin {_assignments(group, 'level')} end else "
        enables = "" if enable == "1'b1" else f"if ({enable}) "
        data = f"begin {_assignments(group, 'data')} end"
        action = f"{enables}begin {resets}{data} end" if enable_first else f"{resets}{enables}{data}"
        lines.append(f"  always @({edges}) {action}")
    return lines


def _assignments(registers: list[Register], value: str) -> str:
    # A line each: Verilator takes at most 40,000 tokens on one.
    return "\n    ".join(f"{register.output} <= {getattr(register, value)};" for register in registers)
