"""A board in Python: the protocol of `fpga.protocol` in a time of its own, over a line that can be made bad.

`BoardModel` is a port (`fpga.driver.Port`), so the driver works at it as at a serial adapter. Its time is virtual: it
goes on when somebody waits in `read`, to the next thing that happens. So a second of 3 Mbaud takes as long as its bytes
take Python, and every run is the same.

    write --> line: ten bits a byte, faults, half the turn-around --> receive buffer --> parser, engine --+
                                                                                                          v
    read <-- half the turn-around, faults, line <-- answers, one after the other <------------------------+

The engine is as slow as hardware may be: it does not go on to the next byte before its answer has left. The accelerator
takes heads as the real one does, at most two beyond the one that it computes, and answers with the integer golden's Z.
Written from the protocol's description, not from the hardware's code.
"""

from __future__ import annotations

import random
import zlib
from binascii import crc_hqx
from collections import deque
from dataclasses import dataclass, field

import numpy as np

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
from taylorvit.golden.attention.integer_attention import JobConstants, integer_taylor_attention
from taylorvit.jobs import format_of
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.description import Access
from taylorvit.rtl.control.registers import EVENTS, register_map

__all__ = ["BoardModel", "Faults"]

MODULUS = 1 << 32
STALL_SECONDS = 0.05
HEADS_AHEAD = 2
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
        config: the accelerator's configuration.
        board: the name that its build was made for.
        baud: of the line; turn_around: seconds that bytes spend beside it, there and back together.
        to_board, to_host: what the line does to bytes.
        compute_seconds: from a head's last byte to its first result.
        identification: fields of the `Identification` that are to be different.

    Tests may set: `unplugged`, from then on the port is gone; `mute`, the board hears nothing; `results_withheld`, no
    head ends; `events_to_raise`, at the end of each job; and call `power_cycle`.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
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
        self.identification = Identification(**{
            "protocol": PROTOCOL_VERSION, "build_id": build_id(board, config), "clock_hz": 100_000_000, "baud": baud,
            "receive_bytes": 2048, "send_bytes": 2048, "result_bytes": 2048, "payload_max": 1024,
            "stream_bytes": config.stream_width // 8, **identification,
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
        self._accelerator = _Accelerator(config, compute_seconds)
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


@dataclass
class _Accelerator:
    """Registers, and heads that become Z by the integer golden."""

    config: AcceleratorConfig
    compute_seconds: float
    results_withheld: bool = False
    events_to_raise: set[str] = field(default_factory=set)

    def reset(self) -> None:
        self.registers = register_map(self.config)
        self.values = {register.name: register.reset for register in self.registers}
        self.matrices = {0: deque(), 1: deque(), 2: deque()}
        self.computed: deque[tuple[float, bytes]] = deque()  # when, and the bytes of one head's Z
        self.taken_heads = self.finished_heads = 0

    def read(self, address: int) -> int | None:
        for register in self.registers:
            if register.offset == address:
                return self.values[register.name] & 0xFFFFFFFF
        return None

    def write(self, address: int, data: int) -> str | None:
        for register in self.registers:
            if register.offset == address:
                break
        else:
            return None
        if not register.access.writable:
            return None
        if register.access is Access.READ_WRITE and len(register.fields) == 1:
            (parameter,) = register.fields
            value = data - MODULUS if parameter.signed and data >> 31 else data
            if parameter.minimum is not None and not parameter.minimum <= value <= parameter.maximum:
                return None
        if register.access is Access.WRITE_ONE_TO_CLEAR:
            self.values[register.name] &= ~data
        elif register.name == "CONTROL":
            if data & 1:
                self._start()
        else:
            self.values[register.name] = data
        return register.name

    def _start(self) -> None:
        self.values |= {"STATUS": 1, "CYCLES": 0, "ARRAY_BUSY": 0, "STALL_INPUT": 0, "STALL_OUTPUT": 0, "HEADS_DONE": 0}
        self.taken_heads = self.finished_heads = 0

    def take(self, buffer: bytearray, moment: float) -> bool:
        """Whole packets from the buffer, as the loaders would take their beats; True if one was malformed."""
        malformed = False
        while len(buffer) >= 4:
            stream, length = buffer[0], int.from_bytes(buffer[1:4], "little")
            if stream not in self.matrices or not length:
                malformed = True
                del buffer[:4]
                continue
            if not self._open_packet(stream):
                break
            # What is behind the heading flows on at once; only its end makes a matrix of it.
            part = self.matrices[stream][-1]
            body = buffer[4 : 4 + length - len(part.got)]
            if not body and len(part.got) < length:
                break
            part.got += body
            del buffer[4 : 4 + len(body)]
            if len(part.got) < length:
                break
            del buffer[:4]
            part.whole = True
            self._compute(moment)
        return malformed

    def _open_packet(self, stream: int) -> bool:
        """Whether the stream's loader takes beats: it belongs to a running job, and a half of the buffer is free."""
        waiting = self.matrices[stream]
        if waiting and not waiting[-1].whole:
            return True
        if not self.values["STATUS"] or len(waiting) + len(self.computed) > HEADS_AHEAD:
            return False
        waiting.append(_Matrix())
        return True

    def _compute(self, moment: float) -> None:
        while all(waiting and waiting[0].whole for waiting in self.matrices.values()):
            shape = 1, self.values["TOKENS"], self.values["HEAD_DIM"]
            q, k, v = (self._matrix(waiting.popleft().got, shape) for waiting in self.matrices.values())
            shift_z = self.values["SHIFT_Z"]
            constants = JobConstants(
                shift_g=self.values["SHIFT_G"],
                shift_z=shift_z - MODULUS if shift_z >> 31 else shift_z,
                c_v=sum(self.values[f"C_V_{word}"] << 32 * word for word in range(2)),
                c_d=sum(self.values[f"C_D_{word}"] << 32 * word for word in range(3)),
            )
            z = integer_taylor_attention(q, k, v, constants, format_of(self.config)).z[0]
            rows = np.zeros((shape[1], self._row_elements(shape[2])), dtype=self._container())
            rows[:, : shape[2]] = z
            self.computed.append((moment + self.compute_seconds, rows.tobytes()))

    def give(self, results: bytearray, size: int, moment: float) -> None:
        """Results that are ready into their buffer."""
        while self.computed and self.computed[0][0] <= moment and not self.results_withheld:
            when, data = self.computed.popleft()
            space = size - len(results)
            results += data[:space]
            if data[space:]:
                self.computed.appendleft((when, data[space:]))
                return
            self.finished_heads += 1
            self.values["HEADS_DONE"] = self.finished_heads
            self.values["CYCLES"] = self.finished_heads * 10_000
            if self.finished_heads == self.values["HEADS"]:
                self.values["STATUS"] = 0
                for name in {"DONE"} | self.events_to_raise:
                    self.values["EVENTS"] |= 1 << EVENTS[name][0]

    def _matrix(self, data: bytes, shape: tuple[int, int, int]) -> np.ndarray:
        rows = np.frombuffer(bytes(data), dtype=self._container()).reshape(shape[1], self._row_elements(shape[2]))
        return rows[None, :, : shape[2]].astype(np.int64)

    def _container(self) -> str:
        return f"<i{self.config.element_width // 8}"

    def _row_elements(self, head_dim: int) -> int:
        return -(-head_dim // self.config.stream_lanes) * self.config.stream_lanes


@dataclass
class _Matrix:
    """One head's packet as far as it has come."""

    got: bytearray = field(default_factory=bytearray)
    whole: bool = False
