r"""Command engine: carries out requests, one after the other, and answers them.

    frame receiver --> [arguments] --> decide --> register bus | send buffer | result buffer | reset --> answer

Arguments go into registers as they come: `word` takes offsets and data, `halfword` addresses and counts. The bytes
after the offset of a SEND go into the send buffer, which keeps them only if the engine commits them.

One list of bytes has all that is ever answered after a status byte, and every answer is a run of it:

    field  0    next offset   \            READ     read data
           4    free           } SEND       RECEIVE  result offset, then results
           6    result offset  |            STATUS   from next offset to bad payloads
           10   available      |            IDENTIFY identification
           12   events         | STATUS
           13   bad headers    |
           15   bad payloads  /
           17   read data
           21   identification

An offset is compared with the expected one by their difference, modulo 2^32, byte by byte as it comes. The expected
bytes are taken from the same list.
"""

from dataclasses import dataclass
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.fpga.protocol import COUNT_MAX, PAYLOAD_EXTRA, REPLY, FrameType, Status
from taylorvit.rtl.common.block import Block
from taylorvit.rtl.control.description import ADDRESS_WIDTH, DATA_WIDTH

from .interfaces import RegisterAccess, Reply, ResultAccess, SendAccess

__all__ = ["CommandEngine"]


class CommandEngine(Block):
    """From a checked request to its answer.

    Args:
        payload_max (int): most tensor or result bytes of a frame.
        identification (tuple[int, ...]): bytes that IDENTIFY answers.
        send_bytes (int): size of the send buffer.
        result_bytes (int): size of the result buffer.
        reset_cycles (int): cycles for which RESET holds `clear`.

    Ports:
        kind (8 bits, input): type of the request; this and the next eight are those of the `FrameReceiver`.
        tag (8 bits, input): its tag.
        length (16 bits, input): bytes of its payload.
        frame_start (1 bit, input): a request begins.
        payload_valid (1 bit, input): there is a byte of its payload.
        payload (8 bits, input): the byte.
        done (1 bit, input): the request is complete, or something is to be reported.
        status (4 bits, input): what is to be reported, or OK.
        proceed (1 bit, output): the request is answered.
        reply (Reply, output): the answer.
        bus (RegisterAccess, output): READ and WRITE.
        send (SendAccess, output): the bytes of a SEND.
        result (ResultAccess, output): the bytes for a RECEIVE.
        interrupt (1 bit, input): of the accelerator.
        overflow (1 bit, input): sets an event of STATUS, until RESET.
        malformed (1 bit, input): sets an event of STATUS, until RESET.
        clear (1 bit, output): resets the accelerator, both buffers and what is between.
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
                "reply": Out(Reply(payload_max=self.reply_max)),
                "bus": Out(RegisterAccess()),
                "send": Out(SendAccess(depth=send_bytes, frame_max=self.send_max)),
                "result": Out(ResultAccess(depth=result_bytes)),
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
        arguments = self._arguments(m)
        offset = self._compare_offset(m, arguments)
        most = self._most_results(m, arguments)
        request = self._check(m)
        events = self._events(m)
        answer = self._answer(m, events)
        m.d.comb += [
            self.bus.write.eq(self.kind[:3] == FrameType.WRITE),
            self.bus.address.eq(arguments.halfword),
        ]
        last_write = SimpleNamespace(
            known=Signal(name="last_write"),
            tag=Signal(8, name="last_write_tag"),
            error=Signal(name="last_write_error"),
        )
        remaining = Signal(range(self.reset_cycles))  # cycles of RESET
        m.d.sync += self.clear.eq(0)

        with m.FSM():
            with m.State("IDLE"):  # until a request is complete, or something is to be reported
                m.d.sync += remaining.eq(self.reset_cycles - 1)
                with m.If(self.done):
                    m.next = "DECIDE"
            with m.State("DECIDE"):  # whether the request can be carried out, and how to go on
                self._decide(m, request, offset, events, answer)
            with m.State("ACCESS"):  # to the register bus, except for an address beyond it and a WRITE that comes again
                with m.If(self.bus.write & last_write.known & (last_write.tag == self.tag)):
                    answer.give(m, Mux(last_write.error, Status.BUS_ERROR, Status.OK), is_alone=1)
                with m.Elif(arguments.halfword[ADDRESS_WIDTH:].any()):
                    answer.give(m, Status.BUS_ERROR, is_alone=1)
                with m.Else():
                    m.d.comb += self.bus.start.eq(1)
                    m.next = "BUS"
            with m.State("BUS"):  # until the bus has answered
                with m.If(self.bus.done):
                    code = Mux(self.bus.error, Status.BUS_ERROR, Status.OK)
                    answer.give(m, code, is_alone=self.bus.write | self.bus.error)
                    with m.If(self.bus.write):
                        m.d.sync += [
                            last_write.known.eq(1),
                            last_write.tag.eq(self.tag),
                            last_write.error.eq(self.bus.error),
                        ]
            with m.State("SEEK"):  # the result buffer finds out what is available from the offset on
                m.next = "MOST"
            with m.State("MOST"):  # what an answer has room for
                m.next = "COMPARE"
            with m.State("COMPARE"):  # with what the host wants
                m.next = "MEASURE"
            with m.State("RESET"):  # of everything behind the link, for `reset_cycles`
                m.d.sync += [
                    self.clear.eq(1),
                    remaining.eq(remaining - 1),
                    last_write.known.eq(0),
                    events.bad_headers.eq(0),
                    events.bad_payloads.eq(0),
                ]
                with m.If(remaining == 0):
                    m.next = "MEASURE"
            with m.State("MEASURE"):  # the answer: where its fields begin, and its length
                self._measure(m, most, answer)
                m.next = "REPLY"
            with m.State("REPLY"):  # begins; what moves meanwhile is kept for it
                m.d.comb += self.reply.start.eq(1)
                m.d.sync += [
                    answer.in_status.eq(1),
                    answer.free.eq(self.send.free),
                    answer.available.eq(self.result.available),
                ]
                m.next = "WAIT"
            with m.State("WAIT"):  # until the answer is sent
                with m.If(self.reply.done):
                    m.next = "PROCEED"
            with m.State("PROCEED"):  # to the next request
                m.d.comb += [self.proceed.eq(1), self.bus.taken.eq(1)]
                m.next = "IDLE"
        return m

    def _arguments(self, m):
        """Argument parser: address then data, or offset then count or bytes, into registers as they come."""
        on_bus = Signal()
        halfword = Signal(16)
        word = Signal(32)  # the other argument
        position = Signal(range(7))  # of the byte that comes, 6 from there on
        first = Signal()  # the first of the two arguments
        m.d.comb += [
            on_bus.eq((self.kind == FrameType.READ) | (self.kind == FrameType.WRITE)),
            first.eq(Mux(on_bus, position < 2, position < 4)),
            self.send.start.eq(self.frame_start),
            self.bus.write_data.eq(word),
            self.result.seek_offset.eq(word),
        ]
        # Registers: the memory may be far away, and a byte may wait a cycle.
        m.d.sync += [
            self.send.write.eq(self.payload_valid & (self.kind == FrameType.SEND) & ~first),
            self.send.write_data.eq(self.payload),
        ]
        with m.If(self.frame_start):
            m.d.sync += position.eq(0)
        with m.Elif(self.payload_valid & (position != 6)):
            m.d.sync += position.eq(position + 1)
            with m.If(first == on_bus):
                m.d.sync += halfword.eq(Cat(halfword[8:], self.payload))
            with m.Else():
                m.d.sync += word.eq(Cat(word[8:], self.payload))
        return SimpleNamespace(halfword=halfword, position=position)

    def _compare_offset(self, m, arguments):
        """Offset comparator: the offset minus the expected one, whose bytes come like those of answers."""
        position = arguments.position
        difference = Signal(9)
        borrow = Signal()
        low = Signal(16)  # of the difference
        is_same = Signal()
        is_negative = Signal()
        upper_zeros = Signal()
        upper_ones = Signal()
        m.d.comb += difference.eq(self.payload - self.reply.payload - borrow)
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
        end = low + self.send.size  # of a SEND that begins before the expected offset; 2^16: all of it is old
        m.d.sync += [
            is_old.eq(is_negative & (~upper_ones | ~end[16] | (end[:16] == 0))),
            is_kept.eq(upper_zeros & (low <= self.result.available)),
        ]
        return SimpleNamespace(is_same=is_same, is_old=is_old, is_kept=is_kept)

    def _most_results(self, m, arguments):
        """How many bytes a RECEIVE gets: as many as there are, fit into an answer and are wanted."""
        most = Signal(range(min(self.payload_max, self.result_bytes) + 1))
        wants_more = Signal()
        m.d.sync += [most.eq(self.result.available), wants_more.eq(arguments.halfword > most)]
        if self.result_bytes > self.payload_max:
            with m.If(self.result.available > self.payload_max):
                m.d.sync += most.eq(self.payload_max)
        return Mux(wants_more, most, arguments.halfword[: len(most)])

    def _check(self, m):
        """Whether the type of the request is known, and whether the payload has the length of this type."""
        is_known = Signal()
        fits = Signal()
        length = self.length[: (self.payload_max + PAYLOAD_EXTRA).bit_length()]  # the receiver believes no other
        m.d.sync += is_known.eq((self.kind != 0) & (self.kind <= FrameType.RESET))
        with m.Switch(self.kind[:3]):
            with m.Case(FrameType.IDENTIFY, FrameType.STATUS, FrameType.RESET):
                m.d.sync += fits.eq(length == 0)
            with m.Case(FrameType.READ):
                m.d.sync += fits.eq(length == 2)
            with m.Case(FrameType.WRITE, FrameType.RECEIVE):
                m.d.sync += fits.eq(length == 6)
            with m.Default():
                m.d.sync += fits.eq((length > 4) & (length <= self.payload_max + 4))
        return SimpleNamespace(is_known=is_known, fits=fits)

    def _events(self, m):
        """What has gone wrong since the last RESET."""
        overflowed = Signal()
        malformed = Signal()
        bad_headers = Signal(range(COUNT_MAX + 1))
        bad_payloads = Signal(range(COUNT_MAX + 1))
        m.d.sync += [
            overflowed.eq((overflowed | self.overflow) & ~self.clear),
            malformed.eq((malformed | self.malformed) & ~self.clear),
        ]
        return SimpleNamespace(
            flags=Cat(self.interrupt, overflowed, malformed), bad_headers=bad_headers, bad_payloads=bad_payloads
        )

    def _answer(self, m, events):
        """Answer: a status byte, a run of the list of all fields, results; and which byte is next."""
        # These two move while an answer is under way; its bytes have to belong together.
        free = Signal.like(self.send.free)
        available = Signal.like(self.result.available)
        fields, starts = self._fields(
            {
                "next_offset": (self.send.next_offset, 4),
                "free": (free, 2),
                "result_offset": (self.result.offset, 4),
                "available": (available, 2),
                "events": (events.flags, 1),
                "bad_headers": (events.bad_headers, 2),
                "bad_payloads": (events.bad_payloads, 2),
                "read_data": (self.bus.read_data, 4),
            }
        )
        status = Signal(4)
        is_bare = Signal()  # nothing but the status
        field = Signal(range(len(fields)))
        in_status = Signal()
        in_results = Signal()
        m.d.comb += [
            self.reply.kind.eq(self.kind | REPLY),
            self.reply.tag.eq(self.tag),
            self.result.read.eq(self.reply.advance & in_results),
        ]
        # The byte of the field in two steps: one of each eight, then which of these. There is time between bytes.
        one_of_eight = []
        for first in range(0, len(fields), 8):
            one_of_eight.append(Signal(8, name=f"one_of_eight_{first}", reset_less=True))
            m.d.sync += one_of_eight[-1].eq(Cat(fields[first : first + 8]).word_select(field[:3], 8))
        with m.If(in_status):
            m.d.sync += self.reply.payload.eq(status)
        with m.Elif(in_results):
            m.d.sync += self.reply.payload.eq(self.result.read_data)
        with m.Else():
            m.d.sync += self.reply.payload.eq(Cat(one_of_eight).word_select(field[3:], 8))

        with m.If(self.frame_start):
            m.d.sync += [
                field.eq(Mux(self.kind == FrameType.SEND, starts["next_offset"], starts["result_offset"])),
                in_results.eq(0),
            ]
        with m.Elif(self.reply.advance):
            m.d.sync += in_status.eq(0)
            with m.If((self.kind[:3] == FrameType.RECEIVE) & (field == starts["available"] - 1)):
                m.d.sync += in_results.eq(1)
        with m.If(self.payload_valid | (self.reply.advance & ~in_status)):
            m.d.sync += field.eq(field + 1)
        return _Answer(
            status=status,
            is_bare=is_bare,
            field=field,
            in_status=in_status,
            free=free,
            available=available,
            starts=starts,
        )

    def _decide(self, m, request, offset, events, answer):
        """Turns down what is wrong, carries out what takes no time, and goes on to what does."""
        with m.If(self.status != Status.OK):
            answer.give(m, self.status, is_alone=1)
            with m.If(self.status == Status.BAD_CRC):
                m.d.sync += events.bad_payloads.eq(events.bad_payloads + ~events.bad_payloads.all())
            with m.If(self.status == Status.BAD_HEADER):
                m.d.sync += events.bad_headers.eq(events.bad_headers + ~events.bad_headers.all())
        with m.Elif(~request.is_known):
            answer.give(m, Status.UNKNOWN_TYPE, is_alone=1)
        with m.Elif(~request.fits):
            answer.give(m, Status.BAD_LENGTH, is_alone=1)
        with m.Else():
            answer.give(m, Status.OK)
            with m.Switch(self.kind[:3]):
                with m.Case(FrameType.READ, FrameType.WRITE):
                    m.next = "ACCESS"
                with m.Case(FrameType.SEND):
                    m.d.comb += self.send.commit.eq(offset.is_same & ~self.send.no_space)
                    with m.If(offset.is_same & self.send.no_space):
                        answer.give(m, Status.NO_SPACE)
                    with m.Elif(~offset.is_same & ~offset.is_old):
                        answer.give(m, Status.OUT_OF_ORDER)
                with m.Case(FrameType.RECEIVE):
                    m.d.comb += self.result.seek.eq(offset.is_kept)
                    m.next = "SEEK"
                    with m.If(~offset.is_kept):
                        answer.give(m, Status.OUT_OF_ORDER, is_alone=1)
                with m.Case(FrameType.RESET):
                    m.next = "RESET"

    def _measure(self, m, most, answer):
        """The first field of the answer and the bytes of its payload."""
        starts = answer.starts
        runs = {
            FrameType.IDENTIFY: ("identification", 1 + len(self.identification)),
            FrameType.READ: ("read_data", 1 + DATA_WIDTH // 8),
            FrameType.SEND: ("next_offset", 1 + starts["result_offset"]),
            FrameType.RECEIVE: ("result_offset", 5 + most),
            FrameType.STATUS: ("next_offset", 1 + starts["read_data"]),
        }
        m.d.sync += self.reply.length.eq(1)
        with m.If(~answer.is_bare):
            with m.Switch(self.kind[:3]):
                for kind, (first, length) in runs.items():
                    with m.Case(kind):
                        m.d.sync += [answer.field.eq(starts[first]), self.reply.length.eq(length)]

    def _fields(self, values):
        """The bytes of all answers, from name -> (value, bytes), and where each name begins."""
        fields, starts = [], {}
        for name, (value, size) in values.items():
            starts[name] = len(fields)
            padded = Cat(value, Const(0, 8 * size - len(value)))
            fields += [padded.word_select(byte, 8) for byte in range(size)]
        starts["identification"] = len(fields)
        return fields + [Const(byte, 8) for byte in self.identification], starts


@dataclass(frozen=True)
class _Answer:
    """The registers of an answer.

    Attributes:
        status (Signal): its first byte.
        is_bare (Signal): there is nothing else in it.
        field (Signal): the next byte, of the list of all fields.
        in_status (Signal): the next byte is the status.
        free (Signal): free bytes of the send buffer at the time of the answer.
        available (Signal): bytes of the result buffer at the time of the answer.
        starts (dict): name of a field -> its first byte in the list.
    """

    status: Signal
    is_bare: Signal
    field: Signal
    in_status: Signal
    free: Signal
    available: Signal
    starts: dict

    def give(self, m, code, *, is_alone=0):
        """Next comes the answer with the status `code`, and what belongs to it unless `is_alone`."""
        m.d.sync += [self.status.eq(code), self.is_bare.eq(is_alone)]
        m.next = "MEASURE"
