r"""LayerNorm's statistics: from the row sums of a residual addition to one factor and one offset a token.

    result --(delay)--> sums_head --> columns --> sums --> [sums so far] --(last output tile)--> [complete sums]
                                                                                                      |
        variance = D squares - total^2 + epsilon  <---------------------------------------------------'
             |
        reciprocal root --> y, m;  factor = D y, offset = total y, right_shift = 17 + m  --> [prepared]

It makes the heads of the columns' chain of row sums, and takes its end. With the last output tile a token's sums are
complete; tokens are prepared in their order, one every `norm_interval` cycles.

The tokens of a residual stream may come in blocks, an addition for each of them. Sums have the number of the token, the
element and the block's first token added up. Only the block of token 0 begins anew.
"""

from functools import partial
from types import SimpleNamespace

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.rtl.array.wide_product import factor_registers, wide_product
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width, up_to

from .bundles import ResultControl
from .command import Destination
from .reciprocal_root import ReciprocalRoot
from .row_sums import RowSums
from .serial_root import SerialRoot

__all__ = ["NormStatistics"]

_LEAST_RIGHT_SHIFT = 3
"""17 + m of the smallest variance, 1: m = -14."""


class NormStatistics(Block):
    """Prepares the LayerNorm of each token of a residual stream.

    A token whose last sums come in `sums` in cycle t is prepared in cycle t + `latency`, if `norm_interval` is 1; else
    token k follows token k - 1 by at least `norm_interval` cycles.

    Args:
        config (NetworkConfig): the configuration.
        sums_delay (int): cycles from `result` to the first column's `sums_in`.

    Ports:
        result (ResultControl, input): that of column 0.
        sums_head (RowSums, output): zeros for column 0, with the token's number as `index`.
        sums (RowSums, input): from the last column.
        features (16 bits, input): D, constant from the first total of a residual addition to its last prepared token.
        epsilon (48 bits, input): added to the scaled variance, at least 1, likewise.
        first_token (index_width(max_tokens) bits, input): token of element 0, constant while totals of an addition are
            in `result`: 0, or as many as the additions before it had since 0. Then `features` and `epsilon` are theirs.
        ready (bits of max_tokens, output): tokens that are prepared; 0 from `restart_latency` cycles after the first
            total of the last output tile of a residual addition from token 0 on is in `result`.
        read_address (index_width(max_tokens) bits, input): a token.
        factor (norm_factor_width bits, output): D y of the token, `read_latency` cycles later, like the two others.
        offset (norm_offset_width bits signed, output): sum of its features times y.
        right_shift (up_to(norm_right_shift_max), output): 17 + m.
    """

    module_name = "norm_statistics"
    waivers = {
        ("UNUSEDSIGNAL", "result__*"): "What the columns do with other totals is theirs.",
        ("UNUSEDSIGNAL", "features"): "A token has at most as many features as the accelerator was built for.",
        ("UNUSEDSIGNAL", "epsilon"): "Its highest bit is 0.",
    }

    def __init__(self, config, *, sums_delay):
        self.interval = config.norm_interval
        self.sums_delay = sums_delay
        self.features_width = config.max_width.bit_length()
        self.variance_width = config.variance_width
        tokens, pipeline = config.max_tokens, config.memory_pipeline
        self.product_cycles = 2 if pipeline > 0 else 1
        self.multiplier = config.multiplier
        # A token returns in another pass, and none begins less than R cycles after the one before. The squares have no
        # sign; in so many bits it makes no difference to a sum.
        self.total_sums, self.square_sums = (
            PartialSumAccumulator(
                sum_width=width,
                depth=tokens,
                memory_pipeline=pipeline,
                written_late=0 < pipeline < config.rows - 2,
                module_name=name,
            )
            for name, width in (
                ("token_total_accumulator", config.norm_sum_width),
                ("token_square_accumulator", config.norm_square_width),
            )
        )
        self.complete = MemoryBank(
            depth=tokens, width=config.norm_sum_width + config.norm_square_width, pipeline=pipeline
        )
        # The sum of the features is needed again when the root is there.
        self.totals = MemoryBank(depth=tokens, width=config.norm_sum_width, pipeline=pipeline)
        if config.has_serial_root:
            self.root = SerialRoot(variance_width=config.variance_width)
        else:
            self.root = ReciprocalRoot(variance_width=config.variance_width, interval=config.norm_interval)
        shift = up_to(config.norm_right_shift_max)
        self.prepared = MemoryBank(
            depth=tokens,
            width=config.norm_factor_width + config.norm_offset_width + shift.width,
            pipeline=pipeline,
        )
        super().__init__(
            {
                "result": In(ResultControl(config)),
                "sums_head": Out(RowSums(config)),
                "sums": In(RowSums(config)),
                "features": In(16),
                "epsilon": In(48),
                "first_token": In(index_width(tokens)),
                "ready": Out(tokens.bit_length()),
                "read_address": In(index_width(tokens)),
                "factor": Out(config.norm_factor_width),
                "offset": Out(signed(config.norm_offset_width)),
                "right_shift": Out(shift),
            }
        )

    @property
    def restart_latency(self):
        """Cycles from the total that begins a last output tile until `ready` is 0.

        The two registers on the way are less than `sums_delay`, so that this comes before the sums of the new tokens.
        """
        return 3

    @property
    def read_latency(self):
        """Cycles from `read_address` to the numbers of the token."""
        return self.prepared.latency

    @property
    def product_latency(self):
        """Cycles that a product takes."""
        return factor_registers(self.multiplier) + self.product_cycles

    @property
    def variance_latency(self):
        """Cycles from reading a token's complete sums to its variance: the memory, products, difference, sum."""
        return self.complete.latency + self.product_latency + 2

    @property
    def latency(self):
        """Cycles from a token's last sums in `sums` until it may be read.

        The accumulators, a register, the variance, its root, the sum of the features and the products, writing.
        """
        products = self.totals.latency + self.product_latency
        return self.total_sums.latency + 1 + self.variance_latency + self.root.latency + products + 1

    def elaborate(self, platform):
        m = Module()
        memories = SimpleNamespace(
            complete=instantiate(m, "complete", self.complete),
            totals=instantiate(m, "totals", self.totals),
            prepared=instantiate(m, "prepared", self.prepared),
        )
        restart = self._head(m)
        complete_valid, complete_index = self._accumulate(m, memories)

        # Of `received` tokens the sums are complete, of `issued` the variance is under way, `ready` are prepared. What
        # is left of the additions before is stale as soon as the last output tile of token 0 begins.
        stale = Signal()
        received, issued = Signal.like(self.ready, name="received"), Signal.like(self.ready, name="issued")
        issue = Signal()
        pause = Signal(range(max(2, self.interval)))
        m.d.comb += issue.eq((issued != received) & (pause == 0) & ~stale)
        with m.If(complete_valid):
            m.d.sync += received.eq(received + 1)
        with m.If(issue):
            m.d.sync += [issued.eq(issued + 1), pause.eq(self.interval - 1)]
        with m.Elif(pause != 0):
            m.d.sync += pause.eq(pause - 1)
        with m.If(complete_valid & (complete_index == 0)):
            m.d.sync += [stale.eq(0), received.eq(1), issued.eq(0)]
        with m.If(restart):
            m.d.sync += stale.eq(1)

        self._prepare(m, memories, issue, issued, restart)
        return m

    def _head(self, m):
        """Starts the row sums of each total of a residual addition; returns a late token 0 of the last output tile."""
        result, head = self.result, self.sums_head
        is_total = result.valid & result.last & (result.destination == Destination.RESIDUAL)
        token = (result.index + self.first_token)[: len(head.index)]
        numbers = {"valid": is_total, "index": token, "first_tile": result.first_tile, "last_tile": result.last_tile}
        for name, number in numbers.items():
            m.d.comb += getattr(head, name).eq(delay(m, number, self.sums_delay, f"head_{name}"))
        begins = is_total & result.last_tile & result.begin & (self.first_token == 0)
        # The total comes from afar, and much is reset: a register for each.
        return delay(m, begins, self.restart_latency - 1, "restart")

    def _accumulate(self, m, memories):
        """Adds the sums of all output tiles; returns whether those of a token are complete, and of which."""
        sums = self.sums
        total, square = (instantiate(m, name, getattr(self, name)) for name in ("total_sums", "square_sums"))
        index = sums.index[: len(total.index)]
        for accumulator, values, name in ((total, sums.total, "total"), (square, sums.squares, "squares")):
            m.d.comb += [
                accumulator.valid.eq(sums.valid),
                accumulator.first.eq(sums.first_tile),
                accumulator.last.eq(sums.last_tile),
                accumulator.index.eq(index),
                accumulator.partial_sum.eq(delay(m, values, self.total_sums.sum_delay, name)),
            ]
        complete_index = delay(m, index, self.total_sums.latency, "complete_index")
        words = ((memories.complete, Cat(total.total, square.total)), (memories.totals, total.total))
        for memory, word in words:
            m.d.comb += [
                memory.write_enable.eq(total.total_valid),
                memory.write_address.eq(complete_index),
                memory.write_data.eq(word),
            ]
        return total.total_valid, complete_index

    def _prepare(self, m, memories, issue, token, cancel):
        """Variance, root and products of the token that is issued; then it is in memory and counted in `ready`."""
        complete, totals, prepared = memories.complete, memories.totals, memories.prepared
        features = self.features[: self.features_width]
        total_width = len(totals.read_data)
        total, squares = complete.read_data[:total_width].as_signed(), complete.read_data[total_width:]
        product = partial(wide_product, m, cycles=self.product_cycles, multiplier=self.multiplier)
        scaled_squares = product(features, squares, "scaled_squares")
        squared_total = product(total, total, "squared_total")
        difference, variance = (
            Signal(self.variance_width, name=name, reset_less=True) for name in ("difference", "variance")
        )
        m.d.comb += complete.read_address.eq(token)
        m.d.sync += [
            difference.eq(scaled_squares - squared_total),
            variance.eq(difference + self.epsilon[:-1]),
        ]
        root = instantiate(m, "root", self.root)
        m.d.comb += [
            root.start.eq(delay(m, issue, self.variance_latency, "start", reset=cancel)),
            root.cancel.eq(cancel),
            root.variance.eq(variance),
        ]

        # The roots come in the order of the tokens: their sums are read again behind them.
        rooted = Signal(len(totals.read_address))
        with m.If(root.done):
            m.d.sync += rooted.eq(rooted + 1)
        with m.If(cancel):
            m.d.sync += rooted.eq(0)
        read = self.totals.latency
        reciprocal = delay(m, root.reciprocal, read, "reciprocal")
        factor = product(features, reciprocal, "new_factor")
        offset = product(totals.read_data.as_signed(), reciprocal, "new_offset")
        half_shift = delay(m, root.half_shift, read + self.product_latency, "half_shift")
        written = delay(m, root.done, read + self.product_latency, "written", reset=cancel)
        right_shift = Signal.like(self.right_shift, name="new_right_shift")
        m.d.comb += [
            totals.read_address.eq(rooted),
            right_shift.eq(half_shift + _LEAST_RIGHT_SHIFT),
            prepared.write_enable.eq(written),
            prepared.write_address.eq(self.ready),
            prepared.write_data.eq(Cat(factor, offset, right_shift)),
            prepared.read_address.eq(self.read_address),
            Cat(self.factor, self.offset, self.right_shift).eq(prepared.read_data),
        ]
        with m.If(written):
            m.d.sync += self.ready.eq(self.ready + 1)
        with m.If(cancel):
            m.d.sync += self.ready.eq(0)
