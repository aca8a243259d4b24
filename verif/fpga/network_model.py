"""A network accelerator in Python, for `verif.fpga.board_model`: a memory of tapes, and logits of images.

`logits` says what comes out for an image; by default its pixels and the tape's CRC, mixed, so that a test notices a
changed byte of either. Images are taken one at a time, the next while one is computed. A check takes as many cycles as
the tape has words. The memory outlives a reset, not `forget`. With `tape_source` "axi" it is beside the FPGA, of
MEMORY_BYTES, with registers of its own, and its test takes TEST_SECONDS.
"""

from __future__ import annotations

import zlib
from collections import deque

import numpy as np

from taylorvit.fpga.memory.register_map import memory_register_map
from taylorvit.fpga.protocol import Stream
from taylorvit.rtl.network.control.registers import register_map
from verif.fpga.register_model import RegisterModel

__all__ = ["NetworkModel", "mixed_logits"]

CYCLES_OF_AN_IMAGE = 10_000
MEMORY_BYTES = 1 << 18
TEST_SECONDS = 0.02


def mixed_logits(image: bytes, tape: bytes, classes: int) -> np.ndarray:
    """Logits that depend on every byte of image and tape."""
    sums = [zlib.crc32(tape, zlib.crc32(image, number)) for number in range(classes)]
    return np.array(sums, dtype=np.uint32).astype(np.int32)


class NetworkModel(RegisterModel):
    """Registers, a memory of tapes, and images that become logits."""

    items = "IMAGES"

    def __init__(self, config, compute_seconds):
        super().__init__(config, compute_seconds)
        self.logits = mixed_logits
        self.stuck_bits: dict[int, int] = {}  # address -> bits that are always 1
        self.written_bytes = 0
        self.forget()

    @property
    def beat_bytes(self) -> int:
        return self.config.image_lanes

    def forget(self) -> None:
        """Power was off."""
        size = MEMORY_BYTES if self.config.tape_source == "axi" else self.config.tape_memory_bytes
        self.memory = bytearray(b"\xa5" * size)

    def reset(self) -> None:
        self.reset_registers(register_map(self.config))
        self.waiting: deque[bytes] = deque()  # images that are in, at most one
        self.check_ends: float | None = None
        self.busy_until = 0.0
        self.taken = 0
        self.address: int | None = None  # of the next word, in a packet of MEMORY
        registers = memory_register_map(len(self.memory)) if self.config.tape_source == "axi" else ()
        self.of_memory = {register.offset: register.name for register in registers}
        self.memory_values = {register.name: register.reset for register in registers}
        self.test_ends: float | None = None
        self.ready = self.now + 1e-4

    def read(self, address: int) -> int | None:
        self._end_check()
        name = self.of_memory.get(address)
        if name != "MEMORY_STATUS":
            return super().read(address) if name is None else self.memory_values[name]
        if self.test_ends is not None and self.now >= self.test_ends:
            self.test_ends = None
            wrong = sorted(self.stuck_bits)
            self.memory_values |= {"TEST_ERRORS": len(wrong), "TEST_ADDRESS": wrong[0] if wrong else 0}
            self.memory[:] = bytes(len(self.memory))
        testing, failed = self.test_ends is not None, self.memory_values["TEST_ERRORS"] > 0
        return (self.now >= self.ready) | testing << 1 | failed << 2

    def write(self, address: int, data: int) -> str | None:
        if self.of_memory.get(address) != "MEMORY_CONTROL":
            return super().write(address, data)
        if self.test_ends is not None:
            return None
        self.test_ends = self.now + TEST_SECONDS
        return "MEMORY_CONTROL"

    def control(self, data: int) -> None:
        if not data & 0b101:
            return
        if self.values["STATUS"]:
            self.raise_events({"START_WHILE_BUSY"})
            return
        self.values |= {"STATUS": 1, **dict.fromkeys(self.registers.counters, 0)}
        self.taken = self.finished = 0
        if data & 0b100:
            words = self.values["TAPE_LENGTH"] / self.config.tape_bytes
            self.check_ends = self.now + words / self.clock_hz

    def _end_check(self) -> None:
        if self.check_ends is not None and self.now >= self.check_ends:
            self.check_ends = None
            self.values |= {"STATUS": 0, "TAPE_SUM": zlib.crc32(self._tape())}
            self.raise_events({"DONE"} | self.events_to_raise)

    def _tape(self) -> bytes:
        base, length = self.values["TAPE_BASE"], self.values["TAPE_LENGTH"]
        data = bytearray(self.memory[base : base + length])
        for address, bits in self.stuck_bits.items():
            if base <= address < base + length:
                data[address - base] |= bits
        return bytes(data)

    def take(self, buffer: bytearray, moment: float) -> bool:
        """Packets from the buffer, words of MEMORY as they come, images as a whole; True if one was malformed."""
        malformed = False
        while len(buffer) >= 4:
            stream, length = buffer[0], int.from_bytes(buffer[1:4], "little")
            if stream == Stream.MEMORY and length % 4 == 0 and length >= (8 if self.address is None else 4):
                if not self._take_words(buffer, length):
                    break
            elif stream == Stream.IMAGE and length:
                if not self._take_image(buffer, length, moment):
                    break
            else:
                malformed = True
                del buffer[:4]
        return malformed

    def _take_words(self, buffer: bytearray, length: int) -> bool:
        """As many words as are there; whether anything was taken. The heading stays, with what is left of it."""
        if self.address is None:
            if len(buffer) < 8:
                return False
            self.address = int.from_bytes(buffer[4:8], "little")
            del buffer[4:8]
            length -= 4
        count = min(length, (len(buffer) - 4) // 4 * 4)
        if not count:
            buffer[1:4] = length.to_bytes(3, "little")
            return False
        self.memory[self.address : self.address + count] = buffer[4 : 4 + count]
        self.written_bytes += count
        self.address += count
        del buffer[4 : 4 + count]
        length -= count
        if length:
            buffer[1:4] = length.to_bytes(3, "little")
        else:
            del buffer[:4]
            self.address = None
        return True

    def _take_image(self, buffer: bytearray, length: int, moment: float) -> bool:
        running = self.values["STATUS"] and self.check_ends is None
        if not running or self.taken == self.values["IMAGES"]:
            return False
        if len(buffer) == 4 or (not self.waiting and moment < self.busy_until - self.compute_seconds):
            return False
        if not self.waiting:
            self.waiting.append(bytearray())
        image = self.waiting[-1]
        part = buffer[4 : 4 + length]
        image += part
        del buffer[4 : 4 + len(part)]
        length -= len(part)
        if length:
            buffer[1:4] = length.to_bytes(3, "little")
            return True
        del buffer[:4]
        self.waiting.pop()
        self.taken += 1
        self.busy_until = max(self.busy_until, moment) + self.compute_seconds
        classes = self.values["CLASSES"]
        logits = np.asarray(self.logits(bytes(image), self._tape(), classes), dtype="<i4")
        self.computed.append((self.busy_until, logits.tobytes()))
        return True

    def counted(self):
        finished = self.finished
        return {
            "IMAGES_DONE": finished,
            "IMAGE_CYCLES": CYCLES_OF_AN_IMAGE if finished > 1 else 0,
            "CYCLES": finished * CYCLES_OF_AN_IMAGE,
            "STALL_IMAGE": 10 * finished,
        }
