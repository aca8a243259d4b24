"""The resets of a board, from its PLL, its button and its host.

PLL locked ---+
              +--> [two registers] --> [counter] --> reset, until the PLL has been locked and
button -------+                                      the button up for `reset_cycles` cycles
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

__all__ = ["ResetGenerator"]


class ResetGenerator(Block):
    """Resets of at least `reset_cycles` cycles, at power-up and after each cause.

    `reset_cycles` is 256: block RAM of iCE40 can be read 3 us after power-up, which is 192 cycles at 64 MHz.

    Ports:
        locked (1 bit, in): the core clock has its frequency; asynchronous.
        button (1 bit, in): high while the button is pressed; asynchronous.
        request (1 bit, in): the host resets the accelerator.
        reset (1 bit, out): resets everything.
        accelerator_reset (1 bit, out): resets the accelerator: with `reset`, and one cycle after each cycle of
            `request`.
    """

    module_name = "reset_generator"
    reset_less = True

    reset_cycles = 256

    def __init__(self):
        super().__init__(
            {
                "locked": In(1),
                "button": In(1),
                "request": In(1),
                "reset": Out(1, init=1),
                "accelerator_reset": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        synchronizer = Signal(2)
        count = Signal(range(self.reset_cycles))
        m.d.sync += [
            synchronizer.eq(Cat(self.locked & ~self.button, synchronizer[0])),
            self.reset.eq(~count.all()),
            self.accelerator_reset.eq(~count.all() | self.request),
        ]
        with m.If(~synchronizer[1]):
            m.d.sync += count.eq(0)
        with m.Elif(~count.all()):
            m.d.sync += count.eq(count + 1)
        return m
