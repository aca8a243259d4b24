"""Stream sender: reads finished heads of Z from the result buffer and sends each as one AXI4-Stream packet.

The order is that of the input streams: token by token, `lanes` features a beat, rows padded to whole beats, TLAST with
the last beat of the head. Each element is sign-extended to its container. Elements of a row's last beat beyond the head
dimension are undefined.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiStream
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.counters import credits
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.validation import require_multiple, require_range
from taylorvit.rtl.common.widths import index_width, tile_width

from .matrix_position import MatrixPosition

__all__ = ["StreamSender"]


class StreamSender(Block):
    """Reads the Z banks {half, column tile, token}, one element a column, and sends them.

    It sends one beat a cycle while the sink is ready, the first `latency` cycles after `head_ready`.

    Args:
        lanes (int): elements of a beat, at least 1.
        data_width (int): bits of an element, at least 1.
        element_width (int): bits of the container of an element in TDATA, at least `data_width`.
        columns (int): Z banks, a multiple of `lanes`.
        max_tokens (int): largest `tokens`, at least 1.
        max_head_dim (int): largest `head_dim`, at least 1.
        z_latency (int): cycles from `z_address` to `z_data`, at least 1.

    Ports:
        m (AxiStream of lanes element_width bits, source): the stream.
        start (1 bit, input): a job begins.
        tokens (bits of max_tokens, input): tokens of a head, constant while the job runs.
        head_dim (bits of max_head_dim, input): features of a head, likewise.
        head_ready (1 bit, input): one more head of Z is complete.
        z_address (bits of {half, column tile, token}, output): address in all banks.
        z_data (columns data_width bits, input): `z_latency` cycles later, column c in bits c data_width and up.
        sent (1 bit, output): the last beat of a head was taken.

    Raises:
        TypeError: a parameter is not an integer.
        ValueError: a parameter breaks its rule.
    """

    module_name = "stream_sender"

    def __init__(self, *, lanes, data_width, element_width, columns, max_tokens, max_head_dim, z_latency):
        require_range("lanes", lanes, 1)
        require_range("data_width", data_width, 1)
        require_range("element_width", element_width, data_width)
        require_multiple("columns", columns, lanes, "lanes")
        require_range("z_latency", z_latency, 1)
        self.z_latency = z_latency
        self.position = MatrixPosition(lanes=lanes, max_tokens=max_tokens, max_head_dim=max_head_dim)
        self.lanes = lanes
        self.data_width = data_width
        self.element_width = element_width
        self.columns = columns
        self.column_tile_bits = tile_width(-(-max_head_dim // columns))
        self.token_bits = index_width(max_tokens)
        super().__init__(
            {
                "m": Out(AxiStream(lanes * element_width)),
                "start": In(1),
                "tokens": In(max_tokens.bit_length()),
                "head_dim": In(max_head_dim.bit_length()),
                "head_ready": In(1),
                "z_address": Out(1 + self.column_tile_bits + self.token_bits),
                "z_data": In(columns * data_width),
                "sent": Out(1),
            }
        )

    @property
    def queue_depth(self):
        """Beats that are asked for and not yet offered, at most: one a cycle, until the first of them is offered."""
        return self.z_latency + 2

    @property
    def latency(self):
        """Cycles from `head_ready` to the first beat: counting the head, Z banks, queue, the beat's register."""
        return 1 + self.z_latency + 2

    def elaborate(self, platform):
        m = Module()
        heads_ready = Signal(2)
        half = Signal()
        position = instantiate(m, "position", self.position)
        token, row_last, head_last = position.token, position.row_last, position.head_last
        groups = self.columns // self.lanes
        group = Signal(index_width(groups))
        tile = Signal(self.column_tile_bits)

        # As many beats are asked for as the queue behind the banks can hold, so that none is lost if the sink stalls.
        move = Signal()
        room = Signal()
        issue = Signal()
        m.d.comb += [
            move.eq(~self.m.tvalid | self.m.tready),
            self.z_address.eq(Cat(token, tile, half)),
            position.start.eq(self.start),
            position.tokens.eq(self.tokens),
            position.head_dim.eq(self.head_dim),
            position.step.eq(issue),
            issue.eq((heads_ready != 0) & room),
        ]
        with m.If(issue):
            m.d.sync += group.eq(group + 1)
            with m.If(group == groups - 1):
                m.d.sync += [group.eq(0), tile.eq(tile + 1)]
            with m.If(row_last):
                m.d.sync += [group.eq(0), tile.eq(0)]
            with m.If(head_last):
                m.d.sync += half.eq(~half)
        m.d.sync += heads_ready.eq(heads_ready + self.head_ready - (issue & head_last))
        with m.If(self.start):
            m.d.sync += half.eq(0)

        arrived = delay(m, issue, self.z_latency, "issue")
        last = delay(m, head_last, self.z_latency, "last")
        word = self.z_data
        if groups > 1:
            word = word.word_select(delay(m, group, self.z_latency, "group"), self.lanes * self.data_width)
        beat = Cat(word, last)

        # The queue: where the next beat comes in and goes out, one bit a place.
        queue = [Signal.like(beat, name=f"queue_{place}", reset_less=True) for place in range(self.queue_depth)]
        place_in = Signal(self.queue_depth, init=1)
        place_out = Signal(self.queue_depth, init=1)
        under_way = Signal(range(self.queue_depth + 1))  # in the queue or on the way to it
        following = Signal.like(under_way)
        pop = Signal()
        some_held = credits(m, len(under_way), arrived, pop, "held")
        m.d.comb += [pop.eq(move & some_held), following.eq(under_way + issue - pop)]
        m.d.sync += [under_way.eq(following), room.eq(following != self.queue_depth)]
        for place, word in enumerate(queue):
            with m.If(arrived & place_in[place]):
                m.d.sync += word.eq(beat)
        with m.If(arrived):
            m.d.sync += place_in.eq(place_in.rotate_left(1))
        with m.If(pop):
            m.d.sync += place_out.eq(place_out.rotate_left(1))

        oldest = Signal.like(beat)
        m.d.comb += oldest.eq(reduce(or_, (Mux(place_out[place], word, 0) for place, word in enumerate(queue))))
        with m.If(move):
            m.d.sync += [self.m.tvalid.eq(some_held), self.m.tlast.eq(oldest[-1])]
            for lane in range(self.lanes):
                element = oldest.word_select(lane, self.data_width).as_signed()
                m.d.sync += self.m.tdata.word_select(lane, self.element_width).eq(element)
        m.d.comb += self.sent.eq(self.m.tvalid & self.m.tready & self.m.tlast)
        return m
