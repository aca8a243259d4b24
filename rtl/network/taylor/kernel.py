"""Taylor attention in the network accelerator: Z = (c_v v_sum + Q G) / (c_d + Q k^_sum), head by head.

    rows:      [row]       K, centred, for G
    SA-Diag:   [diagonal]  k^_sum, and the divisors
    columns:   [column]    V, G, and the divisions
    one:       [center]    constants, sums, means; which row is divided when; K on its way from columns to rows

`docs/network.md` has the products of a head, `docs/numerics.md` what they compute. The adders, the divider lanes, the
division scheduler and the bias unit are those of the attention accelerator.
"""

from taylorvit.rtl.network.kernel import NetworkKernel

from .center import TaylorCenter
from .column import TaylorColumn
from .diagonal import TaylorDiagonal
from .row import TaylorRow

__all__ = ["TaylorNetworkKernel"]


class TaylorNetworkKernel(NetworkKernel):
    """The four blocks, which fit each other's latencies.

    Args:
        config (NetworkConfig): the configuration.
    """

    def __init__(self, config):
        super().__init__(config)
        self.row = TaylorRow(config)
        self.column = column = TaylorColumn(config)
        self.diagonal = TaylorDiagonal(
            config, divisor_delay=column.divisor_delay, write_back_delay=column.write_back_delay
        )
        self.center = TaylorCenter(
            config,
            k_sum_delay=column.k_sum_delay,
            write_back_delay=column.write_back_delay,
            place_latency=self.diagonal.places.latency,
        )
