"""Retirement queue: products are finished in the order in which they began.

A product is finished when all that it writes is written. Linear layers tell so by the last total that leaves the last
column; the attention kernel tells of its own. Here these pulses are counted, and each product waits for its own behind
those before it. The end of a tape takes its place among them: behind it, all logits of its image are there.

The oldest product has a register of its own, so that what is finished is not found through the whole queue.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.counters import credits

from .bundles import sequence_width
from .command import Destination

__all__ = ["RetirementQueue"]

_DEPTH = 16  # fewer than half of the numbers that products can have
_END = 7  # no destination


class RetirementQueue(Block):
    """Counts finished products, in order.

    Ports:
        issued (1 bit, input): a product begins.
        issued_destination (Destination, input): its destination.
        issued_table (1 bit, input): it has a table.
        ended (1 bit, input): a tape ends; not in a cycle with `issued`.
        linear_done (1 bit, input): a product with destination ACTIVATION, RESIDUAL or LOGITS has written all.
        key_done (1 bit, input): one with destination KEY has.
        value_done (1 bit, input): one with destination VALUE has.
        kernel_0_done (1 bit, input): one with destination KERNEL_0 has.
        kernel_1_done (1 bit, input): one with destination KERNEL_1 has.
        room (1 bit, output): there is a place for one more product, or end.
        finished (sequence_width bits, output): products that are finished, a counter that wraps.
        table_finished (1 bit, output): a product with a table is finished.
        image_done (1 bit, output): everything of an image is finished.
    """

    module_name = "retirement_queue"

    def __init__(self):
        super().__init__(
            {
                "issued": In(1),
                "issued_destination": In(3),
                "issued_table": In(1),
                "ended": In(1),
                "linear_done": In(1),
                "key_done": In(1),
                "value_done": In(1),
                "kernel_0_done": In(1),
                "kernel_1_done": In(1),
                "room": Out(1, init=1),
                "finished": Out(sequence_width),
                "table_finished": Out(1),
                "image_done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        entries = [Signal(4, name=f"entry_{place}", reset_less=True) for place in range(_DEPTH)]
        place_in = Signal(range(_DEPTH))
        place_next = Signal(range(_DEPTH), init=1)  # of the product behind the oldest one
        count = Signal(range(_DEPTH + 1))
        some = Signal()
        pop = Signal()
        push = self.issued | self.ended
        entry = Cat(Mux(self.ended, _END, self.issued_destination), self.issued_table & ~self.ended)
        for place, register in enumerate(entries):
            with m.If(push & (place_in == place)):
                m.d.sync += register.eq(entry)
        with m.If(push & ~pop):
            m.d.sync += [count.eq(count + 1), some.eq(1), self.room.eq(count != _DEPTH - 1)]
        with m.If(pop & ~push):
            m.d.sync += [count.eq(count - 1), some.eq(count != 1), self.room.eq(1)]
        with m.If(push):
            m.d.sync += place_in.eq(place_in + 1)

        following = Signal(4)
        oldest = Signal(4)
        with m.Switch(place_next):
            for place, register in enumerate(entries):
                with m.Case(place):
                    m.d.comb += following.eq(register)
        with m.If(pop):
            m.d.sync += [place_next.eq(place_next + 1), oldest.eq(following)]
        with m.If(push & ((count == 0) | (pop & (count == 1)))):
            m.d.sync += oldest.eq(entry)
        destination, has_table = oldest[:3], oldest[3]
        is_end = destination == _END
        pulses = {
            "linear": (self.linear_done, destination <= Destination.LOGITS),
            "key": (self.key_done, destination == Destination.KEY),
            "value": (self.value_done, destination == Destination.VALUE),
            "kernel_0": (self.kernel_0_done, destination == Destination.KERNEL_0),
            "kernel_1": (self.kernel_1_done, destination == Destination.KERNEL_1),
        }
        ready = [
            is_mine & credits(m, sequence_width, done, pop & is_mine, name) for name, (done, is_mine) in pulses.items()
        ]
        m.d.comb += pop.eq(some & (is_end | Cat(ready).any()))
        with m.If(pop & ~is_end):
            m.d.sync += self.finished.eq(self.finished + 1)
        m.d.sync += [self.image_done.eq(pop & is_end), self.table_finished.eq(pop & has_table)]
        return m
