"""Registers of a board's memory: what it is, whether it is ready, and its test.

They lie in the upper half of the accelerator's register bus, and are there only on a board whose accelerator has its
tape in such a memory. Elsewhere a read there is an error, as of any offset that is no register.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiLite, Response
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.control.description import (
    ADDRESS_WIDTH,
    DATA_WIDTH,
    Access,
    Field,
    Register,
    RegisterMap,
    constant,
    counter,
)

__all__ = ["MEMORY_ID", "MemoryRegisters", "memory_register_map"]

#: "TVMC" in ASCII.
MEMORY_ID = int.from_bytes(b"TVMC", "big")

_BASE = 0x800


def memory_register_map(memory_bytes):
    """The registers of a board's memory.

    Args:
        memory_bytes (int): its size.

    Returns:
        RegisterMap: the registers.
    """
    return RegisterMap(
        (
            constant("MEMORY_ID", _BASE, "identification", ("MEMORY_ID", 0, 32, MEMORY_ID, "'TVMC' in ASCII")),
            constant("MEMORY_BYTES", _BASE + 0x04, "size of the memory",
                ("MEMORY_BYTES", 0, 32, memory_bytes, "bytes; addresses beyond begin at its start again")),
            Register(name="MEMORY_STATUS", offset=_BASE + 0x08, access=Access.READ_ONLY, description="status", fields=(
                Field(name="INITIALIZED", low=0, width=1, description="reads and writes are carried out"),
                Field(name="TESTING", low=1, width=1, description="a test runs; reads and writes wait"),
                Field(name="TEST_FAILED", low=2, width=1, description="a test has found an error since the last reset"),
            )),
            Register(name="MEMORY_CONTROL", offset=_BASE + 0x0C, access=Access.PULSE, description="control", fields=(
                Field(name="TEST", low=0, width=1,
                      description="write a pattern over all of the memory, whose contents are lost, and read it back. "
                                  "Refused while a test runs"),
            )),
            counter("TEST_ERRORS", _BASE + 0x10, Access.READ_ONLY, 32, "beats that the last test found bad"),
            counter("TEST_ADDRESS", _BASE + 0x14, Access.READ_ONLY, 32, "address of the first bad byte, to a beat"),
        )
    )  # fmt: skip


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
