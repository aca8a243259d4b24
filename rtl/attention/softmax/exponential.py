"""Exponential: from a score to the operand that one row of the array streams.

    maximum --.
    score ---(-)--> difference --> [table of exponentials] --.
                        |                                     mux --> streamed
                        '--> beyond the table: 0 ------------'  ^
    operand (Q), if bypassed -----------------------------------'

Softmax does not change if the same number is taken from all scores of a row. With the row's maximum taken from each,
every exponent is zero or less, so the exponentials are at most 1: entry i of the table is e to the minus i units, and
what is further below the maximum than the table reaches counts as nothing. The unit of a score is set at run time, and
the table with it.
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.table_write import TableWrite
from taylorvit.rtl.common.validation import require_power_of_two, require_range

__all__ = ["Exponential", "ExponentialWrite"]


class ExponentialWrite(TableWrite):
    """One entry for the table of exponentials.

    Args:
        entries (int): of the table, a power of two, 2 or more.
        width (int): bits of an exponential, at least 1.
    """

    def __init__(self, *, entries, width):
        require_power_of_two("entries", entries)
        super().__init__(entries=entries, width=width)


class Exponential(Block):
    """streamed = bypass ? operand : table[maximum - score], 0 beyond the table, `latency` cycles later, one a cycle.

    What a score above the maximum gives means nothing: it belongs to no token.

    Args:
        score_width (int): bits of a score, signed, at least 2.
        entries (int): of the table, a power of two, 2 or more.
        width (int): bits of an exponential, without a sign, at least 1.
        operand_width (int): bits of the signed `operand`, at least 2.
        pipeline (int): registers behind the table's memory, 0 or more.

    Ports:
        score (signed, score_width bits, input): a score.
        maximum (signed, score_width bits, input): the largest of its row, in the same cycle.
        operand (signed, operand_width bits, input): what else the row streams, in the same cycle.
        bypass (1 bit, input): stream `operand`, in the same cycle.
        table_write (ExponentialWrite, input): an entry, written at the end of the cycle. An entry that is read in that
            cycle has no defined value.
        streamed (signed, streamed_width bits, output): `latency` cycles later.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter breaks its rule.
    """

    module_name = "exponential"
    reset_less = True

    def __init__(self, *, score_width, entries, width, operand_width, pipeline=0):
        require_range("score_width", score_width, 2)
        require_range("operand_width", operand_width, 2)
        table_write = ExponentialWrite(entries=entries, width=width)
        self.table = MemoryBank(depth=entries, width=width, pipeline=pipeline)
        self.streamed_width = max(operand_width, width + 1)
        super().__init__(
            {
                "score": In(signed(score_width)),
                "maximum": In(signed(score_width)),
                "operand": In(signed(operand_width)),
                "bypass": In(1),
                "table_write": In(table_write),
                "streamed": Out(signed(self.streamed_width)),
            }
        )

    @property
    def latency(self):
        """Cycles from `score` to `streamed`: the difference, the table, then the choice."""
        return 1 + self.table.latency + 1

    def elaborate(self, platform):
        m = Module()
        table = instantiate(m, "exponentials", self.table)
        m.d.comb += [
            table.write_enable.eq(self.table_write.valid),
            table.write_address.eq(self.table_write.entry),
            table.write_data.eq(self.table_write.data),
        ]

        index_bits = len(table.read_address)
        difference = Signal(signed(max(len(self.score), index_bits) + 1))
        m.d.sync += difference.eq(self.maximum - self.score)
        m.d.comb += table.read_address.eq(difference[:index_bits])
        beyond = delay(m, difference[index_bits:].any(), self.table.latency, "beyond")

        bypass = delay(m, self.bypass, 1 + self.table.latency, "bypass")
        operand = delay(m, self.operand, 1 + self.table.latency, "operand")
        m.d.sync += self.streamed.eq(Mux(bypass, operand, Mux(beyond, 0, table.read_data)))
        return m
