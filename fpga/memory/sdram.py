"""The memory of a board, whole: from AXI to the pins of an SDR SDRAM.

    m_axi_tape ==> read  --+
                           +--> litedram --+
    words =======> write --+               +--> pads --> pins
    memory test ==>        '   initializer-+

One clock drives all of it; the chip gets the same clock with another phase (`fpga.memory.phase`).

Addresses go through a queue of two on their way to litedram, which decides late in a cycle whether it takes one.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from taylorvit.fpga.link.interfaces import MemoryWrite
from taylorvit.rtl.common.axi import AxiRead
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.pair_queue import PairQueue

from .chips import SdramTiming
from .initializer import SdramInitializer
from .litedram import LiteDramController
from .memory_test import MemoryTest
from .pads import SdramPads, chip_pads, chip_pins
from .word_writer import WordWriter

__all__ = ["SdramController"]

#: Bits of length, size and kind of a burst.
_REQUEST_BITS = 8 + 3 + 2
#: Bits of the number of bursts that may be under way.
_BURSTS_WIDTH = 8


class SdramController(Block):
    """An SDR SDRAM as a memory that one reads and another fills.

    After reset it initializes the chip, which takes `initializer.cycles` cycles; before that nothing is taken. Reads
    see a word once `write.ready` is high again. Addresses beyond the memory begin at its start again.
    While a test runs, neither reads nor words are taken.

    Args:
        timing (SdramTiming): chip and clock.
        pads (type[SdramPads]): pins of the FPGA's family.
        address_width (int): bits of the address of a read, at least those of the memory.

    Ports:
        read (AxiRead of the chip's width, slave): reads; all answers are OKAY.
        write (MemoryWrite, input): words for the memory.
        initialized (1 bit, output): reads and words are taken.
        test (1 bit, input): begins a test of the memory, once it is initialized, unless one runs; its contents are
            lost.
        testing (1 bit, output): a test runs or waits; from the cycle after `test`.
        errors, first (32 bits, outputs): of `fpga.memory.memory_test.MemoryTest`.
        chip_clock (1 bit, input), sdram_clk ... (outputs), sdram_dq: of `fpga.memory.pads.SdramPads`.
    """

    module_name = "sdram_controller"
    waivers = {("UNUSEDSIGNAL", "read_araddr"): "The memory is smaller than what addresses reach."}

    def __init__(self, timing: SdramTiming, pads: type[SdramPads], *, address_width=32):
        chip = timing.chip
        self.timing = timing
        widths = {"address_width": chip.address_width, "data_width": chip.data_width}
        self.controller = LiteDramController(timing)
        self.initializer = SdramInitializer(timing)
        self.memory_test = MemoryTest(**widths)
        self.word_writer = WordWriter(**widths)
        self.requests = PairQueue(name="request", width=chip.address_width + _REQUEST_BITS)
        self.pads_block = pads(chip)
        super().__init__(
            {
                "read": In(AxiRead(address_width=address_width, data_width=chip.data_width)),
                "write": In(MemoryWrite()),
                "initialized": Out(1),
                "test": In(1),
                "testing": Out(1),
                "errors": Out(32),
                "first": Out(32),
                "chip_clock": In(1),
                **chip_pins(chip),
            }
        )
        self.pads = chip_pads(chip)

    @property
    def parameters(self):
        """What distinguishes two of them: chip and clock, pins, and the width of addresses."""
        return {"timing": self.timing, "pads": self.pads_block.module_name, "addresses": len(self.read.araddr)}

    def elaborate(self, platform):
        m = Module()
        held = Signal(init=1)  # litedram, in reset until the chip is initialized
        controller = instantiate(m, "controller", self.controller, reset=held)
        initializer = instantiate(m, "initializer", self.initializer)
        pads = instantiate(m, "pads", self.pads_block, pads=self.pads)
        test = instantiate(m, "memory_test", self.memory_test)
        writer = instantiate(m, "word_writer", self.word_writer)
        m.d.sync += [held.eq(~initializer.done), self.initialized.eq(~held)]

        m.d.comb += [
            *(getattr(self, name).eq(getattr(pads, name)) for name in chip_pins(self.timing.chip)),
            pads.chip_clock.eq(self.chip_clock),
            pads.write_data.eq(controller.write_data),
            pads.write_mask.eq(controller.write_mask),
            pads.write_enable.eq(controller.write_enable & ~held),
            controller.read_data.eq(pads.read_data),
            self.errors.eq(test.errors),
            self.first.eq(test.first),
        ]
        with m.If(held):
            m.d.comb += copied(initializer.command, pads.command)
        with m.Else():
            m.d.comb += copied(controller.command, pads.command)

        read, write = self._behind_requests(m, test, controller)
        _share(m, test.busy, test.read, self.read, read)
        _share(m, test.busy, test.write, writer.m, write)
        # Whoever comes while a test waits or runs is not taken.
        bursts = Signal(_BURSTS_WIDTH)  # of the reader that are under way, two cycles ago
        asked = Signal()
        answered = Signal()
        takes = Signal()
        some = Signal(init=1)  # may be under way
        m.d.comb += takes.eq(self.initialized & ~self.testing)
        reads = takes & ~bursts[-1]
        with m.If(~test.busy):
            m.d.comb += read.arvalid.eq(self.read.arvalid & reads)
        m.d.comb += [
            self.read.arready.eq(read.arready & reads),
            writer.write.valid.eq(self.write.valid & takes),
            self.write.ready.eq(writer.write.ready & takes),
            writer.write.address.eq(self.write.address),
            writer.write.data.eq(self.write.data),
        ]
        m.d.sync += [
            asked.eq(self.read.arvalid & self.read.arready),
            answered.eq(self.read.rvalid & self.read.rready & self.read.rlast),
            bursts.eq(bursts + asked - answered),
            some.eq(takes | asked | (bursts != 0)),
        ]

        # A test begins when nothing of anybody else is under way.
        waits = Signal()
        with m.If(self.test & ~self.testing):
            m.d.sync += [self.testing.eq(1), waits.eq(1)]
        m.d.comb += test.start.eq(waits & self.initialized & ~some & writer.write.ready)
        with m.If(test.start):
            m.d.sync += waits.eq(0)
        with m.Elif(self.testing & ~waits & ~test.busy):
            m.d.sync += self.testing.eq(0)
        return m

    def _behind_requests(self, m, test, controller):
        """Puts queues before litedram's addresses; returns the interfaces before them, for reads and for writes."""
        fronts = []
        for prefix, master, slave in (("ar", test.read, controller.read), ("aw", test.write, controller.write)):
            front = master.signature.create(path=(f"{prefix}_front",))
            queue = instantiate(m, f"{prefix}_requests", self.requests)
            names = [f"{prefix}{name}" for name in ("addr", "len", "size", "burst")]
            m.d.comb += [
                queue.incoming.eq(Cat(getattr(front, name) for name in names)),
                queue.put.eq(getattr(front, f"{prefix}valid") & queue.room),
                getattr(front, f"{prefix}ready").eq(queue.room),
                Cat(getattr(slave, name) for name in names).eq(queue.word),
                getattr(slave, f"{prefix}valid").eq(queue.valid),
                queue.taken.eq(getattr(slave, f"{prefix}ready")),
            ]
            queued = {*names, f"{prefix}valid", f"{prefix}ready"}
            for (name,), member, _value in master.signature.flatten(master):
                if name not in queued:
                    there, here = Value.cast(getattr(slave, name)), Value.cast(getattr(front, name))
                    m.d.comb += there.eq(here) if member.flow == Out else here.eq(there)
            fronts.append(front)
        return fronts


def _share(m, chosen, first, second, target):
    """Joins two masters to a slave: the first while `chosen`, otherwise the second."""
    for (name,), member, _value in first.signature.flatten(first):
        one, other, slave = (Value.cast(getattr(bus, name)) for bus in (first, second, target))
        if member.flow == Out:
            m.d.comb += slave.eq(Mux(chosen, one, other))
        elif name.endswith(("ready", "valid")):
            m.d.comb += [one.eq(slave & chosen), other.eq(slave & ~chosen)]
        else:
            m.d.comb += [one.eq(slave), other.eq(slave)]
