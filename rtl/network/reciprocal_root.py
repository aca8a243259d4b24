r"""Reciprocal root of a variance, digit by digit, exactly as `golden.network.integer_layers.layer_norm` computes it.

The variance, a number V without sign and not 0, is shifted right by an even number 2 m of bits (left if m is negative)
to a number v of 29 or 30 bits. Then

    y = floor(sqrt(floor(2^58 / v))) = the largest y with y^2 v <= 2^58,   2^14 <= y <= 2^15

A bit a cycle, from the top: with Y the bits found so far, of which the last has weight 2^k, the remainder
2^(58 - 2k) - Y^2 v is never negative. The next bit is 1 where

    (2 Y + 1)^2 v <= 2^(58 - 2k + 2),   that is   d >= 0,   d = 2^(58 - 2k + 2) - (2 Y + 1)^2 v

d is in a register, and its sign is the bit. With m = (2 Y + 1) v, the bit decides between adding and taking away, as in
a division without restoring:

    d <- 4 (d - m) - v,  m <- 2 m + v   after a 1;      d <- 4 (d + m) - v,  m <- 2 m - v   after a 0

It begins with Y = 0, k = 16: d = 2^28 - v, m = v. So nothing has to be chosen behind an adder.

Sizing. As in a divider lane (`rtl.attention.divider_lane`), a stage finds `interval` bits in one set of registers:
with an interval of 1 there are 16 stages and each cycle may bring a variance, with 16 there is one.
"""

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.validation import require_range
from taylorvit.rtl.common.widths import up_to

__all__ = ["ROOT_BITS", "SCALED_WIDTH", "ReciprocalRoot", "root_ports"]

SCALED_WIDTH = 30
"""Bits of v, the first of which may be 0."""

ROOT_BITS = 16
"""Bits of y."""

_FIRST_POWER = 1 << 28  # 2^(58 - 2 * 16 + 2)
# Of all steps, the last: m = (2 Y + 1) v <= 2^45 + 2^30; -(4 Y + 1) v <= d < (4 Y + 3) v, 2^46 + 2^31 at most.
_MIDDLE_WIDTH = 46
_DIFFERENCE_WIDTH = 48
# Steps of the normalization that share a cycle.
_STEPS_A_CYCLE = 1


class _Found(NamedTuple):
    """What is known of one reciprocal.

    Attributes:
        difference (Value): d.
        middle (Value): m.
        scaled (Value): v.
        bits (Value): the bits that have been found.
        half_shift (Value): m + 14.
    """

    difference: Value
    middle: Value
    scaled: Value
    bits: Value
    half_shift: Value


class ReciprocalRoot(Block):
    """reciprocal = floor(sqrt(floor(2^58 / v))), v = V shifted by 2 m to 29 or 30 bits.

    Args:
        variance_width (int): bits of V, at least 30.
        interval (int): least cycles between two `start`s, 1 to 16.

    Ports:
        start (1 bit, input): there is a variance.
        variance (variance_width bits, input): V, not 0, in that cycle.
        cancel (1 bit, input): what was started up to this cycle will not be done.
        done (1 bit, output): `latency` cycles after `start`.
        reciprocal (16 bits, output): y, in the cycle of `done`.
        half_shift (as many bits as needed, output): m + 14, likewise.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is out of its range.
    """

    module_name = "reciprocal_root"
    waivers = {
        ("UNUSEDSIGNAL", "difference_*"): "The next one is small: it needs the sign, not the bit below; of the last, "
        "the sign alone.",
    }

    def __init__(self, *, variance_width, interval):
        ports = root_ports(variance_width)
        require_range("interval", interval, 1, ROOT_BITS)
        self.interval = interval
        self.pairs = (variance_width + 1) // 2
        super().__init__(ports)

    @property
    def _normalizing_steps(self):
        """The shifts of the normalization, in pairs of bits, the longest first."""
        return [1 << step for step in reversed(range((self.pairs - 1).bit_length()))]

    @property
    def normalizing_latency(self):
        """Cycles from `start` until v is in a register."""
        return -(-len(self._normalizing_steps) // _STEPS_A_CYCLE)

    @property
    def latency(self):
        """Cycles from `start` to `done`: normalization, taking it over, one cycle for each bit."""
        return self.normalizing_latency + 1 + ROOT_BITS

    def elaborate(self, platform):
        m = Module()
        scaled, half_shift = self._normalize(m)
        ready = delay(m, self.start, self.normalizing_latency, "normalized", reset=self.cancel)

        # early[k]: k bits are found in this cycle, whoever takes them over does it at its end.
        age = Signal(ROOT_BITS)
        m.d.sync += age.eq(Cat(ready, age[:-1]))
        early = Cat(ready, age)
        found = _Found(_FIRST_POWER - scaled, scaled, scaled, Const(0, 0), half_shift)
        for first in range(0, ROOT_BITS, self.interval):
            last = min(first + self.interval, ROOT_BITS)
            found = self._stage(m, found, first, last, early[first])

        reciprocal = Signal.like(self.reciprocal, name="latest_reciprocal", reset_less=True)
        half_shift = Signal.like(self.half_shift, name="latest_half_shift", reset_less=True)
        m.d.sync += [self.done.eq(early[ROOT_BITS]), reciprocal.eq(found.bits), half_shift.eq(found.half_shift)]
        with m.If(self.cancel):
            m.d.sync += [age.eq(0), self.done.eq(0)]
        m.d.comb += [self.reciprocal.eq(reciprocal), self.half_shift.eq(half_shift)]
        return m

    def _normalize(self, m):
        """The variance goes to the left, pair by pair, until its upper pair is not 0; returns v and m + 14."""
        value = Cat(self.variance, Const(0, 2 * self.pairs - len(self.variance)))
        count = Const(0, 0)
        steps = self._normalizing_steps
        for place, step in enumerate(steps):
            width, left = len(value), 2 * sum(steps[place + 1 :])
            empty = Signal(name=f"empty_{step}")
            m.d.comb += empty.eq(value[width - 2 * step :] == 0)
            # Below these bits nothing gets into v any more.
            kept = slice(max(0, width - SCALED_WIDTH - left), width)
            value = Mux(empty, Cat(Const(0, 2 * step), value)[kept], value[kept])
            count = Cat(empty, count)
            if left == 0 or place % _STEPS_A_CYCLE == _STEPS_A_CYCLE - 1:
                shifted = Signal(len(value), name=f"shifted_{step}", reset_less=True)
                counted = Signal(len(count), name=f"counted_{step}", reset_less=True)
                m.d.sync += [shifted.eq(value), counted.eq(count)]
                value, count = shifted, counted
        half_shift = Signal.like(self.half_shift, name="half_shift_found")
        m.d.comb += half_shift.eq(self.pairs - 1 - count)
        return value, half_shift

    def _stage(self, m, before, first, last, load):
        """Bits first..last-1, one a cycle, in one set of registers, loaded with what the stage before has found."""
        registers = _Found(
            *(
                Signal(width, name=f"{name}_{first}", reset_less=True)
                for name, width in zip(
                    _Found._fields,
                    (_DIFFERENCE_WIDTH, _MIDDLE_WIDTH, SCALED_WIDTH, last - 1, len(self.half_shift)),
                )
            )
        )
        difference, middle, scaled, bits, half_shift = registers
        bit = Signal(name=f"bit_{first}")
        m.d.comb += bit.eq(~difference[-1])
        found = _Found(
            difference=_next_difference(difference, middle, scaled, bit),
            # One bit more at the lower end: its carry is the one that a complement owes.
            middle=(Cat(1, middle << 1) + Cat(~bit, _flipped(scaled, ~bit, _MIDDLE_WIDTH)))[1 : _MIDDLE_WIDTH + 1],
            scaled=scaled,
            bits=Cat(bit, bits),
            half_shift=half_shift,
        )
        if last - first == 1:
            m.d.sync += [register.eq(value) for register, value in zip(registers, before)]
            return found
        for register, value, following in zip(registers, before, found):
            m.d.sync += register.eq(Mux(load, value, following))
        return found


def _next_difference(difference, middle, scaled, bit):
    """4 (d - m) - v after a bit 1, 4 (d + m) - v after a 0.

    The three summands become two, beside each other in every place; only then does a carry run.
    """
    width = _DIFFERENCE_WIDTH - 2  # all but the two lowest places, which are those of -v
    summands = difference[:width], _flipped(middle, bit, width), _flipped(scaled[2:], Const(1, 1), width)
    one, two, three = summands
    sums, carries = one ^ two ^ three, (one & two) | (three & (one | two))
    # Of the complements, m's owes a one, and -v's has a carry from the two lowest places if these are 0.
    upper = Cat(1, sums) + Cat(scaled[:2] == 0, bit, carries)
    return Cat((-scaled)[:2], upper[1 : width + 1])


def _flipped(value, flip, width):
    """`value` in so many bits, all of them inverted where `flip` is 1."""
    return Cat(value, Const(0, width - len(value))) ^ flip.replicate(width)


def root_ports(variance_width):
    """Ports of a block that computes reciprocal roots, whatever its way.

    Args:
        variance_width (int): bits of V, at least 30.

    Raises:
        TypeError: the width is not an integer.
        ValueError: it is out of its range.
    """
    require_range("variance_width", variance_width, SCALED_WIDTH)
    return {
        "start": In(1),
        "cancel": In(1),
        "variance": In(variance_width),
        "done": Out(1),
        "reciprocal": Out(ROOT_BITS),
        "half_shift": Out(up_to((variance_width + 1) // 2 - 1)),
    }
