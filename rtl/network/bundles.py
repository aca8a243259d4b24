"""Control bundles of the network accelerator: the small records that travel with the data from block to block.

As in the attention accelerator (`rtl.common.bundles`), row r works r cycles after row 0 and column c works c cycles
after column 0; each passes its control on with one register.
"""

from math import ceil

from amaranth.hdl import signed
from amaranth.lib import enum
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.widths import index_width, up_to

from .command import COMMAND_BYTES, FIELDS, Destination, Source

__all__ = [
    "COMMAND_BITS",
    "ActivationWrite",
    "ExponentialWrite",
    "ImageWrite",
    "LaneControl",
    "LoadControl",
    "LoadKind",
    "NormControl",
    "NormRead",
    "Pass",
    "PassStream",
    "ResultControl",
    "StreamControl",
    "TableWrite",
    "TapeWrite",
    "address_widths",
    "command_field",
    "engine_ports",
    "enum_shape",
    "field_widths",
    "product_fields",
    "sequence_width",
]

COMMAND_BITS = 8 * COMMAND_BYTES
"""Bits of a command."""

sequence_width = 5
"""Bits of the number of a product, by which products are told apart that are unfinished at once."""


def address_widths(config):
    """Bits of the addresses of a product: "source", "stationary" and "destination", whatever buffer is meant.

    Args:
        config (NetworkConfig): the configuration.
    """
    return {
        "source": index_width(max(config.activation_depth, config.image_depth, config.kernel_row_depth)),
        "stationary": index_width(max(config.value_depth, config.kernel_1_depth)),
        "destination": index_width(
            max(
                config.activation_depth,
                config.residual_depth,
                config.kernel_row_depth,
                config.value_depth,
                config.kernel_1_depth,
                config.columns * ceil(config.max_classes / config.columns),
            )
        ),
    }


def command_field(command, name):
    """A field of a command.

    Args:
        command (Value): the command, `COMMAND_BITS` wide.
        name (str): a key of `rtl.network.command.FIELDS`.

    Returns:
        Value: the field's bits, without a sign.
    """
    field = FIELDS[name]
    return command[8 * field.place : 8 * (field.place + field.bytes)]


def field_widths(config):
    """Bits of those fields of a product that are shorter than in the command: name -> bits.

    They hold what a network has that fits the accelerator. Each counts something whose most the configuration knows.

    Args:
        config (NetworkConfig): the configuration.
    """
    most = {
        "wait": (1 << sequence_width) - 1,
        "length": config.longest_pass,
        "pass_length": config.longest_pass + config.rows - 1,
        "input_tiles": config.most_input_tiles,
        "output_tiles": config.most_output_tiles,
        "stationary_limit": config.rows * ceil(config.longest_pass / config.rows),
        "norm_tiles": config.residual_tiles,
        "norm_rows": config.max_tokens,
        "embedding_chunk": config.max_tokens,
    }
    return {name: number.bit_length() for name, number in most.items()}


def product_fields(config, product):
    """The fields of a product, without the bits that no product has.

    Args:
        config (NetworkConfig): the configuration.
        product (Value): the command, `COMMAND_BITS` wide.

    Returns:
        dict[str, Value]: name -> the field's bits, without a sign.
    """
    widths = field_widths(config)
    return {name: command_field(product, name)[: widths.get(name)] for name in FIELDS}


def enum_shape(enumeration):
    """Shape of a port that holds a member of a plain enumeration."""
    return up_to(max(enumeration))


class LoadKind(enum.IntEnum, shape=3):
    """What a column does with a row that comes to it."""

    TAPE_TILE = 0  # a row of weights for the array
    KERNEL_0 = 1  # a row of the kernel's first buffer for the array
    KERNEL_1 = 2  # of its second buffer
    CONSTANT = 3  # a byte of the output tile's constants
    NORM_CONSTANT = 4  # a byte of a LayerNorm tile's constants
    EMBEDDING = 5  # a byte of the embedding, for the residual stream


class TableWrite(Signature):
    """An entry of the table, for all columns.

    Ports:
        valid (1 bit): there is one.
        entry (8 bits): its place: entry 0 belongs to the activation -128.
        data (8 bits): what the activation becomes.
    """

    def __init__(self):
        super().__init__({"valid": Out(1), "entry": Out(8), "data": Out(8)})


class ExponentialWrite(Signature):
    """An entry of softmax's table of exponentials, for all rows.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        valid (1 bit): there is one.
        entry (index_width(exponential_entries) bits): its place: what the score is below the largest one.
        data (exponential_width bits): the exponential.
    """

    def __init__(self, config):
        super().__init__(
            {
                "valid": Out(1),
                "entry": Out(index_width(config.exponential_entries)),
                "data": Out(config.exponential_width),
            }
        )


class TapeWrite(Signature):
    """A word of the tape on its way into the columns' tape banks, at all columns at once.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        enable (columns / tape_bytes bits): which group of columns takes the word.
        address (bits of tape_queue_rows): row of the banks.
        data (tape_width bits): the word, a byte for each column of the group.
    """

    def __init__(self, config):
        super().__init__(
            {
                "enable": Out(config.columns // config.tape_bytes),
                "address": Out(index_width(config.tape_queue_rows)),
                "data": Out(config.tape_width),
            }
        )


class LoadControl(Signature):
    """One row for the columns: of a stationary tile (bottom row first), or a byte of constants for each column.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        valid (1 bit): there is a row.
        kind (LoadKind): what it is.
        address (bits of the longest address): row of the tape banks, or of the kernel's buffer.
        blank (1 bit): a row of the kernel's buffer beyond its limit, loaded as zeros.
        byte (3 bits): of constants and embedding, which byte of the column's own it is.
        place (bits of the longest address): of NORM_CONSTANT the tile; of EMBEDDING the address in the residual stream.
    """

    def __init__(self, config):
        tape_address = index_width(config.tape_queue_rows)
        super().__init__(
            {
                "valid": Out(1),
                "kind": Out(LoadKind),
                "address": Out(max(tape_address, address_widths(config)["stationary"])),
                "blank": Out(1),
                "byte": Out(3),
                "place": Out(index_width(config.residual_depth)),
            }
        )


class ResultControl(Signature):
    """One partial sum of every column, below the array, and what becomes of its total.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        valid (1 bit): a sum of the array arrives `PartialSumAccumulator.sum_delay` cycles later.
        first (1 bit): it belongs to the first of the tiles that are accumulated.
        last (1 bit): it belongs to the last of them, so the sum is a total.
        index (index_width(longest_pass) bits): element of the pass.
        destination (Destination): where the total goes.
        table (1 bit): the activation goes through the table.
        bank (index_width(rows) bits): of ACTIVATION and KEY, the bank that this column writes to.
        address (bits of a destination address): where this column's result goes.
        following (bits of a destination address): of ACTIVATION, the address from where the bank wraps.
        first_tile (1 bit): of RESIDUAL, the first output tile: the sums over the features begin.
        last_tile (1 bit): of RESIDUAL, the last output tile: they end.
        begin (1 bit): the first total of an output tile; the constants that were loaded last take effect.
        end (1 bit): the last total of an output tile.
        finish (1 bit): the last total of the product.
    """

    def __init__(self, config):
        destination = address_widths(config)["destination"]
        super().__init__(
            {
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
                "index": Out(index_width(config.longest_pass)),
                "destination": Out(enum_shape(Destination)),
                "table": Out(1),
                "bank": Out(index_width(config.rows)),
                "address": Out(destination),
                "following": Out(destination),
                "first_tile": Out(1),
                "last_tile": Out(1),
                "begin": Out(1),
                "end": Out(1),
                "finish": Out(1),
            }
        )


class StreamControl(Signature):
    """One element of a pass, for the rows.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        source (Source): where the operand comes from.
        blank (1 bit): the operand is zero.
        swap (1 bit): the first element of a pass, with which the array turns to its next stationary tile.
        address (bits of a source address): in the banks of the source.
        position (index_width(longest_pass) bits): element of the pass.
        release (1 bit): the last element of the last pass over the image.
        result (ResultControl): what becomes of the sum.
    """

    def __init__(self, config):
        super().__init__(
            {
                "source": Out(enum_shape(Source)),
                "blank": Out(1),
                "swap": Out(1),
                "address": Out(address_widths(config)["source"]),
                "position": Out(index_width(config.longest_pass)),
                "release": Out(1),
                "result": Out(ResultControl(config)),
            }
        )


class NormControl(Signature):
    """One token of a tile of a LayerNorm, along the columns.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        valid (1 bit): there is a token.
        address (bits of residual_depth): its feature in this column's bank of the residual stream.
        tile (index_width(residual_tiles) bits): the tile, whose constants count.
        factor (norm_factor_width bits): D times the reciprocal root of the token's variance, without a sign.
        offset (norm_offset_width bits, signed): sum of the token's features times that reciprocal.
        right_shift (up_to(norm_right_shift_max)): from their difference to the normalized feature.
        norm_shift (norm_shift_bits): right shift of the output; with `norm_shift_min`, 16 less.
        bank (index_width(rows) bits): activation bank that this column writes to.
        destination (bits of activation_depth): address there.
        following (bits of activation_depth): the address from where the bank wraps.
        finish (1 bit): the last token of the tile.
    """

    def __init__(self, config):
        activation = index_width(config.activation_depth)
        super().__init__(
            {
                "valid": Out(1),
                "address": Out(index_width(config.residual_depth)),
                "tile": Out(index_width(config.residual_tiles)),
                "factor": Out(config.norm_factor_width),
                "offset": Out(signed(config.norm_offset_width)),
                "right_shift": Out(up_to(config.norm_right_shift_max)),
                "norm_shift": Out(config.norm_shift_bits),
                "bank": Out(index_width(config.rows)),
                "destination": Out(activation),
                "following": Out(activation),
                "finish": Out(1),
            }
        )


class NormRead(Signature):
    """Of `NormControl`, what a column needs that shares a LayerNorm lane.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        valid, address, tile: as in `NormControl`.
    """

    def __init__(self, config):
        members = NormControl(config).members
        super().__init__({name: members[name] for name in ("valid", "address", "tile")})


class LaneControl(Signature):
    """Of `NormControl`, what a shared LayerNorm lane needs, and in the same cycle: that of the lane's first column.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        all but address and tile: as in `NormControl`.
    """

    def __init__(self, config):
        members = NormControl(config).members
        super().__init__({name: members[name] for name in members if name not in ("address", "tile")})


class ActivationWrite(Signature):
    """A column's activation on its way to the bank of a row.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        valid (1 bit): there is one.
        bank (index_width(rows) bits): the row.
        address (bits of activation_depth): address in its bank.
        data (8 bits, signed): the activation.
    """

    def __init__(self, config):
        super().__init__(
            {
                "valid": Out(1),
                "bank": Out(index_width(config.rows)),
                "address": Out(index_width(config.activation_depth)),
                "data": Out(signed(config.data_width)),
            }
        )


class ImageWrite(Signature):
    """Pixels on their way into the image banks of the rows, at all rows at once.

    Row r takes lane r % image_lanes if `group` is r // image_lanes.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        valid (1 bit): there are pixels.
        group (index_width(rows / image_lanes) bits): which rows take them.
        address (bits of image_depth): address in their banks.
        data (8 image_lanes bits): the pixels, minus 128 each.
    """

    def __init__(self, config):
        super().__init__(
            {
                "valid": Out(1),
                "group": Out(index_width(config.rows // config.image_lanes)),
                "address": Out(index_width(config.image_depth)),
                "data": Out(config.data_width * config.image_lanes),
            }
        )


class Pass(Signature):
    """One pass: a stationary tile of R x C operands, and the elements that stream past it.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        sequence (sequence_width bits): number of the product.
        wait (sequence_width bits): it begins when at most so many products before it are unfinished.
        kind (3 bits): for the counters.
        source (Source): of the streamed operand.
        prefix (8 bits): first elements that are zeros.
        length (`field_widths`): elements.
        pass_length (`field_widths`): cycles.
        source_address (bits of a source address): address of element `prefix`.
        norm (1 bit): it reads what a LayerNorm is writing: it waits until `norm_features` have been written.
        norm_features (bits of most_features): features of all tokens that must have been written.
        product_first (1 bit): the first pass of its product.
        product_last (1 bit): the last pass of its product.
        result (ResultControl): of the first element; `index`, `address`, `following`, `begin`, `end` and `finish`
            follow from the element.
    """

    def __init__(self, config):
        widths = field_widths(config)
        super().__init__(
            {
                "sequence": Out(sequence_width),
                "wait": Out(sequence_width),
                "kind": Out(3),
                "source": Out(enum_shape(Source)),
                "prefix": Out(8),
                "length": Out(widths["length"]),
                "pass_length": Out(widths["pass_length"]),
                "source_address": Out(address_widths(config)["source"]),
                "norm": Out(1),
                "norm_features": Out(config.most_features.bit_length()),
                "product_first": Out(1),
                "product_last": Out(1),
                "result": Out(ResultControl(config)),
            }
        )


class PassStream(Signature):
    """A pass on its way from the tile loader to the streamer.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        payload (Pass): the pass.
        valid (1 bit): there is one, whose tile and constants are complete.
        ready (1 bit, the other way): the streamer takes it in this cycle, if it is valid. It is a register; each side
            finds out for itself whether the pass is taken.
    """

    def __init__(self, config):
        super().__init__({"payload": Out(Pass(config)), "valid": Out(1), "ready": In(1)})


def engine_ports(config):
    """The ports between the engine and the host side, as they are at the engine: name -> member of a signature.

    Those of softmax are there if the accelerator has it.

    Args:
        config (NetworkConfig): the configuration.
    """
    softmax = {}
    if "softmax" in config.kernels:
        softmax = {"exponential_write": In(ExponentialWrite(config)), "kernel_1_finished": Out(1)}
    return {
        "command": In(COMMAND_BITS),
        "command_valid": In(1),
        "command_taken": Out(1),
        "tape_write": In(TapeWrite(config)),
        "tape_written": In(1),
        "tape_read": Out(1),
        "table_write": In(TableWrite()),
        "table_finished": Out(1),
        **softmax,
        "image_write": In(ImageWrite(config)),
        "image_ready": In(1),
        "image_release": Out(1),
        "logit_valid": Out(1),
        "logit_address": Out(index_width(config.max_classes)),
        "logit": Out(signed(config.logit_width)),
        "logits_room": In(1),
        "image_done": Out(1),
        "kind": Out(3),
        "array_busy": Out(1),
        "stall_tape": Out(1),
        "stall_image": Out(1),
        "stall_output": Out(1),
        "stall_data": Out(1),
        "denominator_error": Out(1),
    }
