"""A host of the network accelerator: a memory or a source for the tape, a source of images, a sink of logits.

    host = await NetworkHost.start(dut, config)
    outcome = await host.run(network, images)

Everything goes through the design's ports by cocotbext-axi.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink

from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.control.registers import EVENTS, register_map
from taylorvit.simulation.lockstep import CLOCK_PERIOD_NS
from taylorvit.simulation.register_host import START, RegisterHost, within
from taylorvit.simulation.stream_source import StreamSource
from verif.rtl.network.axi_memory import TapeMemory, random_delays

from .models import Network

__all__ = ["ENDING", "NetworkHost", "Outcome"]

ENDING = frozenset(name for name, (bit, _text) in EVENTS.items() if bit >= 8)
"""Events that end a job."""

MEMORY_BYTES = 1 << 16


@dataclass(frozen=True)
class Outcome:
    """What a job left.

    Attributes:
        logits (list[list[int]]): of each image.
        events (frozenset[str]): names of the events that were set, which are cleared.
        counters (dict[str, int]): performance counters.
        cycles (int): from the answer to START to the interrupt.
        image_ends (list[int]): cycle of each image's last logit.
    """

    logits: list[list[int]]
    events: frozenset[str]
    counters: dict[str, int]
    cycles: int
    image_ends: list[int]


class NetworkHost(RegisterHost):
    """All that is around a network accelerator.

    Args:
        dut (HierarchyObject): the accelerator.
        config (NetworkConfig): what it was built from.

    Attributes:
        base (int): address of the last tape.
        next_base (int | None): that of the next one; anywhere if None.
    """

    def __init__(self, dut, config: NetworkConfig):
        self.config = config
        self.generator = np.random.default_rng(cocotb.RANDOM_SEED)
        self.random = random.Random(cocotb.RANDOM_SEED)
        self.base, self.next_base = 0, None
        self.stored: dict[int, int] = {}  # words of the memory on the chip
        for name in ("s_axis_image", "s_axis_tape", "m_axis_logits", "m_axi_tape"):
            logging.getLogger(f"cocotb.{dut._name}.{name}").setLevel(logging.ERROR)
        self.images = StreamSource(AxiStreamBus.from_prefix(dut, "s_axis_image"), dut.clk, dut.rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_logits"), dut.clk, dut.rst)
        ends = {"image": self.images, "logits": self.sink}
        self.memory = self.tapes = None
        if config.tape_source == "axi":
            self.memory = TapeMemory(dut, "m_axi_tape", size=MEMORY_BYTES)
        elif config.tape_source == "stream":
            self.tapes = StreamSource(AxiStreamBus.from_prefix(dut, "s_axis_tape"), dut.clk, dut.rst)
            ends["tape"] = self.tapes
        super().__init__(dut, register_map(config), ends)
        if self.memory is not None:
            self.channels["tape"] = [self.memory.ar_channel, self.memory.r_channel]

    @classmethod
    async def start(cls, dut, config: NetworkConfig) -> NetworkHost:
        """Clock running, out of reset, with a host at the ports."""
        host = cls(dut, config)
        await host.begin()
        return host

    def set_patterns(self, patterns: dict[str, str]) -> None:
        """As in `RegisterHost`; a memory whose channels pause takes its time for words, too."""
        super().set_patterns(patterns)
        if self.memory is not None:
            slow = patterns.get("tape", "always") != "always"
            self.memory.delays = random_delays(self.random, 6) if slow else None

    # Jobs

    async def set_up(
        self, network: Network, images: int, *, tape: bytes | None = None, length: int | None = None,
        timeout: int | None = None,
    ) -> None:  # fmt: skip
        """Puts a tape where it belongs, that of the network or another one, and writes the job's registers."""
        tape = network.tape if tape is None else tape
        enabled = sum(1 << bit for name, (bit, _text) in EVENTS.items() if name == "DONE" or name in ENDING)
        values = {
            "IMAGES": images,
            "PATCHES": network.compiled.patches,
            "PATCH_PIXELS": network.compiled.patch_pixels,
            "IMAGE_ORDER": int(network.by_row),
            "CLASSES": network.classes,
            "TAPE_LENGTH": len(network.tape) if length is None else length,
            "TIMEOUT": self.registers["TIMEOUT"].fields[0].maximum if timeout is None else timeout,
            "INTERRUPT_ENABLE": enabled,
        }
        if network.by_row:
            shape = network.vit.shape
            values |= {"PATCH_SIZE": shape.patch_size, "PATCHES_A_ROW": shape.image_size // shape.patch_size}
        if self.tapes is None:
            values["TAPE_BASE"] = self.base = self._base(len(tape)) if self.next_base is None else self.next_base
            self.next_base = None
        for name, value in values.items():
            await self.write_checked(name, value)
        if self.memory is not None:
            self.memory.write(values["TAPE_BASE"], tape)
        elif self.tapes is None:
            await self._fill(tape, values["TAPE_BASE"])
        else:
            self.send_tapes([tape] * images)

    def _base(self, size: int) -> int:
        """An address for a tape, anywhere in its memory; on the chip often the first, where the last tape lay."""
        unit = max(self.config.tape_bytes, 4)
        memory = self.config.tape_memory_bytes or MEMORY_BYTES
        place = unit * self.random.randint(0, (memory - size) // unit)
        return place if self.memory is not None or self.random.random() < 0.2 else 0

    async def _fill(self, tape: bytes, base: int) -> None:
        """Writes the words of a tape that the memory on the chip does not hold already."""
        padded, following = tape + bytes(-len(tape) % 4), None
        for place in range(base, base + len(padded), 4):
            word = int.from_bytes(padded[place - base : place - base + 4], "little")
            if self.stored.get(place) != word:
                if place != following:
                    await self.write_checked("TAPE_ADDRESS", place)
                await self.write_word(place, word)
                following = place + 4

    async def write_word(self, place: int, word: int) -> None:
        """Writes the word that TAPE_ADDRESS, which is `place`, points to."""
        await self.write_checked("TAPE_DATA", word)
        self.stored[place] = word

    def send_tapes(self, tapes: list[bytes]) -> None:
        """Queues packets of the stream of tapes."""
        for tape in tapes:
            self.tapes.send_nowait(AxiStreamFrame(tape))

    def send_images(self, network: Network, images: list[np.ndarray]) -> None:
        """Queues images."""
        self.send_packets([network.beats(image, self.generator) for image in images])

    def send_packets(self, packets: list[bytes]) -> None:
        """Queues packets of the stream of images."""
        for packet in packets:
            self.images.send_nowait(AxiStreamFrame(packet))

    async def run(self, network: Network, images: list[np.ndarray], **how) -> Outcome:
        """A job from its registers to its end.

        Args:
            network (Network): what is computed.
            images (list[np.ndarray]): images.
            how: as in `set_up`.
        """
        await self.set_up(network, len(images), **how)
        self.send_images(network, images)
        return await self.start_and_finish(network, len(images))

    async def start_and_finish(self, network: Network, images: int) -> Outcome:
        """START, and all that follows."""
        await self.write_checked("CONTROL", START)
        return await self.finish(network, images)

    async def finish(self, network: Network, images: int) -> Outcome:
        """Waits for the end of a running job, and takes what it has left."""
        started, limit = self.now(), self.limit(network, images)
        if not self.dut.interrupt.value:
            await within(limit, RisingEdge(self.dut.interrupt), "interrupt")
        cycles = self.now() - started
        await self.wait_idle(limit)
        events = await self.events()
        await self.write_checked("EVENTS", self.registers["EVENTS"].mask)
        logits, ends = self.received()
        counters = {name: await self.read(name) for name in self.registers.counters}
        return Outcome(logits, events, counters, cycles, ends)

    def received(self) -> tuple[list[list[int]], list[int]]:
        """Logits of the images that have come, and when each was complete."""
        logits, ends = [], []
        while not self.sink.empty():
            frame = self.sink.recv_nowait()
            logits.append(np.frombuffer(bytes(frame.tdata), dtype="<i4").tolist())
            ends.append(round(frame.sim_time_end / 1000 / CLOCK_PERIOD_NS))
        return logits, ends

    def limit(self, network: Network, images: int) -> int:
        """A generous bound on the cycles of a job, whatever the patterns; longer than all watchdogs."""
        work = len(network.tape) // self.config.tape_bytes + network.busy + network.compiled.patches
        return 32 * (images + 1) * (work + 2_000)

    # Streams

    async def recover(self, network: Network, sent: list[np.ndarray], how: str) -> list[np.ndarray]:
        """Makes ready for the next job after one that was ended.

        Args:
            network (Network): whose job it was.
            sent (list[np.ndarray]): the images that were sent for it.
            how (str): "carry on", "soft reset" or "hard reset". Tapes of a stream that nobody took are taken back by a
                soft reset in any case, since they are not those of the next job.

        Returns:
            Images that wait at the stream, and are the first ones of the next job.
        """
        self.set_patterns({})
        self.received()
        await self.write_checked("EVENTS", self.registers["EVENTS"].mask)
        await self.write_checked("COUNT_DENOMINATOR", 0)
        if how == "carry on":
            # What was begun comes to its end.
            await ClockCycles(self.dut.clk, len(network.tape) // self.config.tape_bytes + 200)
            left = self.images.count() + bool(self.images.active)
            if self.tapes is None or self.tapes.idle():
                return sent[len(sent) - left :]
        await (self.hard_reset() if how == "hard reset" else self.soft_reset())
        return []
