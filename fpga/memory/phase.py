"""When the chip's clock comes, and when the FPGA takes what the chip reads.

One clock drives the registers at all pins; the chip gets it a part p of its cycle T later. Counted from the edge of the
FPGA's clock that sends a read, the way goes as follows, where L is the CAS latency:

    out              the command is at the chip, for a cycle
    p T + out        the chip's clock, which takes it
    ... + access     L - 1 cycles later: data leave the chip; they stay until its next edge, and for `hold`
    ... + wires      they are at the FPGA, which takes them L + `late` cycles after the command left

All registers are in I/O cells of one kind, so the delay `out` from the FPGA's clock to a pin is that of the clock's own
pin. It cancels where a command meets the clock, up to a small skew, but not on the way to the chip and back. With a
slow clock the data have come before the next edge. With a fast one they come after it, and are taken one later
(`late`); then the clock must come late in the cycle, so that they stay so long.

`chip_clock` takes the phase with which the least of four margins is largest.
"""

from dataclasses import dataclass
from fractions import Fraction

from .chips import SdramChip

__all__ = ["HALF", "ChipClock", "PinTiming", "chip_clock"]

_STEPS = 16  # of a cycle, in which the phase is chosen


@dataclass(frozen=True, kw_only=True)
class PinTiming:
    """Registers at the pins of an FPGA, and the way to the chip; in ns.

    Attributes:
        out_least (float): from the clock's edge to the pin.
        out_most (float): the same in the slowest case.
        skew (float): by how much pins differ.
        setup (float): of a pin before the clock's edge.
        hold (float): behind it.
        wires (float): on the board, there and back.
    """

    out_least: float
    out_most: float
    skew: float
    setup: float
    hold: float
    wires: float


@dataclass(frozen=True)
class ChipClock:
    """How the clock of the chip comes.

    Attributes:
        phase (Fraction): part of a cycle by which it comes behind the FPGA's clock, between 0 and 1.
        late (int): cycles that are added to the CAS latency until data are taken, 0 or 1.
    """

    phase: Fraction
    late: int

    def margins(self, chip, pins, clock_hz):
        """What is left of each time.

        Args:
            chip (SdramChip): the chip.
            pins (PinTiming): the FPGA's pins.
            clock_hz (int): the clock, in hertz.

        Returns:
            dict[str, float]: the margins, in ns, by name; negative where the time does not do.
        """
        cycle = 1e9 / clock_hz
        clock = float(self.phase) * cycle
        there_and_back = pins.out_most + chip.access + pins.wires
        return {
            "setup at the chip": clock - pins.skew - chip.setup,
            "hold at the chip": cycle - clock - pins.skew - chip.input_hold,
            "setup at the FPGA": (1 + self.late) * cycle - clock - there_and_back - pins.setup,
            "hold at the FPGA": clock + pins.out_least + chip.hold - self.late * cycle - pins.hold,
        }


#: The opposite of the FPGA's clock, which needs no PLL.
HALF = ChipClock(Fraction(1, 2), 0)


def chip_clock(chip: SdramChip, pins: PinTiming, clock_hz: int, *, has_pll: bool = True) -> ChipClock:
    """The clock of the chip that leaves the most time.

    Args:
        chip (SdramChip): the chip.
        pins (PinTiming): the FPGA's pins.
        clock_hz (int): the clock of FPGA and chip, in hertz.
        has_pll (bool): whether any phase can be made; otherwise it is `HALF`.

    Returns:
        ChipClock: the clock.

    Raises:
        ValueError: the chip is not so fast, or no phase leaves enough.
    """
    if clock_hz > chip.most_hz:
        raise ValueError(f"clock of {chip.name} must be at most {chip.most_hz:,} Hz, not {clock_hz:,}")
    choices = [ChipClock(Fraction(step, _STEPS), late) for late in (0, 1) for step in range(1, _STEPS)]
    best = max(choices if has_pll else [HALF], key=lambda choice: min(choice.margins(chip, pins, clock_hz).values()))
    margins = best.margins(chip, pins, clock_hz)
    name = min(margins, key=margins.__getitem__)
    if margins[name] < 0:
        lack = f"{name} lacks {-margins[name]:.1f} ns"
        raise ValueError(f"clock of {chip.name} must leave time at its pins, not {clock_hz:,} Hz: {lack}")
    return best
