"""Taylor attention in numbers: widths, buffers and registers.

The symbols of the documentation are W = `data_width`, f = `mean_fraction`, F = `constant_fraction`,
N = `max_tokens`, D = `max_head_dim`, R = `rows`, C = `columns`; n and d are a job's own tokens and head dimension.
Widths are of signed values unless said otherwise.
"""

from math import ceil

from taylorvit.rtl.attention.spec import JobRegister, KernelSpec, Told

__all__ = ["TaylorSpec"]


def _ceil_log2(value):
    return (value - 1).bit_length()


class TaylorSpec(KernelSpec):
    """Widths, buffers and registers of Taylor attention."""

    hardware = "taylorvit.rtl.attention.taylor.kernel:TaylorKernel"
    network_hardware = "taylorvit.rtl.network.taylor.kernel:TaylorNetworkKernel"

    told = (
        Told(attribute="c_v_width", register="CONSTANT_WIDTHS", low=0, least=1, most=64, description="bits of c_v"),
        Told(attribute="c_d_width", register="CONSTANT_WIDTHS", low=8, least=1, most=96, description="bits of c_d"),
        Told(attribute="shift_g_max", register="SHIFT_LIMITS", low=0, least=0, most=255, description="largest SHIFT_G"),
    )

    @staticmethod
    def job_registers(view):
        """SHIFT_G, SHIFT_Z, C_V and C_D."""
        c_v_max, c_d_max = (1 << view.c_v_width) - 1, (1 << view.c_d_width) - 1
        return (
            JobRegister(
                name="shift_g", minimum=0, maximum=view.shift_g_max, description="right shift that requantizes G"
            ),
            JobRegister(
                name="shift_z",
                minimum=view.shift_z_min,
                maximum=view.shift_z_max,
                description="left shift of T_N before the division",
            ),
            JobRegister(name="c_v", minimum=0, maximum=c_v_max, description="constant c_v", words=2),
            JobRegister(name="c_d", minimum=0, maximum=c_d_max, description="constant c_d", words=3),
        )

    @staticmethod
    def array_cycles(view, tokens, head_dim):
        """T_SA: cycles of array work a head, ceil(n/R) d ceil(d/C) + n ceil(d/R) ceil(d/C)."""
        columns = ceil(head_dim / view.columns)
        return columns * (ceil(tokens / view.rows) * head_dim + tokens * ceil(head_dim / view.rows))

    @staticmethod
    def ideal_cycles(view, tokens, head_dim):
        """Cycles a head if every PE of SA-General did a useful product every cycle: 2 n d^2 / (R C)."""
        return 2 * tokens * head_dim**2 / (view.rows * view.columns)

    # The array's operands and sums

    @property
    def streamed_width(self):
        """Operand that moves right through the array: K^ = (K << f) - k_mean, or Q; W + 1 + f, nothing saturates."""
        return self.config.data_width + 1 + self.config.mean_fraction

    @property
    def partial_sum_width(self):
        """Partial sums of SA-General, for both of its products."""
        return max(self.g_sum_width, self.qg_width)

    @property
    def diagonal_width(self):
        """Stationary operand of SA-Diag: k^_sum, or 1."""
        return self.k_hat_sum_width

    @property
    def diagonal_sum_width(self):
        """Partial sums of SA-Diag: they may wrap on the way (arithmetic modulo 2^width), their totals fit."""
        return max(self.q_k_hat_sum_width, self.k_hat_sum_width)

    def operand_rules(self, limit):
        """K^ and k^_sum must fit, which the fields W, f and N decide."""
        config = self.config
        return [
            (self.streamed_width, "data_width + mean_fraction", limit - 1, config.data_width + config.mean_fraction),
            (self.diagonal_width, "max_tokens", 1 << (limit - 1), config.max_tokens),
        ]

    # Steps of the algorithm

    @property
    def mean_width(self):
        """k_mean with its f fractional bits: the mean of W-bit numbers stays in their range."""
        return self.config.data_width + self.config.mean_fraction

    @property
    def column_sum_width(self):
        """k_sum and v_sum: N terms of W bits."""
        return self.config.data_width + _ceil_log2(self.config.max_tokens)

    @property
    def k_hat_sum_width(self):
        """k^_sum: N rounding errors of at most half a unit each, so |k^_sum| <= N / 2."""
        return max(2, _ceil_log2(self.config.max_tokens) + 1)

    @property
    def g_sum_width(self):
        """Exact K^^T V: N products of less than 2^(W+f) and at most 2^(W-1)."""
        return 2 * self.config.data_width + self.config.mean_fraction + _ceil_log2(self.config.max_tokens)

    @property
    def qg_width(self):
        """Exact Q G: D products of at most 2^(2W-2)."""
        return 2 * self.config.data_width + _ceil_log2(self.config.max_head_dim)

    @property
    def q_k_hat_sum_width(self):
        """Exact Q k^_sum^T: D products of at most 2^(W-1) and N / 2."""
        return self.config.data_width + _ceil_log2(self.config.max_tokens) + _ceil_log2(self.config.max_head_dim)

    # Constants of a job

    @property
    def c_v_width(self):
        """Run-time constant c_v, unsigned; beyond 2^(2W) in units of v_sum the term Q G is below one unit."""
        return self.config.c_v_bits or self.config.constant_fraction + 2 * self.config.data_width

    @property
    def c_d_width(self):
        """Run-time constant c_d, unsigned: n sqrt(d) 2^(F + f - e_q - e_k) for -e_q - e_k up to 2W + 4."""
        config = self.config
        size = _ceil_log2(config.max_tokens) + ceil(_ceil_log2(config.max_head_dim) / 2) + 1
        return config.c_d_bits or 2 * config.data_width + 4 + config.constant_fraction + config.mean_fraction + size

    @property
    def shift_g_max(self):
        """Largest SHIFT_G: beyond it every G is 0."""
        return self.g_sum_width

    # Division

    @property
    def denominator_width(self):
        """t_D = c_d + (Q k^_sum << F)."""
        return max(self.c_d_width + 1, self.q_k_hat_sum_width + self.config.constant_fraction) + 1

    @property
    def divisor_width(self):
        """Unsigned divisor: t_D > 0 in the alignment of SHIFT_Z, or n << (W - 1)."""
        aligned_denominator = self.denominator_width - 1 + self.divisor_shift_max
        aligned_tokens = self.config.max_tokens.bit_length() + self.config.data_width - 1
        return max(aligned_denominator, aligned_tokens)

    @property
    def aligned_qg_width(self):
        """(Q G << F) in the alignment of SHIFT_Z."""
        return self.qg_width + self.config.constant_fraction + self.numerator_shift_max

    @property
    def aligned_bias_width(self):
        """c_v v_sum in the alignment of SHIFT_Z, clipped.

        A clipped value still outweighs the largest (Q G << F) by more than the largest divisor: the quotient
        saturates, as it would have unclipped.
        """
        return max(self.divisor_width, self.aligned_qg_width - 1) + 2

    @property
    def numerator_width(self):
        """T_N in the alignment of SHIFT_Z."""
        return self.aligned_bias_width + 1

    @property
    def divider_iterations(self):
        """Quotient bits of one division, one a cycle: W + f of k_mean and a half (Z needs W and a half)."""
        return self.config.data_width + self.config.mean_fraction + 1

    @property
    def row_distance(self):
        """Cycles between two rows of Q G at D.

        Each pass over n tokens that completes Q G gives n rows, and it is one of ceil(d / R) such passes: a row every
        ceil(D / R) cycles. A head dimension below D is delivered faster; `divider_interval` = 1 keeps up with any.
        """
        return self.config.row_tiles

    # Buffers

    @property
    def row_queue_depth(self):
        """Rows of Q G that may wait below the array for division: a whole pass, and the rest of the one before.

        A pass that fills the queue begins once all of its rows have room. The next one, of the next column tile, may
        follow at once: then the rows on their way from the array's top to the divider are still in the queue, and as
        many as rows of means, one a column tile, went before them. A single column tile has a G in between.
        """
        config = self.config
        if config.column_tiles == 1:
            return max(2, config.max_tokens)
        way = config.rows + config.pe_pipeline + 2 * config.memory_pipeline + 10
        return config.max_tokens + ceil(way / config.divider_row_interval) + config.column_tiles + 1

    @property
    def banks(self):
        """Memories of the buffers as built: name -> ((number of banks, words of each, bits of a word), ...).

        A word's address is put together from fields, the first of which is the half; those of tokens and features have
        one bit at least.
        """

        def field(count, least=1):
            return 1 << _ceil_log2(max(least, count))

        config = self.config
        rows, columns, width, queue = config.rows, config.columns, config.data_width, self.row_queue_depth
        tokens, features = field(config.max_tokens, 2), field(config.max_head_dim, 2)
        column_tiles = field(config.column_tiles)
        token_beats = field(config.token_tiles) * field(config.max_beats_per_row)
        longest_pass = max(config.max_tokens, config.max_head_dim)
        return {
            "q": ((rows, 2 * field(config.row_tiles) * tokens, width),),
            "k": ((rows, 2 * token_beats, config.stream_lanes * width),),
            "v": ((columns, 2 * column_tiles * tokens, width),),
            "g": ((columns, 2 * column_tiles * features, width),),
            "z": ((columns, 2 * column_tiles * tokens, width),),
            "partial_sums": (
                (columns, longest_pass, self.partial_sum_width),
                (1, longest_pass, self.diagonal_sum_width),
            ),
            "row_queue": ((columns, queue, self.qg_width), (1, queue, self.q_k_hat_sum_width)),
        }
