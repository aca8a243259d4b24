"""Registers: clocked blocks with `if` and `case`.

A register of the netlist is a flip-flop and a process for its next value, which is the register's own value at first
and that of reset at last:

    always @(posedge clk)
        if (rst) count <= 4'd0;
        else if (step) count <= count + 4'd1;
"""

from taylorvit.gen.rtlil import Assign, Slice, Switch, width_of

from .branches import branches_of, empty_cases, is_empty, is_exact
from .text import clocked, clocked_with_reset, followed_by, headed, indent, join, literal

__all__ = ["Registers"]

_RESET = (Slice("\\rst", 0, 1),)


class Registers:
    """Writes registers: each as a block, but those that take a value every cycle all in one at the end.

    Args:
        draft (Draft): the module so far.
        expressions (Expressions): writes the expressions of the same draft.
    """

    def __init__(self, draft, expressions):
        self._draft = draft
        self._expressions = expressions
        self._every_cycle = []  # lines of registers that always take a value, without reset
        self._every_cycle_but_reset: tuple[list[str], list[str]] = ([], [])  # (resets, lines) of those with reset

    def write(self, cell):
        """Writes a register and its process.

        Args:
            cell (Cell): the flip-flop.

        Raises:
            ValueError: its clock is another than the rising edge of `clk`.
        """
        netlist = self._draft.netlist
        (clock,), (output,) = cell.ports["CLK"], cell.ports["Q"]
        if clock.name != "\\clk" or not cell.parameters["CLK_POLARITY"]:
            raise ValueError(f"clock of {netlist.module.name} must be the rising edge of clk, not another")
        next_value = netlist.whole_wire(cell.ports["D"])
        if next_value in netlist.next_values:
            body = list(netlist.driver[next_value])
        else:
            body = [Assign(cell.ports["Q"], cell.ports["D"])]
        if body[0].right == (output,):
            del body[0]
        resets = []
        if body and isinstance(body[-1], Switch) and body[-1].selector == _RESET:
            (assignment,) = body.pop().cases[0].body
            resets.append(f"{self._draft.name(output.name)} <= {self._expressions.bits(assignment.right)};")
        lines = self._statements(body, output.name)
        if any(isinstance(statement, Switch) for statement in body):
            self._draft.blocks.append(clocked_with_reset(resets, lines) if resets else clocked(lines))
        elif resets:
            self._every_cycle_but_reset[0].extend(resets)
            self._every_cycle_but_reset[1].extend(lines)
        else:
            self._every_cycle.extend(lines)

    def write_every_cycle(self):
        """Writes the registers that always take a value."""
        if self._every_cycle:
            self._draft.blocks.append(clocked(self._every_cycle))
        if self._every_cycle_but_reset[0]:
            self._draft.blocks.append(clocked_with_reset(*self._every_cycle_but_reset))

    def _statements(self, body, target):
        """The lines of a process that assigns the register `target`."""
        lines = []
        for statement in body:
            if isinstance(statement, Assign):
                (left,) = statement.left
                left = self._expressions.target(Slice(target, left.low, left.width))
                lines.append(f"{left} <= {self._expressions.right_side(statement.right)};")
            elif _is_case(statement):
                lines += self._case(statement, target)
            else:
                lines += self._if(statement, target)
        return lines

    def _if(self, switch, target):
        outer = []
        branches = self._branches(switch)
        while len(branches) == 1 and branches[0][0] is not None:
            # An if that holds nothing but an if.
            condition, index = branches[0]
            inner = [item for item in switch.cases[index].body if not is_empty(item)]
            if len(inner) != 1 or isinstance(inner[0], Assign) or _is_case(inner[0]):
                break
            inner_branches = self._branches(inner[0])
            if len(inner_branches) != 1 or inner_branches[0][0] is None:
                break
            outer.append(condition)
            switch, branches = inner[0], inner_branches
        lines: list[str] = []
        for condition, index in branches:
            body = self._statements(switch.cases[index].body, target)
            head = f"if ({join('&&', *outer, condition)}) " if condition is not None else ""
            lines = followed_by(lines, headed(f"else {head}", body)) if lines else headed(head, body)
        return lines

    def _branches(self, switch):
        return branches_of(switch, empty_cases(switch), self._expressions)

    def _case(self, switch, target):
        lines = [f"case ({self._expressions.bits(switch.selector)})"]
        empty = empty_cases(switch)
        rest = any(not case.patterns and not without_effect for case, without_effect in zip(switch.cases, empty))
        for case, without_effect in zip(switch.cases, empty):
            label = ", ".join(literal(pattern) for pattern in case.patterns) or "default"
            if not without_effect:
                lines += indent(headed(f"{label}: ", self._statements(case.body, target)))
            elif rest:
                lines.append(f"    {label}: ;")
        if not rest and len(switch.cases) - empty.count(True) < 1 << width_of(switch.selector):
            lines.append("    default: ;")
        return [*lines, "endcase"]


def _is_case(switch):
    """True if a switch reads better as `case`: values of several bits, each for itself, most with an effect."""
    return is_exact(switch) and width_of(switch.selector) > 1 and empty_cases(switch).count(False) > 2
