"""Pair queue: holds two words, so that neither side of a stream hears of the other in the same cycle.

put, incoming --> [behind] --> [front] --> valid, word
room <-- behind is empty
"""

from amaranth.hdl import Module, Signal
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
        word (width bits, output): the oldest one.
        taken (1 bit, input): it is taken in this cycle, in which it is valid.

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
        behind = Signal(self.width, reset_less=True)
        front = Signal(self.width, reset_less=True)
        m.d.comb += self.word.eq(front)
        with m.If(~self.valid | self.taken):
            m.d.sync += [self.valid.eq(~self.room | self.put), self.room.eq(1)]
            with m.If(~self.room):
                m.d.sync += front.eq(behind)
            with m.Else():
                m.d.sync += front.eq(self.incoming)
        with m.Elif(self.put):
            m.d.sync += self.room.eq(0)
        with m.If(self.room):
            m.d.sync += behind.eq(self.incoming)
        return m
