"""Indicators: what the LEDs of a board show."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.pipeline import delay

__all__ = ["Indicators"]


class Indicators(Block):
    """LEDs, lowest first: heartbeat, bytes from the host, tensors moving, interrupt; on is high.

    What is shown comes from all over the FPGA, so it goes through `input_latency` registers first.

    Args:
        count (int): number of LEDs, at least 1; those beyond the fourth stay off.
        clock_hz (int): frequency of the clock. The heartbeat has a period of 1 to 2 s, and a pulse is shown for at
            least 30 ms.

    Ports:
        activity (1 bit, input): bytes come from the host.
        moving (1 bit, input): a beat is offered on a stream.
        interrupt (1 bit, input): of the accelerator.
        led (count bits, output): the LEDs.
    """

    module_name = "indicators"
    reset_less = True
    input_latency = 2

    def __init__(self, *, count, clock_hz):
        self.count = count
        self.clock_hz = clock_hz
        super().__init__({"activity": In(1), "moving": In(1), "interrupt": In(1), "led": Out(count)})

    def elaborate(self, platform):
        m = Module()
        activity, moving, interrupt = (
            delay(m, getattr(self, name), self.input_latency, name) for name in ("activity", "moving", "interrupt")
        )
        cycles = Signal(self.clock_hz.bit_length())
        m.d.sync += cycles.eq(cycles + 1)
        # A 32nd of the heartbeat's period; what moved since the last one, or in this one, is shown.
        tick = cycles[: len(cycles) - 5].all()
        moved = Signal()
        shown = Signal()
        with m.If(tick):
            m.d.sync += [shown.eq(moved), moved.eq(moving)]
        with m.Elif(moving):
            m.d.sync += moved.eq(1)
        lights = Cat(cycles[-1], activity, moved | shown, interrupt)
        m.d.sync += self.led.eq(lights[: self.count])
        return m
