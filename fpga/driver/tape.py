"""Tapes as a driver handles them: whether a tape is for an accelerator, and its pieces on the link."""

from dataclasses import dataclass

from taylorvit.rtl.network.command import HEADER_BYTES, HEADER_FIELDS, MAGIC, VERSION

__all__ = ["CHUNK_BYTES", "Chunk", "check_tape", "chunks_of"]

CHUNK_BYTES = 1 << 16
"""Bytes that are checked and, if they differ, sent again as one."""

_WORD = 4  # bytes of a word of the link's packets for memory


@dataclass(frozen=True)
class Chunk:
    """A part of a tape.

    Attributes:
        address (int): of its first byte, where it is in the tape and in the memory, a multiple of 4.
        data (bytes): its bytes.
    """

    address: int
    data: bytes

    @property
    def padded(self):
        """Its bytes and zeros, to whole words of the link."""
        return self.data + bytes(-len(self.data) % _WORD)


def chunks_of(data, shortest, size=CHUNK_BYTES):
    """Cuts a tape.

    Args:
        data (bytes): the tape.
        shortest (int): bytes that a chunk has at least: an accelerator reads no shorter tape.
        size (int): bytes of a chunk, a multiple of 4 and whole words of the tape, at least `shortest`.

    Returns:
        list[Chunk]: the chunks; the last has what is left, and belongs to the one before it if that is too little.
    """
    starts = list(range(0, len(data), size))
    if len(starts) > 1 and len(data) - starts[-1] < shortest:
        starts.pop()
    ends = [*starts[1:], len(data)]
    return [Chunk(start, bytes(data[start:end])) for start, end in zip(starts, ends)]


def check_tape(tape, accelerator, memory_bytes, source="tape"):
    """Checks that a tape is for an accelerator; not its checksums, which are the hardware's business.

    Args:
        tape (bytes): the tape.
        accelerator (NetworkConfig | NetworkView): the accelerator.
        memory_bytes (int | None): bytes of the memory that it goes to; None if they are not known.
        source (object): where the tape is from, which the text of an error begins with.

    Raises:
        ValueError: it is no tape, or one for another accelerator, or longer than the memory.
    """
    if len(tape) < HEADER_BYTES:
        raise ValueError(f"{source} must be a tape of at least {HEADER_BYTES} bytes, not of {len(tape)}")
    header = {
        name: int.from_bytes(tape[field.place : field.place + field.bytes], "little")
        for name, field in HEADER_FIELDS.items()
    }
    for name, expected in {"magic": MAGIC, "version": VERSION}.items():
        if header[name] != expected:
            raise ValueError(f"{source}: {name} of the tape must be {expected:#x}, not {header[name]:#x}")
    if header["length"] != len(tape):
        raise ValueError(f"{source} must have {header['length']:,} bytes, as its header says, not {len(tape):,}")
    if header["configuration"] != accelerator.tape_hash:
        raise ValueError(
            f"{source} must be a tape for the configuration of {accelerator.name}, {accelerator.tape_hash:#018x}, not "
            f"for {header['configuration']:#018x}: compile the model for it"
        )
    # What the hash does not hold: where the tape is.
    if memory_bytes is not None and len(tape) > memory_bytes:
        field = " (tape_memory_bytes)" if accelerator.tape_source == "memory" else ""
        raise ValueError(
            f"{source} must have at most {memory_bytes:,} bytes, which the memory of {accelerator.name} has{field}, "
            f"not {len(tape):,}"
        )
