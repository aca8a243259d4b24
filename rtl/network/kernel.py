"""The attention kernel of the network accelerator: the seam between the engine of products and what attention keeps.

            activations, pixels          keys                  values, totals
    rows:   operand --> [kernel row] <--- feed    columns:  [kernel column] --> stationary tile, Z
                             |                                     ^
                             v                                     |
                       systolic array -------> sums, by way of the columns

The engine knows products: something streamed, something stationary, and a destination for the totals. A kernel gives
the products of attention what linear layers do not have: buffers for operands that never were weights or activations
(sources KERNEL_0, KERNEL_1 of a stationary tile; source KERNEL of a stream), and what becomes of totals that are
neither activations nor residuals (destinations KEY, VALUE, KERNEL_0, KERNEL_1). It is four blocks, which the engine
places and joins, and which know the engine only by the ports below. L is `1 + memory_pipeline`, a memory's latency.
Times are relative to the row or column that a block is in: row r works r cycles after row 0, column c c cycles after
column 0. What a kernel hands on along the rows (`side`), along the columns (`side`), and back to its center (`report`),
is its own: the engine asks the blocks' signatures for it, joins it, and looks at none of it.

**Row**, in each row, the last block in front of the array.

    control     StreamControl, in       the element that row 0, ... this row sends now
    operand     data_width, in          the activation or pixel, L cycles after `control`; zero where that is `blank`
    streamed    streamed_width, out     `latency` cycles after `control`, L + 1 or more: the operand, of KERNEL its own
    side_in     the kernel's, in        from the row above, of row 0 from the center
    side_out    the kernel's, out       to the row below
    feed        the kernel's, in        from the center, what is written into this row

**Column**, in each column, behind its accumulator and its output stage.

    load            LoadControl, in             a row of a tile
    stationary      data_width, out             L cycles after `load`; zero where that was `blank`; means something only
                                                for kinds KERNEL_0 and KERNEL_1
    total           partial_sum_width, in       with `total_control`
    total_control   ResultControl, in           `valid` and `last`: a total; the kernel takes those for KERNEL_0 and
                                                KERNEL_1
    value           data_width, in              with `value_control`
    value_control   ResultControl, in           `valid` and `last`: an activation; the kernel takes those for KEY and
                                                VALUE
    z               ActivationWrite, out        an activation that the kernel computes; it goes on to its bank from
                                                this cycle on, like one of the output stage
    feed            the kernel's, in            from the center, what is written into this column
    side_in         the kernel's, in            from the column on the left, of column 0 from the diagonal
    side_out        the kernel's, out           to the column on the right
    report          the kernel's, out           to the center

**Diagonal**, above and below SA-Diag, the head of the columns.

    load_in, load_out       LoadControl         `load_out` is `load_in`, a cycle later, for column 0
    result_in, result_out   ResultControl       likewise; a kernel may change the address of a result for KERNEL_1
    stationary              diagonal_width, out, `L + 1` cycles after `load_in`, as those of the columns are
    partial_sum             diagonal_sum_width, in, L cycles after `result_in`
    side_in                 the kernel's, in    from the center
    side_out                the kernel's, out   to column 0
    report                  the kernel's, out   to the center

**Center**, one.

    constants_valid     in      a command CONSTANTS takes effect: no product of attention is unfinished
    constants           COMMAND_BITS, in        that command
    exponential_write   ExponentialWrite, in    with softmax attention: an entry of the table of exponentials
    stream              StreamControl, in       what goes to row 0 in this cycle
    room                out     a pass that completes totals for KERNEL_1 may begin
    promised            in      such a pass begins; `room` says from two cycles later on whether the next one may
    row_side            the kernel's, out       to row 0
    feeds               the kernel's, out, one for each row
    column_feeds        the kernel's, out, one for each column
    column_side         the kernel's, out       to the diagonal
    reports             the kernel's, in, one for each column
    diagonal_report     the kernel's, in
    key_done, value_done, kernel_0_done, kernel_1_done      out, a pulse for each finished product of that destination
    denominator_error   out     a pulse for each row that has no divisor

A product is finished when the next one may use what it left: of KEY and VALUE all that the kernel makes of them, of
KERNEL_0 the buffer that KERNEL_1 is loaded from, of KERNEL_1 the last `z` of the last column, in the cycle of the
pulse. Products of one destination finish in their order. The addresses of KERNEL_1's results are those of Z, as of an
activation's destination; the kernel keeps them until a row of Z is ready.

What a kernel keeps of a head besides the buffers that commands address, it has twice, in turn: of Taylor attention, the
n-th KEY, the n-th VALUE, the n-th KERNEL_0 and the n-th KERNEL_1 since the last CONSTANTS are of one head.

`z` shares its way into the activation banks with the activations of linear layers. The order of the commands sees to
it that no column has both in one cycle: between a Q G and the next product with destination ACTIVATION there is one
that waits for the Q G. A kernel writes `z` for nothing else, unless its own commands keep to that, too.

A row that takes longer than L + 1 cycles makes each tile wait for as long behind the columns, so that a tile never
comes before the element that swaps in the one before it. The engine sees to that.

There are three kernels, which share `rtl.network.kernel_row`, `rtl.network.division` (what divides) and
`rtl.network.key_turner`:

                    `rtl.network.taylor`                `rtl.network.softmax`
    KEY             by tokens, in the rows              by tokens, in the columns
    VALUE           by features, in the columns         likewise
    KERNEL_0        totals become G, for KERNEL_1       totals become scores, for the source KERNEL: they go to the rows
    KERNEL_1        totals are divided: Z               likewise
    source KERNEL   K, less its means                   exponentials of the scores

Softmax attention takes the tiles of its KERNEL_0 from KERNEL_1's buffer (K), those of its KERNEL_1 from KERNEL_0's (V).
Its n-th KERNEL_0 and n-th KERNEL_1 are of one block of queries, and a KERNEL_0 may begin when the KERNEL_1 before last
is finished. `rtl.network.mixed` is both: the command CONSTANTS of a layer says which of them it has.
"""

from taylorvit.rtl.common.loading import load

__all__ = ["NetworkKernel", "network_kernel"]


class NetworkKernel:
    """Base of the kernels of the network accelerator: four blocks, which the module's text describes.

    Args:
        config (NetworkConfig): the configuration; `config.attention` has the widths of the kernel.

    Attributes:
        row (Block): in each row, with a property `latency`.
        column (Block): in each column.
        diagonal (Block): beside column 0.
        center (Block): one.
    """

    def __init__(self, config):
        self.config = config


def network_kernel(config):
    """The kernel of a network accelerator, built for its configuration.

    Its class is what the specification of `config.kernel` names as `network_hardware`.

    Args:
        config (NetworkConfig): the configuration.

    Returns:
        NetworkKernel: the kernel.
    """
    return load(config.attention.spec.network_hardware)(config)
