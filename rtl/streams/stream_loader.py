"""Stream loader: writes one AXI4-Stream, Q, K or V, into the banks of its operand buffer.

A packet (up to TLAST) is the matrix of one head, token by token, `lanes` elements a beat. Each token begins with a new
beat; elements of its last beat beyond the head dimension are ignored. The buffer has two halves: a head is taken as
soon as one half is free, while the array works on the other.

    s_axis --> [check TLAST, count token and beat] --> word, address and offset for the chain of banks

A packet that is too short is filled up with zeros. Of a packet that is too long, the rest up to TLAST is dropped. Both
are reported, and the next head is not affected, since the next packet begins after TLAST. A packet without TLAST runs
into the next one, which is dropped with it: later heads move up by one. When `input_timeout` says that the source has
stopped, a packet that has not come is filled up, and a TLAST that has not come is no longer waited for.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.axi import AxiStream
from taylorvit.rtl.common.bank_chain import BankWrite
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.validation import require_choice, require_multiple, require_range
from taylorvit.rtl.common.widths import address_field, index_width, tile_width

from .matrix_position import MatrixPosition

__all__ = ["StreamLoader"]


class StreamLoader(Block):
    """Writes the heads of a job into a double-buffered, banked operand buffer.

    It takes one beat a cycle. `write` comes one cycle after the beat, two if `pipelined`.

    Args:
        name (str): name of the stream, for the name of the module.
        lanes (int): elements of a beat, at least 1.
        data_width (int): bits of an element, at least 1.
        element_width (int): bits of the container of an element in TDATA, at least `data_width`.
        max_tokens (int): largest `tokens`, at least 1.
        max_head_dim (int): largest `head_dim`, at least 1.
        max_heads (int): largest `heads`, at least 1.
        banks (int): banks of the buffer, a multiple of `lanes`.
        banked_by (str): "feature": bank b holds the features b, b + banks, ..., one element a word {half, feature
            tile, token}. "token": bank b holds the tokens b, b + banks, ..., one beat a word {half, token tile, beat}.
        readers (int): units that read each head and release it on their own, at least 1.
        pipelined (bool): a register between taking a beat and finding its bank.

    Ports:
        s (AxiStream of lanes element_width bits, sink): the stream.
        closed (1 bit, input): no beat is taken, whatever else.
        start (1 bit, input): a job begins.
        tokens (bits of max_tokens, input): tokens of a head, constant while the job runs.
        head_dim (bits of max_head_dim, input): features of a head, likewise.
        heads (bits of max_heads, input): heads of the job, likewise.
        released (readers bits, input): bit r: reader r no longer needs the older half of the buffer.
        input_timeout (1 bit, input): do not wait for the source any longer.
        write (BankWrite, output): a beat on its way to the first bank, lane i in bits i data_width and up. `lanes`
            neighbouring banks take a lane each ("feature"), or one bank takes the whole beat ("token").
        row_write (1 bit, output): the same beat for the accumulator array.
        row_first (1 bit, output): it belongs to the first token of the head.
        row_half (1 bit, output): the half of the buffer that it goes to.
        row_beat (index_width(beats) bits, output): its number in the row.
        loaded (1 bit, output): a head is complete: its last write is in this cycle.
        tlast_early (1 bit, output): a packet was too short.
        tlast_late (1 bit, output): a packet was too long.
        starving (1 bit, output): the loader is ready, but no beat comes.
        gave_up (1 bit, output): `input_timeout` in a cycle in which no beat comes: the rest is no longer waited for.
        idle (1 bit, output): all heads of the job are in, and the stream stands at the end of a packet.

    Raises:
        TypeError: a number is not an integer.
        ValueError: a parameter breaks its rule.
    """

    waivers = {
        ("PINCONNECTEMPTY", "row_*"): "Only K and V are summed over the tokens.",
        ("UNUSEDSIGNAL", "s_tdata"): "A container's bits above its element are ignored.",
    }

    def __init__(self, *, name, lanes, data_width, element_width, max_tokens, max_head_dim, max_heads, banks,
                 banked_by, readers=1, pipelined=False):  # fmt: skip
        require_range("lanes", lanes, 1)
        require_range("data_width", data_width, 1)
        require_range("element_width", element_width, data_width)
        require_range("max_heads", max_heads, 1)
        require_range("readers", readers, 1)
        require_multiple("banks", banks, lanes, "lanes")
        require_choice("banked_by", banked_by, ("feature", "token"))
        self.module_name = f"stream_loader_{name}"
        self.lanes = lanes
        self.data_width = data_width
        self.element_width = element_width
        self.banks = banks
        self.banked_by = banked_by
        self.pipelined = pipelined
        self.beats = -(-max_head_dim // lanes)
        self.position = MatrixPosition(lanes=lanes, max_tokens=max_tokens, max_head_dim=max_head_dim)
        if banked_by == "feature":
            self.inner_bits = index_width(max_tokens)
            self.tiles = -(-max_head_dim // banks)
        else:
            self.inner_bits = tile_width(self.beats)
            self.tiles = -(-max_tokens // banks)
        super().__init__(
            {
                "s": In(AxiStream(lanes * element_width)),
                "closed": In(1),
                "start": In(1),
                "tokens": In(max_tokens.bit_length()),
                "head_dim": In(max_head_dim.bit_length()),
                "heads": In(max_heads.bit_length()),
                "released": In(readers),
                "input_timeout": In(1),
                "write": Out(
                    BankWrite(
                        banks=banks,
                        address_width=1 + tile_width(self.tiles) + self.inner_bits,
                        data_width=lanes * data_width,
                    )
                ),
                "row_write": Out(1),
                "row_first": Out(1),
                "row_half": Out(1),
                "row_beat": Out(index_width(self.beats)),
                "loaded": Out(1),
                "tlast_early": Out(1),
                "tlast_late": Out(1),
                "starving": Out(1),
                "gave_up": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        heads_left = Signal.like(self.heads)
        held = [Signal(2, name=f"held_{reader}") for reader in range(len(self.released))]  # halves that it may read
        half = Signal()
        beat = Signal(index_width(self.beats))
        step = Signal()
        finish = Signal()
        position = instantiate(m, "position", self.position)
        token, row_last, head_last = position.token, position.row_last, position.head_last
        m.d.comb += [
            position.start.eq(self.start),
            position.tokens.eq(self.tokens),
            position.head_dim.eq(self.head_dim),
            position.step.eq(step),
            finish.eq(step & head_last),
        ]

        # A head is left to take, and a half of the buffer is free for it: by all that happened before this cycle.
        ready = Signal()
        room = Cat((count != 2) | released for count, released in zip(held, self.released)).all()
        room_after = Cat((count == 0) | released for count, released in zip(held, self.released)).all()
        m.d.sync += ready.eq(Mux(finish, (heads_left != 1) & room_after, (heads_left != 0) & room))

        filling = Signal()
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += [
                    self.s.tready.eq(ready & ~self.closed),
                    step.eq(ready & ~self.closed & self.s.tvalid),
                    self.tlast_early.eq(step & self.s.tlast & ~head_last),
                    self.tlast_late.eq(step & ~self.s.tlast & head_last),
                    self.idle.eq(heads_left == 0),
                ]
                with m.If(self.tlast_early | self.gave_up):
                    m.next = "FILL"
                with m.Elif(self.tlast_late):
                    m.next = "DROP"
            with m.State("FILL"):
                m.d.comb += [step.eq(1), filling.eq(1)]
                with m.If(head_last):
                    m.next = "TAKE"
            with m.State("DROP"):
                m.d.comb += self.s.tready.eq(~self.closed)
                with m.If((self.s.tvalid & self.s.tlast) | self.gave_up):
                    m.next = "TAKE"
        m.d.comb += [
            self.starving.eq(self.s.tready & ~self.s.tvalid),
            self.gave_up.eq(self.starving & self.input_timeout),
        ]

        # Position in the head.
        with m.If(step):
            m.d.sync += beat.eq(beat + 1)
            with m.If(row_last):
                m.d.sync += beat.eq(0)
            with m.If(head_last):
                m.d.sync += [half.eq(~half), heads_left.eq(heads_left - 1)]
        for count, released in zip(held, self.released):
            m.d.sync += count.eq(count + finish - released)
        with m.If(self.start):
            m.d.sync += [heads_left.eq(self.heads), half.eq(0), ready.eq(room)]

        # Bank and tile: of the beat's features, or of its token.
        elements = Signal.like(self.write.data)
        for lane in range(self.lanes):
            element = self.s.tdata.word_select(lane, self.element_width)[: self.data_width]
            m.d.comb += elements.word_select(lane, self.data_width).eq(Mux(filling, 0, element))
        step, row_end, head_end, half, token, beat, elements = (
            delay(m, value, self.pipelined, name)
            for name, value in (
                ("step", step),
                ("row_end", step & row_last),
                ("head_end", finish),
                ("half", half),
                ("token", token),
                ("beat", beat),
                ("elements", elements),
            )
        )
        offset = Signal.like(self.write.offset)  # distance of bank 0 from the first bank that takes the beat
        tile = Signal(tile_width(self.tiles))
        by_feature = self.banked_by == "feature"
        shares = self.lanes if by_feature else 1
        is_next, is_first = (step, row_end) if by_feature else (row_end, head_end)
        with m.If(is_next):
            m.d.sync += offset.eq(offset - shares)
            with m.If(offset == (shares - self.banks) % (1 << len(offset))):
                m.d.sync += [offset.eq(0), tile.eq(tile + 1)]
        with m.If(is_first):
            m.d.sync += [offset.eq(0), tile.eq(0)]

        # To the banks.
        inner = token if by_feature else beat
        m.d.sync += [
            self.write.valid.eq(step),
            self.write.offset.eq(offset),
            self.write.address.eq(Cat(address_field(inner, self.inner_bits), tile, half)),
            self.write.data.eq(elements),
            self.row_write.eq(step),
            self.row_first.eq(token == 0),
            self.row_half.eq(half),
            self.row_beat.eq(beat),
            self.loaded.eq(head_end),
        ]
        return m
