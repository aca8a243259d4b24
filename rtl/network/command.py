"""The commands of a tape: what the network accelerator can be told, byte by byte.

A tape is the model in the order in which the accelerator uses it: a header, commands, and behind each command what it
needs (weights, constants, a table). `docs/network.md` describes the whole tape; here are the places of the fields,
which the hardware decodes and the compiler writes. Everything is little-endian; a place is a byte of the header or of
the command.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

__all__ = [
    "COMMAND_BYTES",
    "CONSTANTS_FIELDS",
    "CONSTANT_BYTES",
    "EXPONENTIAL_BYTES",
    "FIELDS",
    "HEADER_BYTES",
    "HEADER_FIELDS",
    "KERNELS",
    "KERNEL_CONSTANTS",
    "KERNEL_CONSTANT_BYTES",
    "KERNEL_CONSTANT_PLACE",
    "MAGIC",
    "TRAILER_BYTES",
    "VERSION",
    "Destination",
    "Field",
    "Flag",
    "Kind",
    "Opcode",
    "Source",
    "Stationary",
    "check_sum",
]

MAGIC = int.from_bytes(b"TViT", "little")
"""The first four bytes of a tape."""

VERSION = 1
"""Version of the tape's format."""

HEADER_BYTES = 32
COMMAND_BYTES = 64
TRAILER_BYTES = 4
"""Bytes of the CRC behind the command END."""

CONSTANT_BYTES = 8
"""Bytes of the constants of one column, of an output tile or of a LayerNorm's tile."""

KERNEL_CONSTANT_PLACE = 24
KERNEL_CONSTANT_BYTES = 40
"""Place and bytes of the constants of the attention kernel in the command CONSTANTS."""

KERNELS = ("taylor", "softmax")
"""Attention kernels that a layer can have; the place of each is its number in the command CONSTANTS."""

EXPONENTIAL_BYTES = 2
"""Bytes of an entry of the table of exponentials, which follows the command CONSTANTS of softmax."""


class Opcode(IntEnum):
    """What a command is."""

    PRODUCT = 1
    CONSTANTS = 2
    END = 15


class Kind(IntEnum):
    """What part of the network a command is; hardware only counts cycles by it."""

    EMBEDDING = 0
    QUERY_KEY_VALUE = 1
    ATTENTION = 2
    PROJECTION = 3
    MLP_UP = 4
    MLP_DOWN = 5
    HEAD = 6
    OTHER = 7


class Source(IntEnum):
    """Where the streamed operand of a product comes from."""

    ACTIVATION = 0
    IMAGE = 1
    KERNEL = 2


class Stationary(IntEnum):
    """Where the stationary operand of a product comes from: the tape, or a buffer of the attention kernel."""

    TAPE = 0
    KERNEL_0 = 1
    KERNEL_1 = 2


class Destination(IntEnum):
    """Where the totals of a product go.

    The first three are linear layers: an activation, the residual stream (the total is added to it), the logits. A
    KEY and a VALUE are activations that the attention kernel keeps. The last two are totals for the kernel itself.
    """

    ACTIVATION = 0
    RESIDUAL = 1
    LOGITS = 2
    KEY = 3
    VALUE = 4
    KERNEL_0 = 5
    KERNEL_1 = 6


class Flag(IntFlag):
    """What a product has besides.

    NORM: its streamed operand is the LayerNorm of the residual stream, which is written into the activation banks as
    the product begins. TABLE: a table of 256 bytes comes with it, through which its activations go. EMBEDDING: the
    residual stream that its totals are added to comes with it.
    """

    NORM = 1
    TABLE = 2
    EMBEDDING = 4


@dataclass(frozen=True, kw_only=True)
class Field:
    """A number in a header or a command.

    Attributes:
        name (str): its name.
        place (int): its first byte.
        bytes (int): its length.
        description (str): a phrase.
    """

    name: str
    place: int
    bytes: int
    description: str


def _fields(*rows):
    return {name: Field(name=name, place=place, bytes=size, description=text) for place, size, name, text in rows}


HEADER_FIELDS = _fields(
    (0, 4, "magic", "the bytes 'TViT'"),
    (4, 2, "version", "version of the format"),
    (6, 2, "commands", "number of commands, END included, modulo 65,536"),
    (8, 8, "configuration", "hash of the accelerator's configuration"),
    (16, 4, "length", "bytes of the whole tape, header and trailer included"),
    (20, 12, "reserved", "zeros"),
)
"""Fields of the header."""

FIELDS = _fields(
    (0, 1, "opcode", "what the command is (`Opcode`)"),
    (1, 1, "kind", "what part of the network it is (`Kind`)"),
    (2, 1, "wait", "it begins when at most so many of the products before it are unfinished"),
    (3, 1, "flags", "what it has besides (`Flag`)"),
    (4, 1, "source", "where the streamed operand comes from (`Source`)"),
    (5, 1, "stationary", "where the stationary operand comes from (`Stationary`)"),
    (6, 1, "destination", "where the totals go (`Destination`)"),
    (7, 1, "prefix", "first elements of each pass that are zeros; the addresses begin behind them"),
    (8, 2, "length", "elements of a pass"),
    (10, 2, "input_tiles", "tiles of R rows that are accumulated"),
    (12, 2, "output_tiles", "tiles of C columns"),
    (14, 2, "check", "complement of the sum of the other 16-bit words of the command"),
    (16, 4, "source_base", "address of the first element of the first input tile"),
    (20, 2, "source_stride", "addresses from an input tile to the next"),
    (22, 2, "destination_bank", "activation bank of column 0 of the first output tile"),
    (24, 4, "destination_base", "address of the first element of the first output tile"),
    (28, 2, "destination_stride", "addresses from a tile to the next (`docs/network.md`)"),
    (30, 2, "stationary_stride", "addresses from an output tile of the kernel's buffer to the next"),
    (32, 4, "stationary_base", "address of the first row of the kernel's buffer"),
    (36, 2, "stationary_limit", "rows of the kernel's buffer; those beyond are zeros"),
    (38, 2, "pass_length", "cycles of a pass, at least `length`"),
    (40, 2, "norm_tiles", "with NORM: tiles of C features of the LayerNorm"),
    (42, 2, "norm_rows", "with NORM: tokens of the LayerNorm, and addresses from an activation tile to the next"),
    (44, 2, "norm_stride", "with NORM: addresses of the residual stream from a tile to the next"),
    (46, 1, "norm_shift", "with NORM: right shift of the LayerNorm's output"),
    (47, 1, "reserved", "zero"),
    (48, 2, "norm_features", "of RESIDUAL: features of a token, for the LayerNorm that follows"),
    (50, 6, "epsilon", "of RESIDUAL: what is added to the scaled variance, for the LayerNorm that follows"),
    (56, 4, "payload", "rows of C bytes that follow the command, its table not included"),
    (60, 2, "embedding_chunk", "with EMBEDDING: tokens whose embedding follows each tile of weights"),
    (62, 2, "first_token", "of RESIDUAL: token of the first element, for the LayerNorm that follows"),
)
"""Fields of the command PRODUCT; CONSTANTS and END have `opcode` and `check`, and `kind`, too."""

CONSTANTS_FIELDS = {name: FIELDS[name] for name in ("opcode", "kind", "check")} | _fields(
    (16, 2, "tokens", "tokens of K and V"),
    (18, 2, "rows", "tokens of Q"),
    (20, 2, "head_dim", "features of a head"),
    (22, 1, "kernel", "attention kernel of the layer (`KERNELS`)"),
    (23, 1, "reserved", "zero"),
)
"""Fields of the command CONSTANTS; those of the kernel are beside them."""

KERNEL_CONSTANTS = {
    "taylor": _fields(
        (24, 1, "shift_g", "right shift that requantizes G"),
        (25, 1, "shift_z", "left shift of the numerator, signed"),
        (32, 8, "c_v", "constant c_v"),
        (40, 16, "c_d", "constant c_d"),
    ),
    "softmax": _fields(
        (24, 1, "shift_s", "right shift that requantizes scores"),
        (25, 1, "shift_z", "left shift of the numerator, signed"),
        (26, 2, "key_stride", "addresses of K from a tile of C tokens to the next"),
    ),
}
"""Fields of the command CONSTANTS that belong to an attention kernel, by its name."""


def check_sum(command: bytes) -> int:
    """The field `check` of a command: with it, the 16-bit words of the command add up to 0xFFFF modulo 65,536.

    Args:
        command (bytes): the command, of `COMMAND_BYTES`; what stands in the field does not count.
    """
    place = FIELDS["check"].place
    words = (int.from_bytes(command[byte : byte + 2], "little") for byte in range(0, len(command), 2) if byte != place)
    return 0xFFFF - sum(words) & 0xFFFF
