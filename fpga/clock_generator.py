"""The core clock, from the board's oscillator: the family's PLL, or a wire.

A PLL can make a grid of frequencies. `core_clock` takes the nearest to the one wanted, of those that the family's
`core_clocks` finds within the limits of its data sheet.
"""

from fractions import Fraction

from amaranth.hdl import Instance, Module
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

from .families import CoreClock

__all__ = ["ClockGenerator", "core_clock"]

#: The core clock may differ from the one wanted by this share.
_TOLERANCE = Fraction(1, 100)


def core_clock(board):
    """The core clock of a board: of what its PLL can make, the frequency nearest to `board.core_hz`.

    Args:
        board (Board): the board, with its oscillator and the core clock wanted.

    Returns:
        CoreClock: how it is made; a wire if the oscillator has the frequency wanted.

    Raises:
        ValueError: the nearest differs by more than 1 %.
    """
    wanted, source = board.core_hz, board.clock_hz
    if wanted == source:
        return CoreClock(Fraction(source))
    best = min(board.family.core_clocks(board), key=lambda clock: abs(clock.hz - wanted), default=None)
    if best is None or abs(best.hz - wanted) > wanted * _TOLERANCE:
        made = f"{float(best.hz) / 1e6:g} MHz is the nearest" if best else "there is none near"
        raise ValueError(
            f"core clock of {board.name} must be one that its PLL makes of {source / 1e6:g} MHz ({made}), "
            f"not {wanted / 1e6:g} MHz"
        )
    return best


class ClockGenerator(Block):
    """The core clock from the board's clock: the family's PLL, or a wire.

    Args:
        clock (CoreClock): how the core clock is made.
        phase (Fraction | None): the part of a cycle by which a second clock comes behind it; a half, where the core
            clock is a wire. None: there is no second clock.

    Ports:
        clock_in (1 bit, in): the oscillator, from its pin.
        clock_out (1 bit, out): the core clock.
        chip_clock (1 bit, out): the second clock; only with a phase.
        locked (1 bit, out): high while the core clock has its frequency; always, if it is a wire.
    """

    module_name = "clock_generator"
    clocked = False

    def __init__(self, clock, phase=None):
        self.clock = clock
        self.phase = phase
        second = {} if phase is None else {"chip_clock": Out(1)}
        super().__init__({"clock_in": In(1), "clock_out": Out(1), **second, "locked": Out(1)})

    def elaborate(self, platform):
        m = Module()
        if self.clock.cell is None:
            m.d.comb += [self.clock_out.eq(self.clock_in), self.locked.eq(1)]
            if self.phase is not None:
                m.d.comb += self.chip_clock.eq(~self.clock_in)
            return m
        parameters = {f"p_{name}": value for name, value in self.clock.parameters}
        connections = self.clock.connections(self.clock_in, self.clock_out)
        if self.phase is not None:
            connections |= self.clock.shifted(self.phase, self.chip_clock)
        m.submodules.pll = Instance(self.clock.cell, o_LOCK=self.locked, **parameters, **connections)
        return m
