"""UART receiver, 8N1: samples the bytes of a line.

The falling edge of a start bit sets the phase of the bit clock so that it wraps in the middle of each bit:

    line   ----+       +---- ...        +----
               | start | bit 0  ... bit 7| stop
               +-------+     ...
                   ^       ^              ^      samples

The edge lies up to one cycle before it is seen, and a sample up to half a cycle beside its ideal place. With b cycles
a bit, samples are off by at most 1 / b of a bit, and the clocks of the two ends may differ by (1/2 - 1/b) / 9.5, which
is 2.6 % at b = 4.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

from .bit_clock import bit_clock

__all__ = ["UartReceiver"]


class UartReceiver(Block):
    """Bytes from `rx`, which need not be synchronous to the clock.

    A start bit that is over before its middle is taken for a disturbance. A byte without stop bit is dropped, and the
    next one awaited with the line high again.

    Args:
        clock_hz (int): frequency of the clock, at least 3 `baud`.
        baud (int): bits a second.

    Ports:
        rx (1 bit, input): the line, high when idle.
        data (8 bits, output): a byte.
        valid (1 bit, output): for one cycle, in the middle of the stop bit: there is a byte.

    Raises:
        TypeError: see `fpga.link.bit_clock`.
        ValueError: see `fpga.link.bit_clock`.
    """

    module_name = "uart_receiver"

    def __init__(self, *, clock_hz, baud):
        self.phase_step, self.phase_width = bit_clock(clock_hz, baud)
        super().__init__({"rx": In(1), "data": Out(8), "valid": Out(1)})

    def elaborate(self, platform):
        m = Module()
        synchronizer = Signal(2, init=0b11)
        line = synchronizer[1]
        m.d.sync += synchronizer.eq(Cat(self.rx, synchronizer[0]))

        phase = Signal(self.phase_width)
        wrap = Signal()
        advanced = phase + self.phase_step
        m.d.comb += wrap.eq(advanced[self.phase_width])
        m.d.sync += phase.eq(advanced)

        bit = Signal(range(10))
        with m.FSM():
            with m.State("IDLE"):
                # Half a bit ahead, and one cycle: the edge was before this cycle, and the phase is seen in the next.
                m.d.sync += [phase.eq((1 << (self.phase_width - 1)) + self.phase_step), bit.eq(0)]
                with m.If(~line):
                    m.next = "BITS"
            with m.State("BITS"):
                with m.If(wrap):
                    m.d.sync += bit.eq(bit + 1)
                    with m.If(bit == 9):
                        m.d.comb += self.valid.eq(line)
                        m.next = "IDLE"  # at once: the next start bit may begin in this very cycle
                        with m.If(~line):
                            m.next = "REST"
                    with m.Elif((bit == 0) & line):
                        m.next = "IDLE"
                    with m.Elif(bit != 9):
                        m.d.sync += self.data.eq(Cat(self.data[1:], line))
            with m.State("REST"):
                with m.If(line):
                    m.next = "IDLE"
        return m
