"""Table writer: hands out the entries of a table, one a cycle: of an MLP to the columns, of softmax to the rows.

What uses the table before may still be at work: nothing is written until it is finished.
"""

from math import gcd

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.widths import index_width, up_to

__all__ = ["TableWriter"]


class TableWriter(Block):
    """Takes words of a table and writes their entries. Bytes that fill up the last row are dropped.

    An entry is written in each cycle, or in every second one where a word is not of whole entries.

    Args:
        tape_bytes (int): bytes of a word.
        columns (int): bytes of a row, a multiple of `tape_bytes`.
        write (Signature): an entry: `valid`, `entry`, `data` of at most 8 `entry_bytes` bits.
        entries (int): entries of the table, a power of two.
        entry_bytes (int): bytes of an entry, 1 or 2.
        module_name (str): name of the module.

    Ports:
        active (1 bit, input): words belong to a table, until `over`.
        data (8 tape_bytes bits, input): a word.
        valid (1 bit, input): there is one.
        ready (1 bit, output): it is taken, if there is one; only while `active`.
        over (1 bit, output): the last byte is being written.
        in_use (1 bit, input): the table before is in use; constant from a cycle before `active` on, but that it may
            end, which is heard `release_latency` cycles later.
        write (as the argument, output): an entry.
    """

    waivers = {("UNUSEDSIGNAL", "held"): "The bytes of an entry have more bits than it."}

    def __init__(self, *, tape_bytes, columns, write, entries=256, entry_bytes=1, module_name="table_writer"):
        self.module_name = module_name
        self.tape_bytes = tape_bytes
        self.entries = entries
        self.entry_bytes = entry_bytes
        self.unit_bytes = gcd(tape_bytes, entry_bytes)  # of a step
        self.words = -(-entries * entry_bytes // columns) * columns // tape_bytes
        super().__init__(
            {
                "active": In(1),
                "data": In(8 * tape_bytes),
                "valid": In(1),
                "ready": Out(1),
                "over": Out(1),
                "in_use": In(1),
                "write": Out(write),
            }
        )

    @property
    def release_latency(self):
        """Cycles from the end of `in_use` until a word may be taken."""
        return 1

    def elaborate(self, platform):
        m = Module()
        units = self.tape_bytes // self.unit_bytes  # of a word
        steps = self.entry_bytes // self.unit_bytes  # of an entry
        held = Signal(8 * self.tape_bytes, reset_less=True)
        held_units = Signal(up_to(units))
        words_left = Signal(up_to(self.words), init=self.words)
        # Entry and, behind its last one, units that fill up a row; below it the step.
        step_bits = steps.bit_length() - 1
        place_bits = step_bits + index_width(self.entries)
        place = Signal(max(place_bits + 1, (self.words * units - 1).bit_length()), name="entry")
        moves = Signal()
        blocked = Signal()  # a register, since what uses the table is far away
        m.d.sync += blocked.eq(self.in_use)
        m.d.comb += [
            self.ready.eq(self.active & ~blocked & (words_left != 0) & (held_units <= 1)),
            moves.eq(self.valid & self.ready),
            self.over.eq(self.active & (words_left == 0) & (held_units <= 1)),
        ]
        unit = held[: 8 * self.unit_bytes]
        data, last_step = unit, 1
        if steps == 2:
            low = Signal.like(unit, reset_less=True)
            with m.If(held_units != 0):
                m.d.sync += low.eq(unit)
            data, last_step = Cat(low, unit), place[0]
        m.d.sync += [
            self.write.valid.eq((held_units != 0) & ~place[place_bits:].any() & last_step),
            self.write.entry.eq(place[step_bits:place_bits]),
            self.write.data.eq(data),
            held.eq(held >> 8 * self.unit_bytes),
        ]
        with m.If(held_units != 0):
            m.d.sync += [held_units.eq(held_units - 1), place.eq(place + 1)]
        with m.If(moves):
            m.d.sync += [held.eq(self.data), held_units.eq(units), words_left.eq(words_left - 1)]
        with m.If(self.over):
            m.d.sync += [words_left.eq(self.words), place.eq(0)]
        return m
