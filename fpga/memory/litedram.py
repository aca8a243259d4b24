"""litedram's controller as a block: what schedules the commands of an SDR SDRAM.

    read ===> AXI frontend --> crossbar --> a machine for each bank --> multiplexer --> command, write_data
    write ==>                                             refresher ------^    ^------- read_data

litedram (Florent Kermarrec and others, BSD) is a Python library, which writes Verilog. Its generator of whole cores is
not used: that brings a register bus for the initialization, and I/O cells of one family in place of ports. Here the
commands leave the controller as they are, so that initialization is `fpga.memory.initializer` and pins are a block of
the family.

The Verilog is put behind that of the other blocks by `gen.verilog`, so it is synthesized, simulated and hashed with
them. It is made when it is asked for, within a second, and never stored.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module

from amaranth.lib.wiring import In, Out

from taylorvit.boundary.command import needs
from taylorvit.rtl.common.axi import AxiRead, AxiWrite
from taylorvit.rtl.common.block import ForeignBlock

from .chips import SdramTiming
from .command import SdramCommand

__all__ = ["LiteDramController"]

#: Cycles from a write to a read at the chip, and columns between two commands: those of any SDR SDRAM.
_WRITE_TO_READ, _COLUMN_TO_COLUMN = 2, 1


class LiteDramController(ForeignBlock):
    """litedram's controller of an SDR SDRAM, with an AXI4 slave of the chip's width.

    A beat is a column of the chip. It may be used once the chip is initialized; before that it must be held in reset.
    Answers are always OKAY.

    Args:
        timing (SdramTiming): chip and clock.

    Ports:
        read (AxiRead, slave): reads.
        write (AxiWrite, slave): writes.
        command (SdramCommand, output): what the chip is told in this cycle. Its `cke` is always high.
        write_data (chip's bits, output): data of a write, in the cycle of its command.
        write_mask (a bit for each byte, output): bytes of it that are not written.
        write_enable (1 bit, output): there is data to write.
        read_data (chip's bits, input): what a read brought, `timing.read_latency` cycles after its command.

    Raises:
        CommandError: when the Verilog is asked for: litedram is not installed.
    """

    module_name = "litedram_controller"

    def __init__(self, timing: SdramTiming):
        self.timing = timing
        chip = timing.chip
        widths = {"address_width": chip.address_width, "data_width": chip.data_width}
        super().__init__(
            {
                "read": In(AxiRead(**widths)),
                "write": In(AxiWrite(**widths)),
                "command": Out(SdramCommand(chip)),
                "write_data": Out(chip.data_width),
                "write_mask": Out(chip.data_width // 8),
                "write_enable": Out(1),
                "read_data": In(chip.data_width),
            }
        )

    @property
    def parameters(self):
        """What distinguishes two of them: chip and clock."""
        return {"timing": self.timing}

    @property
    def verilog(self):
        """The text of the module."""
        return _verilog(self.timing, self.module_name)


@cache
def _verilog(timing, name):
    with needs("fpga"):
        for module in ("litedram.core.controller", "litedram.frontend.axi", "litex.gen.fhdl.verilog"):
            import_module(module)
    # Signals get names from variables of all functions that are being called: on a stack of its own, always the same.
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(_convert, timing, name).result()


def _convert(timing, name):
    from litedram.common import LiteDRAMNativePort
    from litedram.core.controller import LiteDRAMController
    from litedram.core.crossbar import LiteDRAMCrossbar
    from litedram.frontend.axi import LiteDRAMAXI2Native, LiteDRAMAXIPort
    from litex.gen.fhdl import verilog
    from litex.soc.interconnect import stream
    from migen import ClockDomain, Module, Signal
    from migen.fhdl.structure import DUID

    # The order of assignments follows from the numbers of signals, which count all that this process has made.
    DUID._DUID__next_uid = 0
    module = Module()
    module.clock_domains.cd_sys = domain = ClockDomain("sys")
    domain.clk = Signal(name_override="clk")
    domain.rst = Signal(name_override="rst")
    module.submodules.controller = controller = LiteDRAMController(*_settings(timing), timing.clock_hz)
    module.submodules.crossbar = crossbar = LiteDRAMCrossbar(controller.interface)
    port = crossbar.get_port()
    axi = LiteDRAMAXIPort(data_width=port.data_width, address_width=timing.chip.address_width, id_width=1)
    # Without these registers a command goes through frontend, crossbar and bank in one cycle, and whether it is taken
    # goes all the way back.
    asked = LiteDRAMNativePort("both", port.address_width, port.data_width)
    module.submodules.frontend = LiteDRAMAXI2Native(axi, asked)
    module.submodules.commands = commands = stream.Buffer(port.cmd.description, pipe_ready=True)
    module.comb += [
        asked.cmd.connect(commands.sink),
        commands.source.connect(port.cmd),
        asked.wdata.connect(port.wdata),
        port.rdata.connect(asked.rdata),
    ]
    dfi = controller.dfi.p0
    outside = {
        **{f"command__{ours}": getattr(dfi, ours) for ours in ("address", "bank", "cs_n", "ras_n", "cas_n", "we_n")},
        "command__cke": dfi.cke,
        "write_data": dfi.wrdata,
        "write_mask": dfi.wrdata_mask,
        "write_enable": dfi.wrdata_en,
        "read_data": dfi.rddata,
    }
    for prefix, names in (("read", ("ar", "r")), ("write", ("aw", "w", "b"))):
        for channel in names:
            fields = _CHANNELS[channel]
            outside |= {f"{prefix}_{channel}{field}": getattr(getattr(axi, channel), field) for field in fields}
    for ours, signal in outside.items():
        signal.name_override = ours
    text = verilog.convert(module, {domain.clk, domain.rst, *outside.values()}, name=name, regular_comb=False)
    # litex states the time in a comment.
    lines = (line.rstrip() for line in str(text).splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*", "`timescale"))) + "\n"


_CHANNELS = {
    "ar": ("addr", "len", "size", "burst", "valid", "ready"),
    "r": ("data", "resp", "last", "valid", "ready"),
    "aw": ("addr", "len", "size", "burst", "valid", "ready"),
    "w": ("data", "strb", "last", "valid", "ready"),
    "b": ("resp", "valid", "ready"),
}


def _settings(timing):
    """The chip in litedram's terms."""
    from litedram.common import GeomSettings, PhySettings, TimingSettings

    chip, cycles = timing.chip, timing.cycles
    pins = PhySettings(
        phytype="SDR",
        memtype="SDR",
        databits=chip.data_width,
        dfi_databits=chip.data_width,
        nphases=1,
        rdphase=0,
        wrphase=0,
        cl=timing.cas_latency,
        read_latency=timing.read_latency,
        write_latency=0,
    )
    geometry = GeomSettings(bankbits=chip.bank_bits, rowbits=chip.row_bits, colbits=chip.column_bits)
    geometry.addressbits = chip.address_pins
    times = TimingSettings(
        tRP=cycles(chip.precharge),
        tRCD=cycles(chip.activate),
        tWR=cycles(chip.write_recovery),
        tWTR=_WRITE_TO_READ,
        tREFI=timing.refresh_cycles,
        tRFC=cycles(chip.refresh_cycle),
        tFAW=None,
        tCCD=_COLUMN_TO_COLUMN,
        tRRD=cycles(chip.row_to_row),
        tRC=cycles(chip.row_cycle),
        tRAS=cycles(chip.active),
        tZQCS=None,
    )
    return pins, geometry, times
