"""Clocks: the core clock from the board's oscillator, and the reset that goes with it.

    clock pin --> [vendor's PLL, or a wire] --> core clock
                        | locked
    button ------------>+--> [two registers] --> [counter] --> reset, until both have been good for a while

What a PLL can make is a grid. `core_clock` searches it for the frequency nearest to the one wanted, within the limits
that the data sheets give for the phase detector and the oscillator:

    ECP5    EHXPLLL     f = f_in / i k / d         i = CLKI_DIV, k = CLKOP_DIV (the feedback), d = CLKOS_DIV
    iCE40   SB_PLL40    f = f_in (F + 1) / ((R + 1) 2^Q)          with R = DIVR, F = DIVF, Q = DIVQ
    Gowin   rPLL        f = f_in (F + 1) / (I + 1)                with I = IDIV_SEL, F = FBDIV_SEL

Sources: FPGA-DS-02012 (ECP5), FPGA-DS-02008 (iCE40 UltraPlus) and FPGA-TN-02052, SUG286 and the data sheets of
GW1NR and GW2AR.
"""

from dataclasses import dataclass
from fractions import Fraction

from amaranth.hdl import Cat, Const, Instance, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

__all__ = ["ClockGenerator", "CoreClock", "ResetGenerator", "core_clock"]

_MHZ = 1_000_000
#: What comes out may be so far off what is wanted.
_TOLERANCE = Fraction(1, 100)


@dataclass(frozen=True)
class CoreClock:
    """How the core clock is made: `hz`, exactly, by the vendor's `cell` and its parameters; no cell is a wire."""

    hz: Fraction
    cell: str | None
    parameters: tuple[tuple[str, object], ...] = ()

    @property
    def rounded_hz(self):
        """The frequency as an integer."""
        return round(self.hz)


def core_clock(board):
    """The `CoreClock` of a board: of what its PLL can make, the frequency nearest to `board.core_hz`.

    Raises `ValueError` if that is more than 1 % away.
    """
    wanted, source = board.core_hz, board.clock_hz
    if wanted == source:
        return CoreClock(Fraction(source), None)
    candidates = _SEARCHES[board.family](source, wanted, board)
    best = min(candidates, key=lambda clock: abs(clock.hz - wanted), default=None)
    if best is None or abs(best.hz - wanted) > wanted * _TOLERANCE:
        made = f"{float(best.hz) / _MHZ:g} MHz is the nearest" if best else "there is none near"
        raise ValueError(
            f"core clock of {board.name} must be one that its PLL makes of {source / _MHZ:g} MHz ({made}), "
            f"not {wanted / _MHZ:g} MHz"
        )
    return best


def _within(frequency, limits):
    """Whether a frequency in hertz is within limits in MHz."""
    return limits[0] * _MHZ <= frequency <= limits[1] * _MHZ


def _ecp5(source, wanted, _board):
    if not _within(source, (8, 400)):
        return
    for divide in range(1, 129):
        compared = Fraction(source, divide)
        if not _within(compared, (10, 400)):
            continue
        for multiply in range(1, 129):
            oscillator = compared * multiply
            if not _within(oscillator, (400, 800)):
                continue
            output = max(1, min(128, round(oscillator / wanted)))
            if _within(oscillator / output, (3.125, 400)):
                yield CoreClock(oscillator / output, "EHXPLLL", (
                    ("CLKI_DIV", divide),
                    ("CLKFB_DIV", 1),
                    ("CLKOP_ENABLE", "ENABLED"),
                    ("CLKOP_DIV", multiply),
                    ("CLKOP_CPHASE", multiply - 1),
                    ("CLKOP_FPHASE", 0),
                    ("CLKOS_ENABLE", "ENABLED"),
                    ("CLKOS_DIV", output),
                    ("CLKOS_CPHASE", output - 1),
                    ("CLKOS_FPHASE", 0),
                    ("FEEDBK_PATH", "CLKOP"),
                    ("OUTDIVIDER_MUXA", "DIVA"),
                    ("OUTDIVIDER_MUXB", "DIVB"),
                    ("DPHASE_SOURCE", "DISABLED"),
                    ("PLLRST_ENA", "DISABLED"),
                    ("INTFB_WAKE", "DISABLED"),
                    ("STDBY_ENABLE", "DISABLED"),
                ))  # fmt: skip


def _ice40(source, wanted, _board):
    for divide in range(1, 17):
        compared = Fraction(source, divide)
        if not _within(compared, (10, 133)):
            continue
        for exponent in range(1, 7):
            multiply = max(1, min(128, round(wanted * (1 << exponent) / compared)))
            oscillator = compared * multiply
            if _within(oscillator, (533, 1066)) and _within(oscillator / (1 << exponent), (16, 275)):
                filter_range = 1 + sum(compared >= limit * _MHZ for limit in (17, 26, 44, 66, 101))
                yield CoreClock(oscillator / (1 << exponent), "SB_PLL40_PAD", (
                    ("FEEDBACK_PATH", "SIMPLE"),
                    ("DIVR", divide - 1),
                    ("DIVF", multiply - 1),
                    ("DIVQ", exponent),
                    ("FILTER_RANGE", filter_range),
                ))  # fmt: skip


#: Gowin series -> limits in MHz of phase detector, oscillator and output; of speed grade C6 and better.
_GOWIN_LIMITS = {
    "GW1N": ((3, 400), (400, 900), (3.125, 450)),
    "GW2A": ((3, 400), (500, 1250), (3.90625, 625)),
}


def _gowin(source, wanted, board):
    limits = [limits for prefix, limits in _GOWIN_LIMITS.items() if board.device.startswith(prefix)]
    if not limits:
        raise ValueError(f"device must begin with {' or '.join(_GOWIN_LIMITS)}, not {board.device!r}")
    ((detector, oscillator, output),) = limits
    for divide in range(1, 65):
        compared = Fraction(source, divide)
        if not _within(compared, detector):
            continue
        multiply = max(1, min(64, round(wanted / compared)))
        result = compared * multiply
        for factor in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
            if _within(result * factor, oscillator) and _within(result, output):
                yield CoreClock(result, "rPLL", (
                    ("FCLKIN", f"{source / _MHZ:g}"),
                    ("IDIV_SEL", divide - 1),
                    ("FBDIV_SEL", multiply - 1),
                    ("ODIV_SEL", factor),
                ))  # fmt: skip


_SEARCHES = {"ecp5": _ecp5, "ice40": _ice40, "gowin": _gowin}


class ClockGenerator(Block):
    """The core clock from the board's clock: the vendor's PLL, or nothing but a wire.

    Parameters
    ----------
    clock: the `CoreClock`.

    Ports
    -----
    clock_in: from the pin; clock_out: the core clock; locked: it runs as it should.
    """

    module_name = "clock_generator"
    clocked = False

    def __init__(self, clock):
        self.clock = clock
        super().__init__({"clock_in": In(1), "clock_out": Out(1), "locked": Out(1)})

    def elaborate(self, platform):
        m = Module()
        if self.clock.cell is None:
            m.d.comb += [self.clock_out.eq(self.clock_in), self.locked.eq(1)]
            return m
        ports = {f"p_{name}": value for name, value in self.clock.parameters}
        if self.clock.cell == "EHXPLLL":
            feedback = Signal()
            # Charge pump and loop filter as Lattice's own generator sets them.
            ports |= {"a_ICP_CURRENT": "12", "a_LPF_RESISTOR": "8", "a_MFG_ENABLE_FILTEROPAMP": "1",
                      "a_MFG_GMCREF_SEL": "2"}  # fmt: skip
            ports |= {"i_CLKI": self.clock_in, "o_CLKOP": feedback, "i_CLKFB": feedback, "o_CLKOS": self.clock_out}
            ports |= dict.fromkeys(("i_RST", "i_STDBY", "i_PHASESEL0", "i_PHASESEL1", "i_PLLWAKESYNC", "i_ENCLKOP",
                                    "i_ENCLKOS"), Const(0, 1))  # fmt: skip
            ports |= dict.fromkeys(("i_PHASEDIR", "i_PHASESTEP", "i_PHASELOADREG"), Const(1, 1))
        elif self.clock.cell == "SB_PLL40_PAD":
            ports |= {"i_PACKAGEPIN": self.clock_in, "o_PLLOUTGLOBAL": self.clock_out, "i_BYPASS": Const(0, 1),
                      "i_RESETB": Const(1, 1)}  # fmt: skip
        else:
            ports |= {"i_CLKIN": self.clock_in, "i_CLKFB": Const(0, 1), "o_CLKOUT": self.clock_out}
            ports |= {f"i_{name}": Const(0, 1) for name in ("RESET", "RESET_P")}
            ports |= {f"i_{name}": Const(0, 6) for name in ("FBDSEL", "IDSEL", "ODSEL")}
            ports |= {f"i_{name}": Const(0, 4) for name in ("PSDA", "DUTYDA", "FDLY")}
        m.submodules.pll = Instance(self.clock.cell, o_LOCK=self.locked, **ports)
        return m


class ResetGenerator(Block):
    """Resets from what the outside does: `reset_cycles` cycles at least, at power-up and after each cause.

    Ports
    -----
    locked: of the clock generator; button: high while pressed; both in no step with the clock.
    request: the host's reset of the accelerator.
    reset: of everything; accelerator_reset: of the accelerator, one cycle later also where `request` is high.

    The contents of the iCE40's block RAM can be read from 3 us after power-up on, with up to 64 MHz 192 cycles.
    """

    module_name = "reset_generator"
    reset_less = True

    reset_cycles = 256

    def __init__(self):
        super().__init__({
            "locked": In(1), "button": In(1), "request": In(1), "reset": Out(1, init=1),
            "accelerator_reset": Out(1, init=1),
        })  # fmt: skip

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
