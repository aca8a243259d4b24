"""A host at the pins of a board: bits on a UART's lines, and requests of the link's protocol.

    host = await UartHost.start(dut, bit_ns=40)
    answer = await host.ask(FrameType.READ, struct.pack("<H", 0))
    expect("answer", (answer.status, answer.data), (Status.OK, bytes(4)))

The lines are driven and read in time, not in cycles of the board's clock: a bit lasts what it lasts at the host. What
`transmit` sends may be anything, frames or not.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import astuple, dataclass, is_dataclass

import cocotb
from cocotb.triggers import Event, SimTimeoutError, Timer, ValueChange, with_timeout
from cocotb.utils import get_sim_time

from taylorvit.fpga.protocol import (
    OVERHEAD_BYTES,
    REPLY,
    BoardStatus,
    Frame,
    FrameDecoder,
    FrameType,
    Identification,
    Status,
    next_tag,
)
from taylorvit.simulation import WaitError, expect_equal

__all__ = ["Answer", "UartHost", "corrupted", "expect"]

BITS = 10  # of a byte on the line, with start and stop bit


@dataclass(frozen=True)
class Answer:
    """What the board answered: `data` is what follows the status byte."""

    kind: int
    tag: int
    status: Status
    data: bytes


def corrupted(data: bytes, bits: Iterable[int]) -> bytes:
    """`data` with some bits wrong; bit 0 is the lowest of the first byte."""
    damaged = bytearray(data)
    for bit in bits:
        damaged[bit // 8] ^= 1 << (bit % 8)
    return bytes(damaged)


def expect(name: str, got, expected) -> None:
    """`expect_equal` for the protocol's records and for bytes as well."""
    expect_equal(name, _numbers(got), _numbers(expected))


def _numbers(value):
    if is_dataclass(value):
        value = astuple(value)
    return [_numbers(part) for part in value] if isinstance(value, tuple | list | bytes) else value


class UartHost:
    """Drives `uart_rx` and reads `uart_tx`; asks, and collects the answers.

    Attributes
    ----------
    bit_ns: length of a bit that the host sends, and of one that it expects.
    answers: those that nobody has waited for yet.
    framing_errors: bytes without a stop bit that came from the board.
    """

    def __init__(self, dut, bit_ns: float, expected_bit_ns: float | None = None, payload_max: int = 0xFFFF):
        self.dut = dut
        self.bit_ps = round(bit_ns * 1000)
        self.expected_bit_ps = round((expected_bit_ns or bit_ns) * 1000)
        self.answers: deque[Answer] = deque()
        self.framing_errors = 0
        self.bytes_received = 0
        self.decoder = FrameDecoder(payload_max)
        self.tag = 0
        self._last_write = None
        self._arrived = Event()
        dut.uart_rx.value = 1
        cocotb.start_soon(self._monitor())

    # The lines

    async def transmit(self, data: bytes, *, stop_bit: int = 1, bits: int = BITS) -> None:
        """Send bytes, one right after the other; with other than the defaults, damaged ones.

        `stop_bit`: of each byte. `bits`: how many of the last byte's are sent before the line falls idle.
        """
        line, level, waited = self.dut.uart_rx, 1, 0
        sequence = []
        for byte in data:
            sequence += [0, *(byte >> bit & 1 for bit in range(8)), stop_bit]
        for bit in sequence[: len(sequence) - BITS + bits]:
            if bit != level:
                if waited:
                    await Timer(waited * self.bit_ps, "ps")
                line.value = level = bit
                waited = 0
            waited += 1
        if waited:
            await Timer(waited * self.bit_ps, "ps")
        line.value = 1

    async def idle(self, bytes_long: float) -> None:
        """Let the line rest for as long as some bytes last."""
        await Timer(round(bytes_long * BITS * self.bit_ps), "ps")

    async def _monitor(self) -> None:
        """Bytes from `uart_tx`: levels between changes of the line, cut into bits."""
        line, bit_ps = self.dut.uart_tx, self.expected_bit_ps
        while True:
            while line.value != 0:
                await ValueChange(line)
            began = get_sim_time("ps")
            byte = 0
            for bit in range(1, BITS):
                await Timer(began + (2 * bit + 1) * bit_ps // 2 - get_sim_time("ps"), "ps")
                if bit < BITS - 1:
                    byte |= int(line.value) << (bit - 1)
            if not line.value:
                self.framing_errors += 1
                await ValueChange(line)
                continue
            self.bytes_received += 1
            for frame in self.decoder.feed(bytes([byte])):
                self.answers.append(Answer(frame.type, frame.tag, Status(frame.payload[0]), frame.payload[1:]))
                self._arrived.set()

    # Requests

    def request(self, kind: int, payload: bytes = b"", tag: int | None = None) -> bytes:
        """The bytes of a request, with the next tag unless one is given."""
        if tag is None:
            tag = self.tag = next_tag(self.tag, self._last_write if kind == FrameType.WRITE else None)
        if kind == FrameType.WRITE:
            self._last_write = tag
        return Frame(kind, tag, payload).encode()

    async def answer(self, *, limit_bytes: int = 3000) -> Answer:
        """The next answer; `WaitError` if none has come by the time in which so many bytes could have."""
        if not self.answers:
            self._arrived.clear()
            try:
                await with_timeout(self._arrived.wait(), limit_bytes * BITS * self.bit_ps, "ps")
            except SimTimeoutError:
                raise WaitError(f"no answer came for as long as {limit_bytes} bytes last") from None
        return self.answers.popleft()

    async def ask(self, kind: int, payload: bytes = b"", *, tag: int | None = None) -> Answer:
        """Send one request and wait for its answer. `AssertionError` if that belongs to another request."""
        request = self.request(kind, payload, tag)
        await self.transmit(request)
        answer = await self.answer(limit_bytes=3 * (len(request) + OVERHEAD_BYTES) + 2200)
        if (answer.kind, answer.tag) != (kind | REPLY, request[3]):
            raise AssertionError(f"answer must be to {kind:#x} with tag {request[3]}, not {answer}")
        return answer

    async def expect_silence(self, bytes_long: float) -> None:
        """`AssertionError` if an answer comes within the time of some bytes."""
        await self.idle(bytes_long)
        if self.answers:
            raise AssertionError(f"no answer must come, not {self.answers}")

    async def identify(self) -> Identification:
        """What was built."""
        return Identification.decode((await self._ask_well(FrameType.IDENTIFY)).data)

    async def status(self) -> BoardStatus:
        """Offsets, buffers, events, counters."""
        return BoardStatus.decode((await self._ask_well(FrameType.STATUS)).data)

    async def reset(self) -> None:
        """Clear buffers, counters and events, and reset the accelerator."""
        await self._ask_well(FrameType.RESET)

    async def read(self, address: int) -> int:
        """Read a register."""
        answer = await self._ask_well(FrameType.READ, struct.pack("<H", address))
        return int.from_bytes(answer.data, "little")

    async def write(self, address: int, value: int) -> None:
        """Write a register."""
        await self._ask_well(FrameType.WRITE, struct.pack("<HI", address, value & 0xFFFFFFFF))

    async def send(self, offset: int, data: bytes) -> tuple[Status, int, int]:
        """Tensor bytes; returns (status, next offset, free)."""
        answer = await self.ask(FrameType.SEND, struct.pack("<I", offset & 0xFFFFFFFF) + data)
        return (answer.status, *struct.unpack("<IH", answer.data))

    async def receive(self, offset: int, count: int) -> tuple[Status, bytes]:
        """Result bytes; `AssertionError` if the answer has another offset."""
        answer = await self.ask(FrameType.RECEIVE, struct.pack("<IH", offset & 0xFFFFFFFF, count))
        if answer.status == Status.OK and int.from_bytes(answer.data[:4], "little") != offset & 0xFFFFFFFF:
            raise AssertionError(f"offset must be {offset:#x}, not {answer.data[3::-1].hex()}")
        return answer.status, answer.data[4:]

    async def _ask_well(self, kind: int, payload: bytes = b"") -> Answer:
        answer = await self.ask(kind, payload)
        if answer.status != Status.OK:
            raise AssertionError(f"answer to {kind:#x} must be OK, not {answer.status.name}")
        return answer
