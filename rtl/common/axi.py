"""AXI4-Stream, AXI4-Lite, and the channels of AXI4 for reads and for writes, as far as the accelerators use them.

A signature is seen from the source, or the master: a source has the port `Out(AxiStream(32))`, a sink `In(...)` of the
same. `rtl.common.bus.connect` joins the two:

    connect(m, source.m_axis_z, sink.s_axis_z)

A block joins a port of its own to that of an instance within it by

    connect(m, flipped(self.s_axis_q), loader.s)
"""

from amaranth.lib import enum
from amaranth.lib.wiring import In, Out

from .bus import Bus
from .validation import require_choice, require_multiple, require_range

__all__ = ["AxiLite", "AxiRead", "AxiStream", "AxiWrite", "Burst", "Response"]


class Response(enum.IntEnum, shape=2):
    """Answer to an access."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


class Burst(enum.IntEnum, shape=2):
    """How the addresses of a burst follow each other."""

    FIXED = 0
    INCR = 1
    WRAP = 2


class AxiStream(Bus):
    """AXI4-Stream (ARM IHI 0051): a beat moves in a cycle with `tvalid` and `tready`.

    A source keeps `tvalid`, `tdata` and `tlast` as they are until the beat has moved.

    Args:
        width (int): bits of a beat, a multiple of 8.

    Ports:
        tdata (width bits): the beat.
        tvalid (1 bit): the source offers a beat.
        tready (1 bit, to the source): the sink takes what is offered.
        tlast (1 bit): the beat is the last one of its packet.

    Raises:
        TypeError: `width` is not an integer.
        ValueError: `width` is no positive multiple of 8.
    """

    def __init__(self, width):
        require_multiple("width", width, 8, "bits of a byte")
        super().__init__({"tdata": Out(width), "tvalid": Out(1), "tready": In(1), "tlast": Out(1)})


class AxiLite(Bus):
    """AXI4-Lite (ARM IHI 0022): reads and writes of single words, over five channels.

    Args:
        address_width (int): bits of a byte address, 1 to 64.
        data_width (int): bits of a word, 32 or 64.

    Ports:
        awaddr (address_width bits): address of a write.
        awprot (3 bits): protection of the write.
        awvalid (1 bit): there is an address to write to.
        awready (1 bit, to the master): it is taken.
        wdata (data_width bits): word to write.
        wstrb (data_width / 8 bits): which of its bytes are written.
        wvalid (1 bit): there is a word to write.
        wready (1 bit, to the master): it is taken.
        bresp (Response, to the master): answer to a write.
        bvalid (1 bit, to the master): there is an answer.
        bready (1 bit): it is taken.
        araddr (address_width bits): address of a read.
        arprot (3 bits): protection of the read.
        arvalid (1 bit): there is an address to read from.
        arready (1 bit, to the master): it is taken.
        rdata (data_width bits, to the master): word that was read.
        rresp (Response, to the master): answer to the read.
        rvalid (1 bit, to the master): there is an answer.
        rready (1 bit): it is taken.

    Raises:
        TypeError: `address_width` is not an integer.
        ValueError: a parameter is out of its range.
    """

    def __init__(self, *, address_width, data_width):
        require_range("address_width", address_width, 1, 64)
        require_choice("data_width", data_width, (32, 64))
        super().__init__(
            {
                "awaddr": Out(address_width),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(data_width),
                "wstrb": Out(data_width // 8),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(Response),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(address_width),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(data_width),
                "rresp": In(Response),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiRead(Bus):
    """The two read channels of AXI4 (ARM IHI 0022), without identifiers: answers come in the order of the addresses.

    Args:
        address_width (int): bits of a byte address, 1 to 64.
        data_width (int): bits of a beat, a power of two from 8 to 1024.

    Ports:
        araddr (address_width bits): address of the first beat of a burst.
        arlen (8 bits): its beats less one.
        arsize (3 bits): logarithm of the bytes of a beat.
        arburst (Burst): how its addresses follow each other.
        arvalid (1 bit): there is an address to read from.
        arready (1 bit, to the master): it is taken.
        rdata (data_width bits, to the master): a beat that was read.
        rresp (Response, to the master): answer to its read.
        rlast (1 bit, to the master): the last beat of its burst.
        rvalid (1 bit, to the master): there is a beat.
        rready (1 bit): it is taken.

    Raises:
        TypeError: `address_width` is not an integer.
        ValueError: a parameter is out of its range.
    """

    def __init__(self, *, address_width, data_width):
        super().__init__(
            {
                **_burst_addresses("ar", address_width, data_width),
                "rdata": In(data_width),
                "rresp": In(Response),
                "rlast": In(1),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiWrite(Bus):
    """The three write channels of AXI4 (ARM IHI 0022), without identifiers.

    Args:
        address_width (int): bits of a byte address, 1 to 64.
        data_width (int): bits of a beat, a power of two from 8 to 1024.

    Ports:
        awaddr (address_width bits): address of the first beat of a burst.
        awlen (8 bits): its beats less one.
        awsize (3 bits): logarithm of the bytes of a beat.
        awburst (Burst): how its addresses follow each other.
        awvalid (1 bit): there is an address to write to.
        awready (1 bit, to the master): it is taken.
        wdata (data_width bits): a beat to write.
        wstrb (data_width / 8 bits): which of its bytes are written.
        wlast (1 bit): the last beat of its burst.
        wvalid (1 bit): there is a beat.
        wready (1 bit, to the master): it is taken.
        bresp (Response, to the master): answer to a burst.
        bvalid (1 bit, to the master): there is an answer.
        bready (1 bit): it is taken.

    Raises:
        TypeError: `address_width` is not an integer.
        ValueError: a parameter is out of its range.
    """

    def __init__(self, *, address_width, data_width):
        super().__init__(
            {
                **_burst_addresses("aw", address_width, data_width),
                "wdata": Out(data_width),
                "wstrb": Out(data_width // 8),
                "wlast": Out(1),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(Response),
                "bvalid": In(1),
                "bready": Out(1),
            }
        )


def _burst_addresses(channel, address_width, data_width):
    """Members of a channel of addresses of bursts, whose beats have `data_width` bits; checks both widths."""
    require_range("address_width", address_width, 1, 64)
    require_choice("data_width", data_width, tuple(8 << power for power in range(8)))
    members = {
        "addr": Out(address_width),
        "len": Out(8),
        "size": Out(3),
        "burst": Out(Burst),
        "valid": Out(1),
        "ready": In(1),
    }
    return {f"{channel}{name}": member for name, member in members.items()}
