"""The column of an attention kernel that computes nothing: it shows what it is given, for tests of `NetworkColumn`."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, signed
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.network.bundles import ActivationWrite, LoadControl, ResultControl

__all__ = ["TinyKernelColumn"]


class TinyKernelColumn(Block):
    """Totals and values leave by `report`; z is what comes along the columns, a cycle later.

    A row of its buffers holds the low bits of its address, plus 64 in the second one; the latency is that of a memory.
    """

    module_name = "tiny_kernel_column"
    waivers = {
        ("UNUSEDSIGNAL", "load__*"): "It has no buffers.",
        ("PINCONNECTEMPTY", "side_out__*"): "The last column has none on its right.",
    }

    def __init__(self, config):
        self.latency = 1 + config.memory_pipeline
        report = Signature(
            {
                "total": Out(signed(config.partial_sum_width)),
                "total_control": Out(ResultControl(config)),
                "value": Out(signed(config.data_width)),
                "value_control": Out(ResultControl(config)),
            }
        )
        super().__init__(
            {
                "load": In(LoadControl(config)),
                "stationary": Out(signed(config.data_width)),
                "total": In(signed(config.partial_sum_width)),
                "total_control": In(ResultControl(config)),
                "value": In(signed(config.data_width)),
                "value_control": In(ResultControl(config)),
                "z": Out(ActivationWrite(config)),
                "feed": In(Signature({})),
                "side_in": In(ActivationWrite(config)),
                "side_out": Out(ActivationWrite(config)),
                "report": Out(report),
            }
        )

    def elaborate(self, platform):
        m = Module()
        pass_on(m, self.side_in, self.side_out)
        m.d.comb += copied(self.side_out, self.z)
        word = Mux(self.load.blank, 0, (self.load.address + 64 * (self.load.kind == 2))[:8])
        m.d.comb += [
            self.stationary.eq(delay(m, word, self.latency, "word")),
            self.report.total.eq(self.total),
            self.report.value.eq(self.value),
        ]
        m.d.comb += copied(self.total_control, self.report.total_control)
        m.d.comb += copied(self.value_control, self.report.value_control)
        return m
