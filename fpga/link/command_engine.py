"""Command engine: carries out requests, one after the other, and says what is answered.

    frame receiver --> [arguments] --> decide --> register bus | send buffer | result buffer | reset --> answer

The arguments are put into registers while they come: `word` takes offsets and data, `halfword` addresses and counts.
What follows the offset of a SEND goes into the send buffer, which keeps it only if the engine commits it.

All that is ever answered after a status byte is one list of bytes, and every answer is a run in it:

    field  0    next offset   \\            READ     read data
           4    free           } SEND       RECEIVE  result offset, then results
           6    result offset  |            STATUS   from next offset to bad payloads
           10   available      |            IDENTIFY identification
           12   events         | STATUS
           13   bad headers    |
           15   bad payloads  /
           17   read data
           21   identification

An offset is compared with the one that is due by their difference, modulo 2^32, byte by byte as it comes. What each
byte is compared with is taken from the same list.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.fpga.protocol import COUNT_MAX, PAYLOAD_EXTRA, REPLY, FrameType, Status
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.control.registers import ADDRESS_WIDTH, DATA_WIDTH

__all__ = ["CommandEngine"]


class CommandEngine(Block):
    """From a checked request to its answer.

    Parameters
    ----------
    payload_max: tensor or result bytes of a frame, at most.
    identification: bytes that IDENTIFY answers, a tuple.
    send_bytes, result_bytes: sizes of the buffers.
    reset_cycles: how long RESET holds `clear`.

    Ports
    -----
    kind, tag, length, frame_start, payload_valid, payload, done, status, proceed: of the `FrameReceiver`.
    word: data of a WRITE, or the offset in a SEND or RECEIVE.
    reply_*: of the `FrameSender`.
    bus_*: of the `RegisterMaster`, which writes `word`.
    send_*: of the `SendBuffer`. result_*: of the `ResultBuffer`, which seeks `word`.
    interrupt: of the accelerator. overflow, malformed: set an event, until RESET.
    clear: reset of the accelerator, of both buffers and of what is between.
    """

    module_name = "command_engine"

    def __init__(self, *, payload_max, identification, send_bytes, result_bytes, reset_cycles=16):
        self.payload_max = payload_max
        self.identification = identification
        self.send_bytes = send_bytes
        self.result_bytes = result_bytes
        self.reset_cycles = reset_cycles
        super().__init__(
            {
                "kind": In(8),
                "tag": In(8),
                "length": In(16),
                "frame_start": In(1),
                "payload_valid": In(1),
                "payload": In(8),
                "done": In(1),
                "status": In(4),
                "proceed": Out(1),
                "word": Out(32),
                "reply_start": Out(1),
                "reply_kind": Out(8),
                "reply_tag": Out(8),
                "reply_length": Out(range(self.reply_max + 1)),
                "reply_payload": Out(8),
                "reply_advance": In(1),
                "reply_done": In(1),
                "bus_start": Out(1),
                "bus_write": Out(1),
                "bus_address": Out(ADDRESS_WIDTH),
                "bus_done": In(1),
                "bus_error": In(1),
                "bus_read_data": In(DATA_WIDTH),
                "bus_taken": Out(1),
                "send_start": Out(1),
                "send_write": Out(1),
                "send_write_data": Out(8),
                "send_size": In(range(self.send_max + 1)),
                "send_no_space": In(1),
                "send_commit": Out(1),
                "send_next_offset": In(32),
                "send_free": In(range(send_bytes + 1)),
                "result_offset": In(32),
                "result_available": In(range(result_bytes + 1)),
                "result_seek": Out(1),
                "result_read_data": In(8),
                "result_read": Out(1),
                "interrupt": In(1),
                "overflow": In(1),
                "malformed": In(1),
                "clear": Out(1),
            }
        )

    @property
    def send_max(self):
        """Most bytes of a frame that may have to be put into the send buffer, if only to be forgotten."""
        return self.payload_max + PAYLOAD_EXTRA - 4

    @property
    def reply_max(self):
        """Longest payload of an answer."""
        return max(1 + len(self.identification), 1 + 4 + self.payload_max)

    def elaborate(self, platform):
        m = Module()
        kind = self.kind
        length = self.length[: (self.payload_max + PAYLOAD_EXTRA).bit_length()]  # the receiver believes no other
        on_bus = Signal()
        m.d.comb += on_bus.eq((kind == FrameType.READ) | (kind == FrameType.WRITE))

        # Arguments: address then data, or offset then count or bytes.
        halfword = Signal(16)
        position = Signal(range(7))  # of the byte that comes, 6 from there on
        first = Signal()
        m.d.comb += [
            first.eq(Mux(on_bus, position < 2, position < 4)),
            self.send_start.eq(self.frame_start),
            self.send_write.eq(self.payload_valid & (kind == FrameType.SEND) & ~first),
            self.send_write_data.eq(self.payload),
        ]
        with m.If(self.frame_start):
            m.d.sync += position.eq(0)
        with m.Elif(self.payload_valid & (position != 6)):
            m.d.sync += position.eq(position + 1)
            with m.If(first == on_bus):
                m.d.sync += halfword.eq(Cat(halfword[8:], self.payload))
            with m.Else():
                m.d.sync += self.word.eq(Cat(self.word[8:], self.payload))

        # How the offset lies to the one that is due, whose bytes come by the way that those of answers take.
        difference = Signal(9)
        borrow = Signal()
        low = Signal(16)  # of offset - due
        is_same = Signal()
        is_negative = Signal()
        upper_zeros = Signal()
        upper_ones = Signal()
        m.d.comb += difference.eq(self.payload - self.reply_payload - borrow)
        with m.If(self.frame_start):
            m.d.sync += [borrow.eq(0), is_same.eq(1), upper_zeros.eq(1), upper_ones.eq(1)]
        with m.Elif(self.payload_valid & ~position[2]):
            m.d.sync += [
                borrow.eq(difference[8]),
                is_negative.eq(difference[7]),
                is_same.eq(is_same & ~difference[:8].any()),
            ]
            with m.If(position[1]):
                m.d.sync += [
                    upper_zeros.eq(upper_zeros & ~difference[:8].any()),
                    upper_ones.eq(upper_ones & difference[:8].all()),
                ]
            with m.Else():
                m.d.sync += low.eq(Cat(low[8:], difference[:8]))
        is_old = Signal()
        is_kept = Signal()
        end = low + self.send_size  # of a SEND from before what is due; 2^16 is all old
        m.d.sync += [
            is_old.eq(is_negative & (~upper_ones | ~end[16] | (end[:16] == 0))),
            is_kept.eq(upper_zeros & (low <= self.result_available)),
        ]

        # How many bytes a RECEIVE gets.
        most = Signal(range(min(self.payload_max, self.result_bytes) + 1))
        wants_more = Signal()
        m.d.sync += [most.eq(self.result_available), wants_more.eq(halfword > most)]
        if self.result_bytes > self.payload_max:
            with m.If(self.result_available > self.payload_max):
                m.d.sync += most.eq(self.payload_max)

        # Does the payload have the length of its type?
        is_known = Signal()
        fits = Signal()
        m.d.sync += is_known.eq((kind != 0) & (kind <= FrameType.RESET))
        with m.Switch(kind[:3]):
            with m.Case(FrameType.IDENTIFY, FrameType.STATUS, FrameType.RESET):
                m.d.sync += fits.eq(length == 0)
            with m.Case(FrameType.READ):
                m.d.sync += fits.eq(length == 2)
            with m.Case(FrameType.WRITE, FrameType.RECEIVE):
                m.d.sync += fits.eq(length == 6)
            with m.Default():
                m.d.sync += fits.eq((length > 4) & (length <= self.payload_max + 4))

        overflowed = Signal()
        malformed = Signal()
        bad_headers = Signal(range(COUNT_MAX + 1))
        bad_payloads = Signal(range(COUNT_MAX + 1))
        m.d.sync += [
            overflowed.eq((overflowed | self.overflow) & ~self.clear),
            malformed.eq((malformed | self.malformed) & ~self.clear),
        ]
        # These move while an answer is under way; its bytes have to belong together.
        free = Signal.like(self.send_free)
        available = Signal.like(self.result_available)
        fields, starts = self._fields(
            {
                "next_offset": (self.send_next_offset, 4),
                "free": (free, 2),
                "result_offset": (self.result_offset, 4),
                "available": (available, 2),
                "events": (Cat(self.interrupt, overflowed, malformed), 1),
                "bad_headers": (bad_headers, 2),
                "bad_payloads": (bad_payloads, 2),
                "read_data": (self.bus_read_data, 4),
            }
        )

        # The answer: a status byte, fields, results.
        status = Signal(4)
        is_bare = Signal()  # nothing but the status
        field = Signal(range(len(fields)))
        in_status = Signal()
        in_results = Signal()
        m.d.comb += [
            self.reply_kind.eq(kind | REPLY),
            self.reply_tag.eq(self.tag),
            self.result_read.eq(self.reply_advance & in_results),
        ]
        # The byte of the field in two steps: one of each eight, then which of these. There is time between bytes.
        one_of_eight = []
        for first in range(0, len(fields), 8):
            one_of_eight.append(Signal(8, name=f"one_of_eight_{first}", reset_less=True))
            m.d.sync += one_of_eight[-1].eq(Cat(fields[first : first + 8]).word_select(field[:3], 8))
        with m.If(in_status):
            m.d.sync += self.reply_payload.eq(status)
        with m.Elif(in_results):
            m.d.sync += self.reply_payload.eq(self.result_read_data)
        with m.Else():
            m.d.sync += self.reply_payload.eq(Cat(one_of_eight).word_select(field[3:], 8))

        with m.If(self.frame_start):
            m.d.sync += [
                field.eq(Mux(kind == FrameType.SEND, starts["next_offset"], starts["result_offset"])),
                in_results.eq(0),
            ]
        with m.Elif(self.reply_advance):
            m.d.sync += in_status.eq(0)
            with m.If((kind[:3] == FrameType.RECEIVE) & (field == starts["available"] - 1)):
                m.d.sync += in_results.eq(1)
        with m.If(self.payload_valid | (self.reply_advance & ~in_status)):
            m.d.sync += field.eq(field + 1)

        m.d.comb += [self.bus_write.eq(kind[:3] == FrameType.WRITE), self.bus_address.eq(halfword)]
        last_write = Signal()
        last_write_tag = Signal(8)
        last_write_error = Signal()
        remaining = Signal(range(self.reset_cycles))
        m.d.sync += self.clear.eq(0)

        def answer(code, *, is_alone=0):
            """Next: the status `code`, and what belongs to it unless `is_alone`."""
            m.d.sync += [status.eq(code), is_bare.eq(is_alone)]
            m.next = "MEASURE"

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += remaining.eq(self.reset_cycles - 1)
                with m.If(self.done):
                    m.next = "DECIDE"
            with m.State("DECIDE"):
                with m.If(self.status != Status.OK):
                    answer(self.status, is_alone=1)
                    with m.If(self.status == Status.BAD_CRC):
                        m.d.sync += bad_payloads.eq(bad_payloads + ~bad_payloads.all())
                    with m.If(self.status == Status.BAD_HEADER):
                        m.d.sync += bad_headers.eq(bad_headers + ~bad_headers.all())
                with m.Elif(~is_known):
                    answer(Status.UNKNOWN_TYPE, is_alone=1)
                with m.Elif(~fits):
                    answer(Status.BAD_LENGTH, is_alone=1)
                with m.Else():
                    answer(Status.OK)
                    with m.Switch(kind[:3]):
                        with m.Case(FrameType.READ, FrameType.WRITE):
                            m.next = "ACCESS"
                        with m.Case(FrameType.SEND):
                            m.d.comb += self.send_commit.eq(is_same & ~self.send_no_space)
                            with m.If(is_same & self.send_no_space):
                                answer(Status.NO_SPACE)
                            with m.Elif(~is_same & ~is_old):
                                answer(Status.OUT_OF_ORDER)
                        with m.Case(FrameType.RECEIVE):
                            m.d.comb += self.result_seek.eq(is_kept)
                            m.next = "SEEK"
                            with m.If(~is_kept):
                                answer(Status.OUT_OF_ORDER, is_alone=1)
                        with m.Case(FrameType.RESET):
                            m.next = "RESET"
            with m.State("ACCESS"):
                with m.If(self.bus_write & last_write & (last_write_tag == self.tag)):
                    answer(Mux(last_write_error, Status.BUS_ERROR, Status.OK), is_alone=1)
                with m.Elif(halfword[ADDRESS_WIDTH:].any()):
                    answer(Status.BUS_ERROR, is_alone=1)
                with m.Else():
                    m.d.comb += self.bus_start.eq(1)
                    m.next = "BUS"
            with m.State("BUS"):
                with m.If(self.bus_done):
                    answer(Mux(self.bus_error, Status.BUS_ERROR, Status.OK), is_alone=self.bus_write | self.bus_error)
                    with m.If(self.bus_write):
                        m.d.sync += [last_write.eq(1), last_write_tag.eq(self.tag), last_write_error.eq(self.bus_error)]
            with m.State("SEEK"):  # what is available from there on
                m.next = "MOST"
            with m.State("MOST"):
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "MEASURE"
            with m.State("RESET"):
                m.d.sync += [
                    self.clear.eq(1), remaining.eq(remaining - 1), last_write.eq(0), bad_headers.eq(0),
                    bad_payloads.eq(0),
                ]  # fmt: skip
                with m.If(remaining == 0):
                    m.next = "MEASURE"
            with m.State("MEASURE"):
                m.d.sync += self.reply_length.eq(1)
                with m.If(~is_bare):
                    with m.Switch(kind[:3]):
                        with m.Case(FrameType.IDENTIFY):
                            m.d.sync += [
                                field.eq(starts["identification"]),
                                self.reply_length.eq(1 + len(self.identification)),
                            ]
                        with m.Case(FrameType.READ):
                            m.d.sync += [
                                field.eq(starts["read_data"]),
                                self.reply_length.eq(1 + DATA_WIDTH // 8),
                            ]
                        with m.Case(FrameType.SEND):
                            m.d.sync += [
                                field.eq(starts["next_offset"]),
                                self.reply_length.eq(1 + starts["result_offset"]),
                            ]
                        with m.Case(FrameType.RECEIVE):
                            m.d.sync += [
                                field.eq(starts["result_offset"]),
                                self.reply_length.eq(5 + Mux(wants_more, most, halfword[: len(most)])),
                            ]
                        with m.Case(FrameType.STATUS):
                            m.d.sync += [
                                field.eq(starts["next_offset"]),
                                self.reply_length.eq(1 + starts["read_data"]),
                            ]
                m.next = "REPLY"
            with m.State("REPLY"):
                m.d.comb += self.reply_start.eq(1)
                m.d.sync += [in_status.eq(1), free.eq(self.send_free), available.eq(self.result_available)]
                m.next = "WAIT"
            with m.State("WAIT"):
                with m.If(self.reply_done):
                    m.next = "PROCEED"
            with m.State("PROCEED"):
                m.d.comb += [self.proceed.eq(1), self.bus_taken.eq(1)]
                m.next = "IDLE"
        return m

    def _fields(self, values):
        """The bytes of all answers, from name -> (value, bytes), and where each name begins."""
        fields, starts = [], {}
        for name, (value, size) in values.items():
            starts[name] = len(fields)
            padded = Cat(value, Const(0, 8 * size - len(value)))
            fields += [padded.word_select(byte, 8) for byte in range(size)]
        starts["identification"] = len(fields)
        return fields + [Const(byte, 8) for byte in self.identification], starts
