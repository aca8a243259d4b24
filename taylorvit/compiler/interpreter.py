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
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from taylorvit.golden.arithmetic.number_format import divide_round_half_up, exact, magnitude, saturate
from taylorvit.rtl.network.command import (
    COMMAND_BYTES,
    CONSTANT_BYTES,
    EXPONENTIAL_BYTES,
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


@dataclass
class _Kernel:
    """What the attention kernel keeps of two heads: products since CONSTANTS, by their destination, and two halves.

    Of softmax, halves are those of blocks of queries, not of heads.
    """

    name: str = ""
    products: dict[Destination, int] = field(default_factory=dict)
    mean: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0, dtype=np.int64)] * 2)
    v_sum: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0, dtype=np.int64)] * 2)
    k_hat_sum: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0, dtype=np.int64)] * 2)

    exponentials: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    maxima: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0, dtype=np.int64)] * 2)

    def half(self, destination: Destination) -> int:
        """The half of the next product of this kind."""
        count = self.products.get(destination, 0)
        self.products[destination] = count + 1
        return count % 2


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
        if "taylor" in config.kernels:
            self.key = banks(rows, config.key_depth, 8)
            self.g = banks(columns, config.g_depth, 8)
        if "softmax" in config.kernels:
            self.turned_key = banks(columns, config.key_column_depth, 8)
            self.score = banks(rows, config.score_depth, config.score_width)
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
        self.constants: Command = {}
        self.kernel = _Kernel()
        self.denominator_errors = 0
        self._unfinished: list[list[Callable[[], None]]] = []

    def finish(self, unfinished: int) -> None:
        """Finishes products, in their order, until so many are unfinished."""
        while len(self._unfinished) > unfinished:
            for write in self._unfinished.pop(0):
                write()

    def begin_layer(self, command: Command, reader: _Reader) -> None:
        """Takes a command CONSTANTS, and the exponentials that come with it."""
        kernel = KERNELS[command["kernel"]]
        if kernel not in self.config.kernels:
            raise TapeError(f"kernel of a layer must be one of {', '.join(self.config.kernels)}, not {kernel}")
        self.constants, self.kernel = command, _Kernel(kernel)
        if kernel == "softmax":
            # They are written when no product uses those before, whatever else is unfinished.
            table = reader.table(self.config.exponential_entries, EXPONENTIAL_BYTES)
            self.kernel.exponentials = table & ((1 << self.config.exponential_width) - 1)

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
        half = self.kernel.half(destination) if of_kernel or destination in (Destination.KEY, Destination.VALUE) else 0
        streamed = self._streamed(command, half)
        is_softmax = self.kernel.name == "softmax"
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
            if destination == Destination.KERNEL_0:
                write = self._write_scores if is_softmax else self._write_g
                writes.append(partial(write, command, self.kernel, total, output_tile, half))
            elif destination == Destination.KERNEL_1 and is_softmax:
                writes.append(partial(self._write_quotients, command, total, output_tile, streamed))
            elif destination == Destination.KERNEL_1:
                writes.append(partial(self._write_z, command, total, output_tile, half, streamed))
            else:
                writes.append(partial(self._write, command, total, output_tile, reader.constants(), table))
        if reader.row - begin != command["payload"]:
            raise TapeError(f"payload of a command must be {reader.row - begin} rows, not {command['payload']}")
        if self.kernel.name == "taylor":
            writes.extend(self._kernel_writes(command, half, streamed))
        self._unfinished.append(writes)
        if not self.late:
            self.finish(0)

    # Operands

    def _streamed(self, command: Command, half: int) -> np.ndarray:
        """The streamed operand of all input tiles, (elements, input tiles R)."""
        source, base, stride = Source(command["source"]), command["source_base"], command["source_stride"]
        prefix, length, tiles = command["prefix"], command["length"], command["input_tiles"]
        is_softmax = self.kernel.name == "softmax"
        if source == Source.KERNEL:
            banks = self.score if is_softmax else self.key
        else:
            banks = self.image if source == Source.IMAGE else self.activation
        addresses = base + np.arange(tiles)[:, np.newaxis] * stride + np.arange(length - prefix)
        operand = banks[:, addresses].transpose(2, 1, 0).reshape(length - prefix, -1)
        if source == Source.KERNEL and is_softmax:
            # Beyond the last token there is anything; the stationary operand is zero there.
            differences = self.kernel.maxima[half][:length, np.newaxis] - operand
            exponentials = np.append(self.kernel.exponentials, 0)
            entries = len(exponentials) - 1
            operand = exponentials[np.where(differences < 0, entries, np.minimum(differences, entries))]
        elif source == Source.KERNEL:
            operand = (operand << self.config.mean_fraction) - self.kernel.mean[half][:length, np.newaxis]
        return np.pad(operand, ((prefix, 0), (0, 0)))

    def _stationary(self, command: Command, reader: _Reader, output_tile: int, input_tile: int) -> np.ndarray:
        """The stationary tile of a pass, (R, C)."""
        rows = self.config.rows
        stationary = Stationary(command["stationary"])
        if stationary == Stationary.TAPE:
            return reader.rows(rows)[::-1].view(np.int8).astype(np.int64)
        if stationary == Stationary.KERNEL_0:
            banks = self.value
        else:
            banks = self.turned_key if self.kernel.name == "softmax" else self.g
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
            normalized = _rounded(x * factor - offset, 17 + half_shift)
            output = saturate(_rounded(normalized * gamma + beta, np.array(command["norm_shift"])), 8)
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
        elements = np.arange(command["length"])
        if destination == Destination.LOGITS:
            [logits] = total
            self.logits[command["destination_base"] + places] = logits
            return
        aligned = total << branch_shift
        if destination == Destination.RESIDUAL:
            address = command["destination_base"] + tile * command["destination_stride"]
            stream = self.residual[:, address : address + command["length"]]  # (C, tokens)
            aligned = _wrapped(aligned + (stream.T << stream_shift), config.aligned_width)
            feature = saturate(_rounded(aligned, right_shift), config.residual_width)
            stream[:] = feature.T
            self._count(command, feature << left_shift, first=tile == 0)
            return
        activation = saturate(_rounded(_wrapped(aligned, config.aligned_width), right_shift), 8)
        if table is not None:
            activation = table[activation + 128].astype(np.int64)
        if destination == Destination.ACTIVATION:
            self._write_activations(command, activation, tile)
        elif destination == Destination.KEY and self.kernel.name == "softmax":
            addresses = command["destination_base"] + elements // config.columns * self.constants["key_stride"]
            banks = (elements % config.columns)[:, np.newaxis]
            self.turned_key[banks, addresses[:, np.newaxis] + places] = activation
        elif destination == Destination.KEY:
            addresses = command["destination_base"] + elements // config.rows * command["destination_stride"]
            self.key[(elements % config.rows)[:, np.newaxis], addresses[:, np.newaxis] + places] = activation
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

    # The attention kernel

    def _kernel_writes(self, command: Command, half: int, streamed: np.ndarray) -> list[Callable[[], None]]:
        """What the kernel computes of a whole product, as it is finished."""
        kernel, rows, columns = self.kernel, self.config.rows, self.config.columns
        base, stride, length = command["destination_base"], command["destination_stride"], command["length"]
        features = np.arange(command["output_tiles"] * columns)
        elements = np.arange(length)

        def key() -> None:
            addresses = base + elements // rows * stride
            keys = self.key[(elements % rows)[:, np.newaxis], addresses[:, np.newaxis] + features]
            k_sum = keys.sum(axis=0) << self.config.mean_fraction
            kernel.mean[half] = divide_round_half_up(k_sum, self.constants["tokens"])

        def value() -> None:
            addresses = base + features // columns * stride
            values = self.value[features % columns, addresses + elements[:, np.newaxis]]
            kernel.v_sum[half] = values.sum(axis=0)

        def g() -> None:
            within = np.arange(streamed.shape[1]) < command["stationary_limit"]
            kernel.k_hat_sum[half] = streamed[:, within].sum(axis=1)

        writes = {Destination.KEY: key, Destination.VALUE: value, Destination.KERNEL_0: g}
        destination = Destination(command["destination"])
        return [writes[destination]] if destination in writes else []

    def _write_scores(self, command: Command, kernel: _Kernel, total: np.ndarray, tile: int, half: int) -> None:
        """Scores go to the rows of their tokens; the largest of each query is kept, of tokens that there are."""
        config, constants = self.config, self.constants
        scores = saturate(_rounded(total, np.array(constants["shift_s"])), config.score_width)  # (queries, C)
        token = tile * config.columns + np.arange(config.columns)
        first = command["destination_base"] + token // config.rows * command["destination_stride"]
        self.score[token % config.rows, first + np.arange(command["length"])[:, np.newaxis]] = scores
        largest = scores[:, token < constants["tokens"]].max(axis=1)
        kernel.maxima[half] = np.maximum(kernel.maxima[half], largest) if tile else largest

    def _write_quotients(self, command: Command, total: np.ndarray, tile: int, streamed: np.ndarray) -> None:
        """Z = E V / (sum of E), for softmax."""
        t_d = streamed[:, : command["stationary_limit"]].sum(axis=1)
        self._divide(command, total, t_d, tile)

    def _divide(self, command: Command, t_n: np.ndarray, t_d: np.ndarray, tile: int) -> None:
        """Z of numerators, (elements, C), and denominators, (elements,)."""
        shift = self.constants["shift_z"]
        valid = t_d > 0
        numerator, denominator = t_n << max(shift, 0), np.where(valid, t_d, 1) << max(-shift, 0)
        quotient = saturate(divide_round_half_up(numerator, denominator[:, np.newaxis]), 8).astype(np.int64)
        by_sign = np.where(t_n < 0, -128, 127)
        if tile == 0:
            self.denominator_errors += int(np.count_nonzero(~valid))
        self._write_activations(command, np.where(valid[:, np.newaxis], quotient, by_sign), tile)

    def _write_g(self, command: Command, _kernel: _Kernel, total: np.ndarray, tile: int, _half: int) -> None:
        g = saturate(_rounded(total, np.array(self.constants["shift_g"])), 8)
        address = command["destination_base"] + tile * command["destination_stride"]
        self.g[:, address : address + command["length"]] = g.T

    def _write_z(self, command: Command, total: np.ndarray, tile: int, half: int, streamed: np.ndarray) -> None:
        config, constants = self.config, self.constants
        limit = min(command["stationary_limit"], streamed.shape[1])
        fraction, shift = config.constant_fraction, constants["shift_z"]
        q_k_hat_sum = streamed[:, :limit] @ self.kernel.k_hat_sum[half][:limit]  # (tokens,)
        v_sum = self.kernel.v_sum[half][tile * config.columns : (tile + 1) * config.columns]
        # As 64 bits where they are enough, which is much faster than integers of any size.
        largest = ((magnitude(total) << fraction) + constants["c_v"] * magnitude(v_sum)) << max(shift, 0)
        t_n = (exact(total, largest) << fraction) + constants["c_v"] * exact(v_sum, largest)
        largest = (constants["c_d"] + (magnitude(q_k_hat_sum) << fraction)) << max(-shift, 0)
        t_d = constants["c_d"] + (exact(q_k_hat_sum, largest) << fraction)
        self._divide(command, t_n, t_d, tile)


def _product(streamed: np.ndarray, stationary: np.ndarray) -> np.ndarray:
    """The exact product: sums are far below 2^53."""
    return (streamed.astype(np.float64) @ stationary.astype(np.float64)).astype(np.int64)


def _rounded(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """round_half_up(x / 2^shift)."""
    return (x + ((1 << shift) >> 1)) >> shift


def _wrapped(x: np.ndarray, width: int) -> np.ndarray:
    """The lowest bits of x, as a signed number."""
    half = 1 << (width - 1)
    return ((x + half) & ((1 << width) - 1)) - half
