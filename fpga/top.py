"""A whole board: clock and reset, the host link, the accelerator, LEDs.

    clock --> clock_generator --> clk                     interrupt, activity
    button -> reset_generator --> rst             .------------------------------> indicators --> led
                                                  |
    uart_rx --> host_link ==(register bus, streams Q, K, V)==> accelerator
    uart_tx <----'  ^==============(stream Z)==================='

The top level is one Verilog module whose ports are the board's pins. There are no I/O cells in it: the tools put them
in, with what the constraint file says of each pin. `BoardTop` is that of an attention accelerator, as above;
`fpga.network_top` has that of a network accelerator, and `board_top` chooses.
"""

from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.network.config import NetworkConfig

from .common_top import CommonTop
from .network_top import NetworkBoardTop

__all__ = ["BoardTop", "board_top"]


class BoardTop(CommonTop):
    """The top level of a board's bitstream.

    Its accelerator is an attention accelerator.

    Args:
        board (Board): the board, with the core clock and the baud rate to build for.
        config (AcceleratorConfig): the configuration of the accelerator.

    Ports:
        clock, uart_rx, uart_tx, led, button: as in `CommonTop`.

    Raises:
        ValueError: board, clock, link and configuration do not go together.
    """

    def __init__(self, board, config):
        super().__init__(board, Accelerator(config), link={"stream_bytes": config.stream_width // 8})

    def join(self, m, link, accelerator, resets, clock):
        """Joins the link to the accelerator; see `CommonTop.join`."""
        connect(m, link.m_axil, accelerator.s_axil)
        connect(m, link.m_axis_q, accelerator.s_axis_q)
        connect(m, link.m_axis_k, accelerator.s_axis_k)
        connect(m, link.m_axis_v, accelerator.s_axis_v)
        connect(m, accelerator.m_axis_z, link.s_axis_z)
        return accelerator.s_axis_q, accelerator.s_axis_k, accelerator.s_axis_v, accelerator.m_axis_z


def board_top(board, config, tape=None):
    """The top level of a board's bitstream, for either accelerator.

    Args:
        board (Board): the board, with the core clock and the baud rate to build for.
        config (AcceleratorConfig | NetworkConfig): the configuration of the accelerator.
        tape (bytes | None): of a network accelerator, what its memory on the chip contains at power-up; None for
            nothing.

    Returns:
        CommonTop: the top level.

    Raises:
        ValueError: board, clock, link and configuration do not go together.
    """
    if isinstance(config, NetworkConfig):
        return NetworkBoardTop(board, config, tape)
    if tape is not None:
        raise ValueError(f"tape must be for a network accelerator, not for {config.name!r} of {config.accelerator!r}")
    return BoardTop(board, config)
