"""The protocol of the host link: frames over a UART (8N1) between a host and a board, version 1.

The board speaks only when it is asked, and answers every intact frame once, in order. So whatever happens to bytes on
the line, the host notices it by a missing answer, and asks again; every request may be repeated. All numbers are
little-endian. A frame, in either direction:

    A5 5A | type | tag | length u16 | CRC-16 of type..length | payload, `length` bytes | CRC-32 of the payload

CRC-16 is CRC-16/IBM-3740; CRC-32 is that of Ethernet and zlib, and is left out where there is no payload. An answer
has the type of the request | 0x80 and its tag, and its payload begins with a status byte.

    request   payload                          answer after the status byte
    IDENTIFY                                   `Identification`
    READ      address u16                      data u32, if OK
    WRITE     address u16, data u32
    SEND      offset u32, 1..payload_max bytes next offset u32, free u16; also if OUT_OF_ORDER or NO_SPACE
    RECEIVE   offset u32, count u16            offset u32, 0..count bytes, as many as there are; if OK
    STATUS                                     `BoardStatus`
    RESET                                      (buffers, counters, events are cleared, the accelerator is reset)

**Why nothing is lost.** The bytes of tensors are one numbered stream, those of results another; an offset counts
bytes since RESET, modulo 2^32. SEND is taken if its payload is intact, its offset is the next and it fits as a whole;
what was taken already answers OK and changes nothing. RECEIVE at an offset gives up the bytes before it, which have
arrived, and keeps those from it on. A WRITE with the tag of the WRITE that was executed last is answered as that was
and not executed again.

**Rules for the host.** Unanswered requests never have more bytes, whole frames counted, than `receive_bytes`;
at most one of them is a WRITE. Tags count up from 1 to 255 and again, but a new WRITE never takes the tag of the WRITE
before it (`next_tag`). The first request of a session is RESET, since the state of the board is unknown.

**Tensors.** The stream of tensor bytes consists of packets: stream u8 (`Stream`), length u24 > 0, then so many bytes.
What they are depends on the accelerator; a packet of a stream that a board does not have is dropped. The results are
the bytes of the beats as they come.

    Q, K, V   attention: one head's matrix, token by token, each from a new beat of `stream_bytes` on; Z comes back
    IMAGE     network: one image, in beats of `stream_bytes` pixels; logits come back, 4 bytes each
    MEMORY    network: address u32, then bytes for the memory of tapes from there on; both are multiples of 4

**Errors.** The unsolicited answer ERROR, tag 0, has BAD_HEADER once each time that synchronization is lost (a byte
between frames, a header with a wrong CRC, an impossible length), or STALLED when a frame that has begun does not go on
for about 50 ms. The board is then silent until the next intact header.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from taylorvit.rtl import __version__

__all__ = [
    "COUNT_MAX",
    "HEADER_BYTES",
    "LEAST_BAUD",
    "MOST_BAUD",
    "OVERHEAD_BYTES",
    "PACKET_BYTES_MAX",
    "PAYLOAD_EXTRA",
    "PROTOCOL_VERSION",
    "REPLY",
    "SYNC",
    "BoardStatus",
    "Frame",
    "FrameDecoder",
    "FrameType",
    "Identification",
    "Status",
    "Stream",
    "build_id",
    "memory_packet",
    "next_tag",
    "tensor_packet",
]

PROTOCOL_VERSION = 1
SYNC = b"\xa5\x5a"
HEADER_BYTES = 8
#: Bytes of a frame besides its payload.
OVERHEAD_BYTES = HEADER_BYTES + 4
#: A frame's payload has up to this many bytes more than `payload_max`, which counts tensor or result bytes alone.
PAYLOAD_EXTRA = 8
#: A packet says its length in 24 bits.
PACKET_BYTES_MAX = (1 << 24) - 1
#: What a board's link may have; the fastest adapters do 12 Mbaud.
LEAST_BAUD, MOST_BAUD = 300, 12_000_000
#: The counters of bad headers and payloads stop there.
COUNT_MAX = 255
#: Added to the type of a request in the answer to it.
REPLY = 0x80

_HEADER = struct.Struct("<BBH")


class FrameType(IntEnum):
    """Types of requests; ERROR is that of an unsolicited answer."""

    IDENTIFY = 0x01
    READ = 0x02
    WRITE = 0x03
    SEND = 0x04
    RECEIVE = 0x05
    STATUS = 0x06
    RESET = 0x07
    ERROR = 0xFF


class Status(IntEnum):
    """First byte of every answer's payload."""

    OK = 0
    BAD_CRC = 1  # of the payload
    BAD_LENGTH = 2  # for this type
    UNKNOWN_TYPE = 3
    OUT_OF_ORDER = 4  # the offset is not the next, or not within what is kept
    NO_SPACE = 5  # does not fit now; nothing was taken
    BUS_ERROR = 6  # the register bus refused the access
    STALLED = 7  # a frame was broken off
    BAD_HEADER = 8


class Stream(IntEnum):
    """Number of a stream in the heading of its packets."""

    Q = 0
    K = 1
    V = 2
    IMAGE = 3
    MEMORY = 4


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        type (int): a `FrameType`, or one plus `REPLY`, 8 bits.
        tag (int): tells requests apart, 8 bits.
        payload (bytes): up to 65535 bytes.
    """

    type: int
    tag: int
    payload: bytes = b""

    def encode(self) -> bytes:
        """The bytes on the line.

        Raises:
            ValueError: a number does not fit into the header.
        """
        for name, value, limit in (("type", self.type, 0xFF), ("tag", self.tag, 0xFF)):
            if not 0 <= value <= limit:
                raise ValueError(f"{name} must be 0..{limit}, not {value!r}")
        if len(self.payload) > 0xFFFF:
            raise ValueError(f"payload must have at most 65535 bytes, not {len(self.payload)!r}")
        header = _HEADER.pack(self.type, self.tag, len(self.payload))
        frame = SYNC + header + binascii.crc_hqx(header, 0xFFFF).to_bytes(2, "little")
        if self.payload:
            frame += self.payload + zlib.crc32(self.payload).to_bytes(4, "little")
        return frame


class FrameDecoder:
    """Finds frames in a stream of bytes, whatever else is between them.

    After a byte that is not as it should be, the search for a frame starts again right behind the SYNC of the frame
    that failed: no intact frame is skipped.

    Args:
        payload_max (int): longest payload that is believed, in bytes.

    Attributes:
        payload_max (int): likewise.
        skipped (int): bytes so far that were part of no frame.
    """

    def __init__(self, payload_max: int = 0xFFFF):
        self.payload_max = payload_max
        self.skipped = 0
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with these bytes."""
        self._buffer += data
        frames = []
        while (found := self._take()) is not None:
            frames += found
        return frames

    def clear(self) -> None:
        """Forget the beginning of a frame, for example since nothing follows it."""
        self._skip(len(self._buffer))

    def _take(self) -> list[Frame] | None:
        """One frame or, after skipping something, none; None if more bytes are needed to tell."""
        buffer = self._buffer
        start = buffer.find(SYNC)
        if start != 0:
            keep = len(SYNC) - 1 if start < 0 and buffer.endswith(SYNC[:1]) else 0
            self._skip(len(buffer) - keep if start < 0 else start)
            if start < 0:
                return None
        if len(buffer) < HEADER_BYTES:
            return None
        header = bytes(buffer[2:6])
        kind, tag, length = _HEADER.unpack(header)
        crc = int.from_bytes(buffer[6:8], "little")
        if crc != binascii.crc_hqx(header, 0xFFFF) or length > self.payload_max:
            self._skip(len(SYNC))
            return []
        total = HEADER_BYTES + (length + 4 if length else 0)
        if len(buffer) < total:
            return None
        payload = bytes(buffer[HEADER_BYTES : HEADER_BYTES + length])
        if length and zlib.crc32(payload) != int.from_bytes(buffer[total - 4 : total], "little"):
            self._skip(len(SYNC))
            return []
        del buffer[:total]
        return [Frame(kind, tag, payload)]

    def _skip(self, count: int) -> None:
        self.skipped += count
        del self._buffer[:count]


@dataclass(frozen=True)
class Identification:
    """What IDENTIFY answers after the status byte: what was built.

    Attributes:
        protocol (int): `PROTOCOL_VERSION`.
        build_id (int): see the function `build_id`.
        clock_hz (int): frequency of the board's core clock.
        baud (int): bits a second of its link.
        receive_bytes (int): most bytes of requests that may be unanswered.
        send_bytes (int): size of the buffer of tensor bytes.
        result_bytes (int): size of the buffer of result bytes.
        payload_max (int): most tensor or result bytes of a frame.
        stream_bytes (int): bytes of a beat.
    """

    protocol: int
    build_id: int
    clock_hz: int
    baud: int
    receive_bytes: int
    send_bytes: int
    result_bytes: int
    payload_max: int
    stream_bytes: int

    _LAYOUT = struct.Struct("<BIIIIIIHH")

    def encode(self) -> bytes:
        """The bytes of the answer after its status."""
        return self._LAYOUT.pack(
            self.protocol,
            self.build_id,
            self.clock_hz,
            self.baud,
            self.receive_bytes,
            self.send_bytes,
            self.result_bytes,
            self.payload_max,
            self.stream_bytes,
        )

    @classmethod
    def decode(cls, data: bytes) -> Identification:
        """Inverse of `encode`.

        Raises:
            ValueError: the number of bytes is not that of an answer.
        """
        return cls(*_unpack(cls._LAYOUT, "identification", data))


@dataclass(frozen=True)
class BoardStatus:
    """What STATUS answers after the status byte.

    Attributes:
        next_offset (int): offset of the tensor byte that the next SEND has to begin with.
        free (int): bytes that the send buffer can take.
        result_offset (int): offset of the oldest result byte that is kept.
        available (int): result bytes from there on.
        interrupt (bool): level of the accelerator's interrupt.
        receive_overflow (bool): the host sent more unanswered bytes than it may; until RESET.
        malformed_packet (bool): a packet of a stream that the board does not have, of no bytes, or for no place of the
            memory of tapes was dropped; until RESET.
        bad_headers (int): how often BAD_HEADER was answered since RESET, up to `COUNT_MAX`.
        bad_payloads (int): how often BAD_CRC was answered since RESET, up to `COUNT_MAX`.
    """

    next_offset: int
    free: int
    result_offset: int
    available: int
    interrupt: bool
    receive_overflow: bool
    malformed_packet: bool
    bad_headers: int
    bad_payloads: int

    _LAYOUT = struct.Struct("<IHIHBHH")

    def encode(self) -> bytes:
        """The bytes of the answer after its status."""
        events = self.interrupt | self.receive_overflow << 1 | self.malformed_packet << 2
        return self._LAYOUT.pack(
            self.next_offset,
            self.free,
            self.result_offset,
            self.available,
            events,
            self.bad_headers,
            self.bad_payloads,
        )

    @classmethod
    def decode(cls, data: bytes) -> BoardStatus:
        """Inverse of `encode`.

        Raises:
            ValueError: the number of bytes is not that of an answer.
        """
        fields = _unpack(cls._LAYOUT, "status", data)
        events = [bool(fields[4] >> bit & 1) for bit in range(3)]
        return cls(*fields[:4], *events, *fields[5:])


def next_tag(tag: int, last_write_tag: int | None = None) -> int:
    """The tag of the next request.

    Args:
        tag (int): tag of the request before.
        last_write_tag (int | None): for a new WRITE, the tag of the WRITE before it, which the new one does not take.
    """
    following = tag % 255 + 1
    return following % 255 + 1 if following == last_write_tag else following


def tensor_packet(stream: Stream, data: bytes) -> bytes:
    """A packet of the tensor byte stream.

    Args:
        stream (Stream): the stream that the data is for.
        data (bytes): the matrix of one head or one image, 1 to `PACKET_BYTES_MAX` bytes.

    Raises:
        ValueError: there are no bytes, or more than a length can say.
    """
    if not 0 < len(data) <= PACKET_BYTES_MAX:
        raise ValueError(f"tensor must have 1 to {PACKET_BYTES_MAX} bytes, not {len(data)!r}")
    return bytes([stream]) + len(data).to_bytes(3, "little") + data


def memory_packet(address: int, data: bytes) -> bytes:
    """A packet of the tensor byte stream with bytes for the memory of tapes.

    Args:
        address (int): of the first byte, a multiple of 4, below 2^32.
        data (bytes): the bytes, a multiple of 4, 4 to `PACKET_BYTES_MAX` - 7 of them.

    Raises:
        ValueError: the address is no multiple of 4 or too large, or the number of bytes cannot be.
    """
    if not 0 <= address < 1 << 32 or address % 4:
        raise ValueError(f"address must be a multiple of 4 below 2^32, not {address!r}")
    most = (PACKET_BYTES_MAX - 4) // 4 * 4
    if not 4 <= len(data) <= most or len(data) % 4:
        raise ValueError(f"data must be a multiple of 4 bytes, 4 to {most}, not {len(data)!r}")
    return tensor_packet(Stream.MEMORY, address.to_bytes(4, "little") + data)


def build_id(board_name: str, config) -> int:
    """32 bits that tell one bitstream from another: the first bytes of the SHA-256 of canonical JSON.

    Args:
        board_name (str): name of the board.
        config (AcceleratorConfig | NetworkConfig): the configuration of the accelerator.

    Returns:
        int: differs where board, configuration or a version differs.
    """
    contents = {
        "board": board_name,
        "config": config.to_mapping(),
        "version": __version__,
        "protocol": PROTOCOL_VERSION,
    }
    text = json.dumps(contents, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _unpack(layout: struct.Struct, name: str, data: bytes) -> tuple:
    if len(data) != layout.size:
        raise ValueError(f"{name} must have {layout.size} bytes, not {len(data)!r}")
    return layout.unpack(data)
