"""Memory bank: one write port, one read port, the form that block RAM has on every FPGA family.

A word that is read in the cycle in which it is written is nobody's business: no block does that and uses the result.
Saying so (`no_rw_check`) spares each bank a bypass that synthesis would build around the block RAM, and its delay.

Block RAM is slow to answer: on an ECP5 its word comes 5 to 6 ns after the clock edge. `pipeline` registers behind it
keep what follows out of that path.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .block import Block
from .widths import index_width

__all__ = ["MemoryBank"]


class MemoryBank(Block):
    """`depth` words of `width` bits, zero at power-up.

    Parameters
    ----------
    depth, width: words, and bits of a word.
    pipeline: registers behind the memory.

    Ports
    -----
    write_enable, write_address, write_data: the word is written at the end of this cycle.
    read_address, read_data: `read_data` follows `latency` = 1 + pipeline cycles later. The word that is being written
        in the cycle of `read_address`, and addresses of `depth` and above, give nothing in particular.
    """

    reset_less = True
    waivers = {("UNUSEDSIGNAL", "*_address"): "There is but one word."}

    def __init__(self, *, depth, width, pipeline=0):
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
        write, read = memory.write_port(), memory.read_port()
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
