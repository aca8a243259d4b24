"""Adder array: the element-wise additions of Algorithm 1 (ViTALiTy, steps 1, 4 and 5).

* `CentringAdder`, one a row of the array, on the way from the K buffer into the array: K^ = (K << f) - k_mean.
* `NumeratorAdder`, one a column: T_N = (Q G << F) + c_v v_sum.
* `DenominatorAdder`, one beside SA-Diag: t_D = c_d + (Q k^_sum << F).

The last two leave their result in the alignment that the divider wants: a quotient T_N 2^shift_z / t_D of W bits is
found from T_N << `numerator_shift` and t_D << `divisor_shift`, of which one is zero.
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.validation import require_range
from taylorvit.rtl.common.widths import up_to

__all__ = ["CentringAdder", "DenominatorAdder", "NumeratorAdder"]


class CentringAdder(Block):
    """streamed = bypass ? q : (k << fraction) - mean, one cycle later.

    Args:
        data_width (int): bits of the elements `q` and `k` (W), at least 1.
        fraction (int): fractional bits of `mean` (f), 0 or more.

    Ports:
        bypass (1 bit, input): stream Q, not K^.
        q (signed, W bits, input): an element of Q.
        k (signed, W bits, input): an element of K.
        mean (signed, W + f bits, input): k_mean of its feature.
        streamed (signed, W + 1 + f bits, output): the element for the array; nothing saturates.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is below its least value.
    """

    module_name = "centring_adder"
    reset_less = True
    latency = 1

    def __init__(self, *, data_width, fraction):
        require_range("data_width", data_width, 1)
        require_range("fraction", fraction, 0)
        self.fraction = fraction
        super().__init__(
            {
                "bypass": In(1),
                "q": In(signed(data_width)),
                "k": In(signed(data_width)),
                "mean": In(signed(data_width + fraction)),
                "streamed": Out(signed(data_width + 1 + fraction)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        centred = (self.k << self.fraction) - self.mean
        m.d.sync += self.streamed.eq(Mux(self.bypass, self.q, centred))
        return m


class NumeratorAdder(Block):
    """numerator = single ? k_sum : ((product << fraction) << shift) + bias, `latency` cycles after `product`.

    Args:
        product_width (int): bits of Q G, at least 1.
        fraction (int): F, 0 or more.
        shift_max (int): largest `shift`, 0 or more.
        bias_width (int): bits of c_v v_sum, shifted already, at least 1.
        k_sum_width (int): bits of the numerator of the single-divisor mode, 1 to bias_width + 1.

    Ports:
        product (signed, product_width bits, input): Q G of one row.
        bias (signed, bias_width bits, input): of the same row, in the same cycle.
        shift (up_to(shift_max), input): left shift, constant during a job.
        single (1 bit, input): two cycles after `product`: take `k_sum` as the numerator.
        k_sum (signed, k_sum_width bits, input): in the cycle of `single`.
        numerator (signed, bias_width + 1 bits, output): the result. Where a shifted product does not fit, the quotient
            would saturate.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is out of its range.
    """

    module_name = "numerator_adder"
    reset_less = True
    latency = 3

    def __init__(self, *, product_width, fraction, shift_max, bias_width, k_sum_width):
        for name, value in (("product_width", product_width), ("bias_width", bias_width)):
            require_range(name, value, 1)
        for name, value in (("fraction", fraction), ("shift_max", shift_max)):
            require_range(name, value, 0)
        require_range("k_sum_width", k_sum_width, 1, bias_width + 1)
        self.fraction = fraction
        self.shift_max = shift_max
        super().__init__(
            {
                "product": In(signed(product_width)),
                "bias": In(signed(bias_width)),
                "shift": In(up_to(shift_max)),
                "single": In(1),
                "k_sum": In(signed(k_sum_width)),
                "numerator": Out(signed(bias_width + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = len(self.product) + self.fraction
        fine, coarse = self.shift[:3], self.shift[3:]

        # The shifter is cut in two: by 0 to 7 first, while the word is narrow.
        fine_shifted = Signal(signed(width + min(7, self.shift_max)))
        m.d.sync += fine_shifted.eq(self.first_term() << fine)
        shifted = Signal(signed(width + self.shift_max))
        if len(coarse):
            m.d.sync += shifted.eq(fine_shifted << (coarse << 3))
        else:
            m.d.sync += shifted.eq(fine_shifted)

        bias = delay(m, self.bias, 2, "bias")
        m.d.sync += self.numerator.eq(Mux(self.single, self.k_sum, shifted + bias))
        return m

    def first_term(self):
        """What is added to the bias, before the shift: Q G << F, of product_width + F bits at most."""
        return self.product << self.fraction


class DenominatorAdder(Block):
    """divisor = single ? tokens << (W - 1) : t_D << shift with t_D = c_d + (product << fraction); 3 cycles later.

    Args:
        product_width (int): bits of Q k^_sum, at least 1.
        fraction (int): F, 0 or more.
        c_d_width (int): bits of the unsigned constant, at least 1.
        denominator_width (int): bits of t_D, signed, at least 1.
        shift_max (int): largest `shift`, 0 or more.
        tokens_width (int): bits of `tokens`, at least 1.
        tokens_shift (int): W - 1, the left shift of the single divisor n, 0 or more.
        divisor_width (int): bits of the unsigned divisor, at least 1.

    Ports:
        product (signed, product_width bits, input): Q k^_sum of one row.
        single (1 bit, input): in the same cycle: the divisor is n.
        c_d (c_d_width bits, input): constant during a job, like the next two.
        shift (up_to(shift_max), input): left shift of t_D.
        tokens (tokens_width bits, input): n.
        divisor (divisor_width bits, output): the divisor of the row, `latency` cycles after `product`.
        invalid (1 bit, output): with it: t_D <= 0, so the divisor means nothing.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is below its least value.
    """

    module_name = "denominator_adder"
    reset_less = True
    latency = 3

    def __init__(
        self,
        *,
        product_width,
        fraction,
        c_d_width,
        denominator_width,
        shift_max,
        tokens_width,
        tokens_shift,
        divisor_width,
    ):
        for name, value in (
            ("product_width", product_width),
            ("c_d_width", c_d_width),
            ("denominator_width", denominator_width),
            ("tokens_width", tokens_width),
            ("divisor_width", divisor_width),
        ):
            require_range(name, value, 1)
        for name, value in (("fraction", fraction), ("shift_max", shift_max), ("tokens_shift", tokens_shift)):
            require_range(name, value, 0)
        self.fraction = fraction
        self.denominator_width = denominator_width
        self.tokens_shift = tokens_shift
        super().__init__(
            {
                "product": In(signed(product_width)),
                "single": In(1),
                "c_d": In(c_d_width),
                "shift": In(up_to(shift_max)),
                "tokens": In(tokens_width),
                "divisor": Out(divisor_width),
                "invalid": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        denominator = Signal(signed(self.denominator_width))
        m.d.sync += denominator.eq(self.denominator())

        # The shifter is cut in two here as well.
        fine, coarse = self.shift[:3], self.shift[3:]
        fine_shifted = Signal.like(self.divisor)
        not_positive = Signal()
        m.d.sync += [
            fine_shifted.eq(denominator.as_unsigned() << fine),
            not_positive.eq(denominator <= 0),
        ]

        single = delay(m, self.single, 2, "single")
        shifted = fine_shifted << (coarse << 3) if len(coarse) else fine_shifted
        m.d.sync += [
            self.divisor.eq(Mux(single, self.tokens << self.tokens_shift, shifted)),
            self.invalid.eq(~single & not_positive),
        ]
        return m

    def denominator(self):
        """What a row is divided by, before the shift: t_D, of denominator_width bits at most."""
        return self.c_d + (self.product << self.fraction)
