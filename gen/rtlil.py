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
    """Constant bits, as text of 0, 1 and x, the most significant first."""

    bits: str

    @property
    def width(self):
        """Number of bits."""
        return len(self.bits)


@dataclass(frozen=True)
class Slice:
    """Bits `low` to `low + width - 1` of the wire `name`."""

    name: str
    low: int
    width: int


@dataclass
class Wire:
    """A wire; `direction` is "input" or "output" for a port, `init` the power-up bits of a register's output."""

    name: str
    width: int
    signed: bool
    direction: str | None
    init: str | None


@dataclass
class Cell:
    """An operator, register, memory port or instance.

    Parameters are integers or text, ports are bits; `attributes` are those that the source gives it, such as `keep 1`.
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
    """`left` takes the value `right`, until a later assignment."""

    left: tuple
    right: tuple


@dataclass
class Case:
    """A branch: taken for one of `patterns` (of 0, 1, and - for either), or otherwise if there are none."""

    patterns: tuple[str, ...]
    body: list


@dataclass
class Switch:
    """The first of `cases` that matches `selector` is carried out."""

    selector: tuple
    cases: list[Case]


@dataclass(frozen=True)
class Array:
    """A memory; `attributes` are those that the source gives it, such as `no_rw_check 1`."""

    width: int
    depth: int
    attributes: tuple[str, ...]


@dataclass
class Module:
    """One module; `items` are its cells and its processes (bodies: lists of `Assign` and `Switch`), in order."""

    name: str
    wires: dict[str, Wire] = field(default_factory=dict)
    memories: dict[str, Array] = field(default_factory=dict)
    items: list = field(default_factory=list)
    connections: list = field(default_factory=list)  # (left, right)


def width_of(bits):
    """Number of bits."""
    return sum(chunk.width for chunk in bits)


def part(bits, low, width):
    """`width` bits of `bits`, from bit `low` on; fewer where `bits` end."""
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
    """The low `width` bits of `bits`, which are a number; with the sign, or zeros, above it where it is narrower."""
    missing = width - width_of(bits)
    if missing <= 0:
        return part(bits, 0, width)
    (top,) = part(bits, width_of(bits) - 1, 1) if signed and bits else (Literal("0"),)
    return (Literal(top.bits * missing), *bits) if isinstance(top, Literal) else (top,) * missing + bits


def is_anonymous(name):
    """True if no signal of the source has this name."""
    return not name.startswith("\\") or name.startswith("\\$")


_TOKEN = re.compile(r"[{}]|\d+'[01x-]*|[\\$]\S+|\[\d+(?::\d+)?\]|\d+")
_WIRE = re.compile(r"wire width (\d+) +(?:(input|output) \d+ +)?(signed )?(\S+)")


def parse(text):
    """Reads the RTLIL text of one module; what gives values of no bits is left out.

    Raises `ValueError` for a line that is not understood, and for a second module.
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
