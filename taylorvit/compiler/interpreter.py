"""An interpreter of tapes: what the accelerator computes from a tape and an image, without its cycles.

It knows the tape, the configuration and `docs/network.md`, and nothing of the network or of the compiler's plan:
buffers are banks, operands are read from the addresses that the commands say, and what comes of a total is the
constants' business. So a wrong address, constant or order gives wrong logits.

Products may overlap in hardware; `wait` of a command says how far. The interpreter can do either extreme: every product
is finished at once, or as late as the commands after it allow (`late`). Both must give the same logits.
"""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from taylorvit.golden.arithmetic.number_format import saturate
from taylorvit.rtl.network.command import (
    COMMAND_BYTES,
    CONSTANT_BYTES,
    HEADER_BYTES,
    HEADER_FIELDS,
    KERNELS,
    MAGIC,
    TRAILER_BYTES,
    VERSION,
    Destination,
    Flag,
    Opcode,
    Source,
    Stationary,
)
from taylorvit.rtl.network.config import NetworkConfig

from .commands import decode_command
from .interpreter_attention import ATTENTIONS, Attention, rounded

__all__ = ["Interpretation", "TapeError", "interpret"]

_TABLE_ENTRIES = 256
_PIXEL_OFFSET = 128

Command = dict[str, int]


class TapeError(ValueError):
    """A tape that the accelerator would not accept."""


@dataclass
class Interpretation:
    """What came of a tape and an image.

    Attributes:
        logits (np.ndarray): int64, (classes,).
        denominator_errors (int): rows of attention whose denominator is not positive.
    """

    logits: np.ndarray
    denominator_errors: int


def interpret(
    tape: bytes, config: NetworkConfig, patches: np.ndarray, classes: int, *, late: bool = False, seed: int = 0
) -> Interpretation:
    """Computes what the accelerator computes of one image.

    Args:
        tape (bytes): the tape.
        config (NetworkConfig): the accelerator.
        patches (np.ndarray): pixels of the image, 0 to 255, (patches, pixels of a patch).
        classes (int): logits that are sent.
        late (bool): every product is finished as late as the commands after it allow; otherwise at once.
        seed (int): of what the buffers hold in the beginning.

    Raises:
        TapeError: header, check sums or length are wrong.
    """
    machine = _Machine(config, patches, classes, late=late, seed=seed)
    reader = _Reader(tape, config)
    while True:
        command = reader.command()
        match command["opcode"]:
            case Opcode.PRODUCT:
                machine.product(command, reader)
            case Opcode.CONSTANTS:
                machine.begin_layer(command, reader)
            case Opcode.END:
                machine.finish(0)
                reader.end()
                return Interpretation(machine.logits[:classes], machine.denominator_errors)


class _Reader:
    """Reads a tape from the front, row by row."""

    def __init__(self, tape: bytes, config: NetworkConfig) -> None:
        self._columns = config.columns
        self._tape = tape
        if len(tape) < HEADER_BYTES or len(tape) % self._columns:
            raise TapeError(f"tape must be of a header and whole rows of {self._columns} bytes, not {len(tape)} bytes")
        header = self._bytes(HEADER_BYTES, at=0)
        for name, wanted in (
            ("magic", MAGIC),
            ("version", VERSION),
            ("configuration", config.tape_hash),
            ("length", len(tape)),
        ):
            place = HEADER_FIELDS[name]
            found = int.from_bytes(header[place.place : place.place + place.bytes], "little")
            if found != wanted:
                raise TapeError(f"{name} of a tape must be {wanted:#x}, not {found:#x}")
        self._rows = np.frombuffer(tape, dtype=np.uint8).reshape(-1, self._columns)
        self._row = -(-HEADER_BYTES // self._columns)

    def _bytes(self, count: int, *, at: int) -> bytes:
        return self._tape[at : at + count]

    def command(self) -> Command:
        """The next command."""
        content = self.rows(-(-COMMAND_BYTES // self._columns)).tobytes()[:COMMAND_BYTES]
        try:
            return decode_command(content)
        except ValueError as error:
            raise TapeError(str(error)) from None

    def rows(self, count: int) -> np.ndarray:
        """The next rows, uint8, (count, C)."""
        rows = self._rows[self._row : self._row + count]
        if len(rows) != count:
            raise TapeError("tape must end with the command END and the CRC, and ends before")
        self._row += count
        return rows

    def constants(self) -> np.ndarray:
        """The next 8 bytes of each column, uint8, (C, 8)."""
        return np.ascontiguousarray(self.rows(CONSTANT_BYTES).T)

    def table(self, entries: int, size: int) -> np.ndarray:
        """The next rows as a table of so many entries of so many bytes each, without a sign."""
        rows = self.rows(-(-entries * size // self._columns))
        return rows.ravel()[: entries * size].view(f"<u{size}")

    @property
    def row(self) -> int:
        """Rows that have been read."""
        return self._row

    def end(self) -> None:
        """Checks the CRC, and that nothing follows it."""
        covered = self._row * self._columns
        found = self.rows(-(-TRAILER_BYTES // self._columns)).tobytes()
        wanted = zlib.crc32(self._tape[:covered])
        if int.from_bytes(found, "little") != wanted:
            raise TapeError(f"CRC of a tape must be {wanted:#010x}, and is not")
        if self._row != len(self._rows):
            raise TapeError("tape must end with its CRC, and goes on")


class _Machine:
    """Buffers, and what products do with them."""

    def __init__(self, config: NetworkConfig, patches: np.ndarray, classes: int, *, late: bool, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.config, self.late = config, late
        rows, columns = config.rows, config.columns

        def banks(number: int, depth: int, width: int) -> np.ndarray:
            half = 1 << (width - 1)
            return random.integers(-half, half, (number, depth))

        self.activation = banks(rows, config.activation_depth, 8)
        self.value = banks(columns, config.value_depth, 8)
        self.attentions = {
            name: ATTENTIONS[name](config, self.value, banks, self._write_activations) for name in config.kernels
        }
        self.attention: Attention = self.attentions[config.kernels[0]]
        self.residual = banks(columns, config.residual_depth, config.residual_width)
        self.image = banks(rows, config.image_depth, 8)
        count, pixels = patches.shape
        for pixel in range(pixels):
            first = pixel // rows * count
            self.image[pixel % rows, first : first + count] = patches[:, pixel].astype(np.int64) - _PIXEL_OFFSET
        self.logits = random.integers(-1000, 1000, config.columns * -(-config.max_classes // columns))
        # Of the LayerNorm that follows: for each token its sums over the features.
        self.features, self.epsilon = 0, 0
        self.sums = np.zeros(config.max_tokens, dtype=np.int64)
        self.squares = np.zeros(config.max_tokens, dtype=np.int64)
        self._unfinished: list[list[Callable[[], None]]] = []

    def finish(self, unfinished: int) -> None:
        """Finishes products, in their order, until so many are unfinished."""
        while len(self._unfinished) > unfinished:
            for write in self._unfinished.pop(0):
                write()

    @property
    def denominator_errors(self) -> int:
        """Rows of attention whose denominator is not positive."""
        return sum(attention.errors for attention in self.attentions.values())

    def begin_layer(self, command: Command, reader: _Reader) -> None:
        """Takes a command CONSTANTS, and the table that comes with it."""
        kernel = KERNELS[command["kernel"]]
        if kernel not in self.attentions:
            raise TapeError(f"kernel of a layer must be one of {', '.join(self.attentions)}, not {kernel}")
        self.attention = self.attentions[kernel]
        self.attention.begin(command, reader.table)

    def product(self, command: Command, reader: _Reader) -> None:
        """Computes a product, whose payload comes from the reader."""
        self.finish(command["wait"])
        config, flags = self.config, Flag(command["flags"])
        destination = Destination(command["destination"])
        table = None
        if Flag.TABLE in flags:
            table = reader.table(_TABLE_ENTRIES, 1).view(np.int8)
        begin = reader.row
        if Flag.NORM in flags:
            self._layer_norm(command, reader)
        of_kernel = destination in (Destination.KERNEL_0, Destination.KERNEL_1)
        is_counted = of_kernel or destination in (Destination.KEY, Destination.VALUE)
        half = self.attention.half(destination) if is_counted else 0
        streamed = self._streamed(command, half)
        writes: list[Callable[[], None]] = []
        token = 0
        for output_tile in range(command["output_tiles"]):
            tiles = []
            for input_tile in range(command["input_tiles"]):
                tiles.append(self._stationary(command, reader, output_tile, input_tile))
                if Flag.EMBEDDING in flags:
                    token = self._embedding(command, reader, output_tile, token if input_tile else 0)
            total = _product(streamed, np.concatenate(tiles))
            total = _wrapped(total, config.partial_sum_width)
            if of_kernel:
                writes.append(partial(self.attention.write_total, command, total, output_tile, half, streamed))
            else:
                writes.append(partial(self._write, command, total, output_tile, reader.constants(), table))
        if reader.row - begin != command["payload"]:
            raise TapeError(f"payload of a command must be {reader.row - begin} rows, not {command['payload']}")
        writes.extend(self.attention.writes(command, half, streamed))
        self._unfinished.append(writes)
        if not self.late:
            self.finish(0)

    # Operands

    def _streamed(self, command: Command, half: int) -> np.ndarray:
        """The streamed operand of all input tiles, (elements, input tiles R)."""
        source, base, stride = Source(command["source"]), command["source_base"], command["source_stride"]
        prefix, length, tiles = command["prefix"], command["length"], command["input_tiles"]
        addresses = base + np.arange(tiles)[:, np.newaxis] * stride + np.arange(length - prefix)
        if source == Source.KERNEL:
            operand = self.attention.streamed(addresses, half)
        else:
            banks = self.image if source == Source.IMAGE else self.activation
            operand = banks[:, addresses].transpose(2, 1, 0).reshape(length - prefix, -1)
        return np.pad(operand, ((prefix, 0), (0, 0)))

    def _stationary(self, command: Command, reader: _Reader, output_tile: int, input_tile: int) -> np.ndarray:
        """The stationary tile of a pass, (R, C)."""
        rows = self.config.rows
        stationary = Stationary(command["stationary"])
        if stationary == Stationary.TAPE:
            return reader.rows(rows)[::-1].view(np.int8).astype(np.int64)
        banks = self.attention.stationary(stationary)
        first = input_tile * rows
        count = min(rows, max(command["stationary_limit"] - first, 0))
        address = command["stationary_base"] + output_tile * command["stationary_stride"] + first
        return np.pad(banks[:, address : address + count].T, ((0, rows - count), (0, 0)))

    def _embedding(self, command: Command, reader: _Reader, output_tile: int, token: int) -> int:
        """Writes the next tokens of the embedding into the residual stream; returns the token behind them."""
        count = min(command["embedding_chunk"], command["length"] - token)
        rows = np.ascontiguousarray(reader.rows(2 * count).reshape(count, 2, self.config.columns).transpose(2, 0, 1))
        address = command["destination_base"] + output_tile * command["destination_stride"] + token
        self.residual[:, address : address + count] = rows.view("<i2")[:, :, 0]
        return token + count

    def _layer_norm(self, command: Command, reader: _Reader) -> None:
        """Normalizes the residual stream into the activation banks."""
        columns, rows, tokens = self.config.columns, self.config.rows, command["norm_rows"]
        total, squares, features = self.sums[:tokens], self.squares[:tokens], self.features
        variance = features * squares - total * total + self.epsilon
        bits = np.array([int(each).bit_length() for each in variance])
        half_shift = (bits - 30 + 1) >> 1
        scaled = np.where(
            half_shift >= 0, variance >> np.maximum(2 * half_shift, 0), variance << np.maximum(-2 * half_shift, 0)
        )
        root = np.array([math.isqrt((1 << 58) // int(each)) for each in scaled])
        factor, offset = features * root, total * root
        for tile in range(command["norm_tiles"]):
            constants = reader.constants()
            gamma = constants[:, 0:2].copy().view("<i2").astype(np.int64)
            beta = constants[:, 2:6].copy().view("<i4").astype(np.int64)
            address = tile * command["norm_stride"]
            x = self.residual[:, address : address + tokens] << constants[:, 6:7].astype(np.int64)  # (C, tokens)
            normalized = rounded(x * factor - offset, 17 + half_shift)
            output = saturate(rounded(normalized * gamma + beta, np.array(command["norm_shift"])), 8)
            place = tile * columns + np.arange(columns)
            addresses = command["source_base"] + (place // rows * tokens)[:, np.newaxis] + np.arange(tokens)
            self.activation[(place % rows)[:, np.newaxis], addresses] = output

    # Totals

    def _write(self, command: Command, total: np.ndarray, tile: int, constants: np.ndarray, table) -> None:
        """What becomes of the totals of a linear layer, (elements, C)."""
        config = self.config
        bias = constants[:, 0:4].copy().view("<i4").ravel().astype(np.int64)
        stream_shift, branch_shift, right_shift, left_shift = constants[:, 4:8].T.astype(np.int64)
        total = _wrapped(total + bias, config.sum_width)
        destination = Destination(command["destination"])
        places = tile * config.columns + np.arange(config.columns)
        if destination == Destination.LOGITS:
            [logits] = total
            self.logits[command["destination_base"] + places] = logits
            return
        aligned = total << branch_shift
        if destination == Destination.RESIDUAL:
            address = command["destination_base"] + tile * command["destination_stride"]
            stream = self.residual[:, address : address + command["length"]]  # (C, tokens)
            aligned = _wrapped(aligned + (stream.T << stream_shift), config.aligned_width)
            feature = saturate(rounded(aligned, right_shift), config.residual_width)
            stream[:] = feature.T
            self._count(command, feature << left_shift, first=tile == 0)
            return
        activation = saturate(rounded(_wrapped(aligned, config.aligned_width), right_shift), 8)
        if table is not None:
            activation = table[activation + 128].astype(np.int64)
        if destination == Destination.ACTIVATION:
            self._write_activations(command, activation, tile)
        elif destination == Destination.KEY:
            self.attention.write_key(command, activation, places)
        else:
            address = command["destination_base"] + tile * command["destination_stride"]
            self.value[:, address : address + command["length"]] = activation.T

    def _write_activations(self, command: Command, activation: np.ndarray, tile: int) -> None:
        rows, columns = self.config.rows, self.config.columns
        place = command["destination_bank"] + tile * columns + np.arange(columns)
        first = command["destination_base"] + place // rows * command["destination_stride"]
        self.activation[place % rows, first + np.arange(command["length"])[:, np.newaxis]] = activation

    def _count(self, command: Command, x: np.ndarray, *, first: bool) -> None:
        """Adds features in one exponent, (tokens, C), to the sums of their tokens."""
        tokens = slice(command["first_token"], command["first_token"] + len(x))
        if first:
            self.features, self.epsilon = command["norm_features"], command["epsilon"]
            self.sums[tokens], self.squares[tokens] = 0, 0
        self.sums[tokens] += x.sum(axis=1)
        self.squares[tokens] += (x * x).sum(axis=1)


def _product(streamed: np.ndarray, stationary: np.ndarray) -> np.ndarray:
    """The exact product: sums are far below 2^53."""
    return (streamed.astype(np.float64) @ stationary.astype(np.float64)).astype(np.int64)


def _wrapped(x: np.ndarray, width: int) -> np.ndarray:
    """The lowest bits of x, as a signed number."""
    half = 1 << (width - 1)
    return ((x + half) & ((1 << width) - 1)) - half
