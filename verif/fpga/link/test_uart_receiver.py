"""UART receiver: bytes of a host whose clock is its own, and what only looks like bytes."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge, Timer

from taylorvit.fpga.link.uart_receiver import UartReceiver
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run
from taylorvit.simulation.lockstep import CLOCK_PERIOD_NS
from verif.rtl.harness import SideBySide, on_every_block

CLOCK_HZ = 1_000_000_000 // CLOCK_PERIOD_NS
# Baud -> how far the host's may be off. At 3.3 cycles a bit, where in a cycle an edge lies takes most of what there is.
BAUDS = {CLOCK_HZ // 3: 0.02, 30_000_000: 0.01, CLOCK_HZ // 4: 0.02, 21_700_000: 0.02, 9_216_000: 0.03, 1_500_000: 0.04}


def blocks():
    return {f"baud_{baud}": UartReceiver(clock_hz=CLOCK_HZ, baud=baud) for baud in BAUDS}


class Line:
    """The host's end of the line, and what came out at the other."""

    def __init__(self, view, name, seed):
        self.view = view
        self.random = random.Random(seed)
        self.baud = int(name.removeprefix("baud_"))
        self.skew = 0.0
        self.received = []
        cocotb.start_soon(self.watch())

    async def watch(self):
        while True:
            await RisingEdge(self.view.valid)
            self.received.append(int(self.view.data.value))

    async def level(self, value, bits):
        self.view.rx.value = value
        await Timer(max(1, round(bits * 1e12 / (self.baud * (1 + self.skew)))), "ps")

    async def byte(self, value, stop=1):
        await self.level(0, 1)
        for bit in range(8):
            await self.level(value >> bit & 1, 1)
        await self.level(stop, 1)

    async def expect(self, name, bytes_):
        await self.level(1, 3)
        expect_equal(name, self.received, list(bytes_))
        self.received.clear()


async def on_every_receiver(dut, job):
    async def start_and_run(view, name, seed):
        line = Line(view, name, seed)
        await line.level(1, 5)
        line.received.clear()  # what the line was before nobody knows
        await job(line)

    await on_every_block(dut, blocks(), start_and_run)


@cocotb.test()
async def bytes_arrive_whatever_the_phase_and_the_hosts_clock(dut):
    """Bytes arrive at any phase, with a host's clock as wrong as it may be."""

    async def job(line):
        limit = BAUDS[line.baud]
        for skew in (0, limit, -limit, limit / 2):
            line.skew = skew
            for gap in (0, None):  # right behind each other, or at any time
                sent = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, *(line.random.randrange(256) for _ in range(6))]
                await line.level(1, line.random.random())
                for value in sent:
                    await line.byte(value)
                    if gap is None:
                        await line.level(1, 3 * line.random.random())
                await line.expect(f"bytes at {line.baud} baud, host {skew:+.1%}", sent)

    await on_every_receiver(dut, job)


@cocotb.test()
async def what_is_no_byte_is_dropped(dut):
    """Spikes, breaks and bytes without a stop bit are no bytes."""

    async def job(line):
        # Shorter than to the middle of a start bit, less the cycles in which an edge may lie.
        cycles_per_bit = CLOCK_HZ / line.baud
        if cycles_per_bit > 4:
            for _ in range(5):
                await line.level(0, 0.5 - 1.5 / cycles_per_bit)
                await line.level(1, 2)
            await line.expect("after spikes", [])
        for value in (0xFF, 0x80, 0x00):
            await line.byte(value, stop=0)
            await line.level(1, 2)
        await line.expect("without stop bits", [])
        await line.level(0, 35)
        await line.expect("after a break", [])
        await line.byte(0xC3)
        await line.expect("at last", [0xC3])

    await on_every_receiver(dut, job)


@pytest.fixture(scope="module")
def simulation():
    block = SideBySide(blocks())
    return build(emit(block), block.module_name)


@pytest.mark.parametrize(
    "testcase", ["bytes_arrive_whatever_the_phase_and_the_hosts_clock", "what_is_no_byte_is_dropped"]
)
def test_uart_receiver(simulation, testcase):
    run(simulation, __name__, testcase=testcase)


def test_what_cannot_be_built():
    with pytest.raises(ValueError, match="^baud must be at most clock_hz / 3 = 3333333, not 4000000$"):
        UartReceiver(clock_hz=10_000_000, baud=4_000_000)
