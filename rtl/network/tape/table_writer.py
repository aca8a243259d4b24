"""Table writer: hands the 256 bytes of a table to the columns, one a cycle.

A product that uses the table before it may still be at work: nothing is written until it is finished.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.widths import up_to
from taylorvit.rtl.network.bundles import TableWrite

__all__ = ["TableWriter"]

_ENTRIES = 256


class TableWriter(Block):
    """Takes words of a table and writes their bytes. Bytes that fill up the last row are dropped.

    Args:
        tape_bytes (int): bytes of a word.
        columns (int): bytes of a row, a multiple of `tape_bytes`.

    Ports:
        active (1 bit, input): words belong to a table, until `over`.
        data (8 tape_bytes bits, input): a word.
        valid (1 bit, input): there is one.
        ready (1 bit, output): it is taken, if there is one; only while `active`.
        over (1 bit, output): the last byte is being written.
        given (1 bit, input): pulse: the product that uses the table has been given out.
        finished (1 bit, input): pulse: it is finished.
        write (TableWrite, output): an entry.
    """

    module_name = "table_writer"

    def __init__(self, *, tape_bytes, columns):
        self.tape_bytes = tape_bytes
        self.words = -(-_ENTRIES // columns) * columns // tape_bytes
        super().__init__(
            {
                "active": In(1),
                "data": In(8 * tape_bytes),
                "valid": In(1),
                "ready": Out(1),
                "over": Out(1),
                "given": In(1),
                "finished": In(1),
                "write": Out(TableWrite()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        in_use = Signal()  # the table, by a product that is not finished
        with m.If(self.given):
            m.d.sync += in_use.eq(1)
        with m.Elif(self.finished):
            m.d.sync += in_use.eq(0)

        held = Signal(8 * self.tape_bytes, reset_less=True)
        held_bytes = Signal(up_to(self.tape_bytes))
        words_left = Signal(up_to(self.words), init=self.words)
        entry = Signal(9)  # from 256 on, bytes that fill up a row
        moves = Signal()
        m.d.comb += [
            self.ready.eq(self.active & ~in_use & (words_left != 0) & (held_bytes <= 1)),
            moves.eq(self.valid & self.ready),
            self.over.eq(self.active & (words_left == 0) & (held_bytes <= 1)),
        ]
        m.d.sync += [
            self.write.valid.eq((held_bytes != 0) & ~entry[-1]),
            self.write.entry.eq(entry[:-1]),
            self.write.data.eq(held[:8]),
            held.eq(held >> 8),
        ]
        with m.If(held_bytes != 0):
            m.d.sync += [held_bytes.eq(held_bytes - 1), entry.eq(entry + 1)]
        with m.If(moves):
            m.d.sync += [held.eq(self.data), held_bytes.eq(self.tape_bytes), words_left.eq(words_left - 1)]
        with m.If(self.over):
            m.d.sync += [words_left.eq(self.words), entry.eq(0)]
        return m
