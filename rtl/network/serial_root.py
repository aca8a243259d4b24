r"""Reciprocal root of a variance in series: as `rtl.network.reciprocal_root`, in a sixth of the logic, and slower.

The variance V is shifted left, a pair of bits a cycle, until its upper pair is not 0; then its upper 30 bits are v.
What follows takes its definition literally, y = floor(sqrt(floor(2^58 / v))):

    a bit of the quotient a cycle, from the top       r <- 2 (r - b v),              b = r >= v
    a bit of the root every other cycle, from its     s <- 4 s + pair - d (4 y + 1), d = 4 s + pair >= 4 y + 1
    upper pair of the quotient on                     y <- 2 y + d

The quotient has 31 bits, since v is at least 2^28. Its first pair is a 0 and its first bit.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal

from taylorvit.rtl.common.block import Block

from .reciprocal_root import ROOT_BITS, SCALED_WIDTH, root_ports
from .serial_cycles import QUOTIENT_BITS, serial_root_cycles

__all__ = ["SerialRoot"]

_FIRST_REMAINDER = 1 << 28  # 2^58 above the quotient's lower 30 bits


class SerialRoot(Block):
    """reciprocal = floor(sqrt(floor(2^58 / v))), v = V shifted by 2 m to 29 or 30 bits.

    Args:
        variance_width (int): bits of V, at least 30.

    Ports:
        start (1 bit, input): there is a variance, at least `latency` cycles after the one before.
        variance (variance_width bits, input): V, not 0, in that cycle.
        cancel (1 bit, input): what was started up to this cycle will not be done.
        done (1 bit, output): `latency` cycles after `start`.
        reciprocal (16 bits, output): y, in the cycle of `done`.
        half_shift (as many bits as needed, output): m + 14, likewise.

    Raises:
        TypeError: the width is not an integer.
        ValueError: it is out of its range.
    """

    module_name = "serial_root"
    waivers = {("UNUSEDSIGNAL", "*difference"): "Where a difference is taken, it is no larger than what it becomes."}

    def __init__(self, *, variance_width):
        ports = root_ports(variance_width)
        self.pairs = (variance_width + 1) // 2
        self.latency = serial_root_cycles(variance_width)
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        value = Signal(2 * self.pairs, reset_less=True)
        half_shift = Signal.like(self.half_shift, name="half_shift_so_far", reset_less=True)
        normalizing = Signal()
        dividing = Signal()
        count = Signal(range(max(self.pairs, QUOTIENT_BITS)))
        m.d.comb += self.half_shift.eq(half_shift)

        with m.If(normalizing):
            m.d.sync += count.eq(count + 1)
            with m.If(value[-2:] == 0):
                m.d.sync += [value.eq(value << 2), half_shift.eq(half_shift - 1)]
            with m.If(count == self.pairs - 2):
                m.d.sync += [normalizing.eq(0), dividing.eq(1), count.eq(0)]
        m.d.sync += self.done.eq(0)
        with m.If(dividing):
            m.d.sync += count.eq(count + 1)
            with m.If(count == QUOTIENT_BITS - 1):
                m.d.sync += [dividing.eq(0), self.done.eq(1)]
        self._divide(m, value[-SCALED_WIDTH:], dividing, count)

        with m.If(self.start):
            m.d.sync += [value.eq(self.variance), half_shift.eq(self.pairs - 1), normalizing.eq(1), count.eq(0)]
        with m.If(self.cancel):
            m.d.sync += [normalizing.eq(0), dividing.eq(0), self.done.eq(0)]
        return m

    def _divide(self, m, scaled, dividing, count):
        """Quotient and root, bit by bit, from the cycle on in which `dividing` is high for the first time."""
        remainder = Signal(QUOTIENT_BITS, init=_FIRST_REMAINDER)
        difference = Signal(QUOTIENT_BITS + 1)
        bit = Signal()
        bit_before = Signal()  # a cycle before
        m.d.comb += [difference.eq(remainder - scaled), bit.eq(~difference[-1])]

        root = Signal(ROOT_BITS)
        left = Signal(ROOT_BITS + 1)  # s, at most 2 y
        with_pair = Signal(len(left) + 2)
        left_difference = Signal(len(left) + 3)
        root_bit = Signal()
        m.d.comb += [
            with_pair.eq(Cat(bit, bit_before, left)),
            left_difference.eq(with_pair - Cat(Const(1, 2), root)),
            root_bit.eq(~left_difference[-1]),
            self.reciprocal.eq(root),
        ]
        with m.If(dividing):
            m.d.sync += [remainder.eq(Mux(bit, difference, remainder) << 1), bit_before.eq(bit)]
            with m.If(~count[0]):
                m.d.sync += [left.eq(Mux(root_bit, left_difference, with_pair)), root.eq(Cat(root_bit, root))]
        with m.If(self.start):
            m.d.sync += [remainder.eq(_FIRST_REMAINDER), bit_before.eq(0), root.eq(0), left.eq(0)]
