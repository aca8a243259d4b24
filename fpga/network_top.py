"""A whole board with a network accelerator.

    clock --> clock_generator --> clk        interrupt, activity
    button -> reset_generator --> rst       .--------------------> indicators --> led
                                            |
    uart_rx --> host_link ==(words of tapes)==> memory of tapes
    uart_tx <----'  ^ ^ '===(register bus)=====>       '=======(register bus, tape)==> accelerator
                    | '=====(stream of images)=========================================^  |
                    '=======(stream of logits)============================================'

The memory of tapes is on the chip, within the accelerator, where `tape_source` is "memory". Then what stands for it
above is a `RegisterLoader`, which writes the words through the accelerator's registers. Where it is "axi", the memory
is the board's SDRAM behind an `SdramController`, and between the two register buses are the `MemoryRegisters` of the
board. `NetworkBoardTop.join_memory` is the one place that knows what kind of memory there is.
"""

from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.network.accelerator import NetworkAccelerator
from taylorvit.rtl.network.control.registers import register_map

from .clock_generator import core_clock
from .common_top import CommonTop
from .link.register_loader import RegisterLoader
from .memory.chips import SdramTiming
from .memory.pads import chip_pads, chip_pins
from .memory.phase import chip_clock
from .memory.registers import MemoryRegisters
from .memory.sdram import SdramController
from .protocol import Stream

__all__ = ["NetworkBoardTop"]

#: What the board's registers tell of the SDRAM.
_TOLD = ("initialized", "testing", "errors", "first")


class NetworkBoardTop(CommonTop):
    """The top level of the bitstream of a network accelerator.

    Args:
        board (Board): the board, with the core clock and the baud rate to build for.
        config (NetworkConfig): the configuration of the accelerator, whose `tape_source` is "memory", or "axi" on a
            board with SDRAM, whose chip then has as many bits as `tape_width`.
        tape (bytes | None): what the memory on the chip contains at power-up; None for nothing.

    Ports:
        clock, uart_rx, uart_tx, led, button: as in `CommonTop`.
        sdram_clk ...: pins of the SDRAM (`fpga.memory.pads`), where the tape is in it.

    Raises:
        ValueError: board, clock, link, configuration and tape do not go together.
    """

    def __init__(self, board, config, tape=None):
        self.sdram = None
        if config.tape_source == "axi":
            more = self._use_sdram(board, config)
            memory_bytes = board.sdram.chip.bytes
        elif config.tape_source == "memory":
            registers = register_map(config)
            self.loader = RegisterLoader(
                address_register=registers["TAPE_ADDRESS"].offset, data_register=registers["TAPE_DATA"].offset
            )
            more, memory_bytes = {}, config.tape_memory_bytes
        else:
            raise ValueError(f"tape_source must be 'memory' or 'axi' on {board.name}, not {config.tape_source!r}")
        link = {
            "streams": (Stream.IMAGE,),
            "stream_bytes": config.image_lanes * config.data_width // 8,
            "results": "logits",
            "results_bytes": config.logit_width // 8,
            "memory_bytes": memory_bytes,
        }
        super().__init__(board, NetworkAccelerator(config, tape), link=link, **more)
        if self.sdram is not None:
            self.pads = chip_pads(board.sdram.chip)

    @property
    def parameters(self):
        """What distinguishes two board tops: board, clock, link, configuration and tape."""
        return super().parameters | {"tape": self.accelerator.tape}

    def _use_sdram(self, board, config):
        """Makes the memory outside of the FPGA; returns what it wants of the top: ports, and the phase of a clock."""
        pads = board.family.sdram_pads
        if board.sdram is None or pads is None:
            raise ValueError(f"tape_source must be 'memory' on {board.name}, which has no SDRAM, not 'axi'")
        chip, clock = board.sdram.chip, core_clock(board)
        if config.tape_width != chip.data_width:
            rule = f"tape_width must be {chip.data_width} on {board.name}, the width of its SDRAM"
            raise ValueError(f"{rule}, not {config.tape_width!r}")
        placed = chip_clock(chip, pads.pin_timing, clock.rounded_hz, has_pll=clock.cell is not None)
        timing = SdramTiming(chip, clock.rounded_hz, placed.late)
        self.sdram = SdramController(timing, pads, address_width=config.address_width)
        self.memory_registers = MemoryRegisters(memory_bytes=chip.bytes)
        return {"ports": chip_pins(chip), "phase": placed.phase}

    def join(self, m, link, accelerator, resets, clock):
        """Joins the link to the accelerator; see `CommonTop.join`."""
        self.join_memory(m, link, accelerator, resets, clock)
        connect(m, link.m_axis_image, accelerator.s_axis_image)
        connect(m, accelerator.m_axis_logits, link.s_axis_logits)
        return accelerator.s_axis_image, accelerator.m_axis_logits

    def join_memory(self, m, link, accelerator, resets, clock):
        """Joins the link, which has words of tapes and the register bus, to the memory of tapes and the accelerator.

        Either memory is reset with the accelerator, which has asked it for words; the SDRAM keeps what is in it.

        Args:
            m (amaranth.hdl.Module): the module of the board.
            link (object): the instance of the host link.
            accelerator (object): the instance of the accelerator.
            resets (object): the instance of the reset generator.
            clock (object): the instance of the clock generator.
        """
        if self.sdram is not None:
            memory = instantiate(m, "memory", self.sdram, reset=resets.accelerator_reset, pads=self.pads)
            registers = instantiate(m, "memory_registers", self.memory_registers, reset=resets.accelerator_reset)
            connect(m, link.memory_write, memory.write)
            connect(m, accelerator.m_axi_tape, memory.read)
            connect(m, link.m_axil, registers.s_axil)
            connect(m, registers.m_axil, accelerator.s_axil)
            m.d.comb += [
                memory.chip_clock.eq(clock.chip_clock),
                memory.test.eq(registers.test),
                *(getattr(registers, each).eq(getattr(memory, each)) for each in _TOLD),
                *(getattr(self, pin).eq(getattr(memory, pin)) for pin in chip_pins(self.board.sdram.chip)),
            ]
            return
        loader = instantiate(m, "register_loader", self.loader, reset=resets.accelerator_reset)
        connect(m, link.memory_write, loader.write)
        connect(m, link.m_axil, loader.s_axil)
        connect(m, loader.m_axil, accelerator.s_axil)
