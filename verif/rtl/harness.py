"""What the unit tests of this folder share: vectors, cycle by cycle, and many small blocks in one simulation.

Compiling and starting a simulation takes a second or more, however small the block. So `SideBySide` puts leaf blocks
of several sizes, or copies of one, into one module, and `View` shows each under its own port names: a bench is
written for a block alone and runs on any of them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import cocotb
from amaranth.hdl import ClockDomain, Module
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from cocotb.triggers import RisingEdge

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.simulation import expect_equal, pack, start, unpack

__all__ = [
    "PASSED_ON",
    "SideBySide",
    "Timeline",
    "View",
    "bits",
    "drive",
    "element",
    "expect_handed_on",
    "expect_members",
    "expect_passed_on",
    "idle_inputs",
    "integers",
    "limits",
    "on_every_block",
    "passed_to",
    "ports_of",
    "simulate",
    "wrapped",
]

PASSED_ON = 1  # cycles in which a row or a column hands its control on to its neighbour


class SideBySide(Block):
    """Several blocks in one module: port p of block b is the port b_p, `copies` times as wide.

    Parameters
    ----------
    blocks: by name, which is added to the names of their modules, and of those of the blocks that they are made of.
    copies: instances of each; copy i has bits i * width and up of every port.
    """

    module_name = "side_by_side"

    def __init__(self, blocks: Mapping[str, Block], copies: int = 1):
        self._blocks = dict(blocks)
        self.copies = copies
        ports = {}
        for name, block in self._blocks.items():
            for inner in _with_parts(block):
                inner.module_name = f"{inner.module_name}_{name}"
            for port, (width, incoming) in ports_of(block).items():
                ports[f"{name}_{port}"] = (In if incoming else Out)(copies * width)
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        for name, block in self._blocks.items():
            for copy in range(self.copies):
                instance = instantiate(m, f"{name}_{copy}", block)
                for port, member, inner in block.flat_ports(instance):
                    wide = getattr(self, f"{name}_{port}")
                    outer = wide[copy * len(inner) : (copy + 1) * len(inner)]
                    m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        return m


def _with_parts(block: Block):
    """The block, the blocks that it keeps as attributes, and theirs, each once."""
    found = [block]
    for known in found:
        parts = (part for part in vars(known).values() if isinstance(part, Block))
        found.extend(part for part in parts if not any(part is one for one in found))
    return found


class View:
    """The ports of the block `name` in a simulated `SideBySide`, each under the name that it has in the block."""

    def __init__(self, dut, name: str):
        self._dut = dut
        self._name = name

    def __getattr__(self, port):
        handle = getattr(self._dut, port if port in ("clk", "rst") else f"{self._name}_{port}")
        setattr(self, port, handle)
        return handle


class Timeline:
    """Inputs of a block by cycle, put together in any order.

    What is not set is 0 for the ports named as `strobes`, and random for all others: the block does not look at them.
    """

    def __init__(self, block: Block, generator: random.Random, strobes: Sequence[str]):
        self._generator = generator
        self._widths = {port: width for port, (width, incoming) in ports_of(block).items() if incoming}
        self._strobes = frozenset(strobes)
        self._values = {}  # port -> {cycle: value}
        self.length = 0

    def set(self, cycle: int, **values: int) -> None:
        """Set inputs, of either sign, in one cycle. Raises `ValueError` where one is set already."""
        for port, value in values.items():
            column = self._values.setdefault(port, {})
            if cycle in column:
                raise ValueError(f"{port} must be set once a cycle, not twice in cycle {cycle!r}")
            column[cycle] = pack([value], self._widths[port])
            self.length = max(self.length, cycle + 1)

    def inputs(self, **constants: int) -> dict[str, list[int]]:
        """The values of every input in every cycle, for `drive`; `constants` are those that stay as they are."""
        waves = {}
        for port, width in self._widths.items():
            column = self._values.get(port, {})
            if port in constants:
                waves[port] = [constants[port]] * self.length
            elif port in self._strobes:
                waves[port] = [column.get(cycle, 0) for cycle in range(self.length)] + [0]
            else:
                waves[port] = [
                    column[cycle] if cycle in column else self._generator.getrandbits(width)
                    for cycle in range(self.length)
                ]
        return waves


def ports_of(block: Block) -> dict[str, tuple[int, bool]]:
    """Name -> (width, whether it is an input) of every port, under its name in the Verilog."""
    return {name: (len(value), member.flow == In) for name, member, value in block.flat_ports()}


def idle_inputs(block: Block) -> dict[str, int]:
    """All inputs of a block, at 0."""
    return {port: 0 for port, (_width, incoming) in ports_of(block).items() if incoming}


async def on_every_block(dut, blocks: Mapping[str, Block], job) -> None:
    """Resets a simulated `SideBySide` and runs `job(view, name, seed)` on all of its blocks at once."""
    await start(dut, **idle_inputs(SideBySide(blocks)))
    tasks = [cocotb.start_soon(job(View(dut, name), name, f"{cocotb.RANDOM_SEED}-{name}")) for name in blocks]
    for task in tasks:
        await task


def bits(count: int) -> int:
    """Width of an address field for `count` places."""
    return max(1, (count - 1).bit_length())


def tile_bits(count: int) -> int:
    """Width of an address field for one of `count` tiles: nothing if it is always the same one."""
    return (count - 1).bit_length()


def limits(width: int, signed: bool = True) -> tuple[int, int]:
    """Smallest and largest integer of `width` bits."""
    return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)


def integers(generator: random.Random, width: int, count: int, *, signed: bool = True) -> list[int]:
    """Random integers of `width` bits of which about a third are the extremes or next to zero."""
    low, high = limits(width, signed)
    special = [low, high, 0, -1 if signed else 1]
    return [
        generator.choice(special) if generator.random() < 0.3 else generator.randint(low, high) for _ in range(count)
    ]


def element(value, width: int, index: int, *, signed: bool = True) -> int:
    """Element `index` of the value of a wide port whose other elements may be unknown."""
    return unpack(value[(index + 1) * width - 1 : index * width].to_unsigned(), width, 1, signed=signed)[0]


def expect_members(view, port: str, expected: Mapping[str, int], what: str) -> None:
    """Compares members of a bundle in this cycle, those that `expected` has."""
    got = [int(getattr(view, f"{port}__{name}").value) for name in expected]
    expect_equal(f"{', '.join(expected)} of {port}, {what}", got, [int(value) for value in expected.values()])


def passed_to(port: str) -> str:
    """The output by which a row or a column passes on what comes in at `port`."""
    return port.replace("_in", "_out", 1)


def expect_passed_on(
    got: Mapping[str, Sequence], inputs: Mapping[str, Sequence[int]], ports: Sequence[str], cycles: int, what: str = ""
) -> None:
    """Compares what comes in at `ports` in so many cycles with what leaves `PASSED_ON` cycles later."""
    for port in ports:
        seen = [int(value) for value in got[passed_to(port)][PASSED_ON:cycles]]
        expect_equal(f"{passed_to(port)}{what}", seen, inputs[port][: cycles - PASSED_ON])


def expect_handed_on(
    block: Block,
    bank: str,
    got: Mapping[str, Sequence],
    inputs: Mapping[str, Sequence[int]],
    cycles: int,
    *,
    shares: int,
    registers: int,
    what: str = "",
) -> None:
    """Compares the `BankWrite` of a bank that leaves `registers` cycles later.

    It is the one that came in, one bank nearer to its end, with the data turned by one of its `shares`.
    """
    widths = {port: width for port, (width, _incoming) in ports_of(block).items()}
    for part in ("valid", "offset", "address", "data"):
        port = f"{bank}_in__{part}"
        expected = list(inputs[port])
        if part == "offset":
            expected = [(value + 1) % (1 << widths[port]) for value in expected]
        elif part == "data":
            low, high = widths[port] // shares, widths[port] - widths[port] // shares
            expected = [value >> low | (value & ((1 << low) - 1)) << high for value in expected]
        seen = [int(value) for value in got[passed_to(port)][registers:cycles]]
        expect_equal(f"{passed_to(port)}{what}", seen, expected[: len(seen)])


def wrapped(value: int, width: int) -> int:
    """`value` modulo 2^width, as a signed integer."""
    return (value + (1 << (width - 1))) % (1 << width) - (1 << (width - 1))


async def drive(dut, inputs: Mapping[str, Sequence[int]], outputs: Sequence[str], extra: int = 0) -> dict[str, list]:
    """Put `inputs[port][t]` on each port in cycle t; returns, by port, what each output shows in cycle t.

    Cycle 0 is the one that has just begun. After its last value an input keeps it, for `extra` cycles more. Values
    are those of the ports, unsigned, in a four-state simulator possibly with X: only those compared must be known.
    """
    edge = RisingEdge(dut.clk)
    cycles = max(map(len, inputs.values())) + extra
    driven = [(getattr(dut, port), values) for port, values in inputs.items()]
    sampled = [(getattr(dut, port), []) for port in outputs]
    for cycle in range(cycles):
        for handle, values in driven:
            if cycle < len(values) and (cycle == 0 or values[cycle] != values[cycle - 1]):
                handle.value = values[cycle]
        await edge
        for handle, values in sampled:
            values.append(handle.value)
    return {port: values for port, (_handle, values) in zip(outputs, sampled)}


def simulate(m: Module, bench) -> None:
    """Runs a coroutine function of Amaranth's own simulator, without a build, for less than a block."""
    m.domains.sync = ClockDomain("sync")
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
