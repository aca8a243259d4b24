"""Multipliers of a processing element: one interface, one latency, a form for each FPGA family.

    stationary --->[active]--.        `active` takes `stationary` when `swap` is high
                              (x)--->[P registers]---> product
    streamed ----->[   ]-----'

What Yosys infers from `*` is right on every family, but nowhere fast: no synthesis pass moves the registers around a
multiplier into its DSP cell. So the other forms instantiate the cell, with its own registers for both operands and
for the product, or do without a cell.

| form | made of | operands up to | `pipeline` |
|---|---|---|---|
| `InferredMultiplier` | `*` | any | 0 or more, behind the multiplication |
| `Ecp5Multiplier` | MULT18X18D with registers A, B and OUT | 18 bits | OUT, one behind, one in front, more behind |
| `GowinMultiplier` | MULT18X18 or MULT9X9 with registers A, B and OUT | 18 bits | the same |
| `Ice40Multiplier` | SB_MAC16 with registers A, B and H | 16 bits | H, others behind the cell |
| `BoothMultiplier` | LUTs: digits of the stationary operand, a tree of adders | any | 1 or more, between its stages |

Every form has the same latency for the same `pipeline`, so those of one array may be of several forms.
"""

from typing import NamedTuple

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

__all__ = ["FORMS", "BoothMultiplier", "Ecp5Multiplier", "GowinMultiplier", "Ice40Multiplier", "InferredMultiplier",
           "Multiplier"]  # fmt: skip


class Multiplier(Block):
    """product[t + latency] = streamed[t] * active[t]; `active` keeps what `stationary` was when `swap` was last high.

    Parameters
    ----------
    streamed_width, stationary_width: bits of the signed operands, at most `operand_limit` where that is not None.
    pipeline: registers besides those of the operands, `least_pipeline` or more.
    suffix: end of the module's name, for a second multiplier of other widths in the same design.

    Ports
    -----
    streamed: one operand a cycle.
    stationary, swap: while `swap` is high, `stationary` becomes the other operand, from this cycle's `streamed` on.
    product: signed, streamed_width + stationary_width bits, `latency` = 1 + pipeline cycles after `streamed`.
    increment: only where `has_increment`: a bit still to be added to `product`, which the adder behind takes as its
        carry for nothing.

    Raises `ValueError` for a parameter that this form cannot have.
    """

    module_name = "multiplier"
    reset_less = True
    operand_limit = None
    least_pipeline = 0
    has_increment = False

    def __init__(self, *, streamed_width, stationary_width, pipeline, suffix=""):
        for name, width in (("streamed_width", streamed_width), ("stationary_width", stationary_width)):
            if self.operand_limit is not None and width > self.operand_limit:
                raise ValueError(f"{name} must be at most {self.operand_limit} in {self.module_name}, not {width!r}")
        if pipeline < self.least_pipeline:
            raise ValueError(f"pipeline must be at least {self.least_pipeline} in {self.module_name}, not {pipeline!r}")
        self.pipeline = pipeline
        self.module_name += suffix
        ports = {
            "streamed": In(signed(streamed_width)),
            "stationary": In(signed(stationary_width)),
            "swap": In(1),
            "product": Out(signed(streamed_width + stationary_width)),
        }
        super().__init__(ports | ({"increment": Out(1)} if self.has_increment else {}))

    @property
    def latency(self):
        """Cycles from `streamed` to `product`."""
        return 1 + self.pipeline

    def elaborate(self, platform):
        m = Module()
        product, registers = self.multiply(m)
        for stage in range(registers, self.latency):
            registered = Signal.like(product, name=f"product_{stage}")
            m.d.sync += registered.eq(product)
            product = registered
        m.d.comb += self.product.eq(product)
        return m

    def multiply(self, m):
        """Adds the multiplication to module `m`; returns the product, and how many cycles after `streamed` it is."""
        raise NotImplementedError


class InferredMultiplier(Multiplier):
    """Portable multiplier: the operators and registers of any family."""

    def multiply(self, m):
        product = Signal.like(self.product, name="product_now")
        streamed_now, active = _registered_operands(self, m)
        m.d.comb += product.eq(streamed_now * active)
        return product, 1


class Ecp5Multiplier(Multiplier):
    """Lattice ECP5: a MULT18X18D with its registers A (streamed), B (`active`) and OUT.

    The register B cannot keep `active` by itself: the four cells of a block have four clock enables between them, of
    which A and OUT take one, and every multiplier of an array has a `swap` of its own. So `active` is kept in fabric.
    """

    module_name = "multiplier_ecp5"
    waivers = {("PINMISSING", "dsp"): "Pins that are not named stay open: what is tied takes up routing."}
    operand_limit = 18
    least_pipeline = 1

    def multiply(self, m):
        streamed, stationary, cycles = _operands_of_cell(self, m)
        product = Signal.like(self.product, name="dsp_product")
        registers = {
            f"p_REG_{register}_{what}": f"{what}0"
            for register in ("INPUTA", "INPUTB", "OUTPUT")
            for what in ("CLK", "CE", "RST")
        }
        # Ports that are not named stay open: with those tied low, nextpnr does not find routes for all.
        m.submodules.dsp = Instance(
            "MULT18X18D", **_ATTRIBUTES,
            **registers, p_GSR="DISABLED", p_RESETMODE="SYNC",
            i_CLK0=ClockSignal(), i_CE0=1, i_RST0=0, i_SIGNEDA=1, i_SIGNEDB=1, i_SOURCEA=0, i_SOURCEB=0,
            **_pins("i_A", _extended(streamed, self.operand_limit)),
            **_pins("i_B", _extended(stationary, self.operand_limit)),
            **_pins("o_P", product),
        )  # fmt: skip
        return product, cycles + 2


class Ice40Multiplier(Multiplier):
    """Lattice iCE40 UltraPlus: an SB_MAC16, 16 x 16, with its registers A (streamed), B (`active`) and H (product).

    Two products of 8 x 8 would fit a cell, but the streamed operand is wider than 8 bits for most configurations.
    """

    module_name = "multiplier_ice40"
    waivers = {("UNUSEDSIGNAL", "dsp_product"): "The cell's product is wider than that of the operands."}
    operand_limit = 16
    least_pipeline = 1

    def multiply(self, m):
        product = Signal(signed(2 * self.operand_limit), name="dsp_product")
        # Input B has an enable of its own. The adders behind the product are not used.
        holds = ("AHOLD", "CHOLD", "DHOLD", "OHOLDTOP", "OHOLDBOT")
        resets = ("IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT")
        adders = ("C", "D", "CI", "ACCUMCI", "SIGNEXTIN", "ADDSUBTOP", "ADDSUBBOT", "OLOADTOP", "OLOADBOT")
        m.submodules.dsp = Instance(
            "SB_MAC16", **_ATTRIBUTES,
            p_A_SIGNED=1, p_B_SIGNED=1, p_A_REG=1, p_B_REG=1, p_PIPELINE_16x16_MULT_REG2=1,
            p_TOPOUTPUT_SELECT=3, p_BOTOUTPUT_SELECT=3,
            i_CLK=ClockSignal(), i_CE=1, i_BHOLD=~self.swap,
            **{f"i_{name}": Const(0, 16 if name in "CD" else 1) for name in (*holds, *resets, *adders)},
            i_A=_extended(self.streamed, self.operand_limit), i_B=_extended(self.stationary, self.operand_limit),
            o_O=product,
        )  # fmt: skip
        return product[: len(self.product)].as_signed(), 2


class GowinMultiplier(Multiplier):
    """Gowin GW1N and GW2A: a MULT18X18 or MULT9X9 with its registers A (streamed), B (`active`) and OUT.

    Two MULT9X9 take the place of a MULT18X18. One clock enable is for all registers of a cell, so `active` is kept in
    fabric.
    """

    module_name = "multiplier_gowin"
    waivers = {("UNUSEDSIGNAL", "dsp_product"): "The cell's product is wider than that of the operands."}
    operand_limit = 18
    least_pipeline = 1

    def multiply(self, m):
        streamed, stationary, cycles = _operands_of_cell(self, m)
        width = 9 if max(len(streamed), len(stationary)) <= 9 else 18
        product = Signal(signed(2 * width), name="dsp_product")
        m.submodules.dsp = Instance(
            f"MULT{width}X{width}", **_ATTRIBUTES,
            p_AREG=1, p_BREG=1, p_OUT_REG=1, p_MULT_RESET_MODE="SYNC",
            i_CLK=ClockSignal(), i_CE=1, i_RESET=0, i_ASIGN=1, i_BSIGN=1, i_ASEL=0, i_BSEL=0,
            i_A=_extended(streamed, width), i_B=_extended(stationary, width),
            i_SIA=Const(0, width), i_SIB=Const(0, width), o_DOUT=product,
        )  # fmt: skip
        return product[: len(self.product)].as_signed(), cycles + 2


class BoothMultiplier(Multiplier):
    r"""Radix-4 Booth multiplier in LUTs, for PEs beyond the number of DSP cells.

    The stationary operand is recoded, as it is swapped in, to digits d_i with d_0 + 4 d_1 + 16 d_2 + ... = operand.
    All but the uppermost are -1, 0, 1 or 2, which two bits tell (the digit modulo 4): a row d_i * streamed is one LUT
    of four inputs a bit, where Booth's usual -2..2 takes five. Only the uppermost of an even width is -2..2.

    A row that is negative is inverted and owes one: -x = ~x + 1. In the tree each row but row 0 is the lowest row of
    exactly one right operand, so every adder settles one such debt by its carry, and row 0's is `increment`.

        digits,  --> row 0 --\
        streamed --> row 1 --(+)--.       `pipeline` registers behind adders, as evenly as they go
                 --> row 2 --\    (+)--> product
                 --> row 3 --(+)--'
    """

    module_name = "multiplier_booth"
    least_pipeline = 1
    has_increment = True

    def elaborate(self, platform):
        m = Module()
        streamed_now = Signal.like(self.streamed)
        m.d.sync += streamed_now.eq(self.streamed)

        terms = self._rows(m, streamed_now)
        levels = (len(terms) - 1).bit_length()
        for level in range(levels + 1):
            if level > 0:
                pairs = [terms[index : index + 2] for index in range(0, len(terms), 2)]
                terms = [self._sum(m, *pair) if len(pair) == 2 else pair[0] for pair in pairs]
            if self._is_registered(level, levels):
                terms = [_registered(m, term) for term in terms]
        (product,) = terms
        for _stage in range(max(1, levels), self.pipeline):
            product = _registered(m, product)
        m.d.comb += [self.product.eq(product.value), self.increment.eq(product.debt)]
        return m

    def _is_registered(self, level, levels):
        """Whether a register follows this level of adders; none follows level 0, the rows: they are quick, and many."""
        below = levels - level
        if below == 0:
            return True
        return level > 0 and below * self.pipeline // levels > (below - 1) * self.pipeline // levels

    def _rows(self, m, streamed):
        """The digits' multiples of the streamed operand, lowest first."""
        rows = []
        carry = None  # from the digits below: these are at most 2 where their bits are 3
        width = len(self.stationary)
        for low in range(0, width, 2):
            index = low // 2
            pair = self.stationary[low : low + 2]
            if low + 1 == width:
                pair = pair.replicate(2)  # the sign alone: -1, or 0
            row = Signal(signed(len(streamed) + 1), name=f"row_{index}")
            if low + 2 == width:
                negative = self._uppermost_row(m, row, streamed, pair, carry)
            else:
                digit = Signal(2, name=f"digit_{index}")
                with m.If(self.swap):
                    m.d.sync += digit.eq(pair if carry is None else pair + carry)
                m.d.comb += row.eq(Mux(digit[1], Mux(digit[0], ~streamed, streamed << 1), Mux(digit[0], streamed, 0)))
                negative = digit.all()
                carry_out = Signal(name=f"carry_{index}")
                m.d.comb += carry_out.eq(pair.all() if carry is None else pair[1] & (pair[0] | carry))
                carry = carry_out
            rows.append(_Term(row, low, negative))
        return rows

    def _uppermost_row(self, m, row, streamed, pair, carry):
        """Drives the row of the digit -2, -1, 0, 1 or 2 that has the operand's sign; whether it is inverted."""
        digit = Signal(signed(3))
        one, two, negative = Signal(name="one"), Signal(name="two"), Signal(name="negative")
        m.d.comb += digit.eq(pair.as_signed() if carry is None else pair.as_signed() + carry)
        with m.If(self.swap):
            m.d.sync += [one.eq(digit[0]), two.eq(digit[1] & ~digit[0]), negative.eq(digit[2])]
        size = Signal.like(row)
        m.d.comb += [
            size.eq(Mux(one, streamed, 0) | Mux(two, streamed << 1, 0)),
            row.eq(Mux(negative, ~size, size)),
        ]
        return negative

    def _sum(self, m, low, high):
        """The sum of two neighbouring terms: it settles the debt of the upper one and owes that of the lower one."""
        shift = high.weight - low.weight
        rows = low.rows + high.rows
        # One bit more at the lower end: its carry is the debt.
        upper = (Cat(1, low.value[shift:]).as_signed() + Cat(high.debt, high.value).as_signed())[1:]
        width = min(len(self.streamed) + 2 * rows, len(self.product) - low.weight)
        value = Signal(signed(width), name=f"sum_{low.weight // 2}_of_{rows}")
        m.d.comb += value.eq(Cat(low.value[:shift], upper))
        return _Term(value, low.weight, low.debt, rows)


class _Term(NamedTuple):
    """(value + debt) << weight, the sum of so many rows."""

    value: Signal
    weight: int
    debt: Value
    rows: int = 1


def _registered(m, term):
    """The same term a cycle later."""
    value, debt = Signal.like(term.value, name_suffix="_later"), Signal(name=f"debt_{term.weight // 2}_of_{term.rows}")
    m.d.sync += [value.eq(term.value), debt.eq(term.debt)]
    return term._replace(value=value, debt=debt)


def _registered_operands(multiplier, m):
    """The streamed operand a cycle later, and `active`."""
    streamed_now = Signal.like(multiplier.streamed, name="streamed_now")
    active = Signal.like(multiplier.stationary, name="active")
    m.d.sync += streamed_now.eq(multiplier.streamed)
    with m.If(multiplier.swap):
        m.d.sync += active.eq(multiplier.stationary)
    return streamed_now, active


def _operands_of_cell(multiplier, m):
    """What the registers of a cell take that cannot hold: the operands, and how many cycles after `streamed` they are.

    A cell may be far from the fabric around it, so where `pipeline` has one to spare, there are registers in front of
    it. Otherwise its second operand is what `active` is going to be, chosen on the way.
    """
    if multiplier.pipeline >= 3:
        return *_registered_operands(multiplier, m), 1
    active = Signal.like(multiplier.stationary, name="active")
    next_active = Signal.like(multiplier.stationary, name="next_active")
    m.d.comb += next_active.eq(Mux(multiplier.swap, multiplier.stationary, active))
    m.d.sync += active.eq(next_active)
    return multiplier.streamed, next_active, 0


# Yosys notes with a cell of parameters that its module may be read anew, and does so after flattening, when the modules
# below are gone ("referenced ... is not part of the design"). A note that is there already, and empty, is left alone.
_ATTRIBUTES = {"a_reprocess_after": ""}


def _extended(value, width):
    """`value` with its sign extended to `width` bits."""
    return Cat(value, value[-1].replicate(width - len(value)))


def _pins(prefix, value):
    """Ports of one bit, `prefix`0 and up."""
    return {f"{prefix}{index}": bit for index, bit in enumerate(value)}


FORMS = {
    "inferred": InferredMultiplier,
    "ecp5": Ecp5Multiplier,
    "ice40": Ice40Multiplier,
    "gowin": GowinMultiplier,
    "booth": BoothMultiplier,
}
