"""A tape: the bytes of a compiled network, and what they consist of.

    header   commands, each with its payload   END   CRC-32

Everything is filled up to whole rows of C bytes. `docs/network.md` describes it, `rtl.network.command` has the fields.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from taylorvit.rtl.network.command import HEADER_BYTES, HEADER_FIELDS, MAGIC, TRAILER_BYTES, VERSION
from taylorvit.rtl.network.config import NetworkConfig

from .commands import encode, encode_command
from .steps import Step

__all__ = ["Part", "TapeWriter"]


@dataclass(frozen=True)
class Part:
    """A command on a tape.

    Attributes:
        step (Step): the command.
        offset (int): its first byte.
        size (int): bytes of it and of its payload.
    """

    step: Step
    offset: int
    size: int


class TapeWriter:
    """Writes a tape command by command.

    Args:
        config (NetworkConfig): the accelerator.

    Attributes:
        parts (list[Part]): the commands so far.
    """

    def __init__(self, config: NetworkConfig) -> None:
        self._config = config
        self._content = bytearray(self._filled(bytes(HEADER_BYTES)))
        self.parts: list[Part] = []

    def add(self, step: Step, payload: np.ndarray) -> None:
        """Adds a command.

        Args:
            step (Step): the command.
            payload (np.ndarray): what follows it, uint8, (rows, C).

        Raises:
            ValueError: a number does not fit its field.
        """
        offset = len(self._content)
        self._content += self._filled(encode_command(step.values))
        self._content += payload.tobytes()
        self.parts.append(Part(step, offset, len(self._content) - offset))

    def finish(self) -> bytes:
        """The whole tape, header and CRC included."""
        trailer_rows = -(-TRAILER_BYTES // self._config.columns)
        length = len(self._content) + trailer_rows * self._config.columns
        header = {
            "magic": MAGIC,
            "version": VERSION,
            "commands": len(self.parts) % (1 << 16),
            "configuration": self._config.tape_hash,
            "length": length,
        }
        self._content[:HEADER_BYTES] = encode(HEADER_FIELDS, header, HEADER_BYTES)
        check = zlib.crc32(self._content).to_bytes(TRAILER_BYTES, "little")
        return bytes(self._content + self._filled(check))

    def _filled(self, content: bytes) -> bytes:
        return content + bytes(-len(content) % self._config.columns)
