"""How the tape of a compiled network can be damaged."""

from __future__ import annotations

import random
import zlib

from taylorvit.rtl.network.command import (
    COMMAND_BYTES,
    FIELDS,
    HEADER_BYTES,
    HEADER_FIELDS,
    TRAILER_BYTES,
    Destination,
    Opcode,
    Source,
    Stationary,
    check_sum,
)

from .models import Network

__all__ = ["DAMAGES", "body_of", "changed_field", "damaged", "scrambled", "sealed"]

#: How a tape can be damaged -> the event that tells of it.
DAMAGES = {
    "magic": "TAPE_MAGIC",
    "version": "TAPE_VERSION",
    "configuration": "TAPE_CONFIGURATION",
    "length": "TAPE_LENGTH",
    "reserved": "TAPE_CRC",
    "crc": "TAPE_CRC",
    "payload": "TAPE_CRC",
    "a bit of a command": "COMMAND",
    "opcode": "COMMAND",
    "source": "COMMAND",
    "stationary": "COMMAND",
    "destination": "COMMAND",
    "flags": "COMMAND",
    "end early": "TAPE_LENGTH",
    "no end": "TAPE_LENGTH",
}

_UNKNOWN = {
    "opcode": 0,
    "source": max(Source) + 1,
    "stationary": max(Stationary) + 1,
    "destination": max(Destination) + 1,
    "flags": 8,
}


def _rows(size: int, network: Network) -> int:
    """Bytes of whole rows."""
    columns = network.config.columns
    return -(-size // columns) * columns


def body_of(network: Network) -> range:
    """The bytes of commands and payloads."""
    return range(_rows(HEADER_BYTES, network), len(network.tape) - _rows(TRAILER_BYTES, network))


def sealed(tape: bytes, network: Network) -> bytes:
    """The tape with the CRC that belongs to it."""
    end = body_of(network).stop
    return tape[:end] + zlib.crc32(tape[:end]).to_bytes(TRAILER_BYTES, "little") + tape[end + TRAILER_BYTES :]


def changed_field(network: Network, offset: int, name: str, value: int, tape: bytes | None = None) -> bytes:
    """The tape with another number in a field of the command at a byte, with `check` and CRC that belong to it."""
    content = bytearray(network.tape if tape is None else tape)
    field, check = FIELDS[name], FIELDS["check"]
    content[offset + field.place : offset + field.place + field.bytes] = value.to_bytes(field.bytes, "little")
    command = bytes(content[offset : offset + COMMAND_BYTES])
    content[offset + check.place : offset + check.place + 2] = check_sum(command).to_bytes(2, "little")
    return sealed(bytes(content), network)


def damaged(network: Network, kind: str, generator: random.Random) -> bytes:
    """The tape with one fault, of the same length; all but that fault is right."""
    content, parts = bytearray(network.tape), network.compiled.parts
    if kind in HEADER_FIELDS:
        field = HEADER_FIELDS[kind]
        content[field.place + generator.randrange(field.bytes)] ^= 1 << generator.randrange(8)
        return bytes(content) if kind == "reserved" else sealed(bytes(content), network)
    if kind == "crc":
        content[body_of(network).stop + generator.randrange(TRAILER_BYTES)] ^= 1 << generator.randrange(8)
        return bytes(content)
    if kind == "payload":
        part = generator.choice([part for part in parts if part.size > _rows(COMMAND_BYTES, network)])
        place = generator.randrange(part.offset + _rows(COMMAND_BYTES, network), part.offset + part.size)
        content[place] ^= 1 << generator.randrange(8)
        return bytes(content)
    products = [part.offset for part in parts if content[part.offset] == Opcode.PRODUCT]
    if kind == "a bit of a command":
        place = generator.choice(parts).offset + generator.randrange(COMMAND_BYTES)
        content[place] ^= 1 << generator.randrange(8)
        return sealed(bytes(content), network)
    if kind in _UNKNOWN:
        return changed_field(network, generator.choice(products), kind, _UNKNOWN[kind])
    if kind == "end early":
        return changed_field(network, generator.choice(parts[:-1]).offset, "opcode", Opcode.END)
    if kind == "no end":
        return changed_field(network, parts[-1].offset, "opcode", Opcode.CONSTANTS)
    raise ValueError(f"kind must be one of {', '.join(DAMAGES)}, not {kind!r}")


def scrambled(network: Network, generator: random.Random) -> bytes:
    """The tape with any damage that a memory or a wire could do, of the same length."""
    content, length = bytearray(network.tape), len(network.tape)
    kind = generator.choice(("bits", "bits", "block", "shifted", "stuck", "repeated"))
    place = generator.randrange(body_of(network).stop)
    if kind == "bits":
        for _ in range(generator.choice((1, 2, 3, 20))):
            content[generator.randrange(body_of(network).stop)] ^= 1 << generator.randrange(8)
    elif kind == "block":
        size = generator.randint(1, 64)
        content[place : place + size] = generator.randbytes(len(content[place : place + size]))
    elif kind == "shifted":
        # A row, or a word, is missing, and the rest follows earlier.
        size = generator.choice((1, network.config.tape_bytes, network.config.columns))
        content = content[:place] + content[place + size :] + bytes(size)
    elif kind == "stuck":
        lane, size = generator.randrange(8), generator.randint(8, length)
        for index in range(place, min(place + size, length)):
            content[index] |= 1 << lane
    else:
        size = generator.randint(1, 128)
        content = (content[:place] + content[max(0, place - size) : place] + content[place:])[:length]
    return bytes(content)
