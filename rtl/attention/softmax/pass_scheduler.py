"""Pass scheduler: keeps the array busy, pass after pass.

The work of a block of queries is two products, in passes over stationary tiles:

    SCORES  for every column tile of C tokens, for every tile of R features:  stream Q past a tile of K
    VALUES  for every column tile of C features, for every tile of R tokens:  stream exponentials past a tile of V

As for Taylor attention (`rtl.schedule.pass_scheduler`), three engines work one ahead of the other, each holding one
pass: the sequencer chooses it, the tile loader moves its tile in while the pass before it streams, the operand
streamer sends its elements, one a cycle. Every wait is for one of these: operands (Q, K, V not loaded, scores not
written), a half of the banks of scores, room for a pass's rows in the row queue.
"""

from taylorvit.rtl.schedule.pass_scheduler import PassEngines

from .operand_streamer import OperandStreamer
from .sequencer import Sequencer
from .tile_loader import TileLoader

__all__ = ["PassScheduler"]


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

    port_names = (
        "start", "tokens", "head_dim", "heads", "q_loaded", "k_loaded", "v_loaded", "scores_ready", "row_divided",
        "load_control", "load", "load_first", "stream_control", "maximum_address", "array_busy", "stall_input",
        "stall_output",
    )  # fmt: skip

    def __init__(self, config, *, load_latency):
        super().__init__(
            sequencer=Sequencer(config),
            tile_loader=TileLoader(config, load_latency=load_latency),
            operand_streamer=OperandStreamer(config),
        )

    def join(self, m, sequencer, loader):
        """The sequencer counts beats as it counts features."""
        m.d.comb += loader.coming_beat.eq(sequencer.coming_beat)
