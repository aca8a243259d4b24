"""Pins of an SDR SDRAM on Lattice ECP5: the registers of the I/O cells.

OFS1P3DX and IFS1P3DX are registers that place and route must put into the I/O cell of their pin, so that the way from
register to pin is the same for all of them, and known. ODDRX1F, a cell of the same kind, sends the clock to the chip
with the delay of the data.
"""

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal

from taylorvit.fpga.memory.pads import SdramPads
from taylorvit.fpga.memory.phase import PinTiming

__all__ = ["Ecp5SdramPads"]


class Ecp5SdramPads(SdramPads):
    """Pins of an SDR SDRAM in I/O cells of ECP5, as `fpga.memory.pads.SdramPads` describes them."""

    module_name = "ecp5_sdram_pads"
    # Of speed grade 6 with a PLL, LVCMOS33 and a fast slew rate: estimates, no values of a data sheet.
    pin_timing = PinTiming(out_least=2.0, out_most=3.9, skew=0.5, setup=0.8, hold=0.9, wires=0.4)

    def elaborate(self, platform):
        m = Module()

        def register(name, kind, data, output):
            m.submodules[name] = Instance(
                kind, i_D=data, i_SP=Const(1, 1), i_SCLK=ClockSignal(), i_CD=Const(0, 1), o_Q=output
            )

        for pin, value in self.outputs:
            bits = []
            for index in range(len(pin)):
                bits.append(Signal(name=f"{pin.name}_{index}_register"))
                register(f"{pin.name}_{index}", "OFS1P3DX", value[index], bits[-1])
            m.d.comb += [pin[index].eq(bit) for index, bit in enumerate(bits)]

        m.submodules.clock_out = Instance(
            "ODDRX1F",
            i_SCLK=self.chip_clock,
            i_RST=Const(0, 1),
            i_D0=Const(1, 1),
            i_D1=Const(0, 1),
            o_Q=self.sdram_clk,
        )

        released = Signal()
        m.d.comb += released.eq(~self.write_enable)
        taken = []
        for index in range(self.chip.data_width):
            sent, off, came, kept = (Signal(name=f"dq_{index}_{what}") for what in ("sent", "off", "came", "kept"))
            register(f"dq_{index}_out", "OFS1P3DX", self.write_data[index], sent)
            register(f"dq_{index}_tristate", "OFS1P3DX", released, off)
            register(f"dq_{index}_in", "IFS1P3DX", came, kept)
            m.submodules[f"dq_{index}"] = Instance("BB", i_I=sent, i_T=off, o_O=came, io_B=self.pads["sdram_dq"][index])
            taken.append(kept)
        m.d.comb += [self.read_data[index].eq(bit) for index, bit in enumerate(taken)]
        return m
