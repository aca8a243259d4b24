"""One lane of the divider array: a non-restoring divider, exactly rounded.

The divider array has one lane a column. It works in two modes, as in ViTALiTy's accelerator figure: with one divisor
for all (n, for k_mean) or with one divisor a row (t_D, for Z). The lanes are skewed like the columns, so the divisor
moves from lane to lane through the lanes' divisor registers.

Why it is exact. Let x be the aligned numerator and D > 0 the aligned divisor, with quotient x / D in [-1, 1), and
I = `iterations`. The lane computes the I bits of floor(2^(I-1) (x + D) / D) = floor(2^(I-1) x / D) + 2^(I-1), a number
without sign, most significant bit first. It does not restore: a bit is 1 where the difference d is not negative, and
the next difference is 2 d - D there, else 2 d + D; the first is x, and all are in [-D, D). So the sign, a register,
chooses before the carry chain and not behind it. Of a quotient with b bits the bit below the unit is the (b+1)-th, and
floor(y + 1/2) = floor((floor(2 y) + 1) / 2) rounds half up, so the upper b + 1 bits of the I are all that rounding
needs; no correction step, no error bound. x < -D and x >= D saturate.

    k_mean: x = k_sum,                D = n << (W-1),   b = W + f:  x / D 2^(b-1) = k_sum 2^f / n
    Z:      x = T_N << (s + 1 - W),   D = t_D,          b = W:      x / D 2^(b-1) = T_N 2^s / t_D

Sizing. One bit a cycle; a lane is a chain of stages, and each stage keeps a quotient for `interval` cycles. With an
interval of 1 the lane is fully pipelined, with an interval of `iterations` it is a single serial divider.
"""

from math import ceil
from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.copied_register import CopiedRegister
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.validation import require_range

__all__ = ["DividerLane", "align", "divider_lane_of"]


class _HandedOver(NamedTuple):
    """What a stage hands over to the next one.

    Attributes:
        doubled (Value): the difference, doubled, and the bit that it makes below.
        addend (Value): plus or minus the divisor, and above it the bit that chose.
        bits (Value): the quotient bits that have been found.
        low (Value): the quotient is below its range.
        high (Value): the quotient is above its range.
    """

    doubled: Value
    addend: Value
    bits: Value
    low: Value
    high: Value

    def delayed(self, m, cycles, first):
        """The same, some cycles later, for the stage that finds the quotient bits from `first` on."""
        return _HandedOver(*(delay(m, value, cycles, f"{name}_{first}") for name, value in self._asdict().items()))


class DividerLane(Block):
    """mean, z = round_half_up(numerator / divisor 2^(b-1)), saturated, for b = mean_width and for b = data_width.

    Args:
        numerator_width (int): bits of the signed numerator, at least 2.
        divisor_width (int): bits of the unsigned divisor, at least 1.
        data_width (int): bits of the quotient `z`, 2 to `mean_width`.
        mean_width (int): bits of the quotient `mean`, at least 2.
        interval (int): least cycles between two `start`s, 1 to mean_width + 1.
        pipelined (bool): a register between each stage and the next.

    Ports:
        start (1 bit, input): a division begins with the next cycle's `numerator`, `divisor` and `invalid`.
        numerator (signed, numerator_width bits, input): x.
        divisor (divisor_width bits, input): D, not 0 unless `invalid`.
        invalid (1 bit, input): there is no divisor (t_D <= 0): the quotient saturates by the sign of the numerator.
        mean (signed, mean_width bits, output): the quotient, `latency` cycles after `numerator`, for one cycle at
            least.
        z (signed, data_width bits, output): the same quotient with fewer bits, likewise.

    Raises:
        TypeError: a number is not an integer.
        ValueError: a number is out of its range.
    """

    module_name = "divider_lane"
    waivers = {("PINCONNECTEMPTY", "mean"): "Not every kernel has two kinds of quotients."}

    def __init__(self, *, numerator_width, divisor_width, data_width, mean_width, interval, pipelined=False):
        require_range("numerator_width", numerator_width, 2)
        require_range("divisor_width", divisor_width, 1)
        require_range("mean_width", mean_width, 2)
        require_range("data_width", data_width, 2, mean_width)
        require_range("interval", interval, 1, mean_width + 1)
        self.data_width = data_width
        self.mean_width = mean_width
        self.interval = interval
        self.pipelined = pipelined
        self.copied_register = CopiedRegister()
        super().__init__(
            {
                "start": In(1),
                "numerator": In(signed(numerator_width)),
                "divisor": In(divisor_width),
                "invalid": In(1),
                "mean": Out(signed(mean_width)),
                "z": Out(signed(data_width)),
            }
        )

    @property
    def iterations(self):
        """Quotient bits found, one a cycle."""
        return self.mean_width + 1

    @property
    def ways(self):
        """Cycles on the way from stage to stage, all together."""
        return self.pipelined * (ceil(self.iterations / self.interval) - 1)

    @property
    def latency(self):
        """Cycles from `numerator` to the quotient: taking it in, the iterations, the ways between, rounding."""
        return 1 + self.iterations + self.ways + 1

    def elaborate(self, platform):
        m = Module()

        # early[k]: a stage takes over in the next cycle but one. The last one: the quotient is complete.
        age = Signal(self.iterations + self.ways)
        m.d.sync += age.eq(Cat(self.start, age[:-1]))
        early = Cat(self.start, age)

        stage = None
        for index, first in enumerate(range(0, self.iterations, self.interval)):
            if first:
                stage = stage.delayed(m, self.pipelined, first)
            last = min(first + self.interval, self.iterations)
            stage = self._stage(m, stage, first, last, early[first + index * self.pipelined])

        quotient = Signal(self.iterations, reset_less=True)
        complete = Signal()
        m.d.sync += complete.eq(early[-1])
        with m.If(complete):
            m.d.sync += quotient.eq(stage.bits)
        for target, width in ((self.mean, self.mean_width), (self.z, self.data_width)):
            m.d.sync += target.eq(self._round(quotient, stage.low, stage.high, width))
        return m

    def _stage(self, m, before, first, last, early):
        """Quotient bits first..last-1, one a cycle, in one set of registers; `early`: a cycle before it takes over.

        `before` is what the stage before hands over, None where it is the lane's inputs.
        """
        loads = [instantiate(m, f"{use}_{first}", self.copied_register) for use in ("doubled", "addend", "load")]
        for copy in loads:
            m.d.comb += copy.i.eq(early)
        load_doubled, load_addend, load = (copy.o for copy in loads)
        difference = Signal(signed(len(self.divisor) + 1), name=f"difference_{first}", reset_less=True)
        divisor = Signal.like(self.divisor, name=f"divisor_{first}", reset_less=True)
        bits = Signal(last - 1, name=f"bits_{first}", reset_less=True)  # found before the one of this cycle

        # The next difference is 2 difference - divisor where the bit is 1, else + divisor: -y = ~y + 1, and that 1 has
        # room below the doubled. What a stage begins with comes in before the sum, which is the long part.
        bit = Signal(name=f"bit_{first}")
        m.d.comb += bit.eq(~difference[-1])
        doubled, addend = Cat(bit, difference[:-1]), Cat(divisor ^ bit.replicate(len(divisor)), bit)
        first_doubled = self.numerator if before is None else before.doubled
        first_addend = 0 if before is None else before.addend
        m.d.sync += difference.eq(Mux(load_doubled, first_doubled, doubled) + Mux(load_addend, first_addend, addend))
        found = Cat(bit, bits)
        with m.If(load):
            if before is None:
                m.d.sync += divisor.eq(self.divisor)
            else:
                first_bit = before.addend[-1]
                m.d.sync += [
                    divisor.eq(before.addend[:-1] ^ first_bit.replicate(len(divisor))),
                    bits.eq(before.bits),
                ]
        with m.Else():
            m.d.sync += bits.eq(found)

        # Whether the quotient saturates: found from x beside the first bit, it goes along a cycle later.
        load_flags = delay(m, load, 1, f"load_flags_{first}")
        low, high = (Signal(name=f"{name}_{first}", reset_less=True) for name in ("low", "high"))
        if before is None:
            # x may be wider than the differences, which it does not fit then: it saturates.
            x = difference
            if len(self.numerator) > len(difference):
                x = Cat(difference, delay(m, self.numerator[len(difference) :], 1, "upper_bits")).as_signed()
            invalid = delay(m, self.invalid, 1, "no_divisor")
            is_low = Mux(invalid, x[-1], x + divisor < 0)
            is_high = Mux(invalid, ~x[-1], x - divisor >= 0)
        else:
            is_low, is_high = before.low, before.high
        with m.If(load_flags):
            m.d.sync += [low.eq(is_low), high.eq(is_high)]
        return _HandedOver(doubled=doubled, addend=addend, bits=found[:last], low=low, high=high)

    def _round(self, quotient, low, high, width):
        """The upper width + 1 bits of the quotient, rounded half up, offset removed, saturated."""
        upper = quotient[self.iterations - width - 1 :]
        rounded = upper[1:] + upper[0]
        offset = 1 << (width - 1)
        return Mux(low, -offset, Mux(high | rounded[width], offset - 1, rounded - offset))


def align(m, shift_z, data_width, numerator_shift, divisor_shift):
    """Left shifts with which a quotient T_N 2^shift_z / t_D of `data_width` bits is found from T_N and t_D.

    Args:
        m (amaranth.hdl.Module): the module that gets the assignments.
        shift_z (amaranth.hdl.Value): signed, constant during a job.
        data_width (int): W.
        numerator_shift (amaranth.hdl.Signal): register, of T_N; one of the two is 0.
        divisor_shift (amaranth.hdl.Signal): register, of t_D.
    """
    smallest = data_width - 1
    with m.If(shift_z >= smallest):
        m.d.sync += [numerator_shift.eq(shift_z - smallest), divisor_shift.eq(0)]
    with m.Else():
        m.d.sync += [numerator_shift.eq(0), divisor_shift.eq(smallest - shift_z)]


def divider_lane_of(config, mean_width):
    """The divider lane of a column.

    Args:
        config (AcceleratorConfig): the configuration of the attention kernel.
        mean_width (int): bits of the longest quotient.
    """
    return DividerLane(
        numerator_width=config.numerator_width,
        divisor_width=config.divisor_width,
        data_width=config.data_width,
        mean_width=mean_width,
        interval=config.divider_row_interval,
        pipelined=config.memory_pipeline > 0 and config.divider_row_interval > 1,
    )
