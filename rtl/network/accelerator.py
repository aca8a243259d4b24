"""The network accelerator: pixels in, logits out; the top level.

    s_axil -------.                                   .-------> interrupt
    m_axi_tape ---+--> host side --> engine --> host side
    s_axis_image -'                                   '-------> m_axis_logits

What a host sees is the host side's (`rtl.network.host_side`), what is computed is the engine's (`rtl.network.engine`).
"""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, flipped

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect

from .bundles import engine_ports
from .engine import NetworkEngine
from .host_side import HostSide, outside_ports

__all__ = ["NetworkAccelerator"]


class NetworkAccelerator(Block):
    """Images in, logits out, with the network that the tape holds.

    Args:
        config (NetworkConfig): the configuration. With a `prefix` "a_" the module is `a_taylorvit`.
        tape (bytes | None): with `tape_source` "memory", what the memory of tapes contains at power-up, from its first
            byte on; None for nothing.

    Ports:
        s_axil, interrupt, m_axi_tape or s_axis_tape, s_axis_image, m_axis_logits: as in
            `rtl.network.host_side.HostSide`.

    Raises:
        ValueError: there is a tape and no memory for it, or none that has contents at power-up, or it is too small.
    """

    waivers = {("SYMRSVDWORD", "interrupt"): "The usual name; C++ code gets another one from Verilator."}

    def __init__(self, config, tape=None):
        self.config = config
        self.prefix = config.prefix
        self.module_name = f"{config.prefix}taylorvit"
        self.host_side = HostSide(config, tape)
        self.tape = tape
        self.engine = NetworkEngine(config)
        super().__init__(outside_ports(config))

    @property
    def parameters(self):
        """What distinguishes two accelerators: the configuration, and the tape."""
        return self.config.to_mapping() | {"tape": self.tape}

    def elaborate(self, platform):
        m = Module()
        host, engine = instantiate(m, "host_side", self.host_side), instantiate(m, "engine", self.engine)
        for name in outside_ports(self.config):
            if name != "interrupt":
                connect(m, flipped(getattr(self, name)), getattr(host, name))
        m.d.comb += [self.interrupt.eq(host.interrupt), engine.soft_reset.eq(host.engine_reset)]
        for name, member in engine_ports(self.config).items():
            source, target = (host, engine) if member.flow == In else (engine, host)
            if member.is_port:
                m.d.comb += getattr(target, name).eq(getattr(source, name))
            else:
                connect(m, getattr(source, name), getattr(target, name))
        return m
