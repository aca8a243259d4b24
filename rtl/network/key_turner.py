"""Key turner: K leaves the columns by features and goes to its banks by tokens.

Column c is c cycles behind column 0. So in one cycle the columns have features of neighbouring tokens, which belong to
neighbouring banks: column c's to bank (b - c) mod L, if column 0's belongs to bank b of L. The features of one token
come to their bank one a cycle, and their addresses follow each other.

    keys --> turned by b --> one to each bank          b --> which bank begins, and at which address

Banks of tokens are those of the rows for Taylor attention (L = R), those of the columns for softmax attention (L = C).
One turner can serve both: with `fold` it turns among the first C of its R lanes.
"""

from types import SimpleNamespace

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.counters import next_address
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width

__all__ = ["KeyFeed", "KeyTurner", "received_features"]

_LEVELS = 2  # of multiplexers between two registers


class KeyFeed(Signature):
    """What is written into a bank of K: C features of a token, one a cycle.

    Args:
        config (NetworkConfig): the configuration.
        depth (int): words of the bank.

    Ports:
        begin (1 bit): `data` is the first of C features, those of column 0, 1, ...
        address (index_width(depth) bits): with `begin`, where it goes; the others follow it.
        data (8 bits, signed): a feature.
    """

    def __init__(self, config, *, depth):
        super().__init__(
            {
                "begin": Out(1),
                "address": Out(index_width(depth)),
                "data": Out(signed(config.data_width)),
            }
        )


def received_features(m, feed, columns):
    """What a bank of K writes: features of a token come one a cycle, from its `begin` on.

    Args:
        m (Module): the module of the bank.
        feed (object): an interface of `KeyFeed`.
        columns (int): C.

    Returns:
        SimpleNamespace: `valid`, `address` and `data` of a word to be written.
    """
    left = Signal(range(columns + 1))
    address = Signal.like(feed.address)
    with m.If(feed.begin):
        m.d.sync += [left.eq(columns), address.eq(feed.address)]
    with m.Elif(left != 0):
        m.d.sync += [left.eq(left - 1), address.eq(address + 1)]
    return SimpleNamespace(valid=left != 0, address=address, data=delay(m, feed.data, 1, "data"))


class KeyTurner(Block):
    """feeds[r].data = keys[(b - r) mod L], `latency` cycles later; b is `bank`, and counts on where there is none.

    The passes of a tile begin with bank 0 or behind a gap of L cycles, so that the last columns get the bits of their
    last tokens through before b means the next tile.

    Args:
        config (NetworkConfig): the configuration.
        lanes (int): banks (L), C at least.
        depth (int): words of each.
        folds (bool): there is a port `fold`.

    Ports:
        keys (C elements of 8 bits, input): what the columns have.
        valid (1 bit, input): column 0 has a feature of K.
        bank (index_width(L) bits, input): with it, the bank that it goes to.
        address (index_width(depth) bits, input): with it, its address there.
        fold (1 bit, input): constant while there are keys: there are but C banks, the first ones.
        feeds (KeyFeed, output, one for each bank): features for the banks.
    """

    module_name = "key_turner"

    def __init__(self, config, *, lanes, depth, folds=False):
        self.lanes = lanes
        self.columns = config.columns
        self.data_width = config.data_width
        self.folds = folds
        super().__init__(
            {
                "keys": In(config.columns * config.data_width),
                "valid": In(1),
                "bank": In(index_width(lanes)),
                "address": In(index_width(depth)),
                **({"fold": In(1)} if folds else {}),
                "feeds": Out(KeyFeed(config, depth=depth)).array(lanes),
            }
        )

    @property
    def latency(self):
        """Cycles from `keys` to `feeds`: a register in front, one behind each two levels of multiplexers."""
        return 1 + -(-len(self.bank) // _LEVELS)

    def elaborate(self, platform):
        m = Module()
        count, width = self.lanes, self.data_width
        following = Signal.like(self.bank)
        turn = Signal.like(self.bank)
        next_turn = next_address(turn, count)
        if self.folds:
            next_turn = Mux(self.fold, next_address(turn, self.columns), next_turn)
        m.d.comb += turn.eq(Mux(self.valid, self.bank, following))
        m.d.sync += following.eq(next_turn)

        keys = delay(m, self.keys, 1, "keys")
        by = delay(m, turn, 1, "turn_0")  # its bits from the next level on
        lanes = self._lanes(m, keys, by)
        for level in range(len(turn)):
            distance = 1 << level
            turned = [Signal(signed(width), name=f"turned_{level + 1}_{lane}") for lane in range(count)]
            is_registered = level % _LEVELS == _LEVELS - 1 or level == len(turn) - 1
            domain = m.d.sync if is_registered else m.d.comb
            for lane in range(count):
                domain += turned[lane].eq(Mux(by[0], lanes[(lane - distance) % count], lanes[lane]))
            by = delay(m, by[1:], int(is_registered), f"turn_{level + 1}")
            lanes = turned

        valid, bank, address = (
            delay(m, getattr(self, name), self.latency - 1, name) for name in ("valid", "bank", "address")
        )
        address = delay(m, address, 1, "begin_address")
        for lane, feed in enumerate(self.feeds):
            m.d.comb += [
                feed.begin.eq(delay(m, valid & (bank == lane), 1, f"begin_{lane}")),
                feed.address.eq(address),
                feed.data.eq(lanes[lane]),
            ]
        return m

    def _lanes(self, m, keys, by):
        """What each bank gets if column 0's feature is for bank 0: that of column -lane mod L, if there is one.

        Folded, lane l gets that of column -l mod C as well, since column c's feature may be for bank C + b - c. Where
        two columns' features want one lane, the turn says which of them goes on to a bank: the one for bank C + b - c
        does if it is one of the C.
        """
        lanes = [Signal(signed(self.data_width), name=f"turned_0_{lane}") for lane in range(self.lanes)]
        for lane, signal in enumerate(lanes):
            plain, folded = -lane % self.lanes, -lane % self.columns
            key = keys.word_select(plain, self.data_width) if plain < self.columns else None
            if self.folds and lane < self.columns and plain != folded:
                other = keys.word_select(folded, self.data_width)
                key = other if key is None else Mux(self.fold & (by < self.columns - lane), other, key)
            if key is not None:
                m.d.comb += signal.eq(key)
        return lanes
