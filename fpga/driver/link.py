"""Link: every request gets its answer, over a line that may lose or change any byte.

`Link` sends the requests that belong to no stream, each again until it is answered. A WRITE is sent again with its own
tag, by which the board knows whether it has executed it. `fpga.driver.transfer` sends the streams, over the same
`Requests`.
"""

import struct
from collections import deque
from dataclasses import dataclass, field

from taylorvit.fpga.protocol import PROTOCOL_VERSION, BoardStatus, FrameType, Identification, Status

from .errors import LinkTimeout, ProtocolError, WrongBoard
from .requests import Requests, name_of_status

__all__ = ["Link"]

_ATTEMPTS = 20  # of one request, while others are answered


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
        requests (Requests): the requests in flight over it.
        identification (Identification): the board's own description, once `identify` was called.
        next_offset (int): tensor bytes that have arrived at the board since `reset`.
        result_offset (int): result bytes that have come from it since `reset`.
        free_until (int): the tensor offset up to which the board is known to have room.
    """

    identification: Identification

    def __init__(self, port):
        self.port = port
        self.requests = Requests(port)
        self.next_offset = self.result_offset = self.free_until = 0

    @property
    def statistics(self):
        """What the line did to the link, since it was opened: a `LinkStatistics`."""
        return self.requests.statistics

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
        self.requests.adopt(self.identification)
        return self.identification

    def reset(self):
        """Resets the accelerator and empties the link's buffers. The offsets of both streams are 0 then."""
        self.exchange(_Question(FrameType.RESET))
        self.next_offset = self.result_offset = 0
        self.free_until = self.identification.send_bytes
        self.requests.board_was_reset()

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
            while waiting and self.requests.has_room(len(waiting[0].question.payload)):
                self._ask(waiting.popleft())
                unanswered += 1
            for request, answer in self.requests.collect():
                item = request.purpose
                unanswered -= 1
                if answer is None:
                    if item.attempts >= _ATTEMPTS:
                        raise LinkTimeout(
                            f"{self.port.name} loses too much: {item.question.kind.name} was sent "
                            f"{item.attempts} times without an intact answer"
                        )
                    waiting.append(item)
                elif answer[0] == Status.OK:
                    item.answer = answer[1:]
                elif answer[0] != Status.BUS_ERROR or not refusals:
                    raise ProtocolError(
                        f"status of {item.question.kind.name} must be OK, not {name_of_status(answer[0])}"
                    )
        return [item.answer for item in everything]

    def _ask(self, item):
        question = item.question
        item.attempts += 1
        tag = item.tag if question.same_tag else None
        item.tag = self.requests.submit(question.kind, question.payload, question.answer_bytes, item, tag=tag).tag

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
