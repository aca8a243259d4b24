"""A host's side of any accelerator: registers over AXI4-Lite, streams that can be emptied, resets.

What the hosts of benches have in common (`simulation.host` is that of the attention accelerator).
"""

from __future__ import annotations

import logging

import cocotb
from cocotb.triggers import ClockCycles, SimTimeoutError, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp, AxiStreamSink, AxiStreamSource

from taylorvit.rtl.control.description import RegisterMap

from .lockstep import CLOCK_PERIOD_NS, WaitError, pattern, start, wait_until

__all__ = ["CHECK", "SOFT_RESET", "START", "RegisterHost", "empty", "within"]

START, SOFT_RESET, CHECK = 1, 2, 4  # bits of CONTROL; the last one of the network accelerator alone
ACCESS_LIMIT = 1_000  # cycles that a register access may take


async def within(cycles: int, what_comes, name: str):
    """What is waited for; `WaitError` if it does not come within so many cycles."""
    try:
        return await with_timeout(what_comes, cycles * CLOCK_PERIOD_NS, "ns")
    except SimTimeoutError:
        raise WaitError(f"{name} did not come within {cycles:,} cycles") from None


class RegisterHost:
    """A host with one AXI4-Lite port and some streams.

    Args:
        dut (HierarchyObject): the accelerator.
        registers (RegisterMap): its registers.
        ends (dict[str, AxiStreamSource | AxiStreamSink]): what is at its streams, by name.
        patterns (dict[str, str]): channel (a stream's name or "axil") -> its activity, a kind of
            `taylorvit.simulation.pattern`; a channel that is left out is always active.
    """

    def __init__(
        self,
        dut,
        registers: RegisterMap,
        ends: dict[str, AxiStreamSource | AxiStreamSink],
        patterns: dict[str, str] | None = None,
    ):
        self.dut = dut
        self.registers = registers
        self.ends = ends
        logging.getLogger(f"cocotb.{dut._name}.s_axil").setLevel(logging.ERROR)
        self.axil = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.channels = {
            **{name: [end] for name, end in ends.items()},
            "axil": [
                self.axil.write_if.aw_channel,
                self.axil.write_if.w_channel,
                self.axil.write_if.b_channel,
                self.axil.read_if.ar_channel,
                self.axil.read_if.r_channel,
            ],
        }
        self.set_patterns(patterns or {})

    async def begin(self) -> None:
        """Starts the clock and resets the accelerator."""
        await start(self.dut)
        await ClockCycles(self.dut.clk, 2)

    def set_patterns(self, patterns: dict[str, str]) -> None:
        """Sets the activity of the channels from now on; those that are left out are always active."""
        for name, channels in self.channels.items():
            for number, channel in enumerate(channels):
                channel.clear_pause_generator()
                channel.pause = False
                if name in patterns:
                    activity = pattern(patterns[name], f"{cocotb.RANDOM_SEED}-{name}-{number}")
                    channel.set_pause_generator(not active for active in activity)

    def now(self) -> int:
        """The clock cycle that the simulation is in."""
        return round(get_sim_time("ns") / CLOCK_PERIOD_NS)

    # Registers

    async def write(self, name: str, value: int) -> AxiResp:
        """Writes one register; returns the response."""
        data = (value & 0xFFFFFFFF).to_bytes(4, "little")
        access = self.axil.write(self.registers[name].offset, data)
        return (await within(ACCESS_LIMIT, access, f"answer to the write of {name}")).resp

    async def write_checked(self, name: str, value: int) -> None:
        """Writes one register; `AssertionError` unless the accelerator takes it."""
        response = await self.write(name, value)
        if response != AxiResp.OKAY:
            raise AssertionError(f"write of {value} to {name} was answered with {response.name}")

    async def read(self, name: str) -> int:
        """Reads one register."""
        access = self.axil.read(self.registers[name].offset, 4)
        result = await within(ACCESS_LIMIT, access, f"answer to the read of {name}")
        return int.from_bytes(result.data, "little")

    async def wait_for_ever(self) -> None:
        """Has jobs wait for their sources as long as can be: TIMEOUT at its largest."""
        await self.write_checked("TIMEOUT", self.registers["TIMEOUT"].fields[0].maximum)

    async def events(self) -> frozenset[str]:
        """Names of the events that are set."""
        word = await self.read("EVENTS")
        return frozenset(name for name, (bit, _text) in self.registers.events.items() if word >> bit & 1)

    async def error_counts(self) -> dict[str, int]:
        """The error counts that are not 0, by event."""
        counts = {name: await self.read(f"COUNT_{name}") for name in self.registers.counted_errors}
        return {name: count for name, count in counts.items() if count}

    async def clear_events(self) -> None:
        """Clears all events and error counts."""
        await self.write_checked("EVENTS", self.registers["EVENTS"].mask)
        for name in self.registers.counted_errors:
            await self.write_checked(f"COUNT_{name}", 0)

    async def wait_idle(self, limit: int) -> None:
        """Waits until STATUS says that no job runs."""
        deadline = self.now() + limit
        while await self.read("STATUS") & 1:
            if self.now() > deadline:
                raise AssertionError(f"the job did not end within {limit} cycles")

    async def wait_interrupt(self, limit: int) -> None:
        """Waits for the interrupt."""
        await wait_until(self.dut, lambda: self.dut.interrupt.value, what="interrupt", limit=limit)

    # Resets

    async def soft_reset(self) -> None:
        """Stops the job by register, with all streams stopped and emptied."""
        await self.write_checked("CONTROL", SOFT_RESET)
        self._empty_streams()
        await ClockCycles(self.dut.clk, 2)

    async def hard_reset(self) -> None:
        """Asserts `rst` for two cycles, with all streams stopped and emptied. No register access may be under way."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 2)
        self.dut.rst.value = 0
        self._empty_streams()
        await ClockCycles(self.dut.clk, 2)

    def _empty_streams(self) -> None:
        for end in self.ends.values():
            empty(end)


def empty(end: AxiStreamSource | AxiStreamSink) -> None:
    """Drops what a stream has not sent, or what has been received."""
    end.assert_reset(True)
    end.clear()
    end.assert_reset(False)
