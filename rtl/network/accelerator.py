"""The network accelerator: pixels in, logits out; the top level.

    s_axil -------.                                   .-------> interrupt
    m_axi_tape ---+--> host side --> engine --> host side
    s_axis_image -'                                   '-------> m_axis_logits

What a host sees is the host side's (`rtl.network.host_side`), what is computed is the engine's (`rtl.network.engine`).
"""

from amaranth.hdl import Module
from amaranth.lib.wiring import flipped

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect

from .engine import NetworkEngine
from .host_side import HostSide, outside_ports

__all__ = ["NetworkAccelerator"]


class NetworkAccelerator(Block):
    """Images in, logits out, with the network that the tape holds.

    Args:
        config (NetworkConfig): the configuration. With a `prefix` "a_" the module is `a_taylorvit`.

    Ports:
        s_axil, interrupt, m_axi_tape or s_axis_tape, s_axis_image, m_axis_logits: as in
            `rtl.network.host_side.HostSide`.
    """

    waivers = {("SYMRSVDWORD", "interrupt"): "The usual name; C++ code gets another one from Verilator."}

    def __init__(self, config):
        self.config = config
        self.prefix = config.prefix
        self.module_name = f"{config.prefix}taylorvit"
        self.host_side = HostSide(config)
        self.engine = NetworkEngine(config)
        super().__init__(outside_ports(config))

    @property
    def parameters(self):
        """What distinguishes two accelerators: the configuration."""
        return self.config.to_mapping()

    def elaborate(self, platform):
        m = Module()
        host, engine = instantiate(m, "host_side", self.host_side), instantiate(m, "engine", self.engine)
        for name in outside_ports(self.config):
            if name != "interrupt":
                connect(m, flipped(getattr(self, name)), getattr(host, name))
        connect(m, host.tape_write, engine.tape_write)
        connect(m, host.table_write, engine.table_write)
        connect(m, host.image_write, engine.image)
        m.d.comb += [self.interrupt.eq(host.interrupt), engine.soft_reset.eq(host.engine_reset)]
        for name in ("command", "command_valid", "tape_written", "image_ready", "logits_room"):
            m.d.comb += getattr(engine, name).eq(getattr(host, name))
        for name in (
            "command_taken", "tape_read", "table_finished", "image_release", "logit_valid", "logit_address", "logit",
            "image_done", "kind", "array_busy", "stall_tape", "stall_image", "stall_output", "stall_data",
            "denominator_error",
        ):  # fmt: skip
            m.d.comb += getattr(host, name).eq(getattr(engine, name))
        return m
