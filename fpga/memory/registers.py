"""Registers of a board's memory (`fpga.memory.register_map`), in the upper half of the accelerator's register bus."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiLite, Response
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.control.description import ADDRESS_WIDTH, DATA_WIDTH

from .register_map import memory_register_map

__all__ = ["MemoryRegisters"]


class MemoryRegisters(Block):
    """Answers in the upper half of the register bus, and passes everything else on to the accelerator.

    The master has one access at a time, and keeps its address and data until the answer. Resets as the memory does.

    Args:
        memory_bytes (int): size of the memory.

    Ports:
        s_axil (AxiLite, slave): the host's accesses.
        m_axil (AxiLite, master): the accelerator's registers.
        initialized (1 bit, input): the memory takes reads and writes.
        testing (1 bit, input): a test runs or waits, from the cycle after `test` on.
        errors, first (32 bits, inputs): of the last test.
        test (1 bit, output): for one cycle: begin a test.
    """

    module_name = "memory_registers"

    def __init__(self, *, memory_bytes):
        self.memory_bytes = memory_bytes
        self.registers = memory_register_map(memory_bytes)
        bus = AxiLite(address_width=ADDRESS_WIDTH, data_width=DATA_WIDTH)
        super().__init__(
            {
                "s_axil": In(bus),
                "m_axil": Out(bus),
                "initialized": In(1),
                "testing": In(1),
                "errors": In(32),
                "first": In(32),
                "test": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        host, axil = self.s_axil, self.m_axil
        reads = host.arvalid & host.araddr[-1]  # of a register here
        writes = Signal()
        read_valid = Signal()
        write_valid = Signal()
        word = Signal(DATA_WIDTH)
        found = Signal()
        accepted = Signal()
        m.d.comb += [
            writes.eq(host.awaddr[-1]),
            *(getattr(axil, name).eq(getattr(host, name)) for name in ("araddr", "arprot", "awaddr", "awprot")),
            *(getattr(axil, name).eq(getattr(host, name)) for name in ("wdata", "wstrb", "rready", "bready")),
            axil.arvalid.eq(host.arvalid & ~host.araddr[-1]),
            axil.awvalid.eq(host.awvalid & ~writes),
            axil.wvalid.eq(host.wvalid & ~writes),
            host.arready.eq(axil.arready | reads),
            host.awready.eq(Mux(writes, host.wvalid, axil.awready)),
            host.wready.eq(Mux(writes, host.awvalid, axil.wready)),
            host.rvalid.eq(axil.rvalid | read_valid),
            host.rdata.eq(Mux(read_valid, word, axil.rdata)),
            host.rresp.eq(Mux(read_valid, Mux(found, Response.OKAY, Response.SLVERR), axil.rresp)),
            host.bvalid.eq(axil.bvalid | write_valid),
            host.bresp.eq(Mux(write_valid, Mux(accepted, Response.OKAY, Response.SLVERR), axil.bresp)),
        ]
        values = {
            "MEMORY_STATUS": Cat(self.initialized, self.testing, self.errors.any()),
            "TEST_ERRORS": self.errors,
            "TEST_ADDRESS": self.first,
        }
        with m.If(read_valid & host.rready):
            m.d.sync += read_valid.eq(0)
        with m.If(reads):
            m.d.sync += [read_valid.eq(1), word.eq(0), found.eq(0)]
            for register in self.registers:
                with m.If(host.araddr[2:] == register.offset >> 2):
                    m.d.sync += [word.eq(values.get(register.name, Const(register.reset, 32))), found.eq(1)]
        control = self.registers["MEMORY_CONTROL"]
        test = host.wdata[control["TEST"].low] & host.wstrb[0]
        free = ~(self.testing & test)
        m.d.sync += self.test.eq(0)
        with m.If(write_valid & host.bready):
            m.d.sync += write_valid.eq(0)
        with m.If(writes & host.awvalid & host.wvalid):
            m.d.sync += [write_valid.eq(1), accepted.eq((host.awaddr[2:] == control.offset >> 2) & free)]
            with m.If((host.awaddr[2:] == control.offset >> 2) & free):
                m.d.sync += self.test.eq(test)
        return m
