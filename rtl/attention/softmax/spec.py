"""Softmax attention in numbers: widths, buffers and registers.

The symbols of the documentation are W = `data_width`, S = `score_width`, E = `exponential_width`, N = `max_tokens`,
D = `max_head_dim`, R = `rows`, C = `columns`; n and d are a job's own tokens and head dimension. Widths are of signed
values unless said otherwise.
"""

from math import ceil, gcd, lcm

from taylorvit.rtl.attention.spec import JobRegister, JobTable, KernelSpec, Told

__all__ = ["SoftmaxSpec", "query_blocks"]


def _ceil_log2(value):
    return (value - 1).bit_length()


def query_blocks(tokens, longest):
    """Lengths of the blocks into which the queries of a head are cut.

    With `left` queries left, a block has all of them if they are `longest` or fewer, half of them if those are enough,
    and else `longest`. So no block is tiny that comes after a long one.

    Args:
        tokens (int): queries of the head, at least 1.
        longest (int): most queries of a block, at least 1.

    Returns:
        list[int]: the lengths, whose sum is `tokens`.
    """
    lengths = []
    left = tokens
    while left:
        length = left if left <= longest else ceil(left / 2) if left < 2 * longest else longest
        lengths.append(length)
        left -= length
    return lengths


class SoftmaxSpec(KernelSpec):
    """Widths, buffers and registers of softmax attention."""

    hardware = "taylorvit.rtl.attention.softmax.kernel:SoftmaxKernel"
    network_hardware = "taylorvit.rtl.network.softmax.kernel:SoftmaxNetworkKernel"

    told = (
        Told(
            attribute="exponential_width",
            register="CONSTANT_WIDTHS",
            low=0,
            least=4,
            most=16,
            description="bits of an exponential",
        ),
        Told(
            attribute="exponential_entries",
            register="CONSTANT_WIDTHS",
            low=8,
            least=1,
            most=16,
            description="entries of the table of exponentials, as a power of two",
            is_power=True,
        ),
        Told(
            attribute="score_width",
            register="CONSTANT_WIDTHS",
            low=16,
            least=4,
            most=16,
            description="bits of a score",
        ),
        Told(attribute="shift_s_max", register="SHIFT_LIMITS", low=0, least=0, most=255, description="largest SHIFT_S"),
    )

    @staticmethod
    def job_registers(view):
        """SHIFT_S and SHIFT_Z."""
        return (
            JobRegister(
                name="shift_s", minimum=0, maximum=view.shift_s_max, description="right shift that requantizes scores"
            ),
            JobRegister(
                name="shift_z",
                minimum=view.shift_z_min,
                maximum=view.shift_z_max,
                description="left shift of the numerators before the division",
            ),
        )

    @staticmethod
    def job_tables(view):
        """EXPONENTIALS."""
        return (
            JobTable(
                name="exponentials",
                entries=view.exponential_entries,
                width=view.exponential_width,
                description="exponentials by the units below the largest score",
            ),
        )

    @staticmethod
    def array_cycles(view, tokens, head_dim):
        """T_SA: cycles of array work a head, n (ceil(d/R) ceil(n/C) + ceil(n/R) ceil(d/C))."""
        rows, columns = view.rows, view.columns
        scores = ceil(head_dim / rows) * ceil(tokens / columns)
        values = ceil(tokens / rows) * ceil(head_dim / columns)
        return tokens * (scores + values)

    @staticmethod
    def ideal_cycles(view, tokens, head_dim):
        """Cycles a head if every PE of SA-General did a useful product every cycle: 2 n^2 d / (R C)."""
        return 2 * tokens**2 * head_dim / (view.rows * view.columns)

    # The array's operands and sums

    @property
    def streamed_width(self):
        """Operand that moves right through the array: Q, or an exponential, which has no sign."""
        return max(self.config.data_width, self.config.exponential_width + 1)

    @property
    def partial_sum_width(self):
        """Partial sums of SA-General, for both of its products."""
        return max(self.score_sum_width, self.value_sum_width)

    @property
    def diagonal_width(self):
        """Stationary operand of SA-Diag: 1."""
        return 2

    @property
    def diagonal_sum_width(self):
        """Partial sums of SA-Diag: the sum of a row's exponentials, and a sign. Those of Q mean nothing: they wrap."""
        return self.exponential_sum_width + 1

    def operand_rules(self, limit):
        """Q and an exponential must fit, which the fields W and E decide."""
        config = self.config
        return [
            (config.data_width, "data_width", limit, config.data_width),
            (config.exponential_width + 1, "exponential_width", limit - 1, config.exponential_width),
        ]

    # Steps of the algorithm

    @property
    def score_sum_width(self):
        """Exact Q K^T: D products of at most 2^(2W-2)."""
        return 2 * self.config.data_width + _ceil_log2(self.config.max_head_dim)

    @property
    def kept_score_width(self):
        """A score as it is kept: S, or less if no sum is so wide."""
        return min(self.config.score_width, self.score_sum_width)

    @property
    def shift_s_max(self):
        """Largest SHIFT_S: beyond it every score is 0."""
        return self.score_sum_width

    @property
    def exponential_sum_width(self):
        """Sum of a row's exponentials, unsigned: N of them."""
        return self.config.exponential_width + _ceil_log2(self.config.max_tokens)

    @property
    def value_sum_width(self):
        """Exact e V: N products of less than 2^E and at most 2^(W-1)."""
        return self.config.exponential_width + self.config.data_width + _ceil_log2(self.config.max_tokens)

    # Division

    @property
    def divisor_width(self):
        """Unsigned divisor: the sum of a row's exponentials in the alignment of SHIFT_Z."""
        return self.exponential_sum_width + self.divisor_shift_max

    @property
    def numerator_width(self):
        """Exact e V in the alignment of SHIFT_Z."""
        return self.value_sum_width + self.numerator_shift_max

    @property
    def divider_iterations(self):
        """Quotient bits of one division, one a cycle: W of Z and a half."""
        return self.config.data_width + 1

    @property
    def row_distance(self):
        """Cycles between two rows of e V at N.

        Each pass over the queries of a block that completes e V gives a row for each of them, and it is one of
        ceil(n / R) such passes: a row every ceil(N / R) cycles. Fewer tokens are delivered faster, but then the scores
        of other queries come between.
        """
        return self.config.token_tiles

    # Blocks of queries

    @property
    def longest_block(self):
        """Most queries of a block."""
        return self.config.query_block or self.config.max_tokens

    # Buffers

    @property
    def key_tiles(self):
        """Tiles of C tokens of K that cover N."""
        return ceil(self.config.max_tokens / self.config.columns)

    @property
    def score_banks(self):
        """Memories of scores in each row.

        Token k has its scores in row k mod R, bank (k div R) mod C / gcd(R, C). So each bank gets scores from one
        column alone, and never two at once.
        """
        return self.config.columns // gcd(self.config.rows, self.config.columns)

    @property
    def score_turns(self):
        """Output tiles after which a column's scores come to the same bank again."""
        return self.config.rows // gcd(self.config.rows, self.config.columns)

    @property
    def score_tiles(self):
        """Tokens of each bank of scores."""
        return ceil(self.config.max_tokens / lcm(self.config.rows, self.config.columns))

    @property
    def row_queue_depth(self):
        """Rows of e V that may wait below the array for division: a whole pass, and the rest of the one before.

        A pass that fills the queue begins once all of its rows have room. The next one may follow at once if one tile
        has all tokens: then the rows on their way from the array's top to the divider are still in the queue.
        """
        config = self.config
        way = config.rows + config.pe_pipeline + 2 * config.memory_pipeline + 10
        return self.longest_block + ceil(way / config.divider_row_interval) + 1

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
        tokens, queries = field(config.max_tokens, 2), field(self.longest_block, 2)
        column_tiles = field(config.column_tiles)
        key_beats = field(self.key_tiles) * field(config.max_beats_per_row)
        return {
            "q": ((rows, 2 * field(config.row_tiles) * tokens, width),),
            "k": ((columns, 2 * key_beats, config.stream_lanes * width),),
            "v": ((columns, 2 * column_tiles * tokens, width),),
            "scores": ((rows * self.score_banks, 2 * field(self.score_tiles) * queries, self.kept_score_width),),
            "maxima": ((2, 2 * queries, self.kept_score_width),),
            "exponentials": ((rows, config.exponential_entries, config.exponential_width),),
            "z": ((columns, 2 * column_tiles * tokens, width),),
            "partial_sums": (
                (columns, self.longest_block, self.partial_sum_width),
                (1, self.longest_block, self.diagonal_sum_width),
            ),
            "row_queue": ((columns, queue, self.value_sum_width), (1, queue, self.exponential_sum_width)),
        }
