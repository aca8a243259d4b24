"""Register master: one access at a time to registers behind AXI4-Lite.

The slave keeps its answer until it is taken, so the master needs no register for the word read. What comes from the
slave and what goes to it are registers otherwise: it may be far away, and nobody is in a hurry.
"""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

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
                "m_axil_awaddr": Out(ADDRESS_WIDTH),
                "m_axil_awprot": Out(3),
                "m_axil_awvalid": Out(1),
                "m_axil_awready": In(1),
                "m_axil_wdata": Out(DATA_WIDTH),
                "m_axil_wstrb": Out(DATA_WIDTH // 8),
                "m_axil_wvalid": Out(1),
                "m_axil_wready": In(1),
                "m_axil_bresp": In(2),
                "m_axil_bvalid": In(1),
                "m_axil_bready": Out(1),
                "m_axil_araddr": Out(ADDRESS_WIDTH),
                "m_axil_arprot": Out(3),
                "m_axil_arvalid": Out(1),
                "m_axil_arready": In(1),
                "m_axil_rdata": In(DATA_WIDTH),
                "m_axil_rresp": In(2),
                "m_axil_rvalid": In(1),
                "m_axil_rready": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.m_axil_awaddr.eq(self.address),
            self.m_axil_araddr.eq(self.address),
            self.m_axil_wdata.eq(self.write_data),
            self.m_axil_wstrb.eq(-1),
            self.m_axil_rready.eq(self.m_axil_bready),
            self.read_data.eq(self.m_axil_rdata),
        ]
        m.d.sync += [
            self.m_axil_bready.eq(self.taken),
            self.done.eq((self.m_axil_bvalid | self.m_axil_rvalid) & ~self.taken & ~self.m_axil_bready),
            self.error.eq((self.m_axil_bvalid & self.m_axil_bresp[1]) | (self.m_axil_rvalid & self.m_axil_rresp[1])),
        ]
        for channel, chosen in (("aw", self.write), ("w", self.write), ("ar", ~self.write)):
            valid, ready = getattr(self, f"m_axil_{channel}valid"), getattr(self, f"m_axil_{channel}ready")
            with m.If(self.start):
                m.d.sync += valid.eq(chosen)
            with m.Elif(ready):
                m.d.sync += valid.eq(0)
        return m
