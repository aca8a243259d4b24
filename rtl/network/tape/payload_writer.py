"""Payload writer: puts rows of the tape into the ring that the columns' tape banks are.

A row that the engine reads is free for the next one when the last column has read it: column c reads c + 2 cycles after
`read`.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width, up_to
from taylorvit.rtl.network.bundles import TapeWrite

__all__ = ["PayloadWriter"]


class PayloadWriter(Block):
    """Takes words of payload, a word a cycle, and writes them row by row.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        start (1 bit, input): rows come.
        rows (32 bits, input): how many, at least 1.
        data (tape_width bits, input): a word.
        valid (1 bit, input): there is one.
        ready (1 bit, output): it is taken, if there is one; from the cycle after `start` to that with `over`.
        over (1 bit, output): the last word of the last row is taken.
        write (TapeWrite, output): a word for the banks, one cycle after it has been taken.
        written (1 bit, output): pulse: one more row is in the banks, in the cycle after its last word is written.
        read (1 bit, input): pulse: a row is read.
    """

    module_name = "payload_writer"

    def __init__(self, config):
        self.row_words = config.columns // config.tape_bytes
        self.queue_rows = config.tape_queue_rows
        self.columns = config.columns
        super().__init__(
            {
                "start": In(1),
                "rows": In(32),
                "data": In(config.tape_width),
                "valid": In(1),
                "ready": Out(1),
                "over": Out(1),
                "write": Out(TapeWrite(config)),
                "written": Out(1),
                "read": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rows_left = Signal(32)
        some_left = Signal()
        last_row = Signal()
        word = Signal(index_width(self.row_words))  # of the row
        address = Signal(index_width(self.queue_rows))
        held = Signal(up_to(self.queue_rows))  # rows that are whole, and not yet read by the last column
        held_next = Signal.like(held)
        room = Signal(init=1)
        moves = Signal()
        row_ends = Signal()
        freed = delay(m, self.read, self.columns, "read")
        m.d.comb += [
            self.ready.eq(some_left & room),
            moves.eq(self.valid & self.ready),
            row_ends.eq(moves & (word == self.row_words - 1)),
            self.over.eq(row_ends & last_row),
            held_next.eq(held + row_ends - freed),
        ]
        m.d.sync += [held.eq(held_next), room.eq(held_next != self.queue_rows)]
        with m.If(moves):
            m.d.sync += word.eq(word + 1)
        with m.If(row_ends):
            m.d.sync += [
                word.eq(0),
                address.eq(address + 1),
                rows_left.eq(rows_left - 1),
                some_left.eq(~last_row),
                last_row.eq(rows_left == 2),
            ]
        with m.If(self.start):
            m.d.sync += [rows_left.eq(self.rows), some_left.eq(1), last_row.eq(self.rows == 1)]

        m.d.sync += [
            self.write.enable.eq(moves << word),
            self.write.address.eq(address),
            self.write.data.eq(self.data),
            self.written.eq(delay(m, row_ends, 1, "row_ends")),
        ]
        return m
