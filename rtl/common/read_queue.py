"""Read queue: turns a memory that answers some cycles later into a stream that may be held up.

    address --> memory --> [queue] --> valid, data, ready

Words are asked for ahead, as many as the queue can hold: so a word moves in every cycle while the sink takes them, and
none is lost when it does not.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from .block import Block
from .pipeline import delay
from .validation import require_range

__all__ = ["ReadQueue"]


class ReadQueue(Block):
    """Holds the words of a memory until they are taken. The first is offered `latency` cycles after `ask`.

    Args:
        name (str): for the name of the module.
        width (int): bits of a word, at least 1.
        memory_latency (int): cycles from an address of the memory to its word, at least 1.

    Ports:
        room (1 bit, output): a word may be asked for in this cycle.
        ask (1 bit, input): one is asked for, only with `room`.
        word (width bits, input): the word that was asked for `memory_latency` cycles before.
        valid (1 bit, output): there is a word.
        data (width bits, output): the oldest one.
        ready (1 bit, input): it is taken, if there is one.

    Raises:
        TypeError: a number is not an integer.
        ValueError: a number is below 1.
    """

    def __init__(self, *, name, width, memory_latency):
        require_range("width", width, 1)
        require_range("memory_latency", memory_latency, 1)
        self.module_name = f"read_queue_{name}"
        self.width = width
        self.memory_latency = memory_latency
        super().__init__(
            {
                "room": Out(1, init=1),
                "ask": In(1),
                "word": In(width),
                "valid": Out(1),
                "data": Out(width),
                "ready": In(1),
            }
        )

    @property
    def depth(self):
        """Words that are asked for and not yet taken, at most: one a cycle, until the first of them has been taken."""
        return self.memory_latency + 2

    @property
    def latency(self):
        """Cycles from `ask` to the word at the output."""
        return self.memory_latency + 1

    def elaborate(self, platform):
        m = Module()
        arrives = delay(m, self.ask, self.memory_latency, "ask")
        words = [Signal(self.width, name=f"word_{place}", reset_less=True) for place in range(self.depth)]
        held = Signal(self.depth)  # bit p: place p holds a word; place 0 is the oldest
        under_way = Signal(range(self.depth + 1))
        following = Signal.like(under_way)
        taken = Signal()
        m.d.comb += [
            self.valid.eq(held[0]),
            self.data.eq(words[0]),
            taken.eq(held[0] & self.ready),
            following.eq(under_way + self.ask - taken),
        ]
        m.d.sync += [under_way.eq(following), self.room.eq(following != self.depth)]
        # Words move up as the oldest leaves; the new one goes to the first place that is then free.
        for place, word in enumerate(words):
            last = place == self.depth - 1
            mine = ~held[place] if place == 0 else held[place - 1] & ~held[place]
            behind = held[place] if last else held[place] & ~held[place + 1]
            above = 0 if last else held[place + 1]
            with m.If(taken):
                m.d.sync += held[place].eq(above | (arrives & behind))
                if not last:
                    with m.If(held[place + 1]):
                        m.d.sync += word.eq(words[place + 1])
                with m.If(arrives & behind):
                    m.d.sync += word.eq(self.word)
            with m.Elif(arrives & mine):
                m.d.sync += [word.eq(self.word), held[place].eq(1)]
        return m
