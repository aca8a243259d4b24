"""A memory for an AXI4 read master without identifiers, made of that of cocotbext-axi, which wants them."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

from cocotb.triggers import ClockCycles, Event
from cocotbext.axi import AxiRamRead, AxiReadBus, AxiResp
from cocotbext.axi.axi_channels import AxiARBus, AxiRBus

__all__ = ["TapeMemory"]


class _Identifier:
    """Stands for the signal of an identifier that the ports do not have."""

    def __len__(self):
        return 1

    def __init__(self):
        self.value = "0"

    def setimmediatevalue(self, value):
        pass


class _AddressBus(AxiARBus):
    _signals = [name for name in AxiARBus._signals if name != "arid"]
    arid = _Identifier()


class _DataBus(AxiRBus):
    _signals = [name for name in AxiRBus._signals if name != "rid"]
    rid = _Identifier()


class TapeMemory(AxiRamRead):
    """Read by the ports `prefix`_ar..., `prefix`_r...

    Attributes:
        delays (Iterator[int] | None): cycles that the memory takes for each beat.
        bad (dict[int, AxiResp]): address of a word -> the error with which it is answered.
        stops_at (int | None): address of a word that is never answered.
        bursts (list[tuple[int, int]]): address and bytes of each burst.
    """

    def __init__(self, dut, prefix: str, size: int = 1 << 16):
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        bus = AxiReadBus.from_channels(_AddressBus.from_prefix(dut, prefix), _DataBus.from_prefix(dut, prefix))
        super().__init__(bus, dut.clk, dut.rst, size=size)
        self.delays: Iterator[int] | None = None
        self.bad: dict[int, AxiResp] = {}
        self.stops_at: int | None = None
        self.resumes = Event()
        self.bursts: list[tuple[int, int]] = []
        self._answer: AxiResp | None = None
        self._send = self.r_channel.send
        self.r_channel.send = self._send_answer
        self._receive = self.ar_channel.recv
        self.ar_channel.recv = self._receive_address

    async def _receive_address(self):
        address = await self._receive()
        beat = 1 << int(address.arsize)
        self.bursts.append((int(address.araddr), (int(address.arlen) + 1) * beat))
        return address

    async def _read(self, address, length):
        if self.delays is not None:
            cycles = next(self.delays)
            if cycles:
                await ClockCycles(self.clock, cycles)
        if address == self.stops_at:
            await self.resumes.wait()
        self._answer = self.bad.get(address)
        return await super()._read(address, length)

    async def _send_answer(self, beat):
        if self._answer is not None:
            beat.rresp = self._answer
        await self._send(beat)


def random_delays(generator: random.Random, most: int) -> Iterator[int]:
    """Mostly none, sometimes up to `most` cycles."""
    while True:
        yield generator.randint(0, most) if generator.random() < 0.2 else 0
