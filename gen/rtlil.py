"""RTLIL, the netlist text that Amaranth hands to Yosys, read into plain objects.

Only what Amaranth writes for one module without submodules is understood: wires, word-level cells, processes (trees
of assignments and switches), memories, connections. The format is described in the manual of Yosys, chapter "RTLIL
text representation". Bits of any origin are a tuple of chunks, the most significant first; a chunk is a `Slice` of
a wire or a `Literal`.
"""

import re
from dataclasses import dataclass, field

__all__ = ["Assign", "Case", "Cell", "Literal", "Module", "Slice", "Switch", "Wire", "extend", "is_anonymous",
           "parse", "part", "width_of"]  # fmt: skip


@dataclass(frozen=True)
class Literal:
    """Constant bits.

    Attributes:
        bits (str): 0, 1 and x, the most significant first.
    """

    bits: str

    @property
    def width(self):
        """Number of bits."""
        return len(self.bits)


@dataclass(frozen=True)
class Slice:
    """Bits `low` to `low + width - 1` of a wire.

    Attributes:
        name (str): name of the wire.
        low (int): its lowest bit that belongs to the slice.
        width (int): number of bits.
    """

    name: str
    low: int
    width: int


@dataclass
class Wire:
    """A wire.

    Attributes:
        name (str): its name, with the backslash that a name of the source has in RTLIL.
        width (int): number of bits.
        signed (bool): whether it is a signed number.
        direction (str | None): "input", "output" or "inout" if it is a port.
        init (str | None): bits at power-up if it is the output of a register.
    """

    name: str
    width: int
    signed: bool
    direction: str | None
    init: str | None


@dataclass
class Cell:
    """An operator, register, memory port or instance.

    Attributes:
        kind (str): kind of cell, or the name of a module behind a backslash.
        name (str): its name.
        parameters (dict[str, int | str]): its parameters by name.
        ports (dict[str, tuple]): the bits at each port by name.
        attributes (tuple[str, ...]): those that the source gives it, such as `keep 1`.
    """

    kind: str
    name: str
    parameters: dict = field(default_factory=dict)
    ports: dict = field(default_factory=dict)
    attributes: tuple[str, ...] = ()

    @property
    def instance_of(self):
        """Name of the module that this is an instance of, or None."""
        return self.kind[1:] if self.kind.startswith("\\") else None


@dataclass
class Assign:
    """`left` takes the value `right`, until a later assignment.

    Attributes:
        left (tuple): the bits that are assigned: one slice of a wire.
        right (tuple): the bits that they take.
    """

    left: tuple
    right: tuple


@dataclass
class Case:
    """A branch of a `Switch`.

    Attributes:
        patterns (tuple[str, ...]): values of the selector that it is for, of 0, 1, and - for either. None of them: it
            is for all other values.
        body (list[Assign | Switch]): what is carried out.
    """

    patterns: tuple[str, ...]
    body: list


@dataclass
class Switch:
    """The first case that matches is carried out.

    Attributes:
        selector (tuple): the bits that are compared.
        cases (list[Case]): the branches.
    """

    selector: tuple
    cases: list[Case]


@dataclass(frozen=True)
class Array:
    """A memory.

    Attributes:
        width (int): bits of a word.
        depth (int): number of words.
        attributes (tuple[str, ...]): those that the source gives it, such as `no_rw_check 1`.
    """

    width: int
    depth: int
    attributes: tuple[str, ...]


@dataclass
class Module:
    """One module.

    Attributes:
        name (str): its name.
        wires (dict[str, Wire]): its wires by name.
        memories (dict[str, Array]): its memories by name.
        items (list[Cell | list]): its cells and processes, in order; a process is a list of `Assign` and `Switch`.
        connections (list[tuple]): pairs (left, right) of bits, of which `left` is `right` at all times.
    """

    name: str
    wires: dict[str, Wire] = field(default_factory=dict)
    memories: dict[str, Array] = field(default_factory=dict)
    items: list = field(default_factory=list)
    connections: list = field(default_factory=list)


def width_of(bits):
    """Number of bits, an int, of a tuple of chunks."""
    return sum(chunk.width for chunk in bits)


def part(bits, low, width):
    """A part of some bits.

    Args:
        bits (tuple): the bits.
        low (int): the lowest of them that belongs to the part.
        width (int): number of bits of the part.

    Returns:
        tuple: the part; it has fewer bits where `bits` end.
    """
    result: list[Literal | Slice] = []
    for chunk in reversed(bits):
        start, stop = max(low, 0), min(low + width, chunk.width)
        if start < stop:
            if isinstance(chunk, Literal):
                result.append(Literal(chunk.bits[chunk.width - stop : chunk.width - start]))
            else:
                result.append(Slice(chunk.name, chunk.low + start, stop - start))
        low -= chunk.width
    return tuple(reversed(result))


def extend(bits, width, signed):
    """A number with another width.

    Args:
        bits (tuple): the bits of the number.
        width (int): the width that is wanted.
        signed (bool): whether the number is signed.

    Returns:
        tuple: its low `width` bits, with its sign or zeros above it where it is narrower.
    """
    missing = width - width_of(bits)
    if missing <= 0:
        return part(bits, 0, width)
    (top,) = part(bits, width_of(bits) - 1, 1) if signed and bits else (Literal("0"),)
    return (Literal(top.bits * missing), *bits) if isinstance(top, Literal) else (top,) * missing + bits


def is_anonymous(name):
    """Whether `name`, of a wire in RTLIL, is that of no signal of the source."""
    return not name.startswith("\\") or name.startswith("\\$")


_TOKEN = re.compile(r"[{}]|\d+'[01x-]*|[\\$]\S+|\[\d+(?::\d+)?\]|\d+")
_WIRE = re.compile(r"wire width (\d+) +(?:(input|output|inout) \d+ +)?(signed )?(\S+)")


def parse(text):
    """Reads the RTLIL text of one module.

    Args:
        text (str): the text.

    Returns:
        Module: the module, without what gives values of no bits.

    Raises:
        ValueError: a line is not understood, or there is a second module.
    """
    return _Parser(text).module()


class _Parser:
    def __init__(self, text):
        self.lines = iter(line for line in map(str.strip, text.splitlines()) if line)
        self.wires = {}

    def module(self):
        result, init, attributes = Module("", wires=self.wires), None, []
        for line in self.lines:
            keyword, _space, rest = line.partition(" ")
            if keyword == "attribute":
                if rest.startswith("\\init "):
                    init = rest.partition("'")[2]
                elif not rest.startswith("\\src "):
                    attributes.append(rest.removeprefix("\\"))
                continue
            if keyword == "module":
                if result.name:
                    raise ValueError(f"submodule of {result.name} must be a block, not {rest}")
                result.name = rest.removeprefix("\\")
            elif keyword == "wire" and (wire := _WIRE.fullmatch(line)):
                width, direction, signed, name = wire.groups()
                self.wires[name] = Wire(name, int(width), bool(signed), direction, init)
                init = None
            elif keyword == "memory":
                _width, width, _size, depth, name = line.split(" ")[1:]
                result.memories[name] = Array(int(width), int(depth), tuple(attributes))
            elif keyword == "cell":
                kind, name = rest.split(" ")
                cell = self.cell(kind, name, tuple(attributes))
                if cell.ports.get("Y", True) and cell.ports.get("Q", True):
                    result.items.append(cell)
            elif keyword == "process":
                body, _line = self.body()
                if body[0].left:
                    result.items.append(body)
            elif keyword == "connect":
                left, right = self.bits(rest)
                if left:
                    result.connections.append((left, right))
            elif keyword != "end":
                raise ValueError(f"RTLIL must consist of lines that Amaranth writes, not {line!r}")
            attributes = []
        return result

    def cell(self, kind, name, attributes):
        cell = Cell(kind, name, attributes=attributes)
        for line in self.lines:
            keyword, _space, rest = line.partition(" ")
            if keyword == "end":
                break
            name, _space, value = rest.removeprefix("signed ").partition(" ")
            name = name.removeprefix("\\")
            if keyword == "connect":
                (cell.ports[name],) = self.bits(value)
            elif value.startswith('"'):
                cell.parameters[name] = value.strip('"').replace("\\\\", "\\")
            elif "x" not in value:
                _width, tick, digits = value.partition("'")
                cell.parameters[name] = int(digits or "0", 2) if tick else int(value)
        return cell

    def body(self):
        """What stands before the next `case` or `end`, and that line."""
        body = []
        for line in self.lines:
            keyword, _space, rest = line.partition(" ")
            if keyword == "assign":
                body.append(Assign(*self.bits(rest)))
            elif keyword == "switch":
                body += self.switch(rest)
            else:
                break
        return body, line

    def switch(self, selector):
        cases = []
        line = next(self.lines)
        while line != "end":
            patterns = tuple(pattern.partition("'")[2] for pattern in line[len("case") :].split(",") if pattern)
            body, line = self.body()
            cases.append(Case(patterns, body))
        (selector,) = self.bits(selector)
        # Amaranth wraps assignments that follow a switch into an unconditional one.
        return [Switch(selector, cases)] if selector else cases[0].body

    def bits(self, text):
        """The bit vectors that a line consists of."""
        vectors: list[tuple] = []
        group: list | None = None
        tokens = _TOKEN.findall(text)
        for index, token in enumerate(tokens):
            if token == "{":
                group = []
            elif token == "}" and group is not None:
                vectors.append(tuple(group))
                group = None
            elif token[0] != "[":
                following = tokens[index + 1] if index + 1 < len(tokens) else ""
                chunk = self.chunk(token, following)
                chunks = (chunk,) if chunk.width else ()
                if group is None:
                    vectors.append(chunks)
                else:
                    group += chunks
        return vectors

    def chunk(self, token, following):
        if token[0].isdigit():
            width, tick, digits = token.partition("'")
            return Literal(digits) if tick else Literal(f"{int(width):032b}")
        if following.startswith("["):
            high, _colon, low = following[1:-1].partition(":")
            low = int(low or high)
            return Slice(token, low, int(high) - low + 1)
        return Slice(token, 0, self.wires[token].width)
