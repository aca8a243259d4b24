"""UART transmitter, 8N1: sends bytes on a line."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

from .bit_clock import bit_clock

__all__ = ["UartTransmitter"]


class UartTransmitter(Block):
    """Sends bytes on `tx`: a start bit, 8 bits from the lowest on, a stop bit.

    A byte occupies the line for 10 clock_hz / baud cycles, rounded up; `ready` is high again in the next one.

    Args:
        clock_hz (int): frequency of the clock, at least 3 `baud`.
        baud (int): bits a second.

    Ports:
        data (8 bits, input): the next byte.
        valid (1 bit, input): there is one.
        ready (1 bit, output): it is taken; low while a byte is being sent. A register.
        tx (1 bit, output): the line, high when idle.

    Raises:
        TypeError: see `fpga.link.bit_clock`.
        ValueError: see `fpga.link.bit_clock`.
    """

    module_name = "uart_transmitter"

    def __init__(self, *, clock_hz, baud):
        self.phase_step, self.phase_width = bit_clock(clock_hz, baud)
        super().__init__({"data": In(8), "valid": In(1), "ready": Out(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        phase = Signal(self.phase_width)
        bits_left = Signal(range(10))  # behind the one on the line
        shift = Signal(9)  # what follows the bit on the line
        advanced = phase + self.phase_step
        with m.If(self.ready):
            with m.If(self.valid):
                m.d.sync += [
                    self.ready.eq(0),
                    bits_left.eq(9),
                    phase.eq(0),
                    self.tx.eq(0),
                    shift.eq(Cat(self.data, Const(1, 1))),
                ]
        with m.Else():
            m.d.sync += phase.eq(advanced)
            with m.If(advanced[self.phase_width]):
                m.d.sync += [
                    self.ready.eq(bits_left == 0),
                    bits_left.eq(bits_left - 1),
                    self.tx.eq(shift[0]),
                    shift.eq(Cat(shift[1:], Const(1, 1))),
                ]
        return m
