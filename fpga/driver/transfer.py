"""Transfer: tensor bytes to a board and result bytes back, both at the same time and without a gap.

Tensor bytes are sent by SEND, with their offset, ahead of the answers (go-back-N): an answer states up to which byte
the board has everything. If a SEND is lost or refused, sending goes back to that byte; what was sent behind it is
refused for its offset, and costs line time only. Answers also state the room in the board's send buffer, so that a full
buffer is waited for rather than overrun.

Result bytes are asked for by RECEIVE, one request at a time, since asking for a byte acknowledges those before it. They
are asked for only when there can be any, which the caller knows from the tensor bytes that have arrived.

**Sizes.** The line to the board should be busy all the time. Then the requests in flight are the bytes of one
turn-around, the frame that the board is still receiving, and those that come while the board sends an answer with
results, which delays the answers behind it:

    turn-around * baud / 10 + SEND frame + RECEIVE answer  <=  receive_bytes

In the other direction, a result waits for the answers to everything that was sent before its RECEIVE, a whole receive
buffer of bytes. One byte of results comes for three of tensors, so an answer has to bring a third of a receive buffer.
With 2,048 bytes that makes SENDs of 480 bytes (3.3 % of a frame are not payload) and RECEIVEs of 720, which keep 3
Mbaud busy at a turn-around of up to 2.7 ms. When nothing is left to send, RECEIVE asks for as much as a frame holds.
Each loss halves the sizes for a while: on a line that changes one byte in 500, hardly any large frame would arrive.
"""

import struct
from dataclasses import dataclass

from taylorvit.fpga.protocol import OVERHEAD_BYTES, BoardStatus, FrameType, Status

from .errors import BoardReset, JobError, ProtocolError

__all__ = ["Transfer"]

_SEND_FRAMES = 4  # that a receive buffer holds, beside one RECEIVE
_RECEIVE_SHARE = 0.35  # of a receive buffer, in one answer
_OFFSET_BYTES = 4
_MODULUS = 1 << 32  # of offsets on the line
_RECEIVE = struct.Struct("<IH")
_TAKEN = struct.Struct("<IH")


class _FrameSize:
    """Tensor or result bytes of a frame: at most `limit`, and fewer while frames are lost."""

    _SMALLEST = 16
    _STEPS = 16  # from nothing to the limit

    def __init__(self, limit):
        self.limit = self.now = max(1, limit)

    def grow(self):
        self.now = min(self.limit, self.now + -(-self.limit // self._STEPS))

    def shrink(self):
        self.now = min(self.limit, max(self.now // 2, self._SMALLEST))


@dataclass(frozen=True)
class _Send:
    """A SEND in flight: it carries the tensor bytes up to `end`; `generation` counts how often sending went back."""

    end: int
    generation: int


@dataclass(frozen=True)
class _Receive:
    """A RECEIVE in flight: it asks for `count` bytes from `offset` on, a number that came from `size`."""

    offset: int
    count: int
    size: _FrameSize


class Transfer:
    """One transfer; `run` does it.

    Args:
        link (Link): the link, identified, with nothing in flight.
        tensors (bytes): what to send.
        results (int): how many bytes come back; by default none.
        possible (Callable[[int], int]): function of the number of tensor bytes that have arrived; returns how many
            result bytes there can be then.
        on_results (Callable[[int], None]): is called with the number of result bytes that have come, whenever it grows.
        on_arrived (Callable[[int], None]): is called with the number of tensor bytes that have arrived, whenever it
            grows.
    """

    def __init__(
        self, link, tensors, results=0, *, possible=lambda arrived: 0, on_results=lambda count: None,
        on_arrived=lambda count: None,
    ):  # fmt: skip
        self.link = link
        self.tensors = tensors
        self.results = results
        self.possible = possible
        self.on_results = on_results
        self.on_arrived = on_arrived
        sizes = link.identification
        frame = (sizes.receive_bytes - (OVERHEAD_BYTES + _RECEIVE.size)) // _SEND_FRAMES
        send_limit = min(frame - OVERHEAD_BYTES - _OFFSET_BYTES, sizes.payload_max, sizes.send_bytes // 2)
        self._send_size = _FrameSize(send_limit)
        self._receive_size = _FrameSize(min(int(_RECEIVE_SHARE * sizes.receive_bytes), sizes.payload_max))
        self._last_receive_size = _FrameSize(sizes.payload_max)
        # Positions in `tensors`, below which everything has arrived, was sent (since going back), was ever sent, fits.
        self.arrived = 0
        self.sent = 0
        self.ever_sent = 0
        self.room = link.free_until - link.next_offset
        self.generation = 0
        self.received = bytearray()
        self._first_tensor = link.next_offset
        self._first_result = link.result_offset
        self._in_flight = dict.fromkeys((FrameType.SEND, FrameType.RECEIVE, FrameType.STATUS), 0)

    def run(self):
        """Sends and receives everything.

        Returns:
            bytes: the results.

        Raises:
            JobError: nothing moved for `port.stall` seconds.
            BoardReset: the board was reset.
            LinkTimeout: the board was silent too often.
            ProtocolError: an answer that the protocol does not allow.
            PortError: the port fails.
        """
        try:
            self._move_everything()
        except BaseException:
            self.link.requests.abandon()
            raise
        return bytes(self.received)

    def _move_everything(self):
        clock = self.link.port.now
        moved, last_move = (0, 0), clock()
        while self.arrived < len(self.tensors) or len(self.received) < self.results:
            self._ask_for_results()
            self._send_tensors()
            self._ask_for_room()
            self._take_in(self.link.requests.collect())
            if (self.arrived, len(self.received)) != moved:
                moved, last_move = (self.arrived, len(self.received)), clock()
            elif clock() - last_move > self.link.port.stall:
                raise JobError(
                    f"{self.link.port.name} took {self.arrived:,} of {len(self.tensors):,} bytes and gave "
                    f"{len(self.received):,} of {self.results:,}, then nothing moved for {self.link.port.stall:g} s"
                )
        while any(self._in_flight.values()):
            self._take_in(self.link.requests.collect())

    # Requests

    def _ask_for_results(self):
        if self._in_flight[FrameType.RECEIVE] or not self.link.requests.has_room(_RECEIVE.size):
            return
        available = min(self.possible(self.arrived), self.results) - len(self.received)
        if available > 0:
            size = self._last_receive_size if self.sent == len(self.tensors) else self._receive_size
            offset = self._first_result + len(self.received)
            count = min(available, size.now)
            self._submit(
                FrameType.RECEIVE,
                _RECEIVE.pack(offset % _MODULUS, count),
                1 + _OFFSET_BYTES + count,
                _Receive(offset, count, size),
            )

    def _send_tensors(self):
        while self.sent < len(self.tensors):
            size = min(self._send_size.now, len(self.tensors) - self.sent)
            if self.sent + size > self.room or not self.link.requests.has_room(_OFFSET_BYTES + size):
                return
            offset = (self._first_tensor + self.sent) % _MODULUS
            payload = offset.to_bytes(_OFFSET_BYTES, "little") + self.tensors[self.sent : self.sent + size]
            self.sent += size
            self.ever_sent = max(self.ever_sent, self.sent)
            self._submit(FrameType.SEND, payload, 1 + _TAKEN.size, _Send(self.sent, self.generation))

    def _ask_for_room(self):
        """Asks for the board's state if no answer in flight would tell of more room."""
        if self.sent < len(self.tensors) and not self._in_flight[FrameType.SEND]:
            if not self._in_flight[FrameType.STATUS] and self.link.requests.has_room(0):
                self._submit(FrameType.STATUS, b"", 32, None)

    def _submit(self, kind, payload, answer_bytes, purpose):
        self._in_flight[kind] += 1
        self.link.requests.submit(kind, payload, answer_bytes, purpose)

    # Answers

    def _take_in(self, outcomes):
        lost = []
        for request, answer in outcomes:
            self._in_flight[request.kind] -= 1
            if answer is None:
                lost.append(request)
            elif request.kind is FrameType.SEND:
                self._sent(request, answer)
            elif request.kind is FrameType.RECEIVE:
                self._received(request, answer)
            else:
                self._status(answer)
        # Last, since a later answer may tell that the bytes have arrived and only the answer was lost.
        for request in lost:
            if request.kind is FrameType.SEND:
                self._go_back(request.purpose)
            elif request.kind is FrameType.RECEIVE:
                request.purpose.size.shrink()

    def _sent(self, request, answer):
        if len(answer) != 1 + _TAKEN.size:
            raise ProtocolError(f"answer to SEND must have {1 + _TAKEN.size} bytes, not {len(answer)}")
        self._arrived_up_to(*_TAKEN.unpack_from(answer, 1))
        if answer[0] == Status.OK:
            self._send_size.grow()
        else:
            self._go_back(request.purpose)

    def _go_back(self, send):
        """Sends again from the first byte that has not arrived, once for all SENDs that were in flight together."""
        if send.end > self.arrived and send.generation == self.generation:
            self.generation += 1
            self.sent = self.arrived
            self._send_size.shrink()

    def _received(self, request, answer):
        if answer[0] == Status.OUT_OF_ORDER:
            raise self._board_reset("results")
        if answer[0] != Status.OK or len(answer) < 1 + _OFFSET_BYTES:
            raise ProtocolError(f"answer to RECEIVE must be OK and an offset, not {answer[:5].hex()}")
        offset = int.from_bytes(answer[1 : 1 + _OFFSET_BYTES], "little")
        data = answer[1 + _OFFSET_BYTES :]
        asked = request.purpose
        if offset != asked.offset % _MODULUS or len(data) > asked.count:
            raise ProtocolError(
                f"answer to RECEIVE of {asked.count} bytes from {asked.offset} on must be these, "
                f"not {len(data)} from {offset} on"
            )
        asked.size.grow()
        if data:
            self.received += data
            self.link.result_offset = self._first_result + len(self.received)
            self.on_results(len(self.received))

    def _status(self, answer):
        try:
            status = BoardStatus.decode(answer[1:])
        except ValueError as error:
            raise ProtocolError(f"answer to STATUS: {error}") from None
        self._arrived_up_to(status.next_offset, status.free)

    def _arrived_up_to(self, next_offset, free):
        more = (next_offset - self._first_tensor - self.arrived) % _MODULUS
        if self.arrived + more > self.ever_sent:
            raise self._board_reset("tensors")
        self.arrived += more
        self.sent = max(self.sent, self.arrived)
        self.room = self.arrived + free
        self.link.next_offset = self._first_tensor + self.arrived
        self.link.free_until = self._first_tensor + self.room
        if more:
            self.on_arrived(self.arrived)

    def _board_reset(self, what):
        return BoardReset(f"board on {self.link.port.name} was reset during the transfer and has lost the {what}")
