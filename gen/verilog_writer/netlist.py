"""Facts about a netlist: what drives each wire, and what uses it.

Uses are counted from what a module is there for back to its inputs: from outputs, memories and instances through
operators, processes and registers. What is not reached is not written. The counts also tell which operators can be
written where they are used, for nothing else needs a wire with their result.
"""

from dataclasses import replace

from taylorvit.gen.rtlil import Assign, Cell, Literal, Slice, extend, is_anonymous, part, width_of

from .cells import LOW_BITS_ALONE, MEMORY_CELLS, OUTPUTS, SHIFTS

__all__ = ["Netlist"]


class Netlist:
    """What the writer needs to know of a module before its first line.

    Args:
        module (gen.rtlil.Module): the module.
        outputs (dict[str, set[str]]): names of the output ports of every module that may be instantiated, by the name
            of the module.

    Attributes:
        driver (dict[str, Cell | list | tuple]): the cell, process or bits that give a wire its value, by the name of
            the wire.
        wires (dict[str, gen.rtlil.Wire]): the wires of the module by name. The result of an operator has only as many
            bits as are needed, if the lower do not depend on the others.
        registers (set[str]): wires that are assigned in clocked blocks.
        next_values (set[str]): wires whose process is written as part of a register.
        uses (dict[str, int]): number of uses of a wire, at least 1. A wire that is missing has none.
        right_sides (set[str]): wires that are all of the right side of an assignment.

    Raises:
        ValueError: a cell cannot be written.
    """

    def __init__(self, module, outputs):
        self.module = module
        self.wires = dict(module.wires)
        self.outputs = outputs
        self.driver = {}
        self.registers = set()
        self.next_values = set()
        self.uses = {}
        self.right_sides = set()
        self._find_drivers()
        self._find_next_values()
        self._narrow_results()
        self._count_uses()

    def whole_wire(self, bits):
        """Name of the wire that `bits` (a tuple) are, or None if they are a part of one, or of several."""
        if len(bits) == 1 and isinstance(bits[0], Slice) and bits[0].width == self.wires[bits[0].name].width:
            return bits[0].name
        return None

    def largest(self, bits):
        """An upper bound, an int, of the unsigned number that `bits` (a tuple) can be."""
        result = 0
        for chunk in bits:
            if isinstance(chunk, Literal):
                largest = int(chunk.bits, 2)
            else:
                largest = (1 << chunk.width) - 1
                driver = self.driver.get(chunk.name)
                if chunk.low == 0 and isinstance(driver, Cell) and driver.kind == "$mul":
                    largest = min(largest, self.largest(driver.ports["A"]) * self.largest(driver.ports["B"]))
            result = (result << chunk.width) + largest
        return result

    def selection(self, cell, width):
        """How a shift to the right can be written as a part of a wire.

        Args:
            cell (Cell): the shift.
            width (int): how many of the lowest bits of its result are wanted.

        Returns:
            tuple[str, tuple] | None: name of the wire, and bits of the number of the lowest bit; None if the result is
            not always bits of the wire.
        """
        word = self.whole_wire(cell.ports["A"])
        if cell.kind == "$shl" or not word or width == width_of(cell.ports["A"]):
            return None
        if self.largest(cell.ports["B"]) + width > self.wires[word].width:
            return None
        return word, extend(cell.ports["B"], (self.wires[word].width - 1).bit_length(), False)

    def _find_drivers(self):
        for item in self.module.items:
            if isinstance(item, list):
                self.driver[item[0].left[0].name] = item
            elif item.instance_of:
                # A vendor's cell may be used elsewhere with more of its ports.
                for port in self.outputs[item.instance_of] & item.ports.keys():
                    self.driver[item.ports[port][0].name] = item
            elif item.kind in OUTPUTS:
                output = item.ports[OUTPUTS[item.kind]][0].name
                self.driver[output] = item
                if item.kind == "$dff" or item.kind == "$memrd_v2" and item.parameters["CLK_ENABLE"]:
                    self.registers.add(output)
            elif item.kind not in MEMORY_CELLS:
                raise ValueError(f"cell of {self.module.name} must be one that can be written, not {item.kind}")
        for left, right in self.module.connections:
            self.driver[left[0].name] = right

    def _find_next_values(self):
        for item in self.module.items:
            if isinstance(item, Cell) and item.kind == "$dff":
                name = self.whole_wire(item.ports["D"])
                if name and is_anonymous(name) and isinstance(self.driver[name], list):
                    self.next_values.add(name)

    def _narrow_results(self):
        """Gives the result of each operator the width that is needed of it, where its lower bits do without the others.

        A width that grows is passed on to the operands again, until none grows.
        """
        widths: dict[str, int] = {}
        waiting = [bits for bits, _is_right_side in self._needs_of_module()]
        while waiting:
            for chunk in waiting.pop():
                if isinstance(chunk, Literal):
                    continue
                name, before = chunk.name, widths.get(chunk.name, 0)
                needed = chunk.low + chunk.width if self._can_be_narrow(name) else self.module.wires[name].width
                if needed > before:
                    widths[name] = needed
                    self.wires[name] = replace(self.wires[name], width=needed)
                    waiting += [bits for bits, _is_right_side in self._needs_of_wire(name)]

    def _can_be_narrow(self, name):
        driver = self.driver.get(name)
        return is_anonymous(name) and isinstance(driver, Cell) and driver.kind in LOW_BITS_ALONE

    def _count_uses(self):
        waiting = list(self._needs_of_module())
        while waiting:
            bits, is_right_side = waiting.pop()
            for chunk in bits:
                if not isinstance(chunk, Slice):
                    continue
                if chunk.name not in self.uses:
                    self.uses[chunk.name] = 0
                    waiting += self._needs_of_wire(chunk.name)
                self.uses[chunk.name] += 1
                if is_right_side and len(bits) == 1 and self._may_be_right_side(chunk):
                    self.right_sides.add(chunk.name)
        for name in self.next_values:
            if self.uses.get(name, 0) > 1:
                raise ValueError(f"next value {name} of a register of {self.module.name} must be used once")

    def _needs_of_module(self):
        """What is used in any case: pairs (bits, whether they are a right side)."""
        for wire in self.wires.values():
            if wire.direction == "output":
                yield (Slice(wire.name, 0, wire.width),), False
        for item in self.module.items:
            if isinstance(item, list):
                continue
            if item.kind == "$memwr_v2" or item.instance_of:
                outputs = self.outputs.get(item.instance_of, ())
                yield from ((bits, False) for port, bits in item.ports.items() if port not in outputs)

    def _needs_of_wire(self, name):
        """What is used if the wire is, in such pairs."""
        driver = self.driver.get(name)
        if isinstance(driver, list):
            yield from _needs_of_body(driver, name in self.next_values or len(driver) == 1)
        elif isinstance(driver, tuple):
            yield driver, True
        elif driver is not None and driver.kind == "$dff":
            yield driver.ports["D"], True
        elif driver is not None and driver.kind in OUTPUTS:
            width = self.wires[name].width
            selection = self.selection(driver, width) if driver.kind in SHIFTS else None
            for port, bits in driver.ports.items():
                if port == "B" and selection:
                    yield selection[1], False
                elif port in "AB" and driver.kind in LOW_BITS_ALONE and (port, driver.kind) != ("B", "$shl"):
                    yield part(bits, 0, width), False
                elif port != OUTPUTS[driver.kind]:
                    yield bits, False

    def _may_be_right_side(self, chunk):
        """True if the chunk is all of an operator's result, or low bits of it that do not need the others."""
        driver = self.driver.get(chunk.name)
        if not isinstance(driver, Cell) or not is_anonymous(chunk.name) or chunk.low:
            return False
        return chunk.width == self.wires[chunk.name].width or driver.kind in LOW_BITS_ALONE


def _needs_of_body(body, are_right_sides):
    for statement in body:
        if isinstance(statement, Assign):
            yield statement.right, are_right_sides
        else:
            yield statement.selector, False
            for case in statement.cases:
                yield from _needs_of_body(case.body, are_right_sides)
