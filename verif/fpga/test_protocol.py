"""The protocol's frames, records and numbers, for those who write hosts."""

from __future__ import annotations

import binascii
import random
import zlib
from dataclasses import replace

import pytest

from taylorvit.fpga.protocol import (
    HEADER_BYTES,
    OVERHEAD_BYTES,
    BoardStatus,
    Frame,
    FrameDecoder,
    FrameType,
    Identification,
    Stream,
    build_id,
    memory_packet,
    next_tag,
    tensor_packet,
)
from taylorvit.gen.presets import load_preset

FRAMES = [Frame(1, 1), Frame(0x84, 255, b"\x00"), Frame(4, 17, bytes(range(256))), Frame(0xFF, 0, b"\x08")]


def test_a_frame_byte_by_byte():
    header, payload = bytes([0x03, 0x2A, 3, 0]), b"abc"
    expected = (
        b"\xa5\x5a"
        + header
        + binascii.crc_hqx(header, 0xFFFF).to_bytes(2, "little")
        + payload
        + zlib.crc32(payload).to_bytes(4, "little")
    )
    frame = Frame(FrameType.WRITE, 42, payload).encode()
    assert frame == expected
    assert len(frame) == OVERHEAD_BYTES + len(payload)
    assert len(Frame(FrameType.STATUS, 1).encode()) == HEADER_BYTES


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (Frame(256, 0), "type must be 0..255, not 256"),
        (Frame(1, -1), "tag must be 0..255, not -1"),
        (Frame(1, 1, bytes(65536)), "payload must have at most 65535 bytes, not 65536"),
    ],
)
def test_what_has_no_place_in_a_frame(frame, error):
    with pytest.raises(ValueError) as raised:
        frame.encode()
    assert str(raised.value) == error


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_frames_in_pieces(size):
    data = b"".join(frame.encode() for frame in FRAMES)
    decoder = FrameDecoder()
    got = [frame for at in range(0, len(data), size) for frame in decoder.feed(data[at : at + size])]
    assert got == FRAMES
    assert decoder.skipped == 0


@pytest.mark.parametrize(
    "noise",
    [b"a", b"\xa5", b"\xa5\xa5", b"\xa5\x5a", b"\xa5\x5a" + bytes(6), b"\xa5\x5aa", Frame(5, 6, b"cut").encode()[:9]],
)
def test_nothing_intact_is_passed_over(noise):
    decoder = FrameDecoder(payload_max=300)
    assert decoder.feed(noise + FRAMES[2].encode() + noise + FRAMES[1].encode() + FRAMES[0].encode()) == [
        FRAMES[2],
        FRAMES[1],
        FRAMES[0],
    ]
    assert decoder.skipped == 2 * len(noise)


def test_any_bit_error_costs_one_frame():
    generator = random.Random(1)
    good = Frame(9, 9, b"good").encode()
    for _ in range(200):
        data = bytearray(Frame(4, 3, generator.randbytes(9)).encode())
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        assert FrameDecoder(payload_max=20).feed(bytes(data) + good) == [Frame(9, 9, b"good")]


def test_a_length_that_cannot_be_is_not_waited_for():
    decoder = FrameDecoder(payload_max=20)
    assert decoder.feed(Frame(1, 1, bytes(21)).encode()[:8] + FRAMES[0].encode()) == [FRAMES[0]]


def test_the_beginning_of_a_frame_can_be_forgotten():
    decoder = FrameDecoder()
    decoder.feed(FRAMES[2].encode()[:20])
    decoder.clear()
    assert decoder.skipped == 20
    assert decoder.feed(FRAMES[0].encode()) == [FRAMES[0]]


def test_records():
    identification = Identification(1, 0x89ABCDEF, 48_000_000, 3_000_000, 2048, 1024, 512, 1000, 4)
    assert Identification.decode(identification.encode()) == identification
    assert identification.encode()[:5] == b"\x01\xef\xcd\xab\x89"
    for bits in range(8):
        status = BoardStatus(1, 2, 3, 4, bool(bits & 1), bool(bits & 2), bool(bits & 4), 5, 6)
        assert BoardStatus.decode(status.encode()) == status
        assert status.encode() == bytes([1, 0, 0, 0, 2, 0, 3, 0, 0, 0, 4, 0, bits, 5, 0, 6, 0])


@pytest.mark.parametrize(
    ("record", "name", "size"), [(Identification, "identification", 29), (BoardStatus, "status", 17)]
)
def test_records_of_another_size(record, name, size):
    with pytest.raises(ValueError) as raised:
        record.decode(bytes(size - 1))
    assert str(raised.value) == f"{name} must have {size} bytes, not {size - 1}"


def test_tags():
    assert [next_tag(tag) for tag in (0, 1, 254, 255)] == [1, 2, 255, 1]
    # A new WRITE never has the tag of the one before it.
    assert [next_tag(tag, 1) for tag in (255, 0, 1, 2)] == [2, 2, 2, 3]
    assert next_tag(254, 255) == 1


def test_tensor_packets():
    assert tensor_packet(Stream.V, b"ab") == b"\x02\x02\x00\x00ab"
    assert tensor_packet(Stream.Q, bytes(0x010203))[:4] == b"\x00\x03\x02\x01"
    for length in (0, 1 << 24):
        with pytest.raises(ValueError) as raised:
            tensor_packet(Stream.K, bytes(length))
        assert str(raised.value) == f"tensor must have 1 to 16777215 bytes, not {length}"


def test_memory_packets():
    assert memory_packet(0x01020304, b"abcd") == b"\x04\x08\x00\x00\x04\x03\x02\x01abcd"
    assert len(memory_packet(0, bytes(16777208))) == 16777216
    for address in (-4, 2, 1 << 32):
        with pytest.raises(ValueError) as raised:
            memory_packet(address, bytes(4))
        assert str(raised.value) == f"address must be a multiple of 4 below 2^32, not {address}"
    for length in (0, 6, 16777212):
        with pytest.raises(ValueError) as raised:
            memory_packet(0, bytes(length))
        assert str(raised.value) == f"data must be a multiple of 4 bytes, 4 to 16777208, not {length}"


def test_build_id_tells_builds_apart():
    config = load_preset("tiny-4x4")
    first = build_id("a-board", config)
    assert 0 <= first < 1 << 32
    assert first == build_id("a-board", load_preset("tiny-4x4"))
    assert len({first, build_id("b-board", config), build_id("a-board", replace(config, max_tokens=63))}) == 3
