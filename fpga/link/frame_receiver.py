"""Frame receiver: finds the requests in the bytes of the host, and checks each.

    A5 5A | type tag length | CRC-16 | payload, passed on as it comes | CRC-32
    SYNC    HEADER            HEADER_CRC  PAYLOAD                      PAYLOAD_CRC  --> DONE

While the receiver is `synchronized`, a frame must begin where the last one ended. A wrong byte there, a header that is
not intact, or a frame that breaks off is reported once; then every byte may be the first of a frame, until a header is
intact. Each byte is examined when the CRC contains it, `FrameCrc.latency` cycles after it has come.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.fpga.protocol import PAYLOAD_EXTRA, SYNC, FrameType, Status
from taylorvit.rtl.common.block import Block

__all__ = ["FrameReceiver"]


class FrameReceiver(Block):
    """Finds and checks frames.

    Args:
        payload_max (int): most tensor or result bytes of a frame; a header with a length beyond
            payload_max + PAYLOAD_EXTRA is not believed.
        stall_cycles (int): a frame has broken off when no byte comes for so many cycles, at least 1.

    Ports:
        data (8 bits, input): the next byte of the line.
        valid (1 bit, input): there is one.
        ready (1 bit, output): it is taken in this cycle.
        kind (8 bits, output): type of the frame, from `frame_start` on; ERROR if something is to be reported.
        tag (8 bits, output): its tag, or 0.
        length (16 bits, output): bytes of its payload, or 0.
        frame_start (1 bit, output): for one cycle: a header was intact.
        payload_valid (1 bit, output): for one cycle: `data` is the next byte of the payload.
        done (1 bit, output): a frame is complete, or something is to be reported; no byte is taken until `proceed`.
        status (4 bits, output): with `done`: OK, BAD_CRC, STALLED or BAD_HEADER (`fpga.protocol.Status`).
        proceed (1 bit, input): for one cycle: on to the next frame.
        active (1 bit, output): a byte has come within the last `stall_cycles`.
        crc_header (1 bit, output): `FrameCrc.header`; the CRC takes `data`, and is the receiver's unless `done`.
        crc_start (1 bit, output): `FrameCrc.start`.
        crc_done (1 bit, input): `FrameCrc.done`.
        crc_header_clear (1 bit, output): `FrameCrc.header_clear`.
        crc_payload_clear (1 bit, output): `FrameCrc.payload_clear`.
        crc_header_crc (16 bits, input): `FrameCrc.header_crc`.
        crc_payload_good (1 bit, input): `FrameCrc.payload_good`.
    """

    module_name = "frame_receiver"

    def __init__(self, *, payload_max, stall_cycles):
        self.payload_max = payload_max
        self.stall_cycles = stall_cycles
        super().__init__(
            {
                "data": In(8),
                "valid": In(1),
                "ready": Out(1),
                "kind": Out(8),
                "tag": Out(8),
                "length": Out(16),
                "frame_start": Out(1),
                "payload_valid": Out(1),
                "done": Out(1),
                "status": Out(4),
                "proceed": In(1),
                "active": Out(1),
                "crc_header": Out(1),
                "crc_start": Out(1),
                "crc_done": In(1),
                "crc_header_clear": Out(1),
                "crc_payload_clear": Out(1),
                "crc_header_crc": In(16),
                "crc_payload_good": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        step = Signal()  # a byte is examined, and gone
        under_way = Signal()
        m.d.comb += [
            self.crc_start.eq(self.valid & ~under_way & ~self.done),
            step.eq(under_way & self.crc_done),
            self.ready.eq(step),
        ]
        with m.If(self.crc_start):
            m.d.sync += under_way.eq(1)
        with m.Elif(step):
            m.d.sync += under_way.eq(0)

        header = Signal(32, init=FrameType.ERROR)
        m.d.comb += Cat(self.kind, self.tag, self.length).eq(header)
        believable = Signal()
        is_empty = Signal()
        m.d.sync += [
            believable.eq(self.length <= self.payload_max + PAYLOAD_EXTRA),
            is_empty.eq(self.length == 0),
        ]

        silent = self._silent(m, step)
        m.d.comb += self.active.eq(~silent)

        synchronized = Signal(init=1)
        begun = Signal()  # the byte before may be the first of a frame
        intact = Signal()  # as far as the header's CRC has come
        position = Signal(range(self.payload_max + PAYLOAD_EXTRA + 1))  # in this part of the frame
        turn = Signal()  # to the next part
        lost = Signal()  # not a frame
        # Comparisons are a cycle old. A byte is there for longer than that before it is looked at.
        is_first = Signal()
        is_second = Signal()
        agrees = Signal()
        at_end = Signal()
        m.d.sync += [
            is_first.eq(self.data == SYNC[0]),
            is_second.eq(self.data == SYNC[1]),
            agrees.eq(self.data == Mux(position[0], self.crc_header_crc[8:], self.crc_header_crc[:8])),
            at_end.eq((position == self.length) & ~turn),
        ]

        with m.FSM():

            def report(status):
                """To the next frame; what went wrong is said only if that is new."""
                m.d.comb += lost.eq(1)
                m.d.sync += self.status.eq(status)
                m.next = "SYNC"
                with m.If(synchronized):
                    m.next = "DONE"

            with m.State("SYNC"):
                m.d.comb += [self.crc_header_clear.eq(step), turn.eq(1)]
                with m.If(step):
                    m.d.sync += begun.eq(is_first)
                    with m.If(begun & is_second):
                        m.next = "HEADER"
                    with m.Elif(begun | ~is_first):
                        report(Status.BAD_HEADER)
                with m.Elif(begun & silent):
                    m.d.sync += begun.eq(0)
                    report(Status.STALLED)
            with m.State("HEADER"):
                m.d.comb += [self.crc_header.eq(1), turn.eq(step & (position == 3))]
                m.d.sync += [begun.eq(0), intact.eq(1)]
                with m.If(step):
                    m.d.sync += header.eq(Cat(header[8:], self.data))
                with m.If(turn):
                    m.next = "HEADER_CRC"
                with m.Elif(silent & ~step):
                    report(Status.STALLED)
            with m.State("HEADER_CRC"):
                m.d.comb += [self.crc_payload_clear.eq(step), turn.eq(step & position[0])]
                with m.If(step):
                    m.d.sync += intact.eq(agrees)
                with m.If(turn):
                    with m.If(intact & agrees & believable):
                        m.d.comb += self.frame_start.eq(1)
                        m.d.sync += [synchronized.eq(1), self.status.eq(Status.OK)]
                        m.next = "PAYLOAD"
                        with m.If(is_empty):
                            m.next = "DONE"
                    with m.Else():
                        report(Status.BAD_HEADER)
                with m.Elif(silent & ~step):
                    report(Status.STALLED)
            with m.State("PAYLOAD"):
                m.d.comb += [turn.eq(at_end), self.payload_valid.eq(step)]
                with m.If(turn):
                    m.next = "PAYLOAD_CRC"
                with m.Elif(silent & ~step):
                    report(Status.STALLED)
            with m.State("PAYLOAD_CRC"):
                m.d.comb += turn.eq(step & (position == 3))
                with m.If(turn):
                    with m.If(~self.crc_payload_good):
                        m.d.sync += self.status.eq(Status.BAD_CRC)
                    m.next = "DONE"
                with m.Elif(silent & ~step):
                    report(Status.STALLED)
            with m.State("DONE"):
                m.d.comb += [self.done.eq(1), turn.eq(1)]
                with m.If(self.proceed):
                    m.next = "SYNC"

        with m.If(step):
            m.d.sync += position.eq(position + 1)
        with m.If(turn | lost):
            m.d.sync += position.eq(0)
        with m.If(lost):
            m.d.sync += [header.eq(header.init), synchronized.eq(0)]
        return m

    def _silent(self, m, step):
        """High when no byte has come for `stall_cycles`."""
        # Counts up to a power of two, so that its highest bit says that the time is over.
        bits = self.stall_cycles.bit_length()
        silence = Signal(bits + 1, init=(1 << bits) - self.stall_cycles)
        silent = silence[-1]
        with m.If(step):
            m.d.sync += silence.eq(silence.init)
        with m.Elif(~silent):
            m.d.sync += silence.eq(silence + 1)
        return silent
