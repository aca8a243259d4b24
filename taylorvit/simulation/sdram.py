"""A block with the pins of an SDR SDRAM, made ready for simulation: with a model of the chip at these pins.

    ports --> block ==(sdram_...)== sdram_chip (cells/sdram.v)

The module around both has the ports of the block but for these pins. Its name is the block's, with `_and_sdram`.
"""

from __future__ import annotations

from taylorvit.fpga.memory.chips import SdramTiming
from taylorvit.gen.generate import port_table
from taylorvit.rtl.common.block import Block

from .dsp_cells import DSP_CELLS

__all__ = ["chip_parameters", "with_sdram"]

_PINS = ("clk", "cke", "cs_n", "ras_n", "cas_n", "we_n", "ba", "a", "dqm", "dq")


def chip_parameters(timing: SdramTiming) -> dict[str, int]:
    """The parameters of the model.

    Args:
        timing (SdramTiming): chip and clock.

    Returns:
        dict[str, int]: by name; times are in cycles.
    """
    chip, cycles = timing.chip, timing.cycles
    return {
        "BANK_BITS": chip.bank_bits,
        "ROW_BITS": chip.row_bits,
        "COLUMN_BITS": chip.column_bits,
        "BYTES": chip.data_width // 8,
        "CAS_LATENCY": timing.cas_latency,
        "LATE": timing.late,
        "START": cycles(chip.start),
        "START_REFRESHES": timing.start_refreshes,
        "PRECHARGE": cycles(chip.precharge),
        "ACTIVATE": cycles(chip.activate),
        "ACTIVE": cycles(chip.active),
        "ROW_CYCLE": cycles(chip.row_cycle),
        "ROW_TO_ROW": cycles(chip.row_to_row),
        "REFRESH_CYCLE": cycles(chip.refresh_cycle),
        "WRITE_RECOVERY": cycles(chip.write_recovery),
        "MODE_CYCLES": chip.mode_cycles,
        "REFRESH_INTERVAL": timing.refresh_cycles,
        "ADDRESS_BITS": chip.address_pins,
    }


def with_sdram(verilog: str, block: Block, timing: SdramTiming) -> tuple[str, str]:
    """Verilog of a block and of the chip at its pins.

    Args:
        verilog (str): the Verilog of the block.
        block (Block): it has the pins `sdram_...`; of other ports `chip_clock`, if there is one, gets the opposite of
            the clock.
        timing (SdramTiming): chip and clock.

    Returns:
        tuple[str, str]: the Verilog of all, and the name of its top.
    """
    top = f"{block.module_name}_and_sdram"
    ports, inside, connections = [], [], []
    for name, direction, width, _signed in port_table(block):
        vector = f"[{width - 1}:0] " if width > 1 else ""
        value = name
        if name.startswith("sdram_"):
            inside.append(f"    wire {vector}{name};")
        elif name == "chip_clock":
            value = "~clk"
        else:
            ports.append(f"    {direction} wire {vector}{name}")
        connections.append(f"        .{name}({value})")
    parameters = [f"        .{name}({value})" for name, value in chip_parameters(timing).items()]
    pins = [f"        .{name}(sdram_{name})" for name in _PINS]
    lines = [f"module {top} (", ",\n".join(ports), ");", *inside, ""]
    lines += [f"    {block.module_name} {block.module_name} (", ",\n".join(connections), "    );", ""]
    lines += [
        "    sdram_chip #(",
        ",\n".join(parameters),
        "    ) sdram_chip (",
        ",\n".join(pins),
        "    );",
        "endmodule",
    ]
    model = (DSP_CELLS / "sdram.v").read_text(encoding="utf-8")
    return "\n".join([verilog, *lines, "", model]), top
