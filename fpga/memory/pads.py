"""Pins of an SDR SDRAM, and the block of a family that drives them."""

from types import MappingProxyType

from amaranth.hdl import IOPort
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block

from .command import SdramCommand
from .phase import PinTiming

__all__ = ["PINS", "SdramPads", "chip_pads", "chip_pins", "pin_widths"]

#: Signals of a chip, as a board's file names them.
PINS = ("clk", "cke", "cs_n", "ras_n", "cas_n", "we_n", "ba", "a", "dqm", "dq")


def chip_pins(chip):
    """The pins of a chip that the FPGA drives, as members of a signature.

    Args:
        chip (SdramChip): the chip.

    Returns:
        dict: name -> member; all of them outputs.
    """
    return {f"sdram_{name}": Out(width) for name, width in pin_widths(chip).items() if name != "dq"}


def pin_widths(chip):
    """How many pins each signal of a chip has.

    Args:
        chip (SdramChip): the chip.

    Returns:
        dict[str, int]: name, one of `PINS` -> pins.
    """
    wide = {"ba": chip.bank_bits, "a": chip.address_pins, "dqm": chip.data_width // 8, "dq": chip.data_width}
    return dict.fromkeys(PINS, 1) | wide


def chip_pads(chip):
    """Its pins in both directions, the data, as `rtl.common.block.Block.pads`."""
    return MappingProxyType({"sdram_dq": IOPort(chip.data_width, name="sdram_dq")})


class SdramPads(Block):
    """Registers and I/O cells between a controller and the pins of an SDR SDRAM; a class to derive from.

    Every signal has a register at its pin: commands and data leave in the cycle after they come, and what the pins had
    at the clock's edge is here after it.

    Args:
        chip (SdramChip): the chip.

    Ports:
        command (SdramCommand, input): what the chip is told.
        write_data (chip's bits, input): data for it.
        write_mask (a bit for each byte, input): bytes of them that are not to be written.
        write_enable (1 bit, input): there are data; the pins are driven.
        read_data (chip's bits, output): what the pins had.
        chip_clock (1 bit, input): the clock that the chip gets.
        sdram_clk, sdram_cke, sdram_cs_n, sdram_ras_n, sdram_cas_n, sdram_we_n (1 bit each, outputs): pins.
        sdram_ba, sdram_a, sdram_dqm (bank, address and a bit for each byte, outputs): pins.
        sdram_dq (chip's bits, both directions): pins.

    Attributes:
        pin_timing (PinTiming): times of the registers at the pins.
    """

    module_name = "sdram_pads"
    reset_less = True
    pin_timing: PinTiming

    def __init__(self, chip):
        self.chip = chip
        super().__init__(
            {
                "command": In(SdramCommand(chip)),
                "write_data": In(chip.data_width),
                "write_mask": In(chip.data_width // 8),
                "write_enable": In(1),
                "read_data": Out(chip.data_width),
                "chip_clock": In(1),
                **chip_pins(chip),
            }
        )
        self.pads = chip_pads(chip)

    @property
    def parameters(self):
        """What distinguishes two of them: the chip."""
        return {"chip": self.chip}

    @property
    def outputs(self):
        """Pairs (pin, what it shows a cycle later), of all pins but clock and data."""
        command = self.command
        return [
            (self.sdram_cke, command.cke),
            (self.sdram_cs_n, command.cs_n),
            (self.sdram_ras_n, command.ras_n),
            (self.sdram_cas_n, command.cas_n),
            (self.sdram_we_n, command.we_n),
            (self.sdram_ba, command.bank),
            (self.sdram_a, command.address),
            (self.sdram_dqm, self.write_mask & self.write_enable.replicate(len(self.write_mask))),
        ]
