"""Register loader: writes the words of tapes into the accelerator's memory on the chip, through its registers.

    s_axil, from the host link --+--> m_axil, to the accelerator
    write, of the memory writer -+

For each word it writes TAPE_ADDRESS and TAPE_DATA. So it does not matter what the host has written into TAPE_ADDRESS,
and nothing but one bit has to be remembered. That costs no time: a word takes some hundred cycles on the line.

Only writes have to share the bus; reads pass. A write of the host that has begun is finished first, and one that comes
while a word is written waits.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiLite
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.control.description import ADDRESS_WIDTH, DATA_WIDTH

from .interfaces import MemoryWrite

__all__ = ["RegisterLoader"]


class RegisterLoader(Block):
    """Two writes for each word, between those of the host, which has one write at a time.

    It is reset when the accelerator is.

    Args:
        address_register (int): offset of the register TAPE_ADDRESS.
        data_register (int): offset of the register TAPE_DATA.

    Ports:
        write (MemoryWrite, input): the words.
        s_axil (AxiLite, slave): the host's accesses.
        m_axil (AxiLite, master): the accelerator's registers.
    """

    module_name = "register_loader"
    waivers = {("UNUSEDSIGNAL", "m_axil_bresp"): "Both registers take whatever the memory writer lets through."}

    def __init__(self, *, address_register, data_register):
        self.address_register = address_register
        self.data_register = data_register
        bus = AxiLite(address_width=ADDRESS_WIDTH, data_width=DATA_WIDTH)
        super().__init__({"write": In(MemoryWrite()), "s_axil": In(bus), "m_axil": Out(bus)})

    def elaborate(self, platform):
        m = Module()
        write, host, axil = self.write, self.s_axil, self.m_axil
        loading = Signal()  # the writes are those of a word
        data_follows = Signal()  # of TAPE_ADDRESS, and now TAPE_DATA
        host_writes = Signal()  # and has no answer yet
        address_valid = Signal()
        data_valid = Signal()
        host_asks = host.awvalid | host.wvalid
        register = Mux(data_follows, self.data_register, self.address_register)
        m.d.comb += [
            *(getattr(axil, name).eq(getattr(host, name)) for name in ("araddr", "arprot", "arvalid", "rready")),
            *(getattr(host, name).eq(getattr(axil, name)) for name in ("arready", "rdata", "rresp", "rvalid")),
            axil.awprot.eq(host.awprot),
            axil.awaddr.eq(Mux(loading, register, host.awaddr)),
            axil.awvalid.eq(Mux(loading, address_valid, host.awvalid)),
            axil.wdata.eq(Mux(loading, Mux(data_follows, write.data, write.address), host.wdata)),
            axil.wstrb.eq(host.wstrb | loading.replicate(len(host.wstrb))),
            axil.wvalid.eq(Mux(loading, data_valid, host.wvalid)),
            axil.bready.eq(loading | host.bready),
            host.awready.eq(axil.awready & ~loading),
            host.wready.eq(axil.wready & ~loading),
            host.bvalid.eq(axil.bvalid & ~loading),
            host.bresp.eq(axil.bresp),
            write.ready.eq(loading & data_follows & axil.bvalid),
        ]
        with m.If(host_asks & ~loading):
            m.d.sync += host_writes.eq(1)
        with m.Elif(host.bvalid & host.bready):
            m.d.sync += host_writes.eq(0)

        with m.If(~loading):
            begins = write.valid & ~host_asks & ~host_writes
            m.d.sync += [loading.eq(begins), address_valid.eq(begins), data_valid.eq(begins)]
        with m.Else():
            m.d.sync += [address_valid.eq(address_valid & ~axil.awready), data_valid.eq(data_valid & ~axil.wready)]
            with m.If(axil.bvalid):
                m.d.sync += [
                    loading.eq(~data_follows),
                    address_valid.eq(~data_follows),
                    data_valid.eq(~data_follows),
                    data_follows.eq(~data_follows),
                ]
        return m
