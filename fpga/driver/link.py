"""Link: every request gets its answer, over a line that may lose or change any byte.

The board answers every intact frame once, and in order (`fpga.protocol`). So the link keeps the requests in flight in
the order in which it sent them, and takes for lost

    the requests before one that is answered,
    the oldest, if the board answers that a payload was damaged or that it lost synchronization,
    all of them, if the oldest has waited for longer than line and board can take.

Who asked sends again: `exchange` single requests, `fpga.driver.transfer` those of the streams. A WRITE is sent again
with its own tag, by which the board knows whether it has executed it. Requests are sent ahead of their answers as long
as whole frames fit the board's receive buffer: so nothing overflows, and the line does not idle while an answer is in
flight.
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

_SMALLEST_BUFFER = 64  # bytes of the receive buffer that are assumed until the board has stated its own
_UNANSWERED_LIMIT = 64  # requests: far fewer than tags, so that no tag is in use twice
_SILENCES = 6  # waits in vain, one after the other, after which the board is taken for gone
_ATTEMPTS = 20  # of one request, while others are answered
_LOST = (Status.BAD_CRC, Status.STALLED, Status.BAD_HEADER)  # statuses that ask for the same again


@dataclass
class Request:
    """A request in flight.

    Attributes:
        kind (FrameType): type of its frame.
        tag (int): tag of its frame, 1 to 255.
        payload (bytes): payload of its frame.
        answer_bytes (int): payload of its longest answer, in bytes.
        purpose (object): what the sender wants to find again with the answer.
        size (int): its frame, in bytes.
        leaves (float): when the last byte has left, in seconds of the port's clock.
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

    Attributes:
        requests (int): frames sent.
        lost (int): of these, how many were lost, or their answers.
        silences (int): waits that ended without an answer.
        complaints (int): unsolicited errors from the board.
        unexpected (int): answers to no request in flight, for example the second one to a repeated request.
        sent_bytes (int): all bytes to the board.
        received_bytes (int): all bytes from the board.
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
    """A question of `exchange`, with its tag, its attempts and its answer."""

    question: _Question
    tag: int | None = None
    attempts: int = 0
    answer: bytes | None = field(default=None, repr=False)


class Link:
    """Requests to one board.

    Args:
        port (Port): the line to the board, open.

    Attributes:
        port (Port): the line.
        statistics (LinkStatistics): what the line did.
        identification (Identification): the board's own description, once `identify` was called.
        next_offset (int): tensor bytes that have arrived at the board since `reset`.
        result_offset (int): result bytes that have come from it since `reset`.
        free_until (int): the tensor offset up to which the board is known to have room.
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
        """Asks the board for its description, and keeps to it from then on.

        Returns:
            Identification: the description.

        Raises:
            WrongBoard: it has another version of the protocol.
            LinkTimeout: nothing answers.
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
        """Resets the accelerator and empties the link's buffers. The offsets of both streams are 0 then."""
        self.exchange(_Question(FrameType.RESET))
        self.next_offset = self.result_offset = 0
        self.free_until = self.identification.send_bytes
        self._last_write_tag = None

    def status(self):
        """Asks for the state of the board's end of the link.

        Returns:
            BoardStatus: the state.
        """
        (answer,) = self.exchange(_Question(FrameType.STATUS, answer_bytes=32))
        return self._decoded(BoardStatus, answer)

    def read(self, addresses):
        """Reads registers.

        Args:
            addresses (Iterable[int]): their byte addresses.

        Returns:
            list[int | None]: their 32-bit words; None where the register bus refused the access.
        """
        questions = [_Question(FrameType.READ, struct.pack("<H", address), 5) for address in addresses]
        answers = self.exchange(*questions, refusals=True)
        return [None if answer is None else self._unpacked("<I", answer)[0] for answer in answers]

    def write(self, address, data):
        """Writes a register exactly once, whatever the line does.

        Args:
            address (int): its byte address.
            data (int): its 32-bit word.

        Returns:
            bool: False if the register bus refused the access.
        """
        (answer,) = self.exchange(self._write(address, data, same_tag=True), refusals=True)
        return answer is not None

    def write_parameters(self, writes):
        """Writes registers in any order, and some of them perhaps twice.

        That is faster than a `write` each, which waits for its answer before the next one is sent.

        Args:
            writes (Iterable[tuple[int, int]]): byte address and 32-bit word of each.

        Returns:
            list[int]: the addresses that the register bus refused.
        """
        questions = [self._write(address, data, same_tag=False) for address, data in writes]
        answers = self.exchange(*questions, refusals=True)
        return [address for (address, _data), answer in zip(writes, answers) if answer is None]

    @staticmethod
    def _write(address, data, *, same_tag):
        return _Question(FrameType.WRITE, struct.pack("<HI", address, data), same_tag=same_tag)

    def exchange(self, *questions, refusals=False):
        """Sends requests, as many ahead as the board takes, until each is answered. No other may be in flight.

        Args:
            *questions (_Question): the requests.
            refusals (bool): whether the register bus may refuse an access.

        Returns:
            list[bytes | None]: the payload of each answer behind its status; None for a refused access.

        Raises:
            LinkTimeout: the line loses too much, or nothing answers.
            ProtocolError: an answer that the protocol does not allow.
            PortError: the port fails.
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

    # Requests in flight

    def has_room(self, payload_bytes):
        """Whether a request may be sent now.

        Args:
            payload_bytes (int): size of its payload.

        Returns:
            bool: whether it may.
        """
        size = payload_bytes + OVERHEAD_BYTES
        return not self._unanswered or (
            self._unanswered_bytes + size <= self._receive_bytes and len(self._unanswered) < _UNANSWERED_LIMIT
        )

    def submit(self, kind, payload, answer_bytes, purpose=None, *, tag=None):
        """Sends a request. `collect` will return it.

        Args:
            kind (FrameType): type of its frame.
            payload (bytes): payload of its frame.
            answer_bytes (int): payload of its longest answer, in bytes.
            purpose (object): what to find again with the answer.
            tag (int | None): tag of its frame; None for the next one. A repetition may need the tag of the first.

        Returns:
            Request: the request.
        """
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
        """Waits for answers to the requests in flight.

        Returns:
            list[tuple[Request, bytes | None]]: the requests that are answered or lost, in the order in which they were
                sent, each with the payload of its answer, status first, or None if it is lost. Empty if less than an
                answer came.

        Raises:
            LinkTimeout: the board was silent too often.
            ProtocolError: an answer that the protocol does not allow.
            PortError: the port fails.
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
        """Gives up the requests in flight; their answers will be ignored."""
        self._lose(len(self._unanswered))

    def _outcomes(self, frame):
        """(request, answer or None) of the requests in flight that a frame answers, or shows to be lost."""
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
        """Seconds that `count` bytes take on the line."""
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
