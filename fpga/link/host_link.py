"""Host link: a UART on one side, the accelerator's register bus and streams on the other.

It speaks the protocol of `fpga.protocol`. Requests are carried out one after the other; the next ones wait in a FIFO:

    uart_rx --> receiver --> FIFO --> frame receiver --> command engine --> register master --> m_axil
                                                           |  |      |
    uart_tx <-- transmitter <-------- frame sender <-------+  |      +--> send buffer --> demultiplexer --> m_axis_q/k/v
                                                              +---------- result buffer <-- splitter <----- s_axis_z

Which streams there are depends on the accelerator. Those of a network accelerator are m_axis_image and s_axis_logits;
and where the link fills the memory of tapes, the demultiplexer has one more way, to the memory writer.

A byte lasts 30 cycles or more on the line, and no block needs that long for it. So the line is the limit, as long as
the host keeps requests waiting.
"""

from amaranth.hdl import Module, Mux, ResetSignal, Signal
from amaranth.lib.wiring import In, Out, flipped

from taylorvit.fpga.protocol import OVERHEAD_BYTES, PAYLOAD_EXTRA, PROTOCOL_VERSION, Identification, Stream
from taylorvit.rtl.common.axi import AxiLite, AxiStream
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.reset_line import ResetLine
from taylorvit.rtl.common.validation import require_power_of_two, require_range
from taylorvit.rtl.control.description import ADDRESS_WIDTH, DATA_WIDTH

from .beat_splitter import BeatSplitter
from .bit_clock import bit_clock
from .byte_fifo import ByteFifo
from .command_engine import CommandEngine
from .frame_crc import FrameCrc
from .frame_receiver import FrameReceiver
from .frame_sender import FrameSender
from .interfaces import MemoryWrite
from .memory_writer import MemoryWriter
from .packet_demultiplexer import PacketDemultiplexer
from .register_master import RegisterMaster
from .result_buffer import ResultBuffer
from .send_buffer import SendBuffer
from .uart_receiver import UartReceiver
from .uart_transmitter import UartTransmitter

__all__ = ["HostLink"]


class HostLink(Block):
    """Carries out the requests of a host.

    Args:
        stream_bytes (int): bytes of a beat of each stream to the accelerator, 1 to 512.
        streams (tuple[Stream, ...]): these streams, as for `PacketDemultiplexer`.
        results (str): name of the stream of results: "z", or "logits".
        results_bytes (int): bytes of a beat of results; 0 for `stream_bytes`.
        memory_bytes (int): bytes of the memory of tapes, a multiple of 4; 0 if there is none.
        clock_hz (int): frequency of the clock.
        baud (int): bits a second of the UART.
        build_id (int): what IDENTIFY answers, 32 bits.
        receive_bytes (int): bytes of the FIFO of requests, a power of two; a whole SEND has to fit into it.
        send_bytes (int): bytes of the buffer of tensors, a power of two, at least `payload_max`.
        result_bytes (int): bytes of the buffer of results, a power of two.
        payload_max (int): most tensor or result bytes of a frame.
        stall_ms (float): milliseconds of silence after which a frame is given up, more than 0, at most 1000.

    Ports:
        uart_rx (1 bit, input): the line from the host, high when idle.
        uart_tx (1 bit, output): the line to the host, high when idle.
        accelerator_reset (1 bit, output): resets the accelerator, as does the reset of the board.
        m_axil (AxiLite, master): the accelerator's registers.
        m_axis_q, m_axis_k, m_axis_v, or m_axis_image (AxiStream of 8 stream_bytes bits, source): what the host sends to
            each of the streams.
        s_axis_z, or s_axis_logits (AxiStream of 8 results_bytes bits, sink): results.
        memory_write (MemoryWrite, output): what the host sends to the memory of tapes, if there is one.
        interrupt (1 bit, input): of the accelerator.
        activity (1 bit, output): high while bytes come from the host, and for `stall_ms` after that.

    Raises:
        TypeError: `clock_hz` or `baud` is not an integer.
        ValueError: a number is out of its range, or two of them do not go together.
    """

    module_name = "host_link"

    def __init__(self, *, stream_bytes, streams=(Stream.Q, Stream.K, Stream.V), results="z", results_bytes=0,
                 memory_bytes=0, clock_hz, baud, build_id, receive_bytes=2048, send_bytes=2048,
                 result_bytes=2048, payload_max=1024, stall_ms=50):  # fmt: skip
        bit_clock(clock_hz, baud)
        for name, value, limit in (
            ("stream_bytes", stream_bytes, 512),
            ("payload_max", payload_max, 0xFFFF - PAYLOAD_EXTRA),
        ):
            require_range(name, value, 1, limit)
        if not isinstance(build_id, int) or not 0 <= build_id < 1 << 32:
            raise ValueError(f"build_id must be an integer of 32 bits, not {build_id!r}")
        sizes = {"receive_bytes": receive_bytes, "send_bytes": send_bytes, "result_bytes": result_bytes}
        for name, value in sizes.items():
            require_power_of_two(name, value)
        if not 0 < stall_ms <= 1000:
            raise ValueError(f"stall_ms must be more than 0 and at most 1000, not {stall_ms!r}")
        if payload_max > send_bytes or payload_max + 4 + OVERHEAD_BYTES > receive_bytes:
            raise ValueError(
                f"payload_max must be at most send_bytes = {send_bytes}, and {4 + OVERHEAD_BYTES} less than "
                f"receive_bytes = {receive_bytes}, not {payload_max!r}"
            )
        self.stream_bytes = stream_bytes
        self.streams = tuple(streams)
        self.results = results
        self.results_bytes = results_bytes or stream_bytes
        self.memory_bytes = memory_bytes
        self.clock_hz = clock_hz
        self.baud = baud
        self.build_id = build_id
        self.receive_bytes = receive_bytes
        self.send_bytes = send_bytes
        self.result_bytes = result_bytes
        self.payload_max = payload_max
        self.reset_line = ResetLine()
        self.stall_cycles = max(1, round(clock_hz * stall_ms / 1000))
        super().__init__(
            {
                "uart_rx": In(1),
                "uart_tx": Out(1, init=1),
                "accelerator_reset": Out(1),
                "m_axil": Out(AxiLite(address_width=ADDRESS_WIDTH, data_width=DATA_WIDTH)),
                **{f"m_axis_{stream.name.lower()}": Out(AxiStream(8 * stream_bytes)) for stream in self.streams},
                f"s_axis_{results}": In(AxiStream(8 * self.results_bytes)),
                **({"memory_write": Out(MemoryWrite())} if memory_bytes else {}),
                "interrupt": In(1),
                "activity": Out(1),
            }
        )

    @property
    def identification(self):
        """What IDENTIFY answers."""
        return Identification(
            PROTOCOL_VERSION,
            self.build_id,
            self.clock_hz,
            self.baud,
            self.receive_bytes,
            self.send_bytes,
            self.result_bytes,
            self.payload_max,
            self.stream_bytes,
        )

    def elaborate(self, platform):
        m = Module()
        engine_block = CommandEngine(
            payload_max=self.payload_max,
            identification=tuple(self.identification.encode()),
            send_bytes=self.send_bytes,
            result_bytes=self.result_bytes,
        )
        uart_receiver = instantiate(m, "uart_receiver", UartReceiver(clock_hz=self.clock_hz, baud=self.baud))
        uart_transmitter = instantiate(m, "uart_transmitter", UartTransmitter(clock_hz=self.clock_hz, baud=self.baud))
        fifo = instantiate(m, "fifo", ByteFifo(depth=self.receive_bytes))
        receiver = instantiate(
            m, "frame_receiver", FrameReceiver(payload_max=self.payload_max, stall_cycles=self.stall_cycles)
        )
        crc = instantiate(m, "crc", FrameCrc())
        engine = instantiate(m, "engine", engine_block)
        sender = instantiate(m, "frame_sender", FrameSender(payload_max=engine_block.reply_max))
        master = instantiate(m, "register_master", RegisterMaster())

        # What RESET clears, which lasts for longer than a reset line is.
        clear = Signal()
        m.d.comb += [clear.eq(engine.clear | ResetSignal()), self.accelerator_reset.eq(engine.clear)]

        def place(name, block):
            line = instantiate(m, f"{name}_reset", self.reset_line)
            m.d.comb += line.i.eq(clear)
            return instantiate(m, name, block, reset=line.o)

        send_block = SendBuffer(depth=self.send_bytes, frame_max=engine_block.send_max)
        send_buffer = place("send_buffer", send_block)
        demultiplexer_block = PacketDemultiplexer(
            stream_bytes=self.stream_bytes, streams=self.streams, memory=self.memory_bytes > 0
        )
        demultiplexer = place("demultiplexer", demultiplexer_block)
        splitter = place("splitter", BeatSplitter(stream_bytes=self.results_bytes))
        result_buffer = place("result_buffer", ResultBuffer(depth=self.result_bytes))

        # One CRC for both directions: the receiver waits until its request is answered.
        m.d.comb += [
            crc.data.eq(Mux(receiver.done, sender.data, fifo.read_data)),
            crc.header.eq(Mux(receiver.done, sender.crc_header, receiver.crc_header)),
            crc.drain.eq(receiver.done & sender.crc_drain),
            crc.start.eq(receiver.crc_start | sender.crc_start),
            crc.header_clear.eq(receiver.crc_header_clear | sender.crc_clear),
            crc.payload_clear.eq(receiver.crc_payload_clear | sender.crc_clear),
            receiver.crc_done.eq(crc.done),
            receiver.crc_header_crc.eq(crc.header_crc),
            receiver.crc_payload_good.eq(crc.payload_good),
            sender.crc_done.eq(crc.done),
            sender.crc_header_crc.eq(crc.header_crc),
            sender.crc_payload_crc.eq(crc.payload_crc),
        ]

        # Requests in, answers out.
        m.d.sync += [
            fifo.write.eq(uart_receiver.valid),
            fifo.write_data.eq(uart_receiver.data),
            engine.frame_start.eq(receiver.frame_start),
            engine.payload_valid.eq(receiver.payload_valid),
            engine.payload.eq(fifo.read_data),
        ]
        m.d.comb += [
            uart_receiver.rx.eq(self.uart_rx),
            self.activity.eq(receiver.active),
            receiver.data.eq(fifo.read_data),
            receiver.valid.eq(fifo.read_valid),
            fifo.read.eq(receiver.ready),
            engine.kind.eq(receiver.kind),
            engine.tag.eq(receiver.tag),
            engine.length.eq(receiver.length),
            engine.done.eq(receiver.done),
            engine.status.eq(receiver.status),
            receiver.proceed.eq(engine.proceed),
            uart_transmitter.data.eq(sender.data),
            uart_transmitter.valid.eq(sender.valid),
            sender.ready.eq(uart_transmitter.ready),
            self.uart_tx.eq(uart_transmitter.tx),
        ]
        connect(m, engine.reply, sender.reply)

        # Registers.
        connect(m, engine.bus, master.access)
        connect(m, flipped(self.m_axil), master.m_axil)

        # Tensors and results.
        connect(m, engine.send, send_buffer.frame)
        connect(m, engine.result, result_buffer.result)
        for name in (f"m_axis_{stream.name.lower()}" for stream in self.streams):
            connect(m, flipped(getattr(self, name)), getattr(demultiplexer, name))
        connect(m, flipped(getattr(self, f"s_axis_{self.results}")), splitter.s)
        m.d.comb += [
            demultiplexer.data.eq(send_buffer.read_data),
            demultiplexer.valid.eq(send_buffer.read_valid),
            send_buffer.read.eq(demultiplexer.ready),
            result_buffer.write_data.eq(splitter.data),
            result_buffer.write_valid.eq(splitter.valid),
            splitter.ready.eq(result_buffer.write_ready),
        ]

        malformed = demultiplexer.malformed
        if self.memory_bytes:
            writer = place("memory_writer", MemoryWriter(memory_bytes=self.memory_bytes))
            connect(m, demultiplexer.memory, writer.packets)
            connect(m, writer.write, flipped(self.memory_write))
            malformed |= writer.malformed

        # Events.
        m.d.comb += [
            engine.interrupt.eq(self.interrupt),
            engine.overflow.eq(fifo.overflow),
            engine.malformed.eq(malformed),
        ]
        return m
