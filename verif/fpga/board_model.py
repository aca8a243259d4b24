"""A board in Python: the protocol of `fpga.protocol` in a time of its own, over a line that can be made bad.

`BoardModel` is a port (`fpga.driver.Port`), so the driver works at it as at a serial adapter. Its time is virtual: it
goes on when somebody waits in `read`, to the next thing that happens. So a second of 3 Mbaud takes as long as its bytes
take Python, and every run is the same.

    write --> line: ten bits a byte, faults, half the turn-around --> receive buffer --> parser, engine --+
                                                                                                          v
    read <-- half the turn-around, faults, line <-- answers, one after the other <------------------------+

The engine is as slow as hardware may be: it does not go on to the next byte before its answer has left. The accelerator
behind it is `verif.fpga.attention_model` or, of a `NetworkConfig`, `verif.fpga.network_model`. Written from the
protocol's description, not from the hardware's code.
"""

from __future__ import annotations

import random
import zlib
from binascii import crc_hqx
from collections import deque
from dataclasses import dataclass

from taylorvit.fpga.driver import Port, PortError
from taylorvit.fpga.protocol import (
    HEADER_BYTES,
    OVERHEAD_BYTES,
    PAYLOAD_EXTRA,
    PROTOCOL_VERSION,
    REPLY,
    SYNC,
    BoardStatus,
    Frame,
    FrameType,
    Identification,
    Status,
    build_id,
)
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.network.config import NetworkConfig
from verif.fpga.attention_model import AttentionModel
from verif.fpga.network_model import NetworkModel

__all__ = ["BoardModel", "Faults"]

MODULUS = 1 << 32
STALL_SECONDS = 0.05
LENGTHS = {FrameType.IDENTIFY: 0, FrameType.READ: 2, FrameType.WRITE: 6, FrameType.RECEIVE: 6, FrameType.STATUS: 0,
           FrameType.RESET: 0}  # fmt: skip


@dataclass
class Faults:
    """What a line does to its bytes, each with its probability, and how often it did."""

    bit_error: float = 0.0  # of a byte: one bit flips
    loss: float = 0.0  # of a byte
    garbage: float = 0.0  # a random byte before a byte
    seed: int = 1
    happened: int = 0

    def __post_init__(self):
        self._random = random.Random(self.seed)

    def apply(self, byte: int) -> list[int]:
        """The bytes that arrive for one that was sent."""
        if not (self.bit_error or self.loss or self.garbage):
            return [byte]
        arriving = []
        if self._random.random() < self.garbage:
            self.happened += 1
            arriving.append(self._random.randrange(256))
        if self._random.random() < self.loss:
            self.happened += 1
            return arriving
        if self._random.random() < self.bit_error:
            self.happened += 1
            byte ^= 1 << self._random.randrange(8)
        return [*arriving, byte]


class BoardModel(Port):
    """A board at the end of a line.

    Args:
        config: the accelerator's configuration, an `AcceleratorConfig` or a `NetworkConfig`.
        board: the name that its build was made for.
        baud: of the line; turn_around: seconds that bytes spend beside it, there and back together.
        to_board, to_host: what the line does to bytes.
        compute_seconds: from the last byte of a head or an image to its first result.
        identification: fields of the `Identification` that are to be different.

    Tests may set: `unplugged`, from then on the port is gone; `mute`, the board hears nothing; `results_withheld`, no
    head or image ends; `events_to_raise`, at the end of each job; and call `power_cycle`.
    """

    def __init__(
        self,
        config: AcceleratorConfig | NetworkConfig,
        *,
        board: str = "model",
        baud: int = 3_000_000,
        turn_around: float = 0.002,
        to_board: Faults | None = None,
        to_host: Faults | None = None,
        compute_seconds: float = 1e-4,
        **identification,
    ):
        self.name = "model"
        self.baud = baud
        self.config = config
        self.turn_around = turn_around
        self.to_board = Faults() if to_board is None else to_board
        self.to_host = Faults() if to_host is None else to_host
        network = isinstance(config, NetworkConfig)
        self._accelerator = (NetworkModel if network else AttentionModel)(config, compute_seconds)
        self.identification = Identification(**{
            "protocol": PROTOCOL_VERSION, "build_id": build_id(board, config), "clock_hz": 100_000_000, "baud": baud,
            "receive_bytes": 2048, "send_bytes": 2048, "result_bytes": 2048, "payload_max": 1024,
            "stream_bytes": self._accelerator.beat_bytes, **identification,
        })  # fmt: skip
        self.unplugged = self.mute = False
        self.closed = False
        self.overflows = 0
        self.executed_writes: list[tuple[str, int]] = []
        self._now = 0.0
        self._sending_free = 0.0  # when the host's last byte has left
        self._arriving: deque[tuple[float, int]] = deque()  # at the board
        self._consumed: deque[float] = deque()  # when bytes leave the receive buffer
        self._engine_free = 0.0
        self._last_byte = 0.0
        self._answers: deque[tuple[float, int]] = deque()  # at the host
        self._frame = bytearray()
        self._in_sync = True
        self._last_write: tuple[int, bytes] | None = None
        self._accelerator.clock_hz = self.identification.clock_hz
        self._reset()

    # Port

    def now(self) -> float:
        return self._now

    def write(self, data: bytes) -> None:
        self._check_plugged()
        start = max(self._now, self._sending_free)
        for number, byte in enumerate(data, start=1):
            arrival = start + number * 10 / self.baud + self.turn_around / 2
            self._arriving += [(arrival, arriving) for arriving in self.to_board.apply(byte)]
        self._sending_free = start + len(data) * 10 / self.baud

    def read(self, timeout: float) -> bytes:
        self._check_plugged()
        deadline = self._now + timeout
        while not self._answers or self._answers[0][0] > self._now:
            moments = [deadline]
            if self._answers:
                moments.append(self._answers[0][0])
            if self._arriving:
                moments.append(max(self._arriving[0][0], self._now))
            if self._frame and self._in_sync:
                moments.append(max(self._last_byte + STALL_SECONDS, self._now))
            self._now = min(moments)
            self._board_step()
            if self._now >= deadline and not (self._answers and self._answers[0][0] <= self._now):
                return b""
        data = bytearray()
        while self._answers and self._answers[0][0] <= self._now:
            data.append(self._answers.popleft()[1])
        return bytes(data)

    def close(self) -> None:
        self.closed = True

    def _check_plugged(self) -> None:
        if self.unplugged or self.closed:
            raise PortError(f"{self.name} is gone: it was unplugged")

    # Board: receiving

    def power_cycle(self) -> None:
        """Everything is lost, what was in flight too."""
        self._arriving.clear()
        self._frame.clear()
        self._in_sync = True
        self._last_write = None
        self._reset()

    def _board_step(self) -> None:
        """Take in what has arrived by now."""
        while self._arriving and self._arriving[0][0] <= self._now:
            moment, byte = self._arriving.popleft()
            if self.mute:
                continue
            while self._consumed and self._consumed[0] <= moment:
                self._consumed.popleft()
            if len(self._consumed) >= self.identification.receive_bytes:
                self.receive_overflow = True
                self.overflows += 1
                continue
            taken = max(moment, self._engine_free)
            self._consumed.append(taken)
            self._check_stall(taken)
            self._last_byte = taken
            self._take(byte, taken)
        self._check_stall(self._now)

    def _check_stall(self, moment: float) -> None:
        if self._frame and self._in_sync and moment >= self._last_byte + STALL_SECONDS:
            self._lose_sync(Status.STALLED, self._last_byte + STALL_SECONDS)

    def _take(self, byte: int, moment: float) -> None:
        self._frame.append(byte)
        count = len(self._frame)
        if count <= len(SYNC):
            if byte != SYNC[count - 1]:
                if self._in_sync:
                    self._lose_sync(Status.BAD_HEADER, moment)
                self._frame.clear()
                if byte == SYNC[0]:
                    self._frame.append(byte)
        elif count == HEADER_BYTES:
            header, crc = bytes(self._frame[2:6]), int.from_bytes(self._frame[6:8], "little")
            longest = self.identification.payload_max + PAYLOAD_EXTRA
            if crc != crc_hqx(header, 0xFFFF) or int.from_bytes(header[2:4], "little") > longest:
                if self._in_sync:
                    self._lose_sync(Status.BAD_HEADER, moment)
                self._frame.clear()
                return
            self._in_sync = True
            if not int.from_bytes(header[2:4], "little"):
                self._carry_out(b"", moment)
        elif count > HEADER_BYTES:
            length = int.from_bytes(self._frame[4:6], "little")
            if count == length + OVERHEAD_BYTES:
                payload, crc = bytes(self._frame[HEADER_BYTES:-4]), int.from_bytes(self._frame[-4:], "little")
                self._carry_out(payload if crc == zlib.crc32(payload) else None, moment)

    def _lose_sync(self, status: Status, moment: float) -> None:
        self._in_sync = False
        self._frame.clear()
        self.bad_headers = min(self.bad_headers + 1, 0xFFFF)
        self._answer(Frame(FrameType.ERROR, 0, bytes([status])), moment)

    # Board: engine

    def _reset(self) -> None:
        self.next_offset = self.result_offset = 0
        self.bad_headers = self.bad_payloads = 0
        self.receive_overflow = self.malformed_packet = False
        self._send_buffer = bytearray()
        self._results = bytearray()
        self._accelerator.reset()

    def _carry_out(self, payload: bytes | None, moment: float) -> None:
        kind, tag = self._frame[2], self._frame[3]
        self._frame.clear()
        self._move_data(moment)
        self._accelerator.now = moment
        if payload is None:
            self.bad_payloads = min(self.bad_payloads + 1, 0xFFFF)
            answer = bytes([Status.BAD_CRC])
        else:
            answer = self._answer_to(kind, tag, payload)
        self._answer(Frame(kind | REPLY, tag, answer), moment)

    def _answer_to(self, kind: int, tag: int, payload: bytes) -> bytes:
        if kind not in list(FrameType) or kind == FrameType.ERROR:
            return bytes([Status.UNKNOWN_TYPE])
        if kind == FrameType.SEND:
            if not 4 < len(payload) <= 4 + self.identification.payload_max:
                return bytes([Status.BAD_LENGTH])
            return self._send(payload)
        if len(payload) != LENGTHS[kind]:
            return bytes([Status.BAD_LENGTH])
        if kind == FrameType.IDENTIFY:
            return bytes([Status.OK]) + self.identification.encode()
        if kind == FrameType.READ:
            word = self._accelerator.read(int.from_bytes(payload, "little"))
            return bytes([Status.BUS_ERROR]) if word is None else bytes([Status.OK]) + word.to_bytes(4, "little")
        if kind == FrameType.WRITE:
            if self._last_write is None or self._last_write[0] != tag:
                self._last_write = tag, self._write(payload)
            return self._last_write[1]
        if kind == FrameType.RECEIVE:
            return self._receive(payload)
        if kind == FrameType.STATUS:
            status = BoardStatus(self.next_offset % MODULUS, self._free(), self.result_offset % MODULUS,
                                 len(self._results), False, self.receive_overflow, self.malformed_packet,
                                 self.bad_headers, self.bad_payloads)  # fmt: skip
            return bytes([Status.OK]) + status.encode()
        self._reset()
        return bytes([Status.OK])

    def _write(self, payload: bytes) -> bytes:
        address, data = int.from_bytes(payload[:2], "little"), int.from_bytes(payload[2:], "little")
        name = self._accelerator.write(address, data)
        if name is None:
            return bytes([Status.BUS_ERROR])
        self.executed_writes.append((name, data))
        return bytes([Status.OK])

    def _send(self, payload: bytes) -> bytes:
        offset, data = int.from_bytes(payload[:4], "little"), payload[4:]
        behind = (self.next_offset - offset) % MODULUS
        if 0 < behind < MODULUS // 2 and behind >= len(data):
            status = Status.OK  # a repetition
        elif behind:
            status = Status.OUT_OF_ORDER
        elif len(data) > self._free():
            status = Status.NO_SPACE
        else:
            status = Status.OK
            self._send_buffer += data
            self.next_offset += len(data)
        return bytes([status]) + (self.next_offset % MODULUS).to_bytes(4, "little") + self._free().to_bytes(2, "little")

    def _free(self) -> int:
        return self.identification.send_bytes - len(self._send_buffer)

    def _receive(self, payload: bytes) -> bytes:
        offset, count = int.from_bytes(payload[:4], "little"), int.from_bytes(payload[4:], "little")
        ahead = (offset - self.result_offset) % MODULUS
        if ahead > len(self._results):
            return bytes([Status.OUT_OF_ORDER])
        del self._results[:ahead]
        self.result_offset += ahead
        data = bytes(self._results[: min(count, self.identification.payload_max)])
        return bytes([Status.OK]) + payload[:4] + data

    def _answer(self, frame: Frame, moment: float) -> None:
        """Send it, and have the engine rest so long."""
        start = max(moment, self._engine_free)
        data = frame.encode()
        for number, byte in enumerate(data, start=1):
            arrival = start + number * 10 / self.baud + self.turn_around / 2
            self._answers += [(arrival, arriving) for arriving in self.to_host.apply(byte)]
        self._engine_free = start + len(data) * 10 / self.baud

    # Board: streams

    def _move_data(self, moment: float) -> None:
        """Send buffer to accelerator and accelerator to result buffer, as far as there is room by now."""
        self.malformed_packet |= self._accelerator.take(self._send_buffer, moment)
        self._accelerator.give(self._results, self.identification.result_bytes, moment)

    @property
    def results_withheld(self) -> bool:
        return self._accelerator.results_withheld

    @results_withheld.setter
    def results_withheld(self, value: bool) -> None:
        self._accelerator.results_withheld = value

    @property
    def events_to_raise(self) -> set[str]:
        return self._accelerator.events_to_raise
