"""Brings an SDR SDRAM from power-up to where it takes reads and writes.

    wait (tens of thousands of cycles) --> close all rows --> refresh, eight times --> set the mode --> done

A command is given for one cycle, and then as long is waited as it takes. After a reset of a chip that has been
initialized once, which may be in the middle of anything, a few cycles take the place of the first wait: the chip keeps
what is in it, which it would not without refreshes.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import enum
from amaranth.lib.wiring import Out

from taylorvit.rtl.common.block import Block

from .chips import SdramTiming
from .command import SdramCommand

__all__ = ["SdramCode", "SdramInitializer"]

#: Cycles after a reset until whatever was the last command is done: rows may be closed.
_PAUSE = 16


class SdramCode(enum.IntEnum, shape=3):
    """Commands of an SDR SDRAM: bits we_n, cas_n, ras_n, the lowest last."""

    SET_MODE = 0b000
    REFRESH = 0b100
    PRECHARGE = 0b010
    ACTIVATE = 0b110
    WRITE = 0b001
    READ = 0b101
    NOTHING = 0b111


class SdramInitializer(Block):
    """The sequence of commands after power-up, and, with a short wait, after each reset.

    Mode: bursts of one column, `timing.cas_latency` cycles from read to data.

    Args:
        timing (SdramTiming): chip and clock.

    Ports:
        command (SdramCommand, output): what the chip is told in this cycle.
        done (1 bit, output): the chip takes reads and writes; there are no more commands from here.
    """

    module_name = "sdram_initializer"

    def __init__(self, timing: SdramTiming):
        self.timing = timing
        super().__init__({"command": Out(SdramCommand(timing.chip)), "done": Out(1)})

    @property
    def parameters(self):
        """What distinguishes two of them: chip and clock."""
        return {"timing": self.timing}

    @property
    def steps(self):
        """The commands: (code, address, cycles until the next)."""
        chip, cycles = self.timing.chip, self.timing.cycles
        all_banks = 1 << 10
        refresh = (SdramCode.REFRESH, 0, cycles(chip.refresh_cycle))
        return [
            (SdramCode.NOTHING, 0, cycles(chip.start)),
            (SdramCode.PRECHARGE, all_banks, cycles(chip.precharge)),
            *[refresh] * self.timing.start_refreshes,
            (SdramCode.SET_MODE, self.timing.cas_latency << 4, chip.mode_cycles),
        ]

    @property
    def cycles(self):
        """Cycles from power-up to `done`."""
        return sum(cycles for _code, _address, cycles in self.steps) + 1

    def elaborate(self, platform):
        m = Module()
        steps = self.steps
        step = Signal(range(len(steps) + 1))
        longest = max(cycles for _code, _address, cycles in steps)
        left = Signal(range(longest), init=0)
        code = Signal(SdramCode, init=SdramCode.NOTHING)
        powered = Signal(reset_less=True)  # for long enough
        command = self.command
        m.d.comb += [
            Cat(command.ras_n, command.cas_n, command.we_n).eq(code),
            command.cs_n.eq(code == SdramCode.NOTHING),
        ]
        m.d.comb += command.cke.eq(1)
        m.d.sync += code.eq(SdramCode.NOTHING)
        with m.If(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.Elif(step == len(steps)):
            m.d.sync += [self.done.eq(1), powered.eq(1)]
        with m.Else():
            m.d.sync += step.eq(step + 1)
            with m.Switch(step):
                for index, (each, address, cycles) in enumerate(steps):
                    with m.Case(index):
                        m.d.sync += [
                            code.eq(each),
                            command.address.eq(Const(address, len(command.address))),
                            left.eq(cycles - 1 if index else Mux(powered, _PAUSE, cycles - 1)),
                        ]
        return m
