"""The host link in hardware: a UART on one side, the accelerator's register bus and streams on the other.

Read `host_link` first, where the blocks are joined, then follow a request through `uart_receiver`, `byte_fifo`,
`frame_receiver`, `command_engine`, `send_buffer` and `packet_demultiplexer`, and an answer through `result_buffer`,
`frame_sender` and `uart_transmitter`. `interfaces` has the signatures between them.
"""
