"""Frame receiver: requests out of the host's bytes, each checked.

    A5 5A | type tag length | CRC-16 | payload, given on as it comes | CRC-32
    SYNC    HEADER            HEADER_CRC  PAYLOAD                      PAYLOAD_CRC  --> DONE

While it is `synchronized`, a frame has to begin where the last one ended. A byte that is not as it should be there, a
header that is not intact, or a frame that breaks off is reported, once; then every byte may be the first of a frame,
until a header is intact. Each byte is looked at when the CRC has taken it, `FrameCrc.latency` cycles after it has come.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from fpga.protocol import PAYLOAD_EXTRA, SYNC, Status
from rtl.block import Block, instantiate

from .frame_crc import FrameCrc

__all__ = ["FrameReceiver"]


class FrameReceiver(Block):
    """Finds and checks frames.

    Parameters
    ----------
    payload_max: a header with a length beyond payload_max + PAYLOAD_EXTRA is not believed.
    stall_cycles: a frame has broken off when no byte comes for so long.

    Ports
    -----
    data, valid, ready: the bytes; `ready` is high in the cycle in which one is taken.
    kind, tag, length: of the frame, from `frame_start` on.
    frame_start: one cycle: a header was intact.
    payload_valid: one cycle: `data` is the next byte of the payload.
    done: a frame is complete, or something is to be reported, as `status` says (OK, BAD_CRC, STALLED, BAD_HEADER); no
        byte is taken until `proceed`.
    active: bytes come, or came within the last `stall_cycles`.
    """

    module_name = "frame_receiver"

    def __init__(self, *, payload_max, stall_cycles):
        self.payload_max = payload_max
        self.stall_cycles = stall_cycles
        super().__init__({
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
        })

    def elaborate(self, platform):
        m = Module()
        crc = instantiate(m, "crc", FrameCrc())
        step = crc.done  # a byte is looked at, and gone
        under_way, resting = Signal(), Signal()
        m.d.comb += [
            crc.data.eq(self.data),
            crc.start.eq(self.valid & ~under_way & ~resting),
            self.ready.eq(step),
        ]
        with m.If(crc.start):
            m.d.sync += under_way.eq(1)
        with m.Elif(step):
            m.d.sync += under_way.eq(0)

        header = Signal(32)
        m.d.comb += Cat(self.kind, self.tag, self.length).eq(header)
        believable = Signal()
        m.d.sync += believable.eq(self.length <= self.payload_max + PAYLOAD_EXTRA)

        silence = Signal(range(self.stall_cycles))
        silent = Signal()
        m.d.comb += self.active.eq(~silent)
        with m.If(step):
            m.d.sync += [silence.eq(0), silent.eq(0)]
        with m.Elif(silence == self.stall_cycles - 1):
            m.d.sync += silent.eq(1)
        with m.Else():
            m.d.sync += silence.eq(silence + 1)

        synchronized = Signal(init=1)
        begun = Signal()  # the byte before may be the first of a frame
        position = Signal(range(self.payload_max + PAYLOAD_EXTRA))
        intact = Signal()  # as far as the header's CRC has come

        with m.FSM() as machine:

            def report(status):
                """To the next frame; what went wrong is said only if that is new."""
                m.d.sync += [synchronized.eq(0), self.status.eq(status), position.eq(0)]
                with m.If(synchronized):
                    m.next = "DONE"
                with m.Else():
                    m.next = "SYNC"

            with m.State("SYNC"):
                m.d.comb += [crc.header_clear.eq(step)]
                with m.If(step):
                    m.d.sync += begun.eq(self.data == SYNC[0])
                    with m.If(begun & (self.data == SYNC[1])):
                        m.d.sync += position.eq(0)
                        m.next = "HEADER"
                    with m.Elif(begun | (self.data != SYNC[0])):
                        report(Status.BAD_HEADER)
                with m.Elif(begun & silent):
                    m.d.sync += begun.eq(0)
                    report(Status.STALLED)
            with m.State("HEADER"):
                m.d.comb += crc.header.eq(1)
                m.d.sync += [begun.eq(0), intact.eq(1)]
                with m.If(step):
                    m.d.sync += [header.eq(Cat(header[8:], self.data)), position.eq(position + 1)]
                    with m.If(position == 3):
                        m.d.sync += position.eq(0)
                        m.next = "HEADER_CRC"
                with m.Elif(silent):
                    report(Status.STALLED)
            with m.State("HEADER_CRC"):
                expected = Mux(position[0], crc.header_crc[8:], crc.header_crc[:8])
                m.d.comb += crc.payload_clear.eq(step)
                with m.If(step):
                    m.d.sync += [intact.eq(self.data == expected), position.eq(position + 1)]
                    with m.If(position[0]):
                        m.d.sync += position.eq(0)
                        with m.If(intact & (self.data == expected) & believable):
                            m.d.comb += self.frame_start.eq(1)
                            m.d.sync += [synchronized.eq(1), self.status.eq(Status.OK)]
                            m.next = "PAYLOAD"
                            with m.If(self.length == 0):
                                m.next = "DONE"
                        with m.Else():
                            report(Status.BAD_HEADER)
                with m.Elif(silent):
                    report(Status.STALLED)
            with m.State("PAYLOAD"):
                with m.If(step):
                    m.d.comb += self.payload_valid.eq(1)
                    m.d.sync += position.eq(position + 1)
                    with m.If(position + 1 == self.length):
                        m.d.sync += position.eq(0)
                        m.next = "PAYLOAD_CRC"
                with m.Elif(silent):
                    report(Status.STALLED)
            with m.State("PAYLOAD_CRC"):
                with m.If(step):
                    m.d.sync += position.eq(position + 1)
                    with m.If(position == 3):
                        m.d.sync += [self.status.eq(Mux(crc.payload_good, Status.OK, Status.BAD_CRC)), position.eq(0)]
                        m.next = "DONE"
                with m.Elif(silent):
                    report(Status.STALLED)
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                with m.If(self.proceed):
                    m.next = "SYNC"
        m.d.comb += resting.eq(machine.ongoing("DONE"))
        return m
