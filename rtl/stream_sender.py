"""Stream sender: finished heads of Z out of the result buffer, as one AXI4-Stream packet a head.

The order is that of the input streams: token by token, `lanes` features a beat, rows padded to whole beats, TLAST with
the last beat of the head. Each element is sign-extended to its container. What a row's last beat holds beyond the
head dimension is undefined.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from .block import Block
from .bundles import index_width

__all__ = ["StreamSender"]


class StreamSender(Block):
    """Reads the Z banks {half, column tile, token}, one element a column, and sends them.

    Parameters
    ----------
    lanes, data_width, element_width: elements a beat, their bits, and the bits of their containers in TDATA.
    columns: Z banks, a multiple of `lanes`.
    max_tokens, max_head_dim: limits of the job's sizes.

    Ports
    -----
    m_tdata, m_tvalid, m_tready, m_tlast: the stream.
    start: a job begins; tokens, head_dim: its sizes, constant while it runs.
    head_ready: one more head of Z is complete.
    z_address: of all banks; z_data: one cycle later, column c in bits c * data_width and up.
    sent: the last beat of a head was accepted.

    One beat a cycle while the sink is ready; the first `latency` cycles after `head_ready`.
    """

    module_name = "stream_sender"
    latency = 3

    def __init__(self, *, lanes, data_width, element_width, columns, max_tokens, max_head_dim):
        self.lanes = lanes
        self.data_width = data_width
        self.element_width = element_width
        self.columns = columns
        self.column_tile_bits = index_width(-(-max_head_dim // columns))
        self.token_bits = index_width(max_tokens)
        super().__init__({
            "m_tdata": Out(lanes * element_width),
            "m_tvalid": Out(1),
            "m_tready": In(1),
            "m_tlast": Out(1),
            "start": In(1),
            "tokens": In(max_tokens.bit_length()),
            "head_dim": In(max_head_dim.bit_length()),
            "head_ready": In(1),
            "z_address": Out(1 + self.column_tile_bits + self.token_bits),
            "z_data": In(columns * data_width),
            "sent": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        heads_ready = Signal(2)
        half = Signal()
        token = Signal.like(self.tokens)
        feature = Signal(len(self.head_dim) + 1)
        groups = self.columns // self.lanes
        group = Signal(index_width(groups))
        tile = Signal(self.column_tile_bits)

        # Three steps: issue an address, fetch the word, hold the beat until the sink takes it. While the sink waits,
        # the address of the fetched word is issued again, so that the word stays.
        fetched = Signal()
        accept = Signal()
        issue = Signal()
        m.d.comb += [
            accept.eq(~self.m_tvalid | self.m_tready),
            issue.eq((heads_ready != 0) & (~fetched | accept)),
        ]

        row_last = Signal()
        head_last = Signal()
        m.d.comb += [
            row_last.eq(feature + self.lanes >= self.head_dim),
            head_last.eq(row_last & (token + 1 == self.tokens)),
        ]
        with m.If(issue):
            m.d.sync += [feature.eq(feature + self.lanes), group.eq(group + 1)]
            with m.If(group == groups - 1):
                m.d.sync += [group.eq(0), tile.eq(tile + 1)]
            with m.If(row_last):
                m.d.sync += [feature.eq(0), group.eq(0), tile.eq(0), token.eq(token + 1)]
            with m.If(head_last):
                m.d.sync += [token.eq(0), half.eq(~half)]
        m.d.sync += heads_ready.eq(heads_ready + self.head_ready - (issue & head_last))
        with m.If(self.start):
            m.d.sync += half.eq(0)

        address = Cat(token[: self.token_bits], tile, half)
        fetched_address = Signal.like(self.z_address)
        fetched_last = Signal()
        with m.If(issue):
            m.d.comb += self.z_address.eq(address)
            m.d.sync += [
                fetched.eq(1),
                fetched_address.eq(address),
                fetched_last.eq(head_last),
            ]
        with m.Else():
            m.d.comb += self.z_address.eq(fetched_address)
            with m.If(accept):
                m.d.sync += fetched.eq(0)

        word = self.z_data
        if groups > 1:
            fetched_group = Signal.like(group)
            with m.If(issue):
                m.d.sync += fetched_group.eq(group)
            word = self.z_data.word_select(fetched_group, self.lanes * self.data_width)
        with m.If(accept):
            m.d.sync += [self.m_tvalid.eq(fetched), self.m_tlast.eq(fetched_last)]
            for lane in range(self.lanes):
                element = word.word_select(lane, self.data_width).as_signed()
                m.d.sync += self.m_tdata.word_select(lane, self.element_width).eq(element)
        m.d.comb += self.sent.eq(self.m_tvalid & self.m_tready & self.m_tlast)
        return m
