"""Memory bank: one write port, one read port, the form that block RAM has on every FPGA family.

No block reads a word in the cycle in which it is written and uses the result. Saying so (`no_rw_check`) spares each
bank a bypass around the block RAM that synthesis would build, and its delay.

Block RAM is slow to answer: on an ECP5 its word comes 5 to 6 ns after the clock edge. `pipeline` registers behind it
keep what follows out of that path.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .block import Block
from .validation import require_range
from .widths import index_width

__all__ = ["MemoryBank"]


class MemoryBank(Block):
    """`depth` words of `width` bits, zero at power-up.

    Args:
        depth (int): words, at least 1.
        width (int): bits of a word, at least 1.
        pipeline (int): registers behind the memory, 0 or more.

    Ports:
        write_enable (1 bit, input): a word is written at the end of this cycle.
        write_address (index_width(depth) bits, input): where it goes.
        write_data (width bits, input): the word.
        read_address (index_width(depth) bits, input): which word is read. Neither the word that is written in the same
            cycle nor an address of `depth` or more gives a defined result.
        read_data (width bits, output): the word, `latency` = 1 + pipeline cycles later.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is below its least value.
    """

    reset_less = True
    waivers = {("UNUSEDSIGNAL", "*_address"): "There is but one word."}

    def __init__(self, *, depth, width, pipeline=0):
        require_range("depth", depth, 1)
        require_range("width", width, 1)
        require_range("pipeline", pipeline, 0)
        self.depth = depth
        self.width = width
        self.pipeline = pipeline
        self.module_name = f"memory_{depth}x{width}"
        address_width = index_width(depth)
        super().__init__(
            {
                "write_enable": In(1),
                "write_address": In(address_width),
                "write_data": In(width),
                "read_address": In(address_width),
                "read_data": Out(width),
            }
        )

    @property
    def latency(self):
        """Cycles from `read_address` to `read_data`."""
        return 1 + self.pipeline

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.width, depth=self.depth, init=[], attrs={"no_rw_check": 1})
        write = memory.write_port()
        read = memory.read_port()
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.en.eq(1),
            read.addr.eq(self.read_address),
        ]
        word = read.data
        for stage in range(self.pipeline):
            registered = Signal(self.width, name=f"word_{stage}", reset_less=True)
            m.d.sync += registered.eq(word)
            word = registered
        m.d.comb += self.read_data.eq(word)
        return m
