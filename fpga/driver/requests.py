"""Requests in flight: sent to a board, and neither answered nor lost yet.

The board answers every intact frame once, and in order (`fpga.protocol`). So the requests in flight are kept in the
order in which they were sent, and these are taken for lost:

    those before one that is answered,
    the oldest, if the board answers that a payload was damaged or that it lost synchronization,
    all of them, if the oldest has waited for longer than line and board can take.

Requests are sent ahead of their answers as long as whole frames fit the board's receive buffer: so nothing overflows,
and the line does not idle while an answer is in flight.
"""

from collections import deque
from dataclasses import dataclass

from taylorvit.fpga.protocol import (
    OVERHEAD_BYTES,
    PAYLOAD_EXTRA,
    REPLY,
    Frame,
    FrameDecoder,
    FrameType,
    Status,
    next_tag,
)

from .errors import LinkTimeout, ProtocolError

__all__ = ["LinkStatistics", "Request", "Requests", "name_of_status"]

_BITS_PER_BYTE = 10  # start bit, eight bits, stop bit
_SMALLEST_BUFFER = 64  # bytes of the receive buffer that are assumed until the board has stated its own
_UNANSWERED_LIMIT = 64  # requests: far fewer than tags, so that no tag is in use twice
_SILENCES = 6  # waits in vain, one after the other, after which the board is taken for gone
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


class Requests:
    """The requests in flight over one port.

    Args:
        port (Port): the line to the board, open.

    Attributes:
        port (Port): the line.
        statistics (LinkStatistics): what the line did.
    """

    def __init__(self, port):
        self.port = port
        self.statistics = LinkStatistics()
        self._decoder = FrameDecoder()
        self._receive_bytes = _SMALLEST_BUFFER
        self._unanswered: deque[Request] = deque()
        self._unanswered_bytes = 0
        self._tag = 0
        self._last_write_tag = None
        self._line_free = self._last_answer = port.now()
        self._silences_in_turn = 0

    def adopt(self, identification):
        """Keeps to the sizes of a board from now on.

        Args:
            identification (Identification): the board's own description.
        """
        self._receive_bytes = identification.receive_bytes
        self._decoder.payload_max = identification.payload_max + PAYLOAD_EXTRA

    def board_was_reset(self):
        """Takes note that the board has forgotten the tag of its last WRITE."""
        self._last_write_tag = None

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
            raise ProtocolError(
                f"{self.port.name} does not understand {request.kind.name}: {name_of_status(frame.payload[0])}"
            )
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
        return count * _BITS_PER_BYTE / self.port.baud


def name_of_status(value):
    """A status as messages name it.

    Args:
        value (int): the status byte of an answer.

    Returns:
        str: its name; its number if it has none.
    """
    return Status(value).name if value in list(Status) else repr(value)
