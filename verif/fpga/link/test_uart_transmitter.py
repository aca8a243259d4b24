"""UART transmitter: each edge of the line in the cycle in which it should be."""

from __future__ import annotations

import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from taylorvit.fpga.link.uart_transmitter import UartTransmitter
from taylorvit.gen.verilog import emit
from taylorvit.simulation import build, expect_equal, run
from taylorvit.simulation.lockstep import CLOCK_PERIOD_NS
from verif.rtl.harness import SideBySide, on_every_block

CLOCK_HZ = 1_000_000_000 // CLOCK_PERIOD_NS
BAUDS = (CLOCK_HZ // 3, 30_000_000, CLOCK_HZ // 4, 21_700_000, 3_000_000)
BYTES = 12


def blocks():
    return {f"baud_{baud}": UartTransmitter(clock_hz=CLOCK_HZ, baud=baud) for baud in BAUDS}


def bit_ends(baud):
    """The cycle, from the one in which a byte is taken, in which each of its bits ends: the first after its time."""
    step, width = (getattr(blocks()[f"baud_{baud}"], name) for name in ("phase_step", "phase_width"))
    return [-(-bit * (1 << width) // step) for bit in range(1, 11)]


@cocotb.test()
async def bytes_are_on_the_line(dut):
    """Every byte is on the line with start and stop bit, each bit for its cycles."""

    async def job(view, name, seed):
        generator = random.Random(seed)
        edge = RisingEdge(view.clk)
        ends = bit_ends(int(name.removeprefix("baud_")))
        for number in range(BYTES):
            for _ in range(generator.choice((0, 0, 1, 7))):
                await edge
                expect_equal("idle", (int(view.ready.value), int(view.tx.value)), (1, 1))
            value = generator.choice((0x00, 0xFF, 0xA5, generator.randrange(256)))
            view.data.value, view.valid.value = value, 1
            await edge
            expect_equal(f"ready for byte {number}", view.ready.value, 1)
            view.valid.value = generator.getrandbits(1)
            view.data.value = generator.randrange(256)
            line = []
            for _ in range(ends[-1]):
                await edge
                expect_equal("busy", view.ready.value, 0)
                line.append(int(view.tx.value))
            bits = [0, *(value >> bit & 1 for bit in range(8)), 1]
            lengths = [end - begin for begin, end in zip([0, *ends], ends)]
            expect_equal(f"byte {number}", line, [bit for bit, length in zip(bits, lengths) for _ in range(length)])
            view.valid.value = 0

    await on_every_block(dut, blocks(), job)


def test_uart_transmitter():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > BYTES * sum(bit_ends(baud)[-1] for baud in BAUDS)


@pytest.mark.parametrize("baud", BAUDS)
def test_a_byte_takes_its_time(baud):
    assert bit_ends(baud)[-1] == pytest.approx(10 * CLOCK_HZ / baud, abs=1)


def test_what_cannot_be_built():
    with pytest.raises(ValueError, match="^baud must be at most clock_hz / 3 = 3333333, not 4000000$"):
        UartTransmitter(clock_hz=10_000_000, baud=4_000_000)
