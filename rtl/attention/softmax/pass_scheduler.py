"""Pass scheduler: keeps the array busy, pass after pass.

The work of a block of queries is two products, in passes over stationary tiles:

    SCORES  for every column tile of C tokens, for every tile of R features:  stream Q past a tile of K
    VALUES  for every column tile of C features, for every tile of R tokens:  stream exponentials past a tile of V

As for Taylor attention (`rtl.schedule.pass_scheduler`), three engines work one ahead of the other, each holding one
pass: the sequencer chooses it, the tile loader moves its tile in while the pass before it streams, the operand
streamer sends its elements, one a cycle. Every wait is for one of these: operands (Q, K, V not loaded, scores not
written), a half of the banks of scores, room for a pass's rows in the row queue.
"""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, flipped

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.widths import index_width

from .bundles import LoadControl, StreamControl
from .operand_streamer import OperandStreamer
from .sequencer import Sequencer
from .tile_loader import TileLoader

__all__ = ["PassScheduler"]


class PassScheduler(Block):
    """Issues stationary tiles and streamed elements for all heads of a job.

    Args:
        config (AcceleratorConfig): the accelerator's configuration.
        load_latency (int): cycles that the columns take from `load_control` to a row of the tile, at least 0.

    Ports:
        start (1 bit, input): a job begins.
        tokens (bits of max_tokens, input): tokens of a head, constant while the job runs.
        head_dim (bits of max_head_dim, input): features of a head, constant while the job runs.
        heads (bits of max_heads, input): heads of the job, taken over at `start`.
        q_loaded (1 bit, input): Q of one more head is in its buffer.
        k_loaded (1 bit, input): K of one more head is in its buffer.
        v_loaded (1 bit, input): V of one more head is in its buffer.
        scores_ready (1 bit, input): the scores and maxima of one more block of queries are in their banks.
        row_divided (1 bit, input): a row has left the row queue.
        load_control (LoadControl, output): a row of a tile, to the columns.
        load (1 bit, output): the same row, to the array, one cycle before its operands get there.
        load_first (1 bit, output): it is the first row of a tile.
        stream_control (StreamControl, output): an element, to the operand rows.
        maximum_address (bits of {half, query}, output): where the largest score of the same element's row is.
        array_busy (1 bit, output): there is an element in `stream_control`.
        stall_input (1 bit, output): there is none, because operands are missing.
        stall_output (1 bit, output): there is none, because the row queue is full.
    """

    module_name = "pass_scheduler"

    def __init__(self, config, *, load_latency):
        self.sequencer = Sequencer(config)
        self.tile_loader = TileLoader(config, load_latency=load_latency)
        self.operand_streamer = OperandStreamer(config)
        super().__init__(
            {
                "start": In(1),
                "tokens": In(config.max_tokens.bit_length()),
                "head_dim": In(config.max_head_dim.bit_length()),
                "heads": In(config.max_heads.bit_length()),
                "q_loaded": In(1),
                "k_loaded": In(1),
                "v_loaded": In(1),
                "scores_ready": In(1),
                "row_divided": In(1),
                "load_control": Out(LoadControl(config)),
                "load": Out(1),
                "load_first": Out(1),
                "stream_control": Out(StreamControl(config)),
                "maximum_address": Out(1 + index_width(config.longest_block)),
                "array_busy": Out(1),
                "stall_input": Out(1),
                "stall_output": Out(1),
            }
        )

    @property
    def choice_latency(self):
        """Cycles from `scores_ready` or the like to the first row of a tile of the product that is chosen then."""
        return self.sequencer.choice_latency + 1

    def elaborate(self, platform):
        m = Module()
        sequencer = instantiate(m, "sequencer", self.sequencer)
        loader = instantiate(m, "tile_loader", self.tile_loader)
        streamer = instantiate(m, "operand_streamer", self.operand_streamer)

        # From engine to engine.
        connect(m, sequencer.coming, loader.coming)
        connect(m, loader.loaded, streamer.loaded)
        m.d.comb += [
            loader.coming_base.eq(sequencer.coming_base),
            loader.coming_beat.eq(sequencer.coming_beat),
            streamer.tile_waits.eq(loader.waits),
            streamer.lacks_input.eq(sequencer.lacks_input & loader.empty),
        ]

        # From outside, and to it.
        for engine in (sequencer, streamer):
            m.d.comb += engine.start.eq(self.start)
        for engine in (sequencer, loader):
            m.d.comb += [engine.tokens.eq(self.tokens), engine.head_dim.eq(self.head_dim)]
        m.d.comb += sequencer.heads.eq(self.heads)
        for name in ("q_loaded", "k_loaded", "v_loaded", "scores_ready"):
            m.d.comb += getattr(sequencer, name).eq(getattr(self, name))
        m.d.comb += streamer.row_divided.eq(self.row_divided)
        for name in ("load", "load_first"):
            m.d.comb += getattr(self, name).eq(getattr(loader, name))
        for name in ("maximum_address", "array_busy", "stall_input", "stall_output"):
            m.d.comb += getattr(self, name).eq(getattr(streamer, name))
        connect(m, loader.load_control, flipped(self.load_control))
        connect(m, streamer.stream_control, flipped(self.stream_control))
        return m
