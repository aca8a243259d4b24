"""A whole board with a network accelerator.

    clock --> clock_generator --> clk        interrupt, activity
    button -> reset_generator --> rst       .--------------------> indicators --> led
                                            |
    uart_rx --> host_link ==(words of tapes)==> memory of tapes
    uart_tx <----'  ^ ^ '===(register bus)=====>       '=======(register bus, tape)==> accelerator
                    | '=====(stream of images)=========================================^  |
                    '=======(stream of logits)============================================'

The memory of tapes is on the chip, within the accelerator, where `tape_source` is "memory". Then what stands for it
above is a `RegisterLoader`, which writes the words through the accelerator's registers. `NetworkBoardTop.join_memory`
is the one place that knows what kind of memory there is.
"""

from taylorvit.rtl.common.block import instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.network.accelerator import NetworkAccelerator
from taylorvit.rtl.network.control.registers import register_map

from .common_top import CommonTop
from .link.register_loader import RegisterLoader
from .protocol import Stream

__all__ = ["NetworkBoardTop"]


class NetworkBoardTop(CommonTop):
    """The top level of the bitstream of a network accelerator.

    Args:
        board (Board): the board, with the core clock and the baud rate to build for.
        config (NetworkConfig): the configuration of the accelerator, whose `tape_source` is "memory".

    Ports:
        clock, uart_rx, uart_tx, led, button: as in `CommonTop`.

    Raises:
        ValueError: board, clock, link and configuration do not go together.
    """

    def __init__(self, board, config):
        if config.tape_source != "memory":
            raise ValueError(f"tape_source must be 'memory' on {board.name}, not {config.tape_source!r}")
        registers = register_map(config)
        self.loader = RegisterLoader(
            address_register=registers["TAPE_ADDRESS"].offset, data_register=registers["TAPE_DATA"].offset
        )
        link = {
            "streams": (Stream.IMAGE,),
            "stream_bytes": config.image_lanes * config.data_width // 8,
            "results": "logits",
            "results_bytes": config.logit_width // 8,
            "memory_bytes": config.tape_memory_bytes,
        }
        super().__init__(board, NetworkAccelerator(config), link=link)

    def join(self, m, link, accelerator, resets):
        """Joins the link to the accelerator; see `CommonTop.join`."""
        self.join_memory(m, link, accelerator, resets)
        connect(m, link.m_axis_image, accelerator.s_axis_image)
        connect(m, accelerator.m_axis_logits, link.s_axis_logits)
        return accelerator.s_axis_image, accelerator.m_axis_logits

    def join_memory(self, m, link, accelerator, resets):
        """Joins the link, which has words of tapes and the register bus, to the memory of tapes and the accelerator.

        A memory of another kind goes in here, in place of the loader: its size into `memory_bytes` of the link, its
        pins into `ports` of `CommonTop`, its registers between the link's bus and the accelerator's.

        Args:
            m (amaranth.hdl.Module): the module of the board.
            link (object): the instance of the host link.
            accelerator (object): the instance of the accelerator.
            resets (object): the instance of the reset generator.
        """
        loader = instantiate(m, "register_loader", self.loader, reset=resets.accelerator_reset)
        connect(m, link.memory_write, loader.write)
        connect(m, link.m_axil, loader.s_axil)
        connect(m, loader.m_axil, accelerator.s_axil)
