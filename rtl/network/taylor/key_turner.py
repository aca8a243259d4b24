"""Key turner: K leaves the columns by features and goes into the rows by tokens.

Column c is c cycles behind column 0. So in one cycle the columns have features of neighbouring tokens, which belong to
neighbouring rows: column c's to row (b - c) mod R, if column 0's belongs to row b. The features of one token come to
their row one a cycle, and their addresses follow each other.

    keys --> turned by b --> one to each row           b --> which row begins, and at which address
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.counters import next_address
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width

from .bundles import KeyFeed

__all__ = ["KeyTurner"]

_LEVELS = 2  # of multiplexers between two registers


class KeyTurner(Block):
    """feeds[r].data = keys[(b - r) mod R], `latency` cycles later; b is `bank`, and counts on where there is none.

    The passes of a tile begin with bank 0 or behind a gap of R cycles, so that the last columns get the bits of their
    last tokens through before b means the next tile.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        keys (C elements of 8 bits, input): what the columns have.
        valid (1 bit, input): column 0 has a feature of K.
        bank (index_width(rows) bits, input): with it, the row that it goes to.
        address (bits of key_depth, input): with it, its address there.
        feeds (KeyFeed, output, one for each row): features for the rows.
    """

    module_name = "key_turner"

    def __init__(self, config):
        self.rows = config.rows
        self.columns = config.columns
        self.data_width = config.data_width
        super().__init__(
            {
                "keys": In(config.columns * config.data_width),
                "valid": In(1),
                "bank": In(index_width(config.rows)),
                "address": In(index_width(config.key_depth)),
                "feeds": Out(KeyFeed(config)).array(config.rows),
            }
        )

    @property
    def latency(self):
        """Cycles from `keys` to `feeds`: a register in front, one behind each two levels of multiplexers."""
        return 1 + -(-len(self.bank) // _LEVELS)

    def elaborate(self, platform):
        m = Module()
        rows, width = self.rows, self.data_width
        following = Signal.like(self.bank)
        turn = Signal.like(self.bank)
        m.d.comb += turn.eq(Mux(self.valid, self.bank, following))
        m.d.sync += following.eq(next_address(turn, rows))

        # lanes[r]: what row r gets if column 0's feature is for row 0.
        keys = delay(m, self.keys, 1, "keys")
        lanes = [Signal(signed(width), name=f"turned_0_{row}") for row in range(rows)]
        for column in range(self.columns):
            m.d.comb += lanes[-column % rows].eq(keys.word_select(column, width))
        by = delay(m, turn, 1, "turn_0")  # its bits from the next level on
        for level in range(len(turn)):
            distance = 1 << level
            turned = [Signal(signed(width), name=f"turned_{level + 1}_{row}") for row in range(rows)]
            is_registered = level % _LEVELS == _LEVELS - 1 or level == len(turn) - 1
            domain = m.d.sync if is_registered else m.d.comb
            for row in range(rows):
                domain += turned[row].eq(Mux(by[0], lanes[(row - distance) % rows], lanes[row]))
            by = delay(m, by[1:], int(is_registered), f"turn_{level + 1}")
            lanes = turned

        valid, bank, address = (
            delay(m, getattr(self, name), self.latency - 1, name) for name in ("valid", "bank", "address")
        )
        address = delay(m, address, 1, "begin_address")
        for row, feed in enumerate(self.feeds):
            m.d.comb += [
                feed.begin.eq(delay(m, valid & (bank == row), 1, f"begin_{row}")),
                feed.address.eq(address),
                feed.data.eq(lanes[row]),
            ]
        return m
