"""Taylor and softmax attention in one network accelerator: the command CONSTANTS of a layer says which of them it has.

    rows:      [row]       K, centred, or scores and their exponentials: one bank
    SA-Diag:   [diagonal]  k^_sum, or ones, and the divisors; where scores go
    columns:   [column]    V, G or K: one bank; scores, and the divisions
    one:       [center]    constants, sums, means, largest scores; which row is divided when; K on its way

The blocks are those of Taylor attention, with what softmax attention has besides.
"""

from taylorvit.rtl.network.kernel import NetworkKernel

from .center import MixedCenter
from .column import MixedColumn
from .diagonal import MixedDiagonal
from .row import MixedRow

__all__ = ["MixedNetworkKernel"]


class MixedNetworkKernel(NetworkKernel):
    """The four blocks, which fit each other's latencies.

    Args:
        config (NetworkConfig): the configuration.
    """

    def __init__(self, config):
        super().__init__(config)
        self.row = MixedRow(config)
        self.column = column = MixedColumn(config)
        self.diagonal = MixedDiagonal(
            config,
            divisor_delay=column.divisor_delay,
            write_back_delay=column.write_back_delay,
            score_latency=column.score_latency,
        )
        self.center = MixedCenter(
            config,
            k_sum_delay=column.k_sum_delay,
            write_back_delay=column.write_back_delay,
            place_latency=self.diagonal.places.latency,
        )
