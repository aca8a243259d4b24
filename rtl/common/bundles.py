"""Control bundles: the small records that travel with the data from block to block.

The array and everything around it is skewed: row r works r cycles after row 0, column c works c cycles after column
0. Instead of aligning data with triangles of registers, each block passes its control on with one register, and so
stays in step with the data of its row or column.
"""

from amaranth.hdl import Cat, Const, Mux, Shape, Signal, unsigned
from amaranth.lib import enum
from amaranth.lib.wiring import Out, Signature

__all__ = [
    "AccumulateControl",
    "BankWrite",
    "DivideControl",
    "LoadControl",
    "PHASE_G",
    "PHASE_QG",
    "Phase",
    "StreamControl",
    "WriteBackControl",
    "address_field",
    "bank_write",
    "credits",
    "delay",
    "delay_bundle",
    "index_width",
    "last_start",
    "next_address",
    "pass_on",
    "tile_width",
    "up_to",
]


class Phase(enum.IntEnum, shape=1):
    """Which of the two products the array works on."""

    G = 0
    QG = 1


PHASE_G = Phase.G
PHASE_QG = Phase.QG


def index_width(count):
    """Width of an index below `count`, at least one bit."""
    return max(1, (count - 1).bit_length())


def tile_width(count):
    """Bits of a tile's number as a field of an address: none where there is but one tile."""
    return (count - 1).bit_length()


def address_field(value, width):
    """The low `width` bits of a number, zeros above where it has fewer, so that the field behind keeps its place."""
    return value[:width] if len(value) >= width else Cat(value, Const(0, width - len(value)))


def up_to(most, *, least=0):
    """Shape of the integers from `least` to `most`, of one bit at least: a port needs one, even for a constant 0."""
    shape = Shape.cast(range(least, most + 1))
    return shape if shape.width else unsigned(1)


class AccumulateControl(Signature):
    """One partial sum of every column, below the array.

    valid: a sum of the array arrives in the next cycle; first, last: of the tiles that are accumulated;
    phase: which product; index: place among the partial sums of the pass; address: where a total goes, in the G
    buffer {half, column tile, feature} or in the row queue; head_end: the last total of this product of the head.
    """

    def __init__(self, config):
        g_width = 1 + tile_width(config.column_tiles) + index_width(config.max_head_dim)
        address_width = max(g_width, index_width(config.row_queue_depth))
        super().__init__(
            {
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
                "phase": Out(Phase),
                "index": Out(index_width(max(config.max_tokens, config.max_head_dim))),
                "address": Out(address_width),
                "head_end": Out(1),
            }
        )


class StreamControl(Signature):
    """One element of a pass, for the operand rows.

    phase: K^ or Q; swap: first element of a pass; address: word of the K bank {half, token tile, beat} or of the Q
    bank {half, row tile, token}; lane: element within the K word; release: the last element that this product of the
    head takes from its half; accumulate: what becomes of the sum.
    """

    def __init__(self, config):
        k_width = 1 + tile_width(config.token_tiles) + tile_width(config.max_beats_per_row)
        q_width = 1 + tile_width(config.row_tiles) + index_width(config.max_tokens)
        super().__init__(
            {
                "phase": Out(Phase),
                "swap": Out(1),
                "address": Out(max(k_width, q_width)),
                "lane": Out(index_width(config.stream_lanes)),
                "release": Out(1),
                "accumulate": Out(AccumulateControl(config)),
            }
        )


class LoadControl(Signature):
    """One row of a stationary tile, bottom row first.

    phase: V or G; address: {half, column tile, token or feature}; blank: beyond the job's tokens or features, the
    row is loaded as zeros; release: the last row that this product of the head takes from its half.
    """

    def __init__(self, config):
        v_width = 1 + tile_width(config.column_tiles) + index_width(config.max_tokens)
        g_width = 1 + tile_width(config.column_tiles) + index_width(config.max_head_dim)
        super().__init__(
            {"phase": Out(Phase), "address": Out(max(v_width, g_width)), "blank": Out(1), "release": Out(1)}
        )


class BankWrite(Signature):
    """A word on its way from bank to bank, which some of them take a share of.

    valid: there is one; offset: of the bank that it comes to from the first that it is for, modulo a power of two, so
    that it is large before that one; address: in each bank; data: the share of this bank in the lowest bits.
    """

    def __init__(self, *, banks, address_width, data_width):
        super().__init__(
            {
                "valid": Out(1),
                "offset": Out(index_width(2 * banks)),
                "address": Out(address_width),
                "data": Out(data_width),
            }
        )


class DivideControl(Signature):
    """One row entering the divider array.

    start: a row enters; mean: its numerators are k_sum, not T_N; queue_address: the row in the row queue;
    bias_address: {half, column tile} of its c_v v_sum.
    """

    def __init__(self, config):
        super().__init__(
            {
                "start": Out(1),
                "mean": Out(1),
                "queue_address": Out(index_width(config.row_queue_depth)),
                "bias_address": Out(1 + tile_width(config.column_tiles)),
            }
        )


class WriteBackControl(Signature):
    """One row leaving the divider array.

    write: into the Z buffer at address {half, column tile, token}; head_end: its last row of the head;
    mean: k_mean instead; mean_end: its last row of the head.
    """

    def __init__(self, config):
        super().__init__(
            {
                "write": Out(1),
                "address": Out(1 + tile_width(config.column_tiles) + index_width(config.max_tokens)),
                "head_end": Out(1),
                "mean": Out(1),
                "mean_end": Out(1),
            }
        )


def credits(m, width, arrives, taken, name):
    """Whether there are any of what `arrives` and is `taken`, one at a time; never more than `width` bits can count.

    A register, so that a decision does not wait for a comparison with 0.
    """
    count = Signal(width, name=name)
    some = Signal(name=f"some_{name}")
    m.d.sync += [count.eq(count + arrives - taken), some.eq(arrives | Mux(taken, count != 1, count != 0))]
    return some


def next_address(address, depth):
    """The address after `address` in a memory of `depth` words that is used in a circle."""
    following = address + 1
    return following if depth == 1 << len(address) else Mux(address == depth - 1, 0, following)


def last_start(m, size, step, name):
    """The last start of `step` elements among `size`, size - step, to compare positions with; negative if they are one.

    A register, so that no comparison waits for a subtraction: `size` must be constant from the cycle of a job's start.
    """
    last = Signal(range(-step, (1 << len(size)) - step), name=name, reset_less=True)
    m.d.sync += last.eq(size - step)
    return last


def pass_on(m, source, target):
    """target <= source, one cycle later, member by member; flags are reset, numbers are not (see `delay`)."""
    for path, _member, value in source.signature.flatten(source):
        destination = target
        for name in path:
            destination = getattr(destination, name)
        m.d.comb += destination.eq(delay(m, value, 1, f"{destination.name}_register"))


def bank_write(m, bank, source, target, *, shares, registers):
    """Writes into `bank` its share of the `BankWrite` that is on its way from `source` on to `target`.

    `shares` banks, one after the other, take a word, which turns by one share from bank to bank. `registers`, 0 or 1,
    lie before each.
    """
    name = source.valid.name.removesuffix("__valid")
    taken = delay(m, source.valid & (source.offset < shares), registers, f"{name}__taken")
    valid, offset, address, data = (
        delay(m, getattr(source, part), registers, f"{name}__{part}") for part in ("valid", "offset", "address", "data")
    )
    m.d.comb += [
        target.valid.eq(valid),
        target.offset.eq(offset + 1),
        target.address.eq(address),
        target.data.eq(data.rotate_right(len(data) // shares)),
        bank.write_enable.eq(taken),
        bank.write_address.eq(address),
        bank.write_data.eq(data),
    ]


def delay_bundle(m, source, cycles, name, *, reset=None):
    """The bundle `source`, `cycles` cycles later; `reset` empties the line, besides the reset of `m` itself."""
    target = source.signature.create(path=(name,))
    pairs = zip(source.signature.flatten(source), target.signature.flatten(target))
    for (_path, _member, value), (_path, _member, later) in pairs:
        m.d.comb += later.eq(delay(m, value, cycles, later.name, reset=reset))
    return target


def delay(m, signal, cycles, name, *, reset=None):
    """The value `signal`, `cycles` cycles later; `reset` empties the line, besides the reset of `m` itself.

    Only flags, of one bit, are reset: a number means nothing without the flag that comes with it.
    """
    is_flag = len(signal) == 1
    for cycle in range(cycles):
        later = Signal.like(signal, name=f"{name}_{cycle + 1}", reset_less=not is_flag)
        m.d.sync += later.eq(signal)
        if reset is not None and is_flag:
            with m.If(reset):
                m.d.sync += later.eq(0)
        signal = later
    return signal
