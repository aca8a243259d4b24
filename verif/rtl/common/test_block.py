"""Blocks: emitted once, instantiated with names, ports and resets of their own."""

from __future__ import annotations

import re

import cocotb
import pytest
from amaranth.hdl import Const, Instance, IOPort, Module, Signal
from amaranth.lib.wiring import In, Out, Signature
from cocotb.triggers import RisingEdge

from taylorvit.gen.generate import port_table
from taylorvit.gen.verilog import blocks, emit
from taylorvit.rtl.common.block import Block, ForeignBlock, instantiate
from taylorvit.simulation import build, expect_equal, run, start


class Counter(Block):
    """Counts by the members of a nested port."""

    module_name = "counter"

    def __init__(self, width):
        super().__init__({"by": In(Signature({"step": Out(width), "enable": Out(1)})), "count": Out(width)})

    def elaborate(self, platform):
        m = Module()
        with m.If(self.by.enable):
            m.d.sync += self.count.eq(self.count + self.by.step)
        return m


class Delay(Block):
    """One register that nothing resets."""

    module_name = "delay"
    reset_less = True

    def __init__(self, width):
        super().__init__({"i": In(width), "o": Out(width)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i)
        return m


class Pair(Block):
    """Two counters, the second with a reset of its own, and its count one cycle later."""

    module_name = "pair"

    def __init__(self, width=8):
        self.counter, self.delay = Counter(width), Delay(width)
        super().__init__(
            {"enable": In(1), "clear": In(1), "first": Out(width), "second": Out(width), "later": Out(width)}
        )

    def elaborate(self, platform):
        m = Module()
        first = instantiate(m, "first_counter", self.counter)
        second = instantiate(m, "second_counter", self.counter, reset=self.clear)
        later = instantiate(m, "register", self.delay)
        m.d.comb += [
            first.by.step.eq(1),
            first.by.enable.eq(self.enable),
            second.by.step.eq(3),
            second.by.enable.eq(self.enable),
            later.i.eq(second.count),
            self.first.eq(first.count),
            self.second.eq(second.count),
            self.later.eq(later.o),
        ]
        return m


@cocotb.test()
async def instances_are_independent(dut):
    """Two instances of one block count on their own."""
    await start(dut, enable=0, clear=1)
    edge = RisingEdge(dut.clk)
    dut.clear.value = 0
    await edge
    counts, before = [0, 0], None
    for cycle in range(200):
        enable, clear = int(cycle % 3 != 0), int(cycle % 17 == 0)
        dut.enable.value, dut.clear.value = enable, clear
        await edge
        expect_equal(f"counts of cycle {cycle}", [int(dut.first.value), int(dut.second.value)], counts)
        if before is not None:
            expect_equal(f"later count of cycle {cycle}", dut.later.value.to_unsigned(), before)
        before = counts[1]
        counts = [(counts[0] + enable) % 256, 0 if clear else (counts[1] + 3 * enable) % 256]


def test_instances_are_independent():
    run(build(emit(Pair()), "pair"), __name__)


def test_every_block_is_one_module():
    verilog = emit(Pair())
    assert sorted(re.findall(r"^module (\w+)", verilog, re.MULTILINE)) == ["counter", "delay", "pair"]
    assert sorted(re.findall(r"^\s+(counter|delay) \\?(\w+)", verilog, re.MULTILINE)) == [
        ("counter", "first_counter"),
        ("counter", "second_counter"),
        ("delay", "register"),
    ]
    assert sorted(block.module_name for block in blocks(Pair())) == ["counter", "delay", "pair"]


def test_nested_ports_are_flattened():
    assert re.search(r"\.by__step\(", emit(Pair()))


def test_reset_less_blocks_have_no_reset():
    assert "rst" not in emit(Delay(8))
    assert re.search(r"\binput\b.*\brst\b", emit(Counter(8)))


def test_parameters_distinguish_blocks():
    assert Counter(8).parameters == Counter(8).parameters
    assert Counter(8).parameters != Counter(9).parameters


def test_one_name_for_two_blocks_is_an_error():
    class Mixed(Block):
        module_name = "mixed"

        def __init__(self):
            super().__init__({"o": Out(1)})

        def elaborate(self, platform):
            m = Module()
            for width in (8, 9):
                instantiate(m, f"counter_{width}", Counter(width))
            return m

    with pytest.raises(ValueError, match="module name must be unique to one set of parameters, not 'counter'"):
        emit(Mixed())


class Foreign(ForeignBlock):
    """Inverts."""

    module_name = "foreign"
    clocked = False
    verilog = "module foreign (input wire i, output wire o);\nassign o = ~i;\nendmodule\n"

    def __init__(self):
        super().__init__({"i": In(1), "o": Out(1)})


class Pads(Block):
    """Two pins in both directions, the second of which shows what the first has."""

    module_name = "pads"
    clocked = False

    def __init__(self):
        self.pads = {"pins": IOPort(2, name="pins")}
        super().__init__({"drive": In(1)})

    def elaborate(self, platform):
        m = Module()
        inverted, shown = Signal(), Signal()
        foreign = instantiate(m, "foreign", Foreign())
        m.d.comb += [foreign.i.eq(inverted), shown.eq(foreign.o)]
        pins = self.pads["pins"]
        m.submodules.first = Instance("PIN", i_T=~self.drive, i_I=Const(0, 1), o_O=inverted, io_B=pins[0])
        m.submodules.second = Instance("PIN", i_T=~self.drive, i_I=shown, o_O=Signal(), io_B=pins[1])
        return m


class Outside(Block):
    """Has the pins of a block in it."""

    module_name = "outside"
    clocked = False

    def __init__(self):
        self.inside = Pads()
        self.pads = {"pins": IOPort(2, name="pins")}
        super().__init__({"drive": In(1)})

    def elaborate(self, platform):
        m = Module()
        inside = instantiate(m, "inner", self.inside, pads=self.pads)
        m.d.comb += inside.drive.eq(self.drive)
        return m


def test_pins_in_both_directions_go_through_to_the_top():
    verilog = emit(Outside())
    assert port_table(Outside()) == [("drive", "input", 1, False), ("pins", "inout", 2, False)]
    assert verilog.count("    inout  wire [1:0] pins\n);") == 2
    assert ".pins(pins)" in verilog
    assert ".B(pins[0])" in verilog and ".B(pins[1])" in verilog


def test_verilog_of_another_program_is_put_behind():
    verilog = emit(Outside())
    assert re.search(r"foreign foreign \(\n +\.i\(\w+\),\n +\.o\(shown\)\n +\);", verilog)
    assert "module foreign (input wire i, output wire o);\nassign o = ~i;\nendmodule\n" in verilog
    assert [block.module_name for block in blocks(Outside())] == ["outside", "pads", "foreign"]
