"""Tapes of random commands for the tests of what reads them, and how tapes can be damaged."""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass, field

from taylorvit.rtl.network.command import (
    COMMAND_BYTES,
    CONSTANTS_FIELDS,
    EXPONENTIAL_BYTES,
    FIELDS,
    HEADER_BYTES,
    HEADER_FIELDS,
    KERNELS,
    MAGIC,
    VERSION,
    Destination,
    Flag,
    Opcode,
    Source,
    Stationary,
    check_sum,
)
from taylorvit.rtl.network.config import NetworkConfig

__all__ = ["DAMAGES", "Command", "Tape", "damaged", "random_tape", "words_of"]

#: How a tape can be damaged -> the event that tells of it.
DAMAGES = {
    "magic": "TAPE_MAGIC",
    "version": "TAPE_VERSION",
    "configuration": "TAPE_CONFIGURATION",
    "length": "TAPE_LENGTH",
    "opcode": "COMMAND",
    "destination": "COMMAND",
    "sum": "COMMAND",
    "end missing": "TAPE_LENGTH",
    "end early": "TAPE_LENGTH",
    "payload too long": "TAPE_LENGTH",
    "payload bit": "TAPE_CRC",
    "header bit": "TAPE_CRC",
    "crc": "TAPE_CRC",
}


@dataclass(frozen=True)
class Command:
    """A command with what follows it on the tape."""

    values: dict[str, int]
    table: bytes = b""
    rows: list[bytes] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        content = bytearray(COMMAND_BYTES)
        for name, value in self.values.items():
            place = (CONSTANTS_FIELDS | FIELDS)[name]
            content[place.place : place.place + place.bytes] = value.to_bytes(place.bytes, "little")
        if "check" not in self.values:
            place = FIELDS["check"].place
            content[place : place + 2] = check_sum(bytes(content)).to_bytes(2, "little")
        return bytes(content)

    @property
    def exponentials(self) -> list[int]:
        """The numbers of the table of a command CONSTANTS."""
        return [number for (number,) in struct.iter_unpack("<H", self.table)]

    @property
    def word(self) -> int:
        return int.from_bytes(self.content, "little")


@dataclass(frozen=True)
class Tape:
    """Commands, and how they stand on a tape."""

    config: NetworkConfig
    commands: list[Command]
    header: dict[str, int] = field(default_factory=dict)

    def filled(self, content: bytes) -> bytes:
        return content + bytes(-len(content) % self.config.columns)

    @property
    def content(self) -> bytes:
        """All bytes."""
        body = b"".join(
            self.filled(command.content) + self.filled(command.table) + b"".join(command.rows)
            for command in self.commands
        )
        trailer = len(self.filled(bytes(4)))
        header_bytes = len(self.filled(bytes(HEADER_BYTES)))
        values = {
            "magic": MAGIC,
            "version": VERSION,
            "configuration": self.config.tape_hash,
            "length": header_bytes + len(body) + trailer,
        } | self.header
        header = bytearray(HEADER_BYTES)
        for name, value in values.items():
            place = HEADER_FIELDS[name]
            header[place.place : place.place + place.bytes] = value.to_bytes(place.bytes, "little")
        covered = self.filled(bytes(header)) + body
        return covered + self.filled(zlib.crc32(covered).to_bytes(4, "little"))


def random_tape(config: NetworkConfig, generator: random.Random, products: int, *, most_rows: int = 12) -> Tape:
    """A tape that the hardware takes: the first product reads the image, the last one gives logits."""
    commands = []
    for number in range(products):
        if generator.random() < 0.3:
            kernel = generator.choice(config.kernels)
            values = {
                "opcode": Opcode.CONSTANTS,
                "length": generator.getrandbits(16),
                "kernel": KERNELS.index(kernel),
            }
            table = b""
            if kernel == "softmax":
                table = generator.randbytes(EXPONENTIAL_BYTES * config.exponential_entries)
            commands.append(Command(values, table))
        table = generator.randbytes(256) if generator.random() < 0.3 else b""
        rows = [generator.randbytes(config.columns) for _ in range(generator.randint(0, most_rows))]
        values = {
            "opcode": Opcode.PRODUCT,
            "kind": generator.randrange(8),
            "flags": (Flag.TABLE if table else 0) | generator.choice((0, Flag.NORM, Flag.EMBEDDING)),
            "source": generator.choice((Source.ACTIVATION, Source.KERNEL)) if number else Source.IMAGE,
            "stationary": generator.choice(list(Stationary)),
            "destination": generator.choice((Destination.ACTIVATION, Destination.KEY, Destination.KERNEL_1)),
            "source_base": generator.getrandbits(32),
            "epsilon": generator.getrandbits(48),
            "payload": len(rows),
        }
        if number == products - 1:
            values["destination"] = Destination.LOGITS
        commands.append(Command(values, table, rows))
    commands.append(Command({"opcode": Opcode.END}))
    return Tape(config, commands)


def damaged(tape: Tape, kind: str, generator: random.Random) -> bytes:
    """The bytes of the tape with one fault, of the same length."""
    config, commands = tape.config, list(tape.commands)
    header_bytes = len(tape.filled(bytes(HEADER_BYTES)))
    content = bytearray(tape.content)
    if kind in ("magic", "version", "configuration", "length"):
        place = HEADER_FIELDS[kind]
        bit = generator.randrange(8 * place.bytes)
        right = int.from_bytes(content[place.place : place.place + place.bytes], "little")
        return Tape(config, commands, {kind: right ^ 1 << bit}).content
    if kind in ("opcode", "destination", "sum"):
        chosen = generator.choice(
            [
                n
                for n, command in enumerate(commands)
                if command.values["opcode"] == Opcode.PRODUCT or kind != "destination"
            ]
        )
        command = commands[chosen]
        change = {"opcode": {"opcode": 7}, "destination": {"destination": max(Destination) + 1}}.get(kind)
        if change is None:
            bit = 1 << generator.randrange(16)
            change = {"check": check_sum(command.content) ^ bit}
        commands[chosen] = Command(command.values | change, command.table, command.rows)
        return Tape(config, commands).content
    if kind == "end missing":
        commands[-1] = Command({"opcode": Opcode.CONSTANTS})
        return Tape(config, commands).content
    if kind == "end early":
        chosen = generator.randrange(len(commands) - 1)
        commands[chosen] = Command({"opcode": Opcode.END}, commands[chosen].table, commands[chosen].rows)
        return Tape(config, commands).content
    if kind == "payload too long":
        chosen = generator.choice([n for n, c in enumerate(commands) if c.values["opcode"] == Opcode.PRODUCT])
        command = commands[chosen]
        longer = command.values["payload"] + len(content)
        commands[chosen] = Command(command.values | {"payload": longer}, command.table, command.rows)
        return Tape(config, commands).content
    if kind == "payload bit":
        place = header_bytes
        places = []
        for command in commands:
            start = place + len(tape.filled(command.content))
            place = start + len(tape.filled(command.table)) + sum(map(len, command.rows))
            places += range(start, place)
        content[generator.choice(places)] ^= 1 << generator.randrange(8)
    elif kind == "header bit":
        reserved = HEADER_FIELDS["reserved"]
        content[reserved.place + generator.randrange(reserved.bytes)] ^= 1 << generator.randrange(8)
    elif kind == "crc":
        trailer = len(tape.filled(bytes(4)))
        content[len(content) - trailer + generator.randrange(4)] ^= 1 << generator.randrange(8)
    else:
        raise ValueError(f"kind must be one of {', '.join(DAMAGES)}, not {kind!r}")
    return bytes(content)


def words_of(content: bytes, config: NetworkConfig) -> list[int]:
    """The words of a tape."""
    size = config.tape_bytes
    return [int.from_bytes(content[first : first + size], "little") for first in range(0, len(content), size)]
