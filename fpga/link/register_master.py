"""Register master: accesses registers over AXI4-Lite, one at a time.

The slave keeps its answer until it is taken, so the master needs no register for the word that was read. All else
between them goes through registers: the slave may be far away, and there is time.
"""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiLite
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.control.description import ADDRESS_WIDTH, DATA_WIDTH

from .interfaces import RegisterAccess

__all__ = ["RegisterMaster"]


class RegisterMaster(Block):
    """Reads and writes whole words.

    Ports:
        access (RegisterAccess, input): one access at a time.
        m_axil (AxiLite, master): the registers.
    """

    module_name = "register_master"

    def __init__(self):
        super().__init__(
            {
                "access": In(RegisterAccess()),
                "m_axil": Out(AxiLite(address_width=ADDRESS_WIDTH, data_width=DATA_WIDTH)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        access, axil = self.access, self.m_axil
        m.d.comb += [
            axil.awaddr.eq(access.address),
            axil.araddr.eq(access.address),
            axil.wdata.eq(access.write_data),
            axil.wstrb.eq(-1),
            axil.rready.eq(axil.bready),
            access.read_data.eq(axil.rdata),
        ]
        m.d.sync += [
            axil.bready.eq(access.taken),
            access.done.eq((axil.bvalid | axil.rvalid) & ~access.taken & ~axil.bready),
            access.error.eq((axil.bvalid & axil.bresp[1]) | (axil.rvalid & axil.rresp[1])),
        ]
        for channel, chosen in (("aw", access.write), ("w", access.write), ("ar", ~access.write)):
            valid, ready = getattr(axil, f"{channel}valid"), getattr(axil, f"{channel}ready")
            with m.If(access.start):
                m.d.sync += valid.eq(chosen)
            with m.Elif(ready):
                m.d.sync += valid.eq(0)
        return m
