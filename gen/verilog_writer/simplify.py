"""A netlist without what need not be written: shifts by a constant, choices that are none, the same thing twice.

    shifted = product << 4'd8              {product, 8'd0} where `shifted` is used
    selected = is_written[9] ? 0 : 0       0
    both_1 = a && b; both_2 = a && b       both_1 for either

It is done before anything is written: a result that is only bits of something else has no wire.
"""

from dataclasses import replace

from taylorvit.gen.rtlil import Assign, Case, Cell, Literal, Module, Slice, Switch, extend, is_anonymous, part, width_of

from .cells import COMPARISONS, OPERATORS, SHIFTS

__all__ = ["simplify"]


def simplify(module):
    """The same module with fewer operators.

    Args:
        module (gen.rtlil.Module): the module; it stays as it is.

    Returns:
        gen.rtlil.Module: one in which every signal of the source has the same value.
    """
    replaced: dict = {}  # wire -> bits of others
    known: dict = {}  # operator, parameters and operands -> wire
    items = []
    for item in module.items:
        if not isinstance(item, Cell) or item.kind not in OPERATORS or not is_anonymous(item.ports["Y"][0].name):
            items.append(item)
            continue
        cell = _substitute_in(item, replaced)
        key = (cell.kind, *sorted(cell.parameters.items()), *(cell.ports.get(port) for port in "ABS"))
        bits = known[key] if key in known else _result(cell)
        if bits is None:
            known[key] = cell.ports["Y"]
            items.append(item)
        else:
            replaced[cell.ports["Y"][0].name] = bits
    if not replaced:
        return module
    # A result may be used before the operator comes.
    items = [_substitute_in(item, replaced) for item in items]
    connections = [(left, _substitute(right, replaced)) for left, right in module.connections]
    return Module(module.name, module.wires, module.memories, items, connections)


def _result(cell):
    """What a cell gives, if that is bits of its operands, or None."""
    kind, ports, width = cell.kind, cell.ports, width_of(cell.ports["Y"])
    if kind == "$mux":
        choice = _constant(ports["S"]) if ports["A"] != ports["B"] else 0
        return None if choice is None else ports["AB"[choice]]
    left, right, signed = ports["A"], ports.get("B"), cell.parameters["A_SIGNED"]
    if kind in ("$reduce_or", "$reduce_bool") and (value := _constant(left)) is not None:
        return (Literal("01"[value > 0]),)
    if kind in COMPARISONS and (verdict := _compare(kind, left, right, signed)) is not None:
        return (Literal("01"[verdict]),)
    if kind in SHIFTS and (distance := _constant(right)) is not None:
        if kind == "$shl":
            zeros = (Literal("0" * distance),) if distance else ()
            return part(extend(left, width, signed) + zeros, 0, width)
        context = max(width_of(left), width)
        shifted = part(extend(left, context, signed), distance, context - distance)
        return extend(shifted, width, signed and kind == "$sshr") if shifted else None
    if kind in ("$add", "$or", "$xor") and _constant(left) == 0:
        return extend(right, width, signed)
    if kind in ("$add", "$sub", "$or", "$xor") and _constant(right) == 0:
        return extend(left, width, signed)
    return None


def _compare(kind, left, right, signed):
    """The result of a comparison that is the same whatever the operands are, or None."""
    least_left, most_left = _range(left, signed)
    least_right, most_right = _range(right, signed)
    if kind in ("$gt", "$le"):
        result = False if most_left <= least_right else True if least_left > most_right else None
    elif kind in ("$lt", "$ge"):
        result = False if least_left >= most_right else True if most_left < least_right else None
    else:
        result = False if most_left < least_right or least_left > most_right else None
    return result if result is None or kind in ("$gt", "$lt", "$eq") else not result


def _range(bits, signed):
    """The least and the largest number that `bits` can be."""
    pattern = "".join(chunk.bits if isinstance(chunk, Literal) else "x" * chunk.width for chunk in bits) or "0"
    least, most = pattern.replace("x", "0"), pattern.replace("x", "1")
    if not signed:
        return int(least, 2), int(most, 2)
    bottom = -1 << (len(pattern) - 1)
    if pattern[0] == "x":
        least, most = "1" + least[1:], "0" + most[1:]
    return tuple((bottom if text[0] == "1" else 0) + int("0" + text[1:], 2) for text in (least, most))


def _constant(bits):
    """The unsigned number that `bits` are, or None if that is not constant."""
    if all(isinstance(chunk, Literal) for chunk in bits):
        return int("".join(chunk.bits for chunk in bits) or "0", 2)
    return None


def _substitute(bits, replaced):
    if not any(isinstance(chunk, Slice) and chunk.name in replaced for chunk in bits):
        return bits
    result = []
    for chunk in bits:
        if isinstance(chunk, Slice) and chunk.name in replaced:
            result += _substitute(part(replaced[chunk.name], chunk.low, chunk.width), replaced)
        else:
            result.append(chunk)
    return tuple(result)


def _substitute_in(item, replaced):
    """A cell, or the body of a process."""
    if isinstance(item, list):
        return [_substitute_in_statement(statement, replaced) for statement in item]
    ports = {port: _substitute(bits, replaced) for port, bits in item.ports.items()}
    return replace(item, ports=ports)


def _substitute_in_statement(statement, replaced):
    if isinstance(statement, Assign):
        return Assign(statement.left, _substitute(statement.right, replaced))
    cases = [Case(case.patterns, _substitute_in(case.body, replaced)) for case in statement.cases]
    return Switch(_substitute(statement.selector, replaced), cases)
