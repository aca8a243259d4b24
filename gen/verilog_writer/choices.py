"""Combinational processes: a tree of choices for each part of a wire that is assigned as a whole.

    o = 0                                assign o = a ? 4'd3 : b ? 4'd5 : 4'd0;
    if a: o = 3
    else if b: o = 5

They are conditional expressions in continuous assignments: an `always @*` would be asleep in a simulation until one of
its inputs changes for the first time. Choices of a bit are written by `&&`, `||` and `!` where that is possible.
"""

import itertools
from dataclasses import dataclass

from taylorvit.gen.rtlil import Assign, Slice, part

from .branches import branches_of
from .expressions import LONG_CONDITION
from .text import as_atom, indent, join, negate

__all__ = ["Choices"]


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


class Choices:
    """Writes combinational processes into a draft.

    Args:
        draft (Draft): the module so far.
        expressions (Expressions): writes the expressions of the same draft.
    """

    def __init__(self, draft, expressions):
        self._draft = draft
        self._expressions = expressions
        self._shared = {}  # choice -> wire, where used more than once

    def write(self, name, body):
        """Writes a process, as one assignment for each part of its wire.

        Args:
            name (str): the wire that the process gives its value.
            body (list): the process.
        """
        edges = {0, self._draft.netlist.wires[name].width}
        _collect_edges(body, edges)
        for low, high in itertools.pairwise(sorted(edges)):
            width = high - low
            target = self._draft.name(name) if len(edges) == 2 else self._expressions.target(Slice(name, low, width))
            if len(body) == 1:
                lines = [self._expressions.right_side(part(body[0].right, low, width))]
            else:
                lines = self._chain(self._choice(body, low, width, None), width)
            self._draft.assign(target, lines)

    # From a process to a tree.

    def _choice(self, body, low, width, value):
        """What bits `low` and up are after `body`, if they were `value` before it."""
        for statement in body:
            if isinstance(statement, Assign):
                (left,) = statement.left
                if left.low <= low and low + width <= left.low + left.width:
                    value = _Leaf(part(statement.right, low - left.low, width))
                continue
            results = [self._choice(case.body, low, width, value) for case in statement.cases]
            if all(result is value for result in results):
                continue
            branches: list = []
            otherwise = value
            unchanged = [result is value for result in results]
            for condition, index in branches_of(statement, unchanged, self._expressions):
                if condition is None:
                    otherwise = results[index]
                elif branches and _are_equal(branches[-1][1], results[index]):
                    branches[-1] = (join("||", branches[-1][0], condition), results[index])
                else:
                    branches.append((condition, results[index]))
            for _condition, node in (*branches, (None, otherwise)):
                node.uses += 1
            value = _Choice(branches, otherwise)
        return value

    # From a tree to text.

    def _chain(self, node, width):
        """The lines of an expression for a node; more than one if it chooses."""
        if isinstance(node, _Leaf):
            return [self._expressions.bits(node.bits)]
        if node.uses > 1:
            if node not in self._shared:
                self._shared[node] = name = self._draft.new_wire("choice", width)
                self._draft.assign(name, self._chain_of(node.branches, node.otherwise, width))
            return [self._shared[node]]
        return self._chain_of(node.branches, node.otherwise, width)

    def _chain_of(self, branches, otherwise, width):
        if not branches:
            return self._chain(otherwise, width)
        if width == 1:
            text = self._logic(branches, otherwise)
            if text is not None and len(text) <= 2 * LONG_CONDITION:
                return [text]
        (condition, value), *rest = branches
        first, *more = self._chain(value, width)
        lines = [f"{as_atom(condition)} ? ({first}" if more else f"{as_atom(condition)} ? {first} :"]
        if more:
            lines += [*indent(more[:-1]), f"    {more[-1]}) :"]
        return lines + self._chain_of(rest, otherwise, width)

    def _logic(self, branches, otherwise):
        """A choice of one bit by `&&`, `||` and `!`, or None."""
        if not branches:
            if isinstance(otherwise, _Leaf):
                return self._expressions.bits(otherwise.bits)
            return None if otherwise.uses > 1 else self._logic(otherwise.branches, otherwise.otherwise)
        (condition, value), *rest = branches
        match self._logic([], value), self._logic(rest, otherwise):
            case ("1'b1", "1'b0"):
                return condition
            case ("1'b0", "1'b1"):
                return negate(condition)
            case (str(value), "1'b0"):
                return join("&&", condition, value)
            case ("1'b0", str(otherwise)):
                return join("&&", negate(condition), otherwise)
            case ("1'b1", str(otherwise)):
                return join("||", condition, otherwise)
            case (str(value), "1'b1"):
                return join("||", negate(condition), value)
        return None


def _collect_edges(body, edges):
    """Adds to `edges` where the parts of a wire begin and end that a process assigns."""
    for statement in body:
        if isinstance(statement, Assign):
            (left,) = statement.left
            edges.update((left.low, left.low + left.width))
        else:
            for case in statement.cases:
                _collect_edges(case.body, edges)


def _are_equal(one, other):
    return isinstance(one, _Leaf) and isinstance(other, _Leaf) and one.bits == other.bits
