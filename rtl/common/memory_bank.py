"""Memory bank: one write port, one read port, the form that block RAM has on every FPGA family.

No block reads a word in the cycle in which it is written and uses the result. Saying so (`no_rw_check`) spares each
bank a bypass around the block RAM that synthesis would build, and its delay.

Block RAM is slow to answer: on an ECP5 its word comes 5 to 6 ns after the clock edge. `pipeline` registers behind it
keep what follows out of that path.

Which memory of the FPGA a bank becomes is left to synthesis, or said by `kind` in an attribute, `ram_style`, that
Yosys and Vivado read. Where the FPGA has no such memory, Yosys ends with an error. The large memories of an FPGA
(SPRAM of iCE40 UltraPlus, UltraRAM) have one port for reading and writing, and no contents at power-up.

Synthesis makes all of a memory of block RAM of one shape. 4,728 words of 12 bits become five of 1,024 x 18 on an ECP5,
and behind them a choice of one out of five. In two parts, they are three of 4,096 x 4 and one of 1,024 x 18, and the
choice is one out of two. 59,392 words of 32 bits would be 58 rows of such block RAM; in parts of 32,768, 16,384, 8,192
and 2,048 words, they are the same 116 blocks, and the choice is one out of five. That is the kind "split".
"""

import zlib

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .block import Block
from .memory_kinds import ONE_PORT_KINDS, TWO_PORT_KINDS
from .validation import require_choice, require_range
from .widths import index_width

__all__ = ["MemoryBank", "OnePortBank", "memory_bank"]

_STYLES = {"block": "block", "split": "block", "distributed": "distributed", "huge": "ultra"}  # kind -> attribute
_LEAST_SPLIT = 2048  # words: 2,048 x 9 is a shape of ECP5's block RAM, so fewer words take few of them


class MemoryBank(Block):
    """`depth` words of `width` bits, zero at power-up.

    Unless `contents` says what the first of them are then.

    Args:
        depth (int): words, at least 1.
        width (int): bits of a word, at least 1.
        pipeline (int): registers behind the memory, 0 or more.
        kind (str): what it becomes, one of `kinds`: "auto" for what synthesis chooses, "block" for block RAM,
            "distributed" for the memory of look-up tables, "split" for block RAM of the largest power of two of words,
            and so on with the others, until 2,048 or less are left, for which synthesis chooses.
        contents (tuple[int, ...]): the first words at power-up, at most `depth`; a reset does not bring them back.

    Ports:
        write_enable (1 bit, input): a word is written at the end of this cycle.
        write_address (index_width(depth) bits, input): where it goes.
        write_data (width bits, input): the word.
        read_address (index_width(depth) bits, input): which word is read. Neither the word that is written in the same
            cycle nor an address of `depth` or more gives a defined result.
        read_data (width bits, output): the word, `latency` = 1 + pipeline cycles later.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is below its least value, `kind` is none of `kinds`, or there are more contents than
            words.
    """

    kinds = TWO_PORT_KINDS
    """Kinds of memory that it can become."""

    one_port = False
    """Whether no word can be read in a cycle in which one is written."""

    reset_less = True
    waivers = {("UNUSEDSIGNAL", "*_address"): "There is but one word."}

    def __init__(self, *, depth, width, pipeline=0, kind="auto", contents=()):
        require_range("depth", depth, 1)
        require_range("width", width, 1)
        require_range("pipeline", pipeline, 0)
        require_choice("kind", kind, self.kinds)
        self.depth = depth
        self.width = width
        self.pipeline = pipeline
        if len(contents) > depth:
            raise ValueError(f"contents must have at most depth = {depth} words, not {len(contents)}")
        self.kind = kind
        self.contents = contents
        self.module_name = f"memory_{depth}x{width}" + (f"_{kind}" if kind != "auto" else "")
        if contents:
            self.module_name += f"_{zlib.crc32(repr(contents).encode()):08x}"
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
        if self.kind == "split":
            word = self._split(m, 0, self.write_enable)
        else:
            word = self._memory(m, "memory", _STYLES.get(self.kind), 0, self.depth, self.write_enable)
        for stage in range(self.pipeline):
            registered = Signal(self.width, name=f"word_{stage}", reset_less=True)
            m.d.sync += registered.eq(word)
            word = registered
        m.d.comb += self.read_data.eq(word)
        return m

    def _split(self, m, first, write_enable, part=0):
        """The words from the first on, in parts of fewer and fewer; returns what is read.

        The words of a part have a 0 in the bit of the address that counts as many words as the part has, those of all
        later parts a 1.
        """
        left = self.depth - first
        whole = 1 << (left.bit_length() - 1)
        name = ("memory", "memory_rest")[part] if part < 2 else f"memory_rest_{part}"
        if part and left <= _LEAST_SPLIT:
            return self._memory(m, name, None, first, left, write_enable)
        if whole == left:
            return self._memory(m, name, _STYLES[self.kind], first, left, write_enable)
        bit = whole.bit_length() - 1
        beyond_read, beyond_write = self.read_address[bit], self.write_address[bit]
        word = self._memory(m, name, _STYLES[self.kind], first, whole, write_enable & ~beyond_write)
        rest = self._split(m, first + whole, write_enable & beyond_write, part + 1)
        was_beyond = Signal(name="was_beyond" if part == 0 else f"was_beyond_{part + 1}", reset_less=True)
        m.d.sync += was_beyond.eq(beyond_read)
        return Mux(was_beyond, rest, word)

    def _memory(self, m, name, style, first, depth, write_enable):
        """A memory of `depth` words from the first on, with the lowest bits of the addresses; returns what is read."""
        contents = self.contents[first : first + depth]
        attributes = {"no_rw_check": 1} | ({"ram_style": style} if style else {})
        m.submodules[name] = memory = Memory(shape=self.width, depth=depth, init=contents, attrs=attributes)
        write = memory.write_port()
        read = memory.read_port()
        write_address, read_address = self.write_address, self.read_address
        if self.one_port:
            address = Signal.like(read_address, name="address")
            m.d.comb += address.eq(Mux(self.write_enable, write_address, read_address))
            write_address = read_address = address
        m.d.comb += [
            write.en.eq(write_enable),
            write.addr.eq(write_address),
            write.data.eq(self.write_data),
            read.en.eq(1),
            read.addr.eq(read_address),
        ]
        return read.data


class OnePortBank(MemoryBank):
    """`depth` words of `width` bits, undefined at power-up, in a memory whose one port either reads or writes.

    Args:
        depth (int): as in `MemoryBank`, like `width` and `pipeline`.
        width (int): bits of a word.
        pipeline (int): registers behind the memory.
        kind (str): "huge" for the largest memories of an FPGA.

    Ports:
        write_enable, write_address, write_data, read_data: as in `MemoryBank`.
        read_address (index_width(depth) bits, input): which word is read. In a cycle in which a word is written none is
            read: the result is not defined.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is below its least value, or `kind` is none of `kinds`.
    """

    kinds = ONE_PORT_KINDS
    one_port = True

    def __init__(self, *, depth, width, pipeline=0, kind="huge"):
        super().__init__(depth=depth, width=width, pipeline=pipeline, kind=kind)


def memory_bank(*, depth, width, pipeline=0, kind, contents=()):
    """The bank of any kind, for a buffer of which no word is read in a cycle in which one is written.

    Args:
        depth (int): words, at least 1.
        width (int): bits of a word, at least 1.
        pipeline (int): registers behind the memory, 0 or more.
        kind (str): what it becomes, of the kinds of `MemoryBank` or `OnePortBank`.
        contents (tuple[int, ...]): the first words at power-up.

    Returns:
        MemoryBank: one that has two ports or one.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter is out of its range, or there are contents for memory that has none at power-up.
    """
    if kind not in OnePortBank.kinds:
        return MemoryBank(depth=depth, width=width, pipeline=pipeline, kind=kind, contents=contents)
    if contents:
        raise ValueError(f"kind must be one of memory with contents at power-up, not {kind!r}")
    return OnePortBank(depth=depth, width=width, pipeline=pipeline, kind=kind)
