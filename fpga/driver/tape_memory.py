"""The memory of tapes, as a driver fills and checks it.

    load:  CRCs of the tape, without its own at the end and whole  --equal--> it is there, nothing is sent
                  |
                  '--> CRCs of each chunk --differs--> sent by packets of the stream MEMORY --> CRCs of the tape

The accelerator itself computes the CRC of what is in the memory, by a job of its own (CONTROL.CHECK), as fast as the
memory is. So a tape that is there is recognized, whoever has put it there; one whose transfer was interrupted goes on
with the first chunk that is missing; and a bad byte costs one chunk.
"""

import random
import zlib
from dataclasses import dataclass

from taylorvit.fpga.protocol import memory_packet
from taylorvit.rtl.network.command import TRAILER_BYTES

from .accelerator import BUSY
from .errors import BoardReset, JobError, WrongBoard
from .tape import Chunk, check_tape, chunks_of
from .transfer import Transfer

__all__ = ["LoadReport", "MemoryReport", "TapeMemory"]

CHECK = 4  # of CONTROL
_ATTEMPTS = 3  # to write what then reads as it was written
_SLACK = 8  # cycles that a word of the tape may take


@dataclass(frozen=True)
class LoadReport:
    """What it took to load a tape.

    Attributes:
        sent_bytes (int): bytes of the tape that were sent.
        kept_bytes (int): bytes of it that were there.
        seconds (float): that it took, by the port's clock.
    """

    sent_bytes: int
    kept_bytes: int
    seconds: float


@dataclass(frozen=True)
class MemoryReport:
    """What a test of the memory of tapes found.

    Attributes:
        tested_bytes (int): bytes that were written and read back.
        errors (int): places that read otherwise than they were written: words of external memory, pieces of `piece`
            bytes of memory on the chip.
        first (int | None): byte address of the first of them; None if there is none.
        piece (int): bytes of a place.
        seconds (float): that it took, by the port's clock.
    """

    tested_bytes: int
    errors: int
    first: int | None
    piece: int
    seconds: float


class TapeMemory:
    """The memory of tapes of a network accelerator that is open: on the chip, or as `fpga.driver.board_memory` says.

    Args:
        accelerator (TaylorVitNetwork): its driver.
    """

    def __init__(self, accelerator):
        self._accelerator = accelerator
        self._link, self._port, self._view = accelerator.link, accelerator.port, accelerator.view

    @property
    def size(self):
        """Bytes of the memory.

        Raises:
            WrongBoard: the accelerator reads its tape from a stream.
        """
        if self._view.tape_source != "memory":
            raise self._missing(f"take them from {self._view.tape_source!r}")
        return self._view.tape_memory_bytes

    def _missing(self, instead):
        rule = f"accelerator on {self._port.name} must have a memory for tapes that the link can fill"
        return WrongBoard(f"{rule}, not {instead}")

    def load(self, tape, on_progress):
        """Has a tape in the memory.

        Args:
            tape (bytes): the tape.
            on_progress (Callable[[int, int], None]): is called with the bytes that have been sent, and with how many
                there are to send.

        Returns:
            LoadReport: what it took.

        Raises:
            ValueError: the tape is not for this accelerator, or too long.
            JobError: the memory does not keep it.
        """
        began = self._port.now()
        check_tape(tape, self._view, self.size)
        whole, sent = Chunk(0, bytes(tape)), 0
        there = self.holds(whole)
        attempts = 0
        shortest = self._view.shortest_tape + self._trailer
        while not there:
            if attempts == _ATTEMPTS:
                raise JobError(
                    f"memory of {self._port.name} does not keep the tape: after {attempts} attempts its CRC still "
                    "differs; test the memory"
                )
            missing = [chunk for chunk in chunks_of(tape, shortest) if not self.holds(chunk)]
            self.write(missing, on_progress)
            sent += sum(len(chunk.data) for chunk in missing)
            there = self.holds(whole)
            attempts += 1
        return LoadReport(sent, max(len(tape) - sent, 0), self._port.now() - began)

    def holds(self, chunk):
        """Whether a chunk is in the memory.

        A tape ends with its own CRC, and so has the CRC of any other tape of its length. The bytes before the end of a
        chunk, which differ if the tapes do, are therefore summed too.

        Args:
            chunk (Chunk): the chunk.

        Returns:
            bool: whether it is.
        """
        lengths = [len(chunk.data) - self._trailer, len(chunk.data)]
        return all(
            self.sum(chunk.address, length) == zlib.crc32(chunk.data[:length])
            for length in lengths
            if length >= self._view.shortest_tape
        )

    @property
    def _trailer(self):
        """Bytes at the end of a tape that are its CRC, in whole rows of the array and whole words of the tape."""
        unit = max(self._view.columns, self._view.tape_bytes)
        return -(-TRAILER_BYTES // unit) * unit

    def sum(self, address, count):
        """Has the accelerator compute the CRC of bytes in the memory.

        Args:
            address (int): of the first byte, a whole word of the tape.
            count (int): bytes, whole words of the tape, at least `shortest_tape`.

        Returns:
            int: their CRC-32.

        Raises:
            ValueError: these are no whole words of the tape, fewer than `shortest_tape`, or not in the memory.
            JobError: the memory cannot be read, or not in time.
            BoardReset: the board was reset.
        """
        accelerator, word = self._accelerator, self._view.tape_bytes
        if address % word or count % word:
            raise ValueError(
                f"address and count must be multiples of {word}, the bytes of a word of the tape, not {address!r} and "
                f"{count!r}"
            )
        end = self._view.tape_memory_bytes
        if end and address + count > end:
            raise ValueError(f"bytes must be in the memory of {end:,} bytes, not {count:,} from {address:,} on")
        accelerator.set_parameters({"TAPE_BASE": address, "TAPE_LENGTH": count})
        accelerator.start(CHECK)
        cycles = _SLACK * count / self._view.tape_bytes
        deadline = self._port.now() + self._port.stall + cycles / self._link.identification.clock_hz
        while (words := accelerator.read_all(["STATUS", "EVENTS", "TAPE_SUM"]))["STATUS"] & BUSY:
            if self._port.now() > deadline:
                raise JobError(f"check of the tape on {self._port.name} did not end; reset the accelerator")
        events = accelerator.events_in(words["EVENTS"])
        if not events:
            raise BoardReset(f"board on {self._port.name} was reset while it checked the tape")
        if events != {"DONE"}:
            raise JobError(
                f"memory of tapes of {self._port.name} cannot be read: events {', '.join(sorted(events - {'DONE'}))}"
            )
        return words["TAPE_SUM"]

    def write(self, chunks, on_progress=lambda sent, total: None):
        """Writes chunks, and waits until the board has them in the memory.

        Args:
            chunks (list[Chunk]): the chunks.
            on_progress (Callable[[int, int], None]): as in `load`.

        Raises:
            JobError: nothing moves.
            BoardReset: the board was reset.
        """
        packets = b"".join(memory_packet(chunk.address, chunk.padded) for chunk in chunks)
        Transfer(self._link, packets, on_arrived=lambda arrived: on_progress(arrived, len(packets))).run()
        deadline = self._port.now() + self._port.stall
        while self._link.status().free < self._link.identification.send_bytes:
            if self._port.now() > deadline:
                raise JobError(f"memory of tapes of {self._port.name} does not take what is written to it")
        self._accelerator.require_known_packets()

    def test(self, on_progress):
        """Writes patterns over the whole memory, and reads them back. A tape that was there is lost.

        Args:
            on_progress (Callable[[int, int], None]): is called with the bytes that have been sent, and with how many
                there are to send.

        Returns:
            MemoryReport: what was found.
        """
        began, size = self._port.now(), self.size
        pattern = random.Random(0).randbytes(size)
        bad = set()
        for number, data in enumerate((pattern, bytes(255 - byte for byte in pattern))):
            chunks = chunks_of(data, self._view.shortest_tape, self._piece)
            self.write(chunks, lambda sent, total, number=number: on_progress(number * total + sent, 2 * total))
            if self.sum(0, size) != zlib.crc32(data):
                bad |= {chunk.address for chunk in chunks if not self.holds(chunk)}
        return MemoryReport(size, len(bad), min(bad, default=None), self._piece, self._port.now() - began)

    @property
    def _piece(self):
        """Bytes in which a test of memory on the chip looks for errors."""
        return max(1024, 1 << (self._view.shortest_tape - 1).bit_length())
