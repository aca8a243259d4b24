"""Register master: one access at a time to registers behind AXI4-Lite.

The slave keeps its answer until it is taken, so the master needs no register for the word read. What comes from the
slave and what goes to it are registers otherwise: it may be far away, and nobody is in a hurry.
"""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiLite
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.control.registers import ADDRESS_WIDTH, DATA_WIDTH

__all__ = ["RegisterMaster"]


class RegisterMaster(Block):
    """Reads and writes whole words.

    Ports
    -----
    start: one cycle: carry out an access; write, address, write_data: which; constant until `done`.
    done: the slave has answered; error: it refused; read_data: the word read. They stay until `taken`.
    m_axil_*: AXI4-Lite master.
    """

    module_name = "register_master"

    def __init__(self):
        super().__init__(
            {
                "start": In(1),
                "write": In(1),
                "address": In(ADDRESS_WIDTH),
                "write_data": In(DATA_WIDTH),
                "done": Out(1),
                "error": Out(1),
                "read_data": Out(DATA_WIDTH),
                "taken": In(1),
                "m_axil": Out(AxiLite(address_width=ADDRESS_WIDTH, data_width=DATA_WIDTH)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.m_axil.awaddr.eq(self.address),
            self.m_axil.araddr.eq(self.address),
            self.m_axil.wdata.eq(self.write_data),
            self.m_axil.wstrb.eq(-1),
            self.m_axil.rready.eq(self.m_axil.bready),
            self.read_data.eq(self.m_axil.rdata),
        ]
        m.d.sync += [
            self.m_axil.bready.eq(self.taken),
            self.done.eq((self.m_axil.bvalid | self.m_axil.rvalid) & ~self.taken & ~self.m_axil.bready),
            self.error.eq((self.m_axil.bvalid & self.m_axil.bresp[1]) | (self.m_axil.rvalid & self.m_axil.rresp[1])),
        ]
        for channel, chosen in (("aw", self.write), ("w", self.write), ("ar", ~self.write)):
            valid, ready = getattr(self.m_axil, f"{channel}valid"), getattr(self.m_axil, f"{channel}ready")
            with m.If(self.start):
                m.d.sync += valid.eq(chosen)
            with m.Elif(ready):
                m.d.sync += valid.eq(0)
        return m
