"""Verilog for people, from the RTLIL of one module.

A netlist has a wire for every operator. Here expressions are put together again, registers become clocked blocks with
`if` and `case`, and what has a name in the source keeps it:

    $1 = $not \\load_first
    $2 = $and \\load $1                          always @(posedge clk)
    $3 = process: \\tile; switch $2: \\tile_in       if (load && !load_first) tile <= tile_in;
    \\tile = $dff $3

Verilog widens the operands of an expression to the widest around them, and makes all of it unsigned if one operand
is. So an operator becomes part of a larger expression only where that cannot change its value:

- conditions, anywhere: comparisons, reductions and `!`, `&&`, `||` give one bit, whatever is around them;
- other operators, as the whole right side of one assignment of their full width, or of their low bits if these do not
  depend on the bits above.

Combinational choices are conditional expressions in continuous assignments: an `always @*` would be asleep in a
simulation until one of its inputs changes for the first time.
"""

import itertools
import re
import textwrap
from dataclasses import dataclass

from .rtlil import Assign, Cell, Literal, Slice, Switch, width_of

__all__ = ["write_module"]

_LINE_LENGTH = 110
_LONG_CONDITION = 80  # a condition longer than this gets a wire of its own
_SHORT_CONDITION = 28  # one up to this length is repeated rather than given a wire

_COMPARISONS = {"$eq": "==", "$ne": "!=", "$lt": "<", "$le": "<=", "$gt": ">", "$ge": ">="}
_REDUCTIONS = {"$reduce_or": "|", "$reduce_bool": "|", "$reduce_and": "&", "$reduce_xor": "^"}
_LOGICAL = {"$and": "&&", "$or": "||", "$xor": "^"}
_UNARY = {"$neg": "-", "$not": "~"}
_BINARY = {"$add": "+", "$sub": "-", "$mul": "*", "$divfloor": "/", "$modfloor": "%", "$and": "&", "$or": "|",
           "$xor": "^"}  # fmt: skip
_BINARY_SYMBOLS = {*_COMPARISONS.values(), *_LOGICAL.values(), *_BINARY.values(), "<<", ">>", ">>>", "?", ":"}
_SHIFTS = {"$shl": "<<", "$shr": ">>", "$sshr": ">>>", "$shift": ">>"}

# Their low result bits depend on low operand bits only.
_LOW_BITS_ALONE = {"$add", "$sub", "$mul", "$neg", "$and", "$or", "$xor", "$not", "$shl", "$mux"}

_OUTPUTS = {
    **dict.fromkeys([*_COMPARISONS, *_REDUCTIONS, *_UNARY, *_BINARY, *_SHIFTS, "$mux"], "Y"),
    "$dff": "Q",
    "$memrd_v2": "DATA",
}

_OPERATORS = {kind for kind, port in _OUTPUTS.items() if port == "Y"}
_MEMORY_CELLS = ("$meminit_v2", "$memwr_v2", "$memrd_v2")
_RESET = (Slice("\\rst", 0, 1),)
_ZERO, _ONE = (Literal("0"),), (Literal("1"),)

# What a result is called for which the source has no name.
_NOUNS = {
    "$add": "sum", "$sub": "difference", "$mul": "product", "$divfloor": "quotient", "$modfloor": "remainder",
    "$and": "both", "$or": "either", "$xor": "odd", "$not": "inverse", "$neg": "negative", "$mux": "selected",
    "$shl": "shifted", "$shr": "shifted", "$sshr": "shifted", "$shift": "part", "$eq": "equal", "$ne": "unequal",
    "$lt": "less", "$le": "at_most", "$gt": "greater", "$ge": "at_least", "$reduce_or": "any", "$reduce_bool": "any",
    "$reduce_and": "all", "$reduce_xor": "odd", "$dff": "state", "$memrd_v2": "word",
}  # fmt: skip

_KEYWORDS = frozenset("""
    always and assign begin buf case casex casez cell config deassign default defparam design disable edge else end
    endcase endfunction endmodule endtask event for force forever fork function generate genvar if include initial
    inout input instance integer join large library localparam medium module nand negedge nor not or output parameter
    posedge primitive pulldown pullup real realtime reg release repeat scalared signed small specify strong0 strong1
    supply0 supply1 table task time tran tri unsigned use vectored wait wand weak0 weak1 while wire wor xnor xor
    bit byte const do final int logic package priority property return sequence static string struct type union unique
    var void
""".split())


@dataclass(eq=False)
class _Leaf:
    """A value given by its bits."""

    bits: tuple
    uses: int = 0


@dataclass(eq=False)
class _Choice:
    """A value chosen by conditions: that of the first branch that holds, else `otherwise`. Nodes may be shared."""

    branches: list  # (condition, node)
    otherwise: object
    uses: int = 0


def write_module(module, ports, outputs, comment):
    """Verilog text of one module.

    Parameters
    ----------
    module: `gen.rtlil.Module`.
    ports: names of its ports, in the order in which they are to be written.
    outputs: names of the output ports of every module that may be instantiated: module name -> set of names.
    comment: a line to stand above it.

    Raises `ValueError` for a cell that cannot be written, and for a port whose name is a keyword.
    """
    return _Writer(module, outputs).text(ports, comment)


class _Writer:
    def __init__(self, module, outputs):
        self.module = module
        self.outputs = outputs
        self.wires = module.wires
        self.driver = {}  # wire -> the cell, process or bits that give its value
        self.registers = set()  # wires assigned in clocked blocks
        self.next_values = set()  # wires whose process is written as part of a register
        self.uses = {}  # wire -> number of uses; what has none is not written
        self.right_sides = set()  # wires used as the right side of an assignment, all of it
        self.names = {}
        self.reserved = set()
        self.conditions = {}  # wire of one bit -> its expression
        self.written = set()  # wires whose names occur in the text
        self.shared = {}  # choice -> wire, where used more than once
        self.every_cycle = ([], [])  # (resets, lines) of registers that always take a value: without, with reset
        self.declarations = []  # of what is no wire of the RTLIL
        self.blocks = []  # lists of lines
        self._find_drivers()
        self._count_uses()

    # Who drives a wire, and who uses it.

    def _find_drivers(self):
        for item in self.module.items:
            if isinstance(item, list):
                self.driver[item[0].left[0].name] = item
            elif item.kind.startswith("\\"):
                for port in self.outputs[item.kind[1:]]:
                    self.driver[item.ports[port][0].name] = item
            elif item.kind in _OUTPUTS:
                output = item.ports[_OUTPUTS[item.kind]][0].name
                self.driver[output] = item
                if item.kind == "$dff" or item.kind == "$memrd_v2" and item.parameters["CLK_ENABLE"]:
                    self.registers.add(output)
            elif item.kind not in _MEMORY_CELLS:
                raise ValueError(f"cell of {self.module.name} must be one that can be written, not {item.kind}")
        for left, right in self.module.connections:
            self.driver[left[0].name] = right
        for item in self.module.items:
            if isinstance(item, Cell) and item.kind == "$dff":
                name = self._whole_wire(item.ports["D"])
                if name and _is_anonymous(name) and isinstance(self.driver[name], list):
                    self.next_values.add(name)

    def _whole_wire(self, bits):
        """The wire that `bits` are, or None if they are part of one or several."""
        if len(bits) == 1 and isinstance(bits[0], Slice) and bits[0].width == self.wires[bits[0].name].width:
            return bits[0].name
        return None

    def _may_be_right_side(self, chunk):
        """True if the chunk is all of an operator's result, or low bits of it that do not need the others."""
        driver = self.driver.get(chunk.name)
        if not isinstance(driver, Cell) or not _is_anonymous(chunk.name) or chunk.low:
            return False
        return chunk.width == self.wires[chunk.name].width or driver.kind in _LOW_BITS_ALONE

    def _count_uses(self):
        """Counts the uses of wires, beginning with what outputs, registers, memories and instances need."""
        waiting = []

        def use(bits, right_side=False):
            for chunk in bits:
                if isinstance(chunk, Slice):
                    if chunk.name not in self.uses:
                        waiting.append(chunk.name)
                    self.uses[chunk.name] = self.uses.get(chunk.name, 0) + 1
                    if right_side and len(bits) == 1 and self._may_be_right_side(chunk):
                        self.right_sides.add(chunk.name)

        def use_body(body, right_side):
            for statement in body:
                if isinstance(statement, Assign):
                    use(statement.right, right_side)
                else:
                    use(statement.selector)
                    for case in statement.cases:
                        use_body(case.body, right_side)

        for wire in self.wires.values():
            if wire.direction == "output":
                use((Slice(wire.name, 0, wire.width),))
        for item in self.module.items:
            if isinstance(item, list):
                continue
            if item.kind == "$dff":
                use(item.ports["D"], right_side=True)
            elif item.kind == "$memwr_v2" or item.kind.startswith("\\"):
                for port, bits in item.ports.items():
                    if port not in self.outputs.get(item.kind[1:], ()):
                        use(bits)
        while waiting:
            name = waiting.pop()
            driver = self.driver.get(name)
            if isinstance(driver, list):
                use_body(driver, right_side=name in self.next_values or len(driver) == 1)
            elif isinstance(driver, tuple):
                use(driver, right_side=True)
            elif driver is not None and driver.kind in _OUTPUTS and driver.kind != "$dff":
                for port, bits in driver.ports.items():
                    if port != _OUTPUTS[driver.kind]:
                        use(bits)
        for name in self.next_values:
            if self.uses[name] > 1:
                raise ValueError(f"next value {name} of a register of {self.module.name} must be used once")

    # Names.

    def _name(self, wire):
        """The Verilog name of a wire, which is thereby declared."""
        self.written.add(wire)
        if wire not in self.names:
            driver = self.driver.get(wire)
            noun = _NOUNS.get(driver.kind, "output") if isinstance(driver, Cell) else "choice"
            self.names[wire] = self._number(noun)
        return self.names[wire]

    def _number(self, noun):
        """A name that nothing else has."""
        number = 1
        while f"{noun}_{number}" in self.reserved:
            number += 1
        self.reserved.add(f"{noun}_{number}")
        return f"{noun}_{number}"

    def _name_signals(self):
        """Gives instances, ports, signals and memories the names that they have in the source."""
        self.reserved.update(
            _clean(item.name) for item in self.module.items if isinstance(item, Cell) and item.kind.startswith("\\")
        )
        for wire in self.wires.values():
            if wire.direction and (_clean(wire.name) != wire.name[1:] or wire.name[1:] in _KEYWORDS):
                raise ValueError(f"port of {self.module.name} must have a plain name, not {wire.name[1:]!r}")
            if wire.direction:
                self.names[wire.name] = wire.name[1:]
                self.reserved.add(wire.name[1:])
        for name in (*self.wires, *self.module.memories):
            if not _is_anonymous(name) and name not in self.names:
                clean = _clean(name)
                if clean in self.reserved or clean in _KEYWORDS:
                    clean = self._number(clean)
                self.reserved.add(clean)
                self.names[name] = clean

    # Expressions.

    def _bits(self, bits):
        """An expression for `bits` of exactly their width, unless it is a signed wire's name."""
        if not bits:
            return "1'd0"
        if len(bits) == 1:
            return self._chunk(bits[0])
        texts = [self._chunk(chunk) for chunk in bits]
        parts = []
        start = 0
        while start < len(bits):
            end = start + 1
            while end < len(bits) and bits[end] == bits[start]:
                end += 1
            parts.append(texts[start] if end == start + 1 else f"{{{end - start}{{{texts[start]}}}}}")
            start = end
        return parts[0] if len(parts) == 1 else "{" + ", ".join(parts) + "}"

    def _chunk(self, chunk):
        if isinstance(chunk, Literal):
            return _literal(chunk.bits)
        wire = self.wires[chunk.name]
        if chunk.width == wire.width:
            return self._condition(chunk.name) if wire.width == 1 else self._name(chunk.name)
        high = chunk.low + chunk.width - 1
        return self._name(chunk.name) + (f"[{high}:{chunk.low}]" if chunk.width > 1 else f"[{high}]")

    def _operand(self, bits, signed, context=0, modular=False):
        """An expression for an operand of the given signedness; unsigned constants are written `context` bits wide.

        `modular`: signedness matters only where the operand is extended.
        """
        if all(isinstance(chunk, Literal) for chunk in bits):
            text = "".join(chunk.bits for chunk in bits)
            return _literal(text, signed=True) if signed else _literal(text.rjust(context, "0") or "0")
        name = self._whole_wire(bits)
        is_signed = name is not None and self.wires[name].signed and self.wires[name].width > 1
        text = self._bits(bits)
        if signed and not is_signed:
            return f"$signed({text})"
        if is_signed and not signed and (not modular or self.wires[name].width < context):
            return f"$unsigned({text})"
        return _atom(text)

    def _condition(self, name):
        """An expression for a wire of one bit: its name, or what it is."""
        if name not in self.conditions:
            self.conditions[name] = None
            text = None
            if _is_anonymous(name) and isinstance(self.driver.get(name), Cell):
                text = self._condition_of(self.driver[name])
            limit = _SHORT_CONDITION if self.uses.get(name, 0) > 1 else _LONG_CONDITION
            if text is not None and len(text) <= limit:
                self.conditions[name] = text
        return self.conditions[name] or self._name(name)

    def _condition_of(self, cell):
        """A one-bit expression that has the same value in any context, or None if `cell` has none."""
        ports, kind = cell.ports, cell.kind
        if kind in _COMPARISONS:
            signed = bool(cell.parameters["A_SIGNED"])
            context = max(width_of(ports["A"]), width_of(ports["B"]))
            if context == 1 and kind == "$eq" and ports["A"] != () and ports["B"] in ((), _ZERO, _ONE):
                value = self._bits(ports["A"])
                return value if ports["B"] == _ONE else _not(value)
            modular = kind in ("$eq", "$ne")
            left = self._operand(ports["A"], signed, context, modular)
            return f"{left} {_COMPARISONS[kind]} {self._operand(ports['B'], signed, context, modular)}"
        if kind in _REDUCTIONS:
            return self._reduction(kind, ports["A"])
        if kind == "$not" and cell.parameters["A_WIDTH"] == 1:
            return _not(self._bits(ports["A"]))
        if kind in _LOGICAL and cell.parameters["A_WIDTH"] == cell.parameters["B_WIDTH"] == 1:
            return _join(f" {_LOGICAL[kind]} ", self._bits(ports["A"]), self._bits(ports["B"]))
        return None

    def _reduction(self, kind, bits):
        """All, any or the parity of some bits; a few separate ones are joined by `&&` or `||`."""
        if not bits:
            return "1'b1" if kind == "$reduce_and" else "1'b0"
        if kind != "$reduce_xor" and len(bits) <= 4 and all(chunk.width == 1 for chunk in bits):
            operator = " && " if kind == "$reduce_and" else " || "
            return _join(operator, *(self._chunk(chunk) for chunk in reversed(bits)))
        return f"{_REDUCTIONS[kind]}{_atom(self._bits(bits))}"

    def _operation(self, cell, width):
        """An expression that gives the low `width` bits of a cell's result when assigned to as many."""
        ports, kind = cell.ports, cell.kind
        if width == 1 and width_of(ports["Y"]) == 1:
            text = self._condition_of(cell)
            if text is not None:
                return text
        if kind == "$mux":
            values = [self._bits(_part(ports[port], 0, width)) for port in "BA"]
            return f"{_atom(self._bits(ports['S']))} ? {values[0]} : {values[1]}"
        signed = bool(cell.parameters["A_SIGNED"])
        left = _part(ports["A"], 0, width) if kind in _LOW_BITS_ALONE else ports["A"]
        if kind in _UNARY:
            return f"{_UNARY[kind]}{self._operand(left, signed, width, modular=True)}"
        if kind in _SHIFTS:
            text = f"{self._operand(left, signed, width)} {_SHIFTS[kind]} {self._operand(ports['B'], False)}"
            return text if width_of(left) <= width else self._low_bits(text, width_of(left), width)
        if kind in ("$divfloor", "$modfloor") and signed:
            raise ValueError(f"division of {self.module.name} must be unsigned, not signed")
        right = _part(ports["B"], 0, width) if kind in _LOW_BITS_ALONE else ports["B"]
        modular = kind in _LOW_BITS_ALONE
        left = self._operand(left, signed, width, modular)
        return f"{left} {_BINARY[kind]} {self._operand(right, signed, width, modular)}"

    def _low_bits(self, text, natural, width):
        """The low `width` bits of an expression of `natural` bits, which gets a wire to take them from."""
        name = self._number("shifted")
        self.declarations.append(_declaration("wire", natural, name))
        self._assign(name, [text])
        return f"{name}[{width - 1}:0]" if width > 1 else f"{name}[0]"

    def _is_written_where_used(self, name):
        """True if an operator's result is written where it is used, and not assigned to a wire."""
        cell = self.driver[name]
        if not _is_anonymous(name) or cell.kind in ("$dff", "$memrd_v2"):
            return False
        if self.uses[name] == 1 and name in self.right_sides:
            return True
        return self.wires[name].width == 1 and self._condition(name) != self.names.get(name)

    def _right_side(self, bits):
        """An expression to be assigned to something as wide as `bits`."""
        if len(bits) == 1 and isinstance(bits[0], Slice) and bits[0].name in self.right_sides:
            name = bits[0].name
            if self.uses[name] == 1 and self.driver[name].kind in _OPERATORS:
                return self._operation(self.driver[name], bits[0].width)
        return self._bits(bits)

    # Processes.

    def _branches(self, switch, empty):
        """The cases of a switch as a chain of if and else if: pairs (condition, or None for else; index of the case).

        Cases marked in `empty` have no effect and are left out; that they come first is then part of the conditions
        of others.
        """
        patterns = [case.patterns for case in switch.cases]
        exclusive = _are_exclusive(patterns)
        result, excluded = [], []
        for index, case in enumerate(switch.cases):
            is_rest = not case.patterns or index == 1 and set(patterns[:2]) == {("0",), ("1",)}
            condition = None if is_rest else self._matches(switch.selector, case.patterns)
            if not empty[index]:
                conditions = excluded if is_rest else [condition] if exclusive else [*excluded, condition]
                result.append((_join(" && ", *conditions) if conditions else None, index))
            if is_rest:
                break
            if empty[index]:
                excluded.append(_not(condition))
        return result

    def _matches(self, selector, patterns):
        """The condition that `selector` matches one of `patterns`."""
        alternatives = []
        for pattern in patterns:
            tests = []
            for run in re.finditer(r"[01]+", pattern):
                text = self._bits(_part(selector, len(pattern) - run.end(), len(run.group())))
                if len(run.group()) > 1:
                    tests.append(f"{_atom(text)} == {_literal(run.group())}")
                else:
                    tests.append(text if run.group() == "1" else _not(text))
            alternatives.append(_join(" && ", *tests) if tests else "1'b1")
        return _join(" || ", *alternatives)

    # Combinational processes: a tree of choices for each part of the wire that is assigned as a whole.

    def _write_choices(self, name, body):
        edges = {0, self.wires[name].width}
        _collect_edges(body, edges)
        edges = sorted(edges)
        for low, high in itertools.pairwise(edges):
            target = self._name(name) if len(edges) == 2 else self._chunk(Slice(name, low, high - low))
            if len(body) == 1:
                self._assign(target, [self._right_side(_part(body[0].right, low, high - low))])
            else:
                self._assign(target, self._chain(self._choice(body, low, high - low, None), high - low))

    def _choice(self, body, low, width, value):
        """What bits `low` and up are after `body`, if they were `value` before it."""
        for statement in body:
            if isinstance(statement, Assign):
                (left,) = statement.left
                if left.low <= low and low + width <= left.low + left.width:
                    value = _Leaf(_part(statement.right, low - left.low, width))
                continue
            results = [self._choice(case.body, low, width, value) for case in statement.cases]
            if all(result is value for result in results):
                continue
            branches, otherwise = [], value
            for condition, index in self._branches(statement, [result is value for result in results]):
                if condition is None:
                    otherwise = results[index]
                elif branches and _are_equal(branches[-1][1], results[index]):
                    branches[-1] = (_join(" || ", branches[-1][0], condition), results[index])
                else:
                    branches.append((condition, results[index]))
            for _condition, node in (*branches, (None, otherwise)):
                node.uses += 1
            value = _Choice(branches, otherwise)
        return value

    def _chain(self, node, width):
        """The lines of an expression for a node; more than one if it chooses."""
        if isinstance(node, _Leaf):
            return [self._bits(node.bits)]
        if node.uses > 1:
            if node not in self.shared:
                self.shared[node] = self._number("choice")
                self.declarations.append(_declaration("wire", width, self.shared[node]))
                uses, node.uses = node.uses, 0
                self._assign(self.shared[node], self._chain(node, width))
                node.uses = uses
            return [self.shared[node]]
        return self._chain_of(node.branches, node.otherwise, width)

    def _chain_of(self, branches, otherwise, width):
        if not branches:
            return self._chain(otherwise, width)
        if width == 1:
            text = self._logic(branches, otherwise)
            if text is not None and len(text) <= 2 * _LONG_CONDITION:
                return [text]
        (condition, value), *rest = branches
        first, *more = self._chain(value, width)
        lines = [f"{_atom(condition)} ? ({first}" if more else f"{_atom(condition)} ? {first} :"]
        if more:
            lines += [*_indent(more[:-1]), f"    {more[-1]}) :"]
        return lines + self._chain_of(rest, otherwise, width)

    def _logic(self, branches, otherwise):
        """A choice of one bit by `&&`, `||` and `!`, or None."""
        if not branches:
            if isinstance(otherwise, _Leaf):
                return self._bits(otherwise.bits)
            return None if otherwise.uses > 1 else self._logic(otherwise.branches, otherwise.otherwise)
        (condition, value), *rest = branches
        match self._logic([], value), self._logic(rest, otherwise):
            case ("1'b1", "1'b0"):
                return condition
            case ("1'b0", "1'b1"):
                return _not(condition)
            case (str(value), "1'b0"):
                return _join(" && ", condition, value)
            case ("1'b0", str(otherwise)):
                return _join(" && ", _not(condition), otherwise)
            case ("1'b1", str(otherwise)):
                return _join(" || ", condition, otherwise)
            case (str(value), "1'b1"):
                return _join(" || ", _not(condition), value)
        return None

    def _assign(self, target, lines):
        text = " ".join(line.lstrip() for line in lines)
        if len(lines) > 1 and len(text) + len(target) > _LINE_LENGTH - 20:
            self.blocks.append([f"assign {target} =", *_indent(lines[:-1]), f"    {lines[-1]};"])
        else:
            self.blocks.append([f"assign {target} = {text};"])

    # Registers.

    def _write_register(self, cell):
        """A clocked block; registers that only take a value every cycle are put together in one."""
        (clock,), (output,) = cell.ports["CLK"], cell.ports["Q"]
        if clock.name != "\\clk" or not cell.parameters["CLK_POLARITY"]:
            raise ValueError(f"clock of {self.module.name} must be the rising edge of clk, not another")
        next_value = self._whole_wire(cell.ports["D"])
        if next_value in self.next_values:
            body = list(self.driver[next_value])
        else:
            body = [Assign(cell.ports["Q"], cell.ports["D"])]
        if body[0].right == (output,):
            del body[0]
        reset = None
        if body and isinstance(body[-1], Switch) and body[-1].selector == _RESET:
            (assignment,) = body.pop().cases[0].body
            reset = f"{self._name(output.name)} <= {self._bits(assignment.right)};"
        lines = self._statements(body, output.name)
        if all(isinstance(statement, Assign) for statement in body):
            self.every_cycle[reset is not None].append(([reset], lines))
        elif reset is None:
            self.blocks.append(_clocked(lines))
        else:
            self.blocks.append(_clocked_with_reset([reset], lines))

    def _write_every_cycle(self):
        without_reset, with_reset = self.every_cycle
        if without_reset:
            lines = [line for _reset, lines in without_reset for line in lines]
            self.blocks.append(_clocked(lines))
        if with_reset:
            resets = [line for reset, _lines in with_reset for line in reset]
            lines = [line for _reset, lines in with_reset for line in lines]
            self.blocks.append(_clocked_with_reset(resets, lines))

    def _statements(self, body, target):
        """The lines of a process that assigns the register `target`."""
        lines = []
        for statement in body:
            if isinstance(statement, Assign):
                (left,) = statement.left
                left = self._chunk(Slice(target, left.low, left.width))
                lines.append(f"{left} <= {self._right_side(statement.right)};")
            elif _is_case(statement):
                lines += self._case(statement, target)
            else:
                lines += self._if(statement, target)
        return lines

    def _if(self, switch, target):
        outer = []
        branches = self._branches(switch, _empty_cases(switch))
        while len(branches) == 1 and branches[0][0] is not None:
            # An if that holds nothing but an if.
            condition, index = branches[0]
            inner = [item for item in switch.cases[index].body if not _is_empty(item)]
            if len(inner) != 1 or isinstance(inner[0], Assign) or _is_case(inner[0]):
                break
            inner_branches = self._branches(inner[0], _empty_cases(inner[0]))
            if len(inner_branches) != 1 or inner_branches[0][0] is None:
                break
            outer.append(condition)
            switch, branches = inner[0], inner_branches
        lines = []
        for condition, index in branches:
            body = self._statements(switch.cases[index].body, target)
            head = f"if ({_join(' && ', *outer, condition)}) " if condition is not None else ""
            lines = _followed_by(lines, _headed(f"else {head}", body)) if lines else _headed(head, body)
        return lines

    def _case(self, switch, target):
        lines = [f"case ({self._bits(switch.selector)})"]
        empty = _empty_cases(switch)
        rest = any(not case.patterns and not is_empty for case, is_empty in zip(switch.cases, empty))
        for case, is_empty in zip(switch.cases, empty):
            label = ", ".join(_literal(pattern) for pattern in case.patterns) or "default"
            if not is_empty:
                lines += _indent(_headed(f"{label}: ", self._statements(case.body, target)))
            elif rest:
                lines.append(f"    {label}: ;")
        if not rest and len(switch.cases) - empty.count(True) < 1 << width_of(switch.selector):
            lines.append("    default: ;")
        return [*lines, "endcase"]

    # Memories and instances.

    def _write_memory_port(self, cell):
        memory = self.names[cell.parameters["MEMID"]]
        if cell.kind == "$meminit_v2":
            self._write_memory(cell, memory)
            return
        word = f"{memory}[{self._bits(cell.ports['ADDR'])}]"
        if cell.kind == "$memwr_v2":
            lines = []
            for low, width in _runs(cell.ports["EN"]):
                part = f"[{low + width - 1}:{low}]" if width < cell.parameters["WIDTH"] else ""
                enable = _part(cell.ports["EN"], low, 1)
                line = f"{word}{part} <= {self._bits(_part(cell.ports['DATA'], low, width))};"
                lines += [line] if enable == _ONE else [f"if ({self._bits(enable)}) {line}"]
            self.blocks.append(_clocked(lines))
            return
        name = cell.ports["DATA"][0].name
        if name not in self.uses:
            return
        if not cell.parameters["CLK_ENABLE"]:
            self._assign(self._name(name), [word])
            return
        if cell.parameters["TRANSPARENCY_MASK"]:
            raise ValueError(f"read port of {self.module.name} must not be transparent, not bypassed around the memory")
        line = f"{self._name(name)} <= {word};"
        if cell.ports["EN"] != _ONE:
            line = f"if ({self._bits(cell.ports['EN'])}) {line}"
        self.blocks.append(["always @(posedge clk)", f"    {line}"])

    def _write_memory(self, cell, memory):
        width, depth = self.module.memories[cell.parameters["MEMID"]]
        index = self._number("index")
        self.declarations += [f"{_declaration('reg', width, memory)[:-1]} [0:{depth - 1}];", f"integer {index};"]
        (content,) = cell.ports["DATA"]
        words = [content.bits[start : start + width] for start in range(0, width * depth, width)][::-1]
        if len(set(words)) == 1:
            fill = f"{memory}[{index}] = {_literal(words[0])};"
            lines = [f"for ({index} = 0; {index} < {depth}; {index} = {index} + 1) {fill}"]
        else:
            lines = [f"{memory}[{address}] = {_literal(word)};" for address, word in enumerate(words)]
        self.blocks.append(_headed("initial ", lines))

    def _write_instance(self, cell):
        lines = []
        for port, bits in cell.ports.items():
            if port in self.outputs[cell.kind[1:]] and bits[0].name not in self.uses:
                text = ""
            else:
                text = self._bits(bits)
            lines.append(f"    .{port}({text}),")
        lines[-1] = lines[-1][:-1]
        self.blocks.append([f"{cell.kind[1:]} {_clean(cell.name)} (", *lines, ");"])

    # The module.

    def text(self, ports, comment):
        self._name_signals()
        for item in self.module.items:
            if isinstance(item, list):
                name = item[0].left[0].name
                if name in self.uses and name not in self.next_values:
                    self._write_choices(name, item)
            elif item.kind == "$dff":
                self._write_register(item)
            elif item.kind in _MEMORY_CELLS:
                self._write_memory_port(item)
            elif item.kind.startswith("\\"):
                self._write_instance(item)
            else:
                name = item.ports["Y"][0].name
                if name in self.uses and not self._is_written_where_used(name):
                    self._assign(self._name(name), [self._operation(item, self.wires[name].width)])
        for left, right in self.module.connections:
            if left[0].name in self.uses:
                self._assign(self._name(left[0].name), [self._right_side(right)])
        self._write_every_cycle()

        heads = []
        for port in ports:
            wire = self.wires[f"\\{port}"]
            kind = "reg " if wire.name in self.registers else "wire"
            heads.append(_declaration(f"{wire.direction:6} {kind}", wire.width, port, wire.signed, wire.init)[:-1])
        declarations = [
            _declaration("reg" if wire.name in self.registers else "wire", wire.width, self.names[wire.name],
                         wire.signed, wire.init)
            for wire in self.wires.values()
            if not wire.direction and wire.name in self.written
        ]  # fmt: skip
        lines = [
            f"// {comment}",
            f"module {self.module.name} (",
            *_indent([f"{head}," for head in heads[:-1]] + heads[-1:]),
            ");",
            *_indent([*declarations, *self.declarations]),
        ]
        for block in self.blocks:
            lines += ["", *_indent(block)] if len(block) > 1 else _indent(block)
        return "\n".join([*(wrapped for line in lines for wrapped in _wrap(line)), "endmodule", ""])


def _is_anonymous(name):
    """True if no signal of the source has this name."""
    return not name.startswith("\\") or name.startswith("\\$")


def _clean(name):
    """A name of the source as a Verilog identifier."""
    return re.sub(r"\W+", "_", name.removeprefix("\\"))


def _are_equal(one, other):
    return isinstance(one, _Leaf) and isinstance(other, _Leaf) and one.bits == other.bits


def _literal(bits, signed=False):
    """A constant: decimal where short, hexadecimal otherwise."""
    width, value = len(bits), int(bits, 2)
    if signed:
        return f"{width}'sh{value:x}" if bits[0] == "1" else f"{width}'sd{value}"
    if width == 1:
        return f"1'b{value}"
    return f"{width}'d{value}" if value < 1 << 32 else f"{width}'h{value:x}"


def _declaration(kind, width, name, signed=False, init=None):
    vector = f" [{width - 1}:0]" if width > 1 else ""
    sign = " signed" if signed and width > 1 else ""
    value = f" = {_literal(init)}" if init is not None else ""
    return f"{kind}{sign}{vector} {name}{value};"


def _part(bits, low, width):
    """`width` bits of `bits`, from bit `low` on."""
    result = []
    for chunk in reversed(bits):
        start, stop = max(low, 0), min(low + width, chunk.width)
        if start < stop:
            if isinstance(chunk, Literal):
                result.append(Literal(chunk.bits[chunk.width - stop : chunk.width - start]))
            else:
                result.append(Slice(chunk.name, chunk.low + start, stop - start))
        low -= chunk.width
    return tuple(reversed(result))


def _runs(bits):
    """Runs of equal bits: (lowest, number)."""
    each = []
    for chunk in reversed(bits):
        each += [_part((chunk,), index, 1) for index in range(chunk.width)]
    low = 0
    for _bit, run in itertools.groupby(each):
        width = len(list(run))
        yield low, width
        low += width


def _collect_edges(body, edges):
    for statement in body:
        if isinstance(statement, Assign):
            (left,) = statement.left
            edges.update((left.low, left.low + left.width))
        else:
            for case in statement.cases:
                _collect_edges(case.body, edges)


def _are_exclusive(patterns):
    """True if no value matches two of the cases (the default aside)."""
    flat = [pattern for case in patterns for pattern in case]
    return not any(
        all("-" in pair or pair[0] == pair[1] for pair in zip(one, other))
        for one, other in itertools.combinations(flat, 2)
    )


def _is_empty(statement):
    """True if a statement assigns nothing."""
    return isinstance(statement, Switch) and all(_empty_cases(statement))


def _empty_cases(switch):
    return [all(_is_empty(statement) for statement in case.body) for case in switch.cases]


def _is_case(switch):
    """True if a switch reads better as `case`: values of several bits, each for itself, most with an effect."""
    patterns = [pattern for case in switch.cases for pattern in case.patterns]
    exact = not any("-" in pattern for pattern in patterns) and len(set(patterns)) == len(patterns)
    return exact and width_of(switch.selector) > 1 and _empty_cases(switch).count(False) > 2


def _operators(text):
    """The binary operators of an expression outside of parentheses."""
    depth, found, word = 0, set(), ""
    for letter in text + " ":
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and letter == " ":
            if word in _BINARY_SYMBOLS:
                found.add(word)
            word = ""
        elif depth == 0 and letter not in ")]}":
            word += letter
    return found


def _atom(text):
    """The text, in parentheses if an operator beside it could take it apart."""
    return f"({text})" if _operators(text) else text


def _not(text):
    if text.startswith("!") and not _operators(text):
        return text[1:]
    # Two unary operators may not stand side by side.
    return f"!({text})" if text[0] in "&|^" else f"!{_atom(text)}"


def _join(operator, *texts):
    """`&&` or `||` of several conditions."""
    if len(texts) == 1:
        return texts[0]
    return operator.join(text if _operators(text) <= {operator.strip()} else f"({text})" for text in texts)


def _indent(lines):
    return [f"    {line}" for line in lines]


def _headed(head, lines):
    """`if (...)`, `else`, `always ...`, a label or nothing, and the statements that belong to it."""
    is_one = len(lines) == 1 or lines[0].startswith(("if ", "case "))
    is_one &= all(line.startswith((" ", "end", "else")) for line in lines[1:])
    if lines[0].startswith("if ") and "if (" in head:
        is_one = False  # an `else` to come would be taken for the inner one's
    if len(lines) > 1 and head.endswith(": "):
        is_one = False  # below a label, `else` would stand under it
    if is_one and len(head + lines[0]) < _LINE_LENGTH - 20:
        return [head + lines[0], *lines[1:]]
    return [f"{head}begin", *_indent(lines), "end"]


def _followed_by(lines, more):
    """An if and what follows it: `end` and `else` on one line."""
    if lines[-1] == "end":
        return [*lines[:-1], f"end {more[0]}", *more[1:]]
    return [*lines, *more]


def _clocked(lines):
    """A block of registers. One short statement stands on a line of its own."""
    if len(lines) == 1:
        return ["always @(posedge clk)", *_indent(lines)]
    return _headed("always @(posedge clk) ", lines)


def _clocked_with_reset(resets, lines):
    block = _headed("if (rst) ", resets)
    if lines:
        block = _followed_by(block, _headed("else ", lines))
    return ["always @(posedge clk)", *_indent(block)]


def _wrap(line):
    """A line broken after commas and logical operators where it is too long."""
    if len(line) <= _LINE_LENGTH or line.lstrip().startswith("//"):
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    # Only ASCII spaces are places to break.
    glued = re.sub(r"(?<!,)(?<!&&)(?<!\|\|) ", "\u00a0", line.lstrip())
    lines = textwrap.wrap(
        glued, _LINE_LENGTH, initial_indent=indent, subsequent_indent=indent + "    ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [part.replace("\u00a0", " ") for part in lines]
