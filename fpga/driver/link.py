"""Link: requests that are answered for certain, over a line that may lose or change any byte.

The board answers every intact frame once and in order (`fpga.protocol`). So the link keeps its unanswered requests in
the order in which it sent them, and knows that a request or its answer was lost when

    a later request is answered,
    the board answers that a payload was damaged, or that it lost synchronization (the oldest request then), or
    the oldest has waited for longer than line and board can take: then all of them are lost.

What was lost is sent again by whoever asked: `exchange` for single requests, `fpga.driver.transfer` for the streams. A
WRITE is sent again under its own tag, by which the board knows what it has executed. Requests are sent ahead of their
answers as long as their bytes fit the board's receive buffer, whole frames counted: so nothing overflows, and the line
does not rest while an answer is on its way.
"""

import struct
from collections import deque
from dataclasses import dataclass, field

from taylorvit.fpga.protocol import (
    OVERHEAD_BYTES,
    PAYLOAD_EXTRA,
    PROTOCOL_VERSION,
    REPLY,
    BoardStatus,
    Frame,
    FrameDecoder,
    FrameType,
    Identification,
    Status,
    next_tag,
)

from .errors import LinkTimeout, ProtocolError, WrongBoard

__all__ = ["BITS_PER_BYTE", "Link", "LinkStatistics", "Request"]

BITS_PER_BYTE = 10  # start bit, eight bits, stop bit

_SMALLEST_BUFFER = 64  # receive bytes that are assumed until the board has said how many it has
_UNANSWERED_LIMIT = 64  # requests: far fewer than tags, so that no tag is in use twice
_SILENCES = 6  # waits in vain, one after the other, until the board counts as gone
_ATTEMPTS = 20  # of one request, while others are answered
_LOST = (Status.BAD_CRC, Status.STALLED, Status.BAD_HEADER)  # statuses that ask for the same again


@dataclass
class Request:
    """A request on its way.

    Attributes
    ----------
    kind, tag, payload: of its frame. answer_bytes: payload of its longest answer.
    size: bytes of its frame. leaves: when the last of them has left, by the port's clock.
    purpose: whatever the sender wants to find again with the answer.
    """

    kind: FrameType
    tag: int
    payload: bytes
    answer_bytes: int
    purpose: object = None
    size: int = 0
    leaves: float = 0.0


@dataclass
class LinkStatistics:
    """What the line did to the link, since it was opened.

    Attributes
    ----------
    requests: frames sent; lost: of these, how many were sent in vain, or their answers.
    silences: waits that ended without an answer. complaints: unsolicited errors from the board.
    unexpected: answers to no open request, for example the second to a repeated one.
    sent_bytes, received_bytes: all bytes of the line.
    """

    requests: int = 0
    lost: int = 0
    silences: int = 0
    complaints: int = 0
    unexpected: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass(frozen=True)
class _Question:
    """A request that `exchange` will send until it is answered; `same_tag` if it must not be carried out twice."""

    kind: FrameType
    payload: bytes = b""
    answer_bytes: int = 1
    same_tag: bool = False


@dataclass
class _Open:
    """A question of `exchange` and what has become of it."""

    question: _Question
    tag: int | None = None
    attempts: int = 0
    answer: bytes | None = field(default=None, repr=False)


class Link:
    """Requests to one board.

    Parameters
    ----------
    port: a `fpga.driver.ports.Port`, open.

    Attributes
    ----------
    identification: what the board said that it is, once `identify` was called.
    next_offset, result_offset: tensor and result bytes that have arrived since `reset`.
    free_until: the tensor offset up to which the board is known to have room.
    """

    identification: Identification

    def __init__(self, port):
        self.port = port
        self.statistics = LinkStatistics()
        self.next_offset = self.result_offset = self.free_until = 0
        self._decoder = FrameDecoder()
        self._receive_bytes = _SMALLEST_BUFFER
        self._unanswered: deque[Request] = deque()
        self._unanswered_bytes = 0
        self._tag = 0
        self._last_write_tag = None
        self._line_free = self._last_answer = port.now()
        self._silences_in_turn = 0

    # Single requests

    def identify(self):
        """Asks what the board is; returns an `Identification`, by which the link works from then on.

        Raises `WrongBoard` for another version of the protocol, `LinkTimeout` if nothing of the kind is there.
        """
        try:
            (answer,) = self.exchange(_Question(FrameType.IDENTIFY, answer_bytes=64))
        except LinkTimeout as error:
            raise LinkTimeout(f"{error}; is the board's bitstream loaded, and is {self.port.baud} its baud?") from None
        if not answer or answer[0] != PROTOCOL_VERSION:
            version = answer[0] if answer else None
            raise WrongBoard(
                f"protocol of the bitstream on {self.port.name} must be of version {PROTOCOL_VERSION}, not {version!r}"
            )
        self.identification = self._decoded(Identification, answer)
        self._receive_bytes = self.identification.receive_bytes
        self._decoder.payload_max = self.identification.payload_max + PAYLOAD_EXTRA
        return self.identification

    def reset(self):
        """Resets the accelerator and empties the link's buffers; both streams begin at 0."""
        self.exchange(_Question(FrameType.RESET))
        self.next_offset = self.result_offset = 0
        self.free_until = self.identification.send_bytes
        self._last_write_tag = None

    def status(self):
        """The link's own state on the board, a `BoardStatus`."""
        (answer,) = self.exchange(_Question(FrameType.STATUS, answer_bytes=32))
        return self._decoded(BoardStatus, answer)

    def read(self, addresses):
        """The 32-bit words at byte `addresses`, in a list; None where the register bus refused the access."""
        questions = [_Question(FrameType.READ, struct.pack("<H", address), 5) for address in addresses]
        answers = self.exchange(*questions, refusals=True)
        return [None if answer is None else self._unpacked("<I", answer)[0] for answer in answers]

    def write(self, address, data):
        """Writes one word, once, whatever the line does; returns False if the register bus refused it."""
        (answer,) = self.exchange(self._write(address, data, same_tag=True), refusals=True)
        return answer is not None

    def write_parameters(self, writes):
        """Writes words (address, data) whose order does not matter, nor if one is written twice.

        Faster than `write` for each, as no answer is awaited before the next is sent. Returns the addresses that the
        register bus refused.
        """
        questions = [self._write(address, data, same_tag=False) for address, data in writes]
        answers = self.exchange(*questions, refusals=True)
        return [address for (address, _data), answer in zip(writes, answers) if answer is None]

    @staticmethod
    def _write(address, data, *, same_tag):
        return _Question(FrameType.WRITE, struct.pack("<HI", address, data), same_tag=same_tag)

    def exchange(self, *questions, refusals=False):
        """Sends questions, as many at once as the board takes, until each is answered.

        Returns the answers' payloads behind their status; None for BUS_ERROR, if `refusals` are expected. Nothing else
        may be on its way.

        Raises `LinkTimeout` if there is no getting through, `ProtocolError` for an answer that cannot be, `PortError`
        if the port fails.
        """
        everything = [_Open(question) for question in questions]
        waiting = deque(everything)
        unanswered = 0
        while waiting or unanswered:
            while waiting and self.has_room(len(waiting[0].question.payload)):
                self._ask(waiting.popleft())
                unanswered += 1
            for request, answer in self.collect():
                item = request.purpose
                unanswered -= 1
                if answer is None:
                    if item.attempts >= _ATTEMPTS:
                        raise LinkTimeout(f"{self.port.name} loses too much: {item.question.kind.name} was sent "
                                          f"{item.attempts} times without an intact answer")  # fmt: skip
                    waiting.append(item)
                elif answer[0] == Status.OK:
                    item.answer = answer[1:]
                elif answer[0] != Status.BUS_ERROR or not refusals:
                    raise ProtocolError(f"status of {item.question.kind.name} must be OK, not {_status(answer[0])}")
        return [item.answer for item in everything]

    def _ask(self, item):
        question = item.question
        item.attempts += 1
        tag = item.tag if question.same_tag else None
        item.tag = self.submit(question.kind, question.payload, question.answer_bytes, item, tag=tag).tag

    # Requests on their way

    def has_room(self, payload_bytes):
        """Whether a request with that payload may be sent now."""
        size = payload_bytes + OVERHEAD_BYTES
        return not self._unanswered or (
            self._unanswered_bytes + size <= self._receive_bytes and len(self._unanswered) < _UNANSWERED_LIMIT
        )

    def submit(self, kind, payload, answer_bytes, purpose=None, *, tag=None):
        """Sends a request, which `collect` will return. A repetition may have to bear the `tag` of the first."""
        if tag is None:
            tag = self._tag = next_tag(self._tag, self._last_write_tag if kind is FrameType.WRITE else None)
        if kind is FrameType.WRITE:
            self._last_write_tag = tag
        frame = Frame(kind, tag, payload).encode()
        self._line_free = max(self._line_free, self.port.now()) + self._seconds(len(frame))
        request = Request(kind, tag, payload, answer_bytes, purpose, len(frame), self._line_free)
        self._unanswered.append(request)
        self._unanswered_bytes += len(frame)
        self.statistics.requests += 1
        self.statistics.sent_bytes += len(frame)
        self.port.write(frame)
        return request

    def collect(self):
        """Waits until something becomes of the requests on their way.

        Returns pairs (request, answer), in the order in which they were sent; the answer is the payload, status first,
        or None if it was lost. The list is empty if what came was only a part.
        """
        oldest = self._unanswered[0]
        deadline = max(oldest.leaves, self._last_answer) + self.port.patience
        deadline += self._seconds(oldest.answer_bytes + OVERHEAD_BYTES)
        data = self.port.read(max(deadline - self.port.now(), 0))
        self.statistics.received_bytes += len(data)
        outcomes = [outcome for frame in self._decoder.feed(data) for outcome in self._outcomes(frame)]
        if not outcomes and self.port.now() >= deadline:
            return self._silence()
        return outcomes

    def abandon(self):
        """Gives up what is on its way; answers to it will be passed over."""
        self._lose(len(self._unanswered))

    def _outcomes(self, frame):
        """What an answer says about the requests on their way."""
        if frame.type == FrameType.ERROR:
            self.statistics.complaints += 1
            return self._lose(1 if self._unanswered else 0)
        answered = (request.tag == frame.tag and request.kind | REPLY == frame.type for request in self._unanswered)
        number = next((number for number, match in enumerate(answered) if match), None)
        if number is None:
            self.statistics.unexpected += 1
            return []
        request = self._unanswered[number]
        self._last_answer = self.port.now()
        self._silences_in_turn = 0
        outcomes = self._lose(number)
        if not frame.payload:
            raise ProtocolError(f"answer to {request.kind.name} must begin with a status, not be empty")
        if frame.payload[0] in _LOST:
            return outcomes + self._lose(1)
        if frame.payload[0] in (Status.BAD_LENGTH, Status.UNKNOWN_TYPE):
            raise ProtocolError(f"{self.port.name} does not understand {request.kind.name}: "
                                f"{_status(frame.payload[0])}")  # fmt: skip
        return [*outcomes, (self._forget_oldest(), frame.payload)]

    def _silence(self):
        self.statistics.silences += 1
        self._silences_in_turn += 1
        if self._silences_in_turn >= _SILENCES:
            strange = self._decoder.skipped
            raise LinkTimeout(
                f"{self.port.name} does not answer: {self._unanswered[0].kind.name} was sent {_SILENCES} times in vain"
                + (f", {strange} bytes came that are no answer" if strange else "")
            )
        self._decoder.clear()
        self._last_answer = self.port.now()
        return self._lose(len(self._unanswered))

    def _lose(self, count):
        self.statistics.lost += count
        return [(self._forget_oldest(), None) for _ in range(count)]

    def _forget_oldest(self):
        request = self._unanswered.popleft()
        self._unanswered_bytes -= request.size
        return request

    def _seconds(self, count):
        """Time that `count` bytes take on the line."""
        return count * BITS_PER_BYTE / self.port.baud

    # Answers

    def _decoded(self, layout, answer):
        try:
            return layout.decode(answer)
        except ValueError as error:
            raise ProtocolError(f"answer of {self.port.name}: {error}") from None

    @staticmethod
    def _unpacked(layout, answer):
        size = struct.calcsize(layout)
        if len(answer) != size:
            raise ProtocolError(f"answer must have {size} bytes behind its status, not {len(answer)}")
        return struct.unpack(layout, answer)


def _status(value):
    return Status(value).name if value in list(Status) else repr(value)
