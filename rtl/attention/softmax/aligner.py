"""Aligner: a numerator or a divisor in the alignment that the divider wants.

A quotient t_n 2^shift_z / t_d of W bits is found from t_n << `numerator_shift` and t_d << `divisor_shift`, of which one
is zero (`rtl.attention.divider_lane.align`).
"""

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.validation import require_range
from taylorvit.rtl.common.widths import up_to

__all__ = ["Aligner"]


class Aligner(Block):
    """aligned = value << shift, `latency` cycles later, one a cycle.

    Args:
        name (str): what is aligned, for the name of the module.
        shape (Shape): of `value`, signed or not.
        shift_max (int): largest `shift`, 0 or more.

    Ports:
        value (`shape`, input): the value.
        shift (up_to(shift_max), input): left shift, constant during a job.
        aligned (as `value`, with shift_max bits more, output): the result.

    Raises:
        TypeError: `shift_max` is not an integer.
        ValueError: it is negative.
    """

    reset_less = True
    latency = 2

    def __init__(self, *, name, shape, shift_max):
        require_range("shift_max", shift_max, 0)
        self.module_name = f"{name}_aligner"
        self.shift_max = shift_max
        shape = Shape.cast(shape)
        super().__init__(
            {
                "value": In(shape),
                "shift": In(up_to(shift_max)),
                "aligned": Out(Shape(shape.width + shift_max, shape.signed)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # The shifter is cut in two: by 0 to 7 first, while the word is narrow.
        fine, coarse = self.shift[:3], self.shift[3:]
        shape = self.value.shape()
        shifted = Signal(Shape(shape.width + min(7, self.shift_max), shape.signed))
        m.d.sync += [
            shifted.eq(self.value << fine),
            self.aligned.eq(shifted << (coarse << 3) if len(coarse) else shifted),
        ]
        return m
