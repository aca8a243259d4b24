"""Host link: a UART on one side, the accelerator's register bus and streams on the other.

The protocol is that of `fpga.protocol`.
"""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from rtl.block import Block
from rtl.registers import ADDRESS_WIDTH, DATA_WIDTH

__all__ = ["HostLink"]


class HostLink(Block):
    """Carries out a host's requests.

    Parameters
    ----------
    stream_bytes: bytes of a beat of each stream.
    clock_hz, baud: of the clock and of the UART.
    build_id: what IDENTIFY answers, 32 bits.
    receive_bytes, send_bytes, result_bytes: sizes of the buffers, powers of two.
    payload_max: tensor or result bytes of a frame, at most.

    Ports
    -----
    uart_rx, uart_tx: the line, high when idle.
    accelerator_reset: the accelerator's reset, together with that of the board.
    m_axil_*: master of the accelerator's registers.
    m_axis_q_*, m_axis_k_*, m_axis_v_*: the tensors; s_axis_z_*: the results.
    interrupt: of the accelerator.
    activity: high while bytes come from the host, and some time longer.
    """

    module_name = "host_link"

    def __init__(self, *, stream_bytes, clock_hz, baud, build_id, receive_bytes=2048, send_bytes=2048,
                 result_bytes=2048, payload_max=1024):  # fmt: skip
        self.stream_bytes = stream_bytes
        self.clock_hz = clock_hz
        self.baud = baud
        self.build_id = build_id
        self.receive_bytes = receive_bytes
        self.send_bytes = send_bytes
        self.result_bytes = result_bytes
        self.payload_max = payload_max
        width = 8 * stream_bytes
        ports = {
            "uart_rx": In(1),
            "uart_tx": Out(1, init=1),
            "accelerator_reset": Out(1),
            "m_axil_awaddr": Out(ADDRESS_WIDTH),
            "m_axil_awprot": Out(3),
            "m_axil_awvalid": Out(1),
            "m_axil_awready": In(1),
            "m_axil_wdata": Out(DATA_WIDTH),
            "m_axil_wstrb": Out(DATA_WIDTH // 8),
            "m_axil_wvalid": Out(1),
            "m_axil_wready": In(1),
            "m_axil_bresp": In(2),
            "m_axil_bvalid": In(1),
            "m_axil_bready": Out(1),
            "m_axil_araddr": Out(ADDRESS_WIDTH),
            "m_axil_arprot": Out(3),
            "m_axil_arvalid": Out(1),
            "m_axil_arready": In(1),
            "m_axil_rdata": In(DATA_WIDTH),
            "m_axil_rresp": In(2),
            "m_axil_rvalid": In(1),
            "m_axil_rready": Out(1),
        }
        for stream in "qkv":
            ports |= {
                f"m_axis_{stream}_tdata": Out(width),
                f"m_axis_{stream}_tvalid": Out(1),
                f"m_axis_{stream}_tready": In(1),
                f"m_axis_{stream}_tlast": Out(1),
            }
        ports |= {
            "s_axis_z_tdata": In(width),
            "s_axis_z_tvalid": In(1),
            "s_axis_z_tready": Out(1),
            "s_axis_z_tlast": In(1),
            "interrupt": In(1),
            "activity": Out(1),
        }
        super().__init__(ports)

    def elaborate(self, platform):
        return Module()
