"""Streamer: sends the elements of a pass past the tile, one a cycle, and knows why it does not.

A pass begins in the cycle after the last one of the pass before, if its tile and constants are there and

    all          few enough products before it are unfinished (`wait`)
    NORM         the LayerNorm has written the features that it reads
    IMAGE        the image has come
    LOGITS       the logits of an image before have left one half of their buffer
    KERNEL_1     the attention kernel has room for the rows that it completes

Each of these is looked at a cycle ahead, while the pass is in `loaded` and not yet valid, or waits. Once it is so, it
stays so until the pass has been taken. So whether a pass may be taken is one register, `loaded.ready`, and the tile
loader, which goes on with the next pass in the same cycle, need not wait for comparisons here.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.bus import copied
from taylorvit.rtl.common.pipeline import delay

from .bundles import Pass, PassStream, StreamControl, sequence_width
from .command import Destination, Source

__all__ = ["Streamer"]


class Streamer(Block):
    """Streams passes, and says of each element what becomes of its sums.

    Args:
        config (NetworkConfig): the configuration.
        drain (int): cycles after the last element of a pass until its totals are in the residual stream.

    Ports:
        loaded (PassStream, input): the pass whose tile and constants are complete; `payload` is there from a cycle
            before `valid` on. Its first element is in `stream_control` two cycles after that in which it is taken.
        finished (sequence_width bits, input): products that are finished, a counter that wraps.
        norm_written (bits of most_features, input): features that the LayerNorm has written; all ones when it is done.
        image_ready (1 bit, input): the image has come.
        logits_room (1 bit, input): there is room for the logits of an image.
        kernel_room (1 bit, input): the kernel has room for a pass that completes rows.
        starving (1 bit, input): the tile loader waits for the tape.
        held_up (1 bit, input): the tile loader waits for products before its own.
        stream_control (StreamControl, output): an element, to row 0.
        residual_begin (1 bit, output): the first pass of a product for the residual stream was taken in the cycle
            before; a register.
        promised (1 bit, output): a pass is taken that completes rows of KERNEL_1.
        residual_busy (1 bit, output): totals may be on their way into the residual stream; from two cycles after a pass
            with totals was taken.
        kind (3 bits, output): the part of the network that is at work, or waited for.
        array_busy (1 bit, output): there is an element in `stream_control`.
        stall_tape (1 bit, output): there is none, because the tape does not come.
        stall_image (1 bit, output): there is none, because the image does not come.
        stall_output (1 bit, output): there is none, because logits cannot leave.
        stall_data (1 bit, output): there is none, because it waits for products before it.
    """

    module_name = "streamer"
    waivers = {("UNUSEDSIGNAL", "loaded__payload__result__*"): "What differs from element to element follows from it."}

    def __init__(self, config, *, drain):
        self._config = config
        self.rows = config.rows
        self.drain = drain
        super().__init__(
            {
                "loaded": In(PassStream(config)),
                "finished": In(sequence_width),
                "norm_written": In(config.most_features.bit_length()),
                "image_ready": In(1),
                "logits_room": In(1),
                "kernel_room": In(1),
                "starving": In(1),
                "held_up": In(1),
                "stream_control": Out(StreamControl(config)),
                "residual_begin": Out(1),
                "promised": Out(1),
                "residual_busy": Out(1),
                "kind": Out(3),
                "array_busy": Out(1),
                "stall_tape": Out(1),
                "stall_image": Out(1),
                "stall_output": Out(1),
                "stall_data": Out(1),
            }
        )

    @property
    def wait_latency(self):
        """Cycles from what a pass waits for until it may be taken."""
        return 1

    def elaborate(self, platform):
        m = Module()
        coming, ready = self.loaded.payload, self.loaded.ready
        result = coming.result
        streaming = Pass(self._config).create(path=("streaming",))
        # active  free
        #   0      1      no element
        #   1      0      an element of `streaming` goes out
        #   1      1      its last cycle
        active = Signal()
        free = Signal(init=1)
        ends = Signal()  # the next cycle is the last one
        position = Signal.like(streaming.pass_length)
        kind = Signal.like(self.kind, name="latest_kind")
        taken = Signal()
        is_short = Signal()  # the pass in `loaded` takes one cycle
        # `ready` takes no account of a pass that is taken: none is valid in the cycle behind.
        waits_for_image, waits_for_logits, waits_for_data = self._reasons(m, coming, ready, free | ends)
        m.d.comb += [
            ends.eq(active & (position + 2 == streaming.pass_length)),
            taken.eq(self.loaded.valid & ready),
            self.promised.eq(taken & self._completes_rows(result)),
        ]
        m.d.sync += [
            is_short.eq(coming.pass_length == 1),
            self.residual_begin.eq(taken & coming.product_first & (result.destination == Destination.RESIDUAL)),
            position.eq(position + 1),
        ]

        with m.If(active):
            self._advance(m, streaming, position)
        with m.If(ends):
            m.d.sync += free.eq(1)
        # What comes goes in, taken or not: if it is not, it goes in again.
        with m.If(free):
            m.d.sync += [active.eq(0), position.eq(0), *copied(coming, streaming)]
        with m.If(taken):
            m.d.sync += [active.eq(1), free.eq(is_short), kind.eq(coming.kind)]
        self._control(m, streaming, active, position)
        self._residual(m, streaming, active)

        waits = ~active & self.loaded.valid
        m.d.comb += self.kind.eq(Mux(waits, coming.kind, kind))
        m.d.sync += [
            self.array_busy.eq(active & (position < streaming.length)),
            self.stall_tape.eq(~active & ~self.loaded.valid & self.starving),
            self.stall_image.eq(waits & waits_for_image),
            self.stall_output.eq(waits & waits_for_logits & ~waits_for_image),
            self.stall_data.eq(
                (waits & waits_for_data & ~waits_for_logits & ~waits_for_image)
                | (~active & ~self.loaded.valid & self.held_up)
            ),
        ]
        return m

    def _completes_rows(self, result):
        return (result.destination == Destination.KERNEL_1) & result.last

    def _reasons(self, m, coming, ready, is_free):
        """Whether the pass that comes may go, and the reasons for which it may not: registers."""
        result = coming.result
        lacks_image = Signal()
        lacks_logits_room = Signal()
        lacks_products = Signal()
        lacks_norm = Signal()
        lacks_kernel_room = Signal()
        lacks_data = Signal()
        # Of the rows that were promised last, the kernel knows two cycles later.
        kernel_room = self.kernel_room & ~delay(m, self.promised, 1, "promised")
        m.d.comb += [
            lacks_image.eq((coming.source == Source.IMAGE) & ~self.image_ready),
            lacks_logits_room.eq((result.destination == Destination.LOGITS) & ~self.logits_room),
            lacks_products.eq((coming.sequence - self.finished)[:sequence_width] > coming.wait),
            lacks_norm.eq(coming.norm & (self.norm_written < coming.norm_features)),
            lacks_kernel_room.eq(self._completes_rows(result) & ~kernel_room),
            lacks_data.eq(lacks_products | lacks_norm | lacks_kernel_room),
        ]
        reasons = []
        for name, lacks in (("image", lacks_image), ("logits", lacks_logits_room), ("data", lacks_data)):
            reasons.append(Signal(name=f"waits_for_{name}"))
            m.d.sync += reasons[-1].eq(lacks)
        m.d.sync += ready.eq(is_free & ~(lacks_image | lacks_logits_room | lacks_data))
        return reasons

    def _advance(self, m, streaming, position):
        """Addresses go on with the elements; a key goes to the next bank."""
        result = streaming.result
        with m.If(position >= streaming.prefix):
            m.d.sync += streaming.source_address.eq(streaming.source_address + 1)
        with m.If(result.destination == Destination.KEY):
            m.d.sync += result.bank.eq(result.bank + 1)
            with m.If(result.bank == self.rows - 1):
                m.d.sync += [result.bank.eq(0), result.address.eq(result.address + result.following)]
        with m.Else():
            m.d.sync += [result.address.eq(result.address + 1), result.following.eq(result.following + 1)]

    def _control(self, m, streaming, active, position):
        """The element of this cycle, a register later."""
        control, result = self.stream_control, streaming.result
        is_element = active & (position < streaming.length)
        is_last = position + 1 == streaming.length
        end = is_element & is_last & result.last
        m.d.sync += [
            control.source.eq(streaming.source),
            control.blank.eq(position < streaming.prefix),
            control.swap.eq(active & (position == 0)),
            control.address.eq(streaming.source_address),
            control.position.eq(position),
            control.release.eq(end & streaming.product_last & (streaming.source == Source.IMAGE)),
            control.result.valid.eq(is_element),
            control.result.index.eq(position),
            control.result.begin.eq(is_element & (position == 0) & result.last),
            control.result.end.eq(end),
            control.result.finish.eq(end & streaming.product_last),
            *(
                getattr(control.result, name).eq(getattr(result, name))
                for name in (
                    "first", "last", "destination", "table", "bank", "address", "following", "first_tile", "last_tile"
                )
            ),
        ]  # fmt: skip

    def _residual(self, m, streaming, active):
        """Whether totals may be on their way into the residual stream: of this pass, or of one a while ago."""
        left = Signal(range(self.drain), name="drain_left")
        is_total = streaming.result.last & (streaming.result.destination == Destination.RESIDUAL)
        with m.If(active & is_total):
            m.d.sync += left.eq(self.drain - 1)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        m.d.sync += self.residual_busy.eq((active & is_total) | (left != 0))
