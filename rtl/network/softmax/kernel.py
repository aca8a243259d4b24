"""Softmax attention in the network accelerator: Z = e V / (sum of e), block by block of the queries of a head.

e is the exponential of a score Q K^T, taken below the largest score of its row.

    rows:      [row]       scores, and their exponentials on the way into the array
    SA-Diag:   [diagonal]  ones, and the divisors; where scores go
    columns:   [column]    K, V, scores as they come out of the array, and the divisions
    one:       [center]    constants, largest scores; which row is divided when; K on its way from features to tokens

`docs/network.md` has the products of a head, `docs/numerics.md` what they compute. The divider lanes are those of the
attention accelerator; exponentials and maxima are those of its softmax kernel.
"""

from taylorvit.rtl.network.kernel import NetworkKernel

from .center import SoftmaxCenter
from .column import SoftmaxColumn
from .diagonal import SoftmaxDiagonal
from .row import SoftmaxRow

__all__ = ["SoftmaxNetworkKernel"]


class SoftmaxNetworkKernel(NetworkKernel):
    """The four blocks, which fit each other's latencies.

    Args:
        config (NetworkConfig): the configuration.
    """

    def __init__(self, config):
        super().__init__(config)
        self.row = SoftmaxRow(config)
        self.column = column = SoftmaxColumn(config)
        self.diagonal = SoftmaxDiagonal(
            config,
            divisor_delay=column.divisor_delay,
            write_back_delay=column.write_back_delay,
            score_latency=column.score_latency,
        )
        self.center = SoftmaxCenter(
            config, write_back_delay=column.write_back_delay, place_latency=self.diagonal.places.latency
        )
