"""Pass scheduler: keeps the array busy, pass after pass.

The work of a head is two products, in passes over stationary tiles:

    G    for every column tile, for every tile of R tokens:    stream the d features of K^ past a tile of V
    Q G  for every column tile, for every tile of R features:  stream the n tokens of Q past a tile of G

Products of neighbouring heads alternate, G(h+1), Q G(h), G(h+2), Q G(h+1), ..., so that the totals of one have all the
time of the other to drain, be requantized and become stationary in their turn. The order is not fixed: where the
operands of G(h+1) are not there yet but Q G(h) could run, it runs, so a source may wait for one head's result
before it sends the next head.

Three engines work one ahead of the other, each holding one pass:

    sequencer         which pass comes next?
        |
    tile loader       R cycles to move its tile in
        |
    operand streamer  its elements, one a cycle

A tile moves in while the pass before it streams; the streamer goes from the last element of one pass to the first of
the next without a bubble (`rtl.schedule.passes` has the cycles). Every wait is for one of these: operands (K, V, Q not
loaded, k_mean not divided, G not drained), a half of the G buffer, room for a pass's rows in the row queue.
"""

from amaranth.hdl import Module
from amaranth.lib.wiring import In, flipped

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect

from .operand_streamer import OperandStreamer
from .sequencer import Sequencer
from .tile_loader import TileLoader

__all__ = ["PassEngines", "PassScheduler"]


class PassEngines(Block):
    """Joins a sequencer, a tile loader and an operand streamer; a class to derive from.

    Each port is that of the engines that have one of its name.

    Args:
        sequencer (Block): chooses the passes.
        tile_loader (TileMover): loads their tiles.
        operand_streamer (Block): sends their elements.

    Attributes:
        port_names (tuple[str, ...]): the ports, in their order.
    """

    module_name = "pass_scheduler"
    port_names: tuple[str, ...]

    def __init__(self, *, sequencer, tile_loader, operand_streamer):
        self.sequencer = sequencer
        self.tile_loader = tile_loader
        self.operand_streamer = operand_streamer
        members = {}
        for engine in (sequencer, tile_loader, operand_streamer):
            members |= dict(engine.signature.members.items())
        super().__init__({name: members[name] for name in self.port_names})

    @property
    def choice_latency(self):
        """Cycles from what a product waited for to the first row of a tile of the product that is chosen then."""
        return self.sequencer.choice_latency + 1

    def elaborate(self, platform):
        m = Module()
        sequencer = instantiate(m, "sequencer", self.sequencer)
        loader = instantiate(m, "tile_loader", self.tile_loader)
        streamer = instantiate(m, "operand_streamer", self.operand_streamer)

        # From engine to engine.
        connect(m, sequencer.coming, loader.coming)
        connect(m, loader.loaded, streamer.loaded)
        m.d.comb += loader.coming_base.eq(sequencer.coming_base)
        self.join(m, sequencer, loader)
        m.d.comb += [
            streamer.tile_waits.eq(loader.waits),
            streamer.lacks_input.eq(sequencer.lacks_input & loader.empty),
        ]

        # From outside, and to it.
        for name, member in self.signature.members.items():
            for engine in (sequencer, loader, streamer):
                if not hasattr(engine, name):
                    continue
                if member.is_signature:
                    connect(m, getattr(engine, name), flipped(getattr(self, name)))
                elif member.flow == In:
                    m.d.comb += getattr(engine, name).eq(getattr(self, name))
                else:
                    m.d.comb += getattr(self, name).eq(getattr(engine, name))
        return m

    def join(self, m, sequencer, loader):
        """What sequencer and tile loader tell each other besides.

        Args:
            m (Module): the block's module.
            sequencer (object): instance of the sequencer.
            loader (object): instance of the tile loader.
        """
        raise NotImplementedError


class PassScheduler(PassEngines):
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
        mean_ready (1 bit, input): k_mean of one more head is known.
        g_written (1 bit, input): the last total of a head's G is in the G buffer.
        row_divided (1 bit, input): a row has left the row queue.
        load_control (LoadControl, output): a row of a tile, to the columns.
        load (1 bit, output): the same row, to the array, one cycle before its operands get there.
        load_first (1 bit, output): it is the first row of a tile.
        stream_control (StreamControl, output): an element, to the operand rows.
        mean_address (bits of {half, feature}, output): address of the k_mean of the same element.
        array_busy (1 bit, output): there is an element in `stream_control`.
        stall_input (1 bit, output): there is none, because operands are missing.
        stall_output (1 bit, output): there is none, because the row queue is full.
    """

    port_names = (
        "start", "tokens", "head_dim", "heads", "q_loaded", "k_loaded", "v_loaded", "mean_ready", "g_written",
        "row_divided", "load_control", "load", "load_first", "stream_control", "mean_address", "array_busy",
        "stall_input", "stall_output",
    )  # fmt: skip

    def __init__(self, config, *, load_latency):
        super().__init__(
            sequencer=Sequencer(config),
            tile_loader=TileLoader(config, load_latency=load_latency),
            operand_streamer=OperandStreamer(config),
        )

    def join(self, m, sequencer, loader):
        """The loader says when a half of the G buffer is free."""
        m.d.comb += sequencer.g_released.eq(loader.g_released)
