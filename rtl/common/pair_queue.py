"""Pair queue: holds two words, so that neither side of a stream hears of the other in the same cycle.

                 .-> [slot 0] -.
put, incoming ---+             +--> valid, word
                 '-> [slot 1] -'

The slots take turns. So what is heard late in a cycle, whether a word is taken, changes three registers, and no word.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from .block import Block
from .validation import require_range

__all__ = ["PairQueue"]


class PairQueue(Block):
    """A word goes through in one cycle, and one may come in every cycle.

    Args:
        name (str): for the name of the module.
        width (int): bits of a word, at least 1.

    Ports:
        room (1 bit, output): a word can be put in; a register.
        put (1 bit, input): one is put in, only with `room`.
        incoming (width bits, input): it.
        valid (1 bit, output): there is a word; a register.
        word (width bits, output): the oldest one, chosen of two registers by a third.
        taken (1 bit, input): it is taken in this cycle, if it is valid.

    Raises:
        TypeError: `width` is not an integer.
        ValueError: `width` is below 1.
    """

    def __init__(self, *, name, width):
        require_range("width", width, 1)
        self.module_name = f"pair_queue_{name}"
        self.width = width
        super().__init__(
            {
                "room": Out(1, init=1),
                "put": In(1),
                "incoming": In(width),
                "valid": Out(1),
                "word": Out(width),
                "taken": In(1),
            }
        )

    @property
    def latency(self):
        """Cycles from `put` to the word at the output."""
        return 1

    def elaborate(self, platform):
        m = Module()
        slots = [Signal(self.width, name=f"slot_{index}", reset_less=True) for index in range(2)]
        fills = Signal()  # the slot of the next word that comes
        empties = Signal()  # the slot of the oldest one
        m.d.comb += self.word.eq(Mux(empties, slots[1], slots[0]))
        for index, slot in enumerate(slots):
            with m.If(self.room & (fills == index)):
                m.d.sync += slot.eq(self.incoming)
        m.d.sync += [
            fills.eq(fills ^ self.put),
            empties.eq(empties ^ (self.taken & self.valid)),
            self.valid.eq(self.put | ~self.room | (self.valid & ~self.taken)),
            self.room.eq(self.taken | ~self.valid | (self.room & ~self.put)),
        ]
        return m
