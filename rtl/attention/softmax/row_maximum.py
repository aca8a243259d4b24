"""Row maximum: the largest score of each query, over all tokens.

The scores of a query leave the columns one after the other, column c a cycle after column c - 1: tokens of one output
tile, C of them or what is left of them. So the largest can go along the columns with them, each of which takes the
larger of it and its own score, and nothing waits for anything.

    nothing yet --> [step, column 0] --> [step, column 1] --> ... --> [row maxima] --> maximum of a query
                           ^                    ^                       |     ^
                        score                score                      '-----'  of the output tiles before

Behind the last column the largest of a tile is combined with that of the tiles before.
"""

from amaranth.hdl import Module, Mux, signed
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.common.validation import require_range
from taylorvit.rtl.common.widths import index_width

__all__ = ["MaximumChain", "MaximumStep", "RowMaxima", "least_score"]


def least_score(score_width):
    """What the chain begins with at column 0: no score is less."""
    return -(1 << (score_width - 1))


class MaximumChain(Signature):
    """The largest score of one query in an output tile, so far, on its way along the columns.

    Args:
        score_width (int): bits of a score, signed, at least 2.
        columns (int): C, at least 1.
        places (int): words of `RowMaxima`, at least 1.

    Ports:
        valid (1 bit): there is a score in this column.
        index (index_width(places) bits): where the maximum of its query is kept.
        first (1 bit): it belongs to the first output tile.
        finish (1 bit): it is that of the last query in the last output tile.
        left (bits of columns): tokens of the tile from this column on, 0 to C; scores beyond them do not count.
        maximum (signed, score_width bits): the largest score so far, in column 0 `least_score`.
    """

    def __init__(self, *, score_width, columns, places):
        require_range("score_width", score_width, 2)
        require_range("columns", columns, 1)
        require_range("places", places, 1)
        super().__init__(
            {
                "valid": Out(1),
                "index": Out(index_width(places)),
                "first": Out(1),
                "finish": Out(1),
                "left": Out(columns.bit_length()),
                "maximum": Out(signed(score_width)),
            }
        )


class MaximumStep(Block):
    """chain_out.maximum = max(chain_in.maximum, score), one cycle later; as it was if this column has no token.

    Args:
        score_width (int): bits of a score, signed, at least 2.
        columns (int): C, at least 1.
        places (int): words of `RowMaxima`, at least 1.

    Ports:
        chain_in (MaximumChain): from the column on the left.
        score (signed, score_width bits, input): of this column, in the cycle of `chain_in.valid`.
        chain_out (MaximumChain): to the column on the right, `latency` cycles later.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is below its least value.
    """

    module_name = "maximum_step"
    latency = 1

    def __init__(self, *, score_width, columns, places):
        chain = MaximumChain(score_width=score_width, columns=columns, places=places)
        super().__init__({"chain_in": In(chain), "score": In(signed(score_width)), "chain_out": Out(chain)})

    def elaborate(self, platform):
        m = Module()
        following = self.chain_in.signature.create(path=("following",))
        counts = self.chain_in.left != 0
        for name in ("valid", "index", "first", "finish"):
            m.d.comb += getattr(following, name).eq(getattr(self.chain_in, name))
        m.d.comb += [
            following.left.eq(self.chain_in.left - counts),
            following.maximum.eq(Mux(counts & (self.score > self.chain_in.maximum), self.score, self.chain_in.maximum)),
        ]
        pass_on(m, following, self.chain_out)
        return m


class RowMaxima(Block):
    """maximum[index] = max over the output tiles from `first` to `last` of what the last column hands on.

    One query a cycle; an index may return `latency` + 1 cycles after it was last used.

    Args:
        score_width (int): bits of a score, signed, at least 2.
        columns (int): C, at least 1.
        places (int): queries whose maxima are kept, at least 1.
        pipeline (int): registers behind the memories, 0 or more.

    Ports:
        chain (MaximumChain, input): from the last column.
        finished (1 bit, output): pulse, `finish_latency` cycles after a `finish`: from this cycle on all maxima of the
            product can be addressed.
        read_address (index_width(places) bits, input): index of a query.
        maximum (signed, score_width bits, output): its largest score, `latency` cycles later.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is below its least value.
    """

    module_name = "row_maxima"
    waivers = {("UNUSEDSIGNAL", "chain__left"): "All columns have taken their part of it."}

    def __init__(self, *, score_width, columns, places, pipeline=0):
        chain = MaximumChain(score_width=score_width, columns=columns, places=places)
        self.bank = MemoryBank(depth=places, width=score_width, pipeline=pipeline)
        super().__init__(
            {
                "chain": In(chain),
                "finished": Out(1),
                "read_address": In(index_width(places)),
                "maximum": Out(signed(score_width)),
            }
        )

    @property
    def latency(self):
        """Cycles from `read_address` to `maximum`."""
        return self.bank.latency

    @property
    def finish_latency(self):
        """Cycles from the last query of the last tile to `finished`: the memory is written, then it can be read."""
        return self.bank.latency + 1

    def elaborate(self, platform):
        m = Module()
        # Each of the two readers has a copy: what the tiles before gave, and whoever needs the maxima.
        so_far = instantiate(m, "so_far", self.bank)
        result = instantiate(m, "result", self.bank)
        chain, latency = self.chain, self.bank.latency
        valid, index, first, maximum, finish = (
            delay(m, value, latency, name)
            for name, value in (
                ("valid", chain.valid),
                ("index", chain.index),
                ("first", chain.first),
                ("maximum", chain.maximum),
                ("finish", chain.valid & chain.finish),
            )
        )
        before = so_far.read_data.as_signed()
        largest = Mux(first | (maximum > before), maximum, before)
        for bank in (so_far, result):
            m.d.comb += [
                bank.write_enable.eq(valid),
                bank.write_address.eq(index),
                bank.write_data.eq(largest),
            ]
        m.d.comb += [
            so_far.read_address.eq(chain.index),
            result.read_address.eq(self.read_address),
            self.maximum.eq(result.read_data),
            self.finished.eq(delay(m, finish, 1, "finished")),
        ]
        return m
