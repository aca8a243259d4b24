"""The host link in hardware: a UART on one side, the accelerator's register bus and streams on the other.

Read `host_link` (how the blocks are joined), then the way of a request: `uart_receiver`, `byte_fifo`, `frame_receiver`,
`command_engine`, `send_buffer`, `packet_demultiplexer`; and of an answer: `result_buffer`, `frame_sender`,
`uart_transmitter`.
"""
