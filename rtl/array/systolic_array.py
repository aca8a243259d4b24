"""The systolic array: SA-General (R x C) with SA-Diag (R x 1) on its left (ViTALiTy, its accelerator figure).

Every row is one module, emitted once: a PE of SA-Diag, then C PEs of SA-General. The streamed operand enters at the
left, row r one cycle after row r - 1, and moves right; partial sums start from 0 at the top and leave at the bottom,
column c one cycle after column c - 1. Stationary tiles enter at the top and move down, with the same skew.

                 stationary_diagonal   stationary[0]  ...  stationary[C-1]
                          |                  |                   |
    streamed[0]   ----> [PE] ------------> [PE] ---- ... ----> [PE]
        :                 |                  |                   |
    streamed[R-1] ----> [PE] ------------> [PE] ---- ... ----> [PE]
                          |                  |                   |
                    sum_diagonal           sum[0]             sum[C-1]

Loading. A tile moves in within R cycles, its bottom row first, while the previous tile is still in use. Row r lets
the chain pass from the r-th cycle of a load on and all rows stop together, so that each keeps its own element. Row r
of the new tile is disturbed no earlier than r cycles after row 0, just as row r is swapped r cycles after row 0.
Since the tile's first row comes one cycle after `load`, a load may begin one cycle before the previous tile is
swapped in at row 0: passes of R elements follow each other without a bubble.
"""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block, instantiate

from .multiplier import FORMS
from .pe import processing_element

__all__ = ["SystolicArray", "SystolicRow"]


class SystolicRow(Block):
    """One row: a PE of SA-Diag and `columns` PEs of SA-General, chained to the right.

    Args:
        columns (int): PEs of SA-General.
        streamed_width (int): bits of the streamed operand.
        stationary_width (int): bits of the stationary operand of SA-General.
        sum_width (int): bits of a partial sum of SA-General.
        diagonal_width (int): bits of the stationary operand of SA-Diag.
        diagonal_sum_width (int): bits of a partial sum of SA-Diag.
        pipeline (int): registers after each multiplier.
        multiplier (str): form of the multipliers, a key of `rtl.array.multiplier.FORMS`.
        booth_columns (int): columns, the rightmost, that have Booth multipliers instead.
        pe (str): kind of the processing elements, a key of `rtl.array.pe.PES`.

    Ports: those of a PE; `stationary_*` and `sum_*` hold column c in bits c * width and up.
    """

    module_name = "systolic_row"
    waivers = {("PINCONNECTEMPTY", "stationary*_out"): "The last row has none below it."}
    reset_less = True

    def __init__(self, *, columns, streamed_width, stationary_width, sum_width, diagonal_width, diagonal_sum_width,
                 pipeline, multiplier, booth_columns, pe):  # fmt: skip
        self.pe = pe
        self.multiplier = multiplier
        self.booth_columns = booth_columns
        self.stationary_width = stationary_width
        self.sum_width = sum_width
        self.diagonal = processing_element(
            pe,
            multiplier=FORMS[multiplier](
                streamed_width=streamed_width, stationary_width=diagonal_width, pipeline=pipeline, suffix="_diagonal"
            ),
            sum_width=diagonal_sum_width,
            module_name="pe_diagonal",
        )
        forms = [multiplier] * (columns - booth_columns) + ["booth"] * booth_columns
        kinds = {
            form: processing_element(
                pe,
                multiplier=FORMS[form](
                    streamed_width=streamed_width, stationary_width=stationary_width, pipeline=pipeline
                ),
                sum_width=sum_width,
                module_name="pe" if form == multiplier else f"pe_{form}",
            )
            for form in set(forms)
        }
        self._general = [kinds[form] for form in forms]
        super().__init__(
            {
                "streamed": In(signed(streamed_width)),
                "swap": In(1),
                "load": In(1),
                "stationary_diagonal_in": In(signed(diagonal_width)),
                "stationary_diagonal_out": Out(signed(diagonal_width)),
                "stationary_in": In(columns * stationary_width),
                "stationary_out": Out(columns * stationary_width),
                "sum_diagonal_in": In(signed(diagonal_sum_width)),
                "sum_diagonal_out": Out(signed(diagonal_sum_width)),
                "sum_in": In(columns * sum_width),
                "sum_out": Out(columns * sum_width),
            }
        )

    @property
    def latency(self):
        """Cycles from `streamed` to the SA-Diag sum; column c of SA-General follows 1 + c cycles later."""
        return self.diagonal.latency

    def elaborate(self, platform):
        m = Module()
        left = instantiate(m, "diagonal", self.diagonal)
        m.d.comb += [
            left.streamed_in.eq(self.streamed),
            left.swap_in.eq(self.swap),
            left.load_in.eq(self.load),
            left.stationary_in.eq(self.stationary_diagonal_in),
            left.partial_sum_in.eq(self.sum_diagonal_in),
            self.stationary_diagonal_out.eq(left.stationary_out),
            self.sum_diagonal_out.eq(left.partial_sum_out),
        ]
        for column, general in enumerate(self._general):
            pe = instantiate(m, f"general_{column}", general)
            m.d.comb += [
                pe.streamed_in.eq(left.streamed_out),
                pe.swap_in.eq(left.swap_out),
                pe.load_in.eq(left.load_out),
                pe.stationary_in.eq(self.stationary_in.word_select(column, self.stationary_width)),
                pe.partial_sum_in.eq(self.sum_in.word_select(column, self.sum_width)),
                self.stationary_out.word_select(column, self.stationary_width).eq(pe.stationary_out),
                self.sum_out.word_select(column, self.sum_width).eq(pe.partial_sum_out),
            ]
            left = pe
        return m


class SystolicArray(Block):
    """SA-General and SA-Diag: sums of `rows` products a column, every cycle.

    Args:
        rows (int): rows of PEs.
        columns (int): PEs of SA-General in a row; as for `SystolicRow`, like all that follow.
        streamed_width (int): bits of the streamed operand.
        stationary_width (int): bits of the stationary operand of SA-General.
        sum_width (int): bits of a partial sum of SA-General.
        diagonal_width (int): bits of the stationary operand of SA-Diag.
        diagonal_sum_width (int): bits of a partial sum of SA-Diag.
        pipeline (int): registers after each multiplier.
        multiplier (str): form of the multipliers.
        booth_columns (int): columns that have Booth multipliers instead.
        pe (str): kind of the processing elements.

    Ports:
        streamed: R operands, row r in bits r * streamed_width and up; row r belongs to the element that row 0 got r
            cycles earlier.
        swap: R bits, skewed like `streamed`: the tile loaded last takes effect from this element on.
        load, load_first: `load` is high for R cycles a tile, `load_first` in the first of them. The tile itself comes
            one cycle later: SA-Diag's element in the cycle after `load`, column c's a further 1 + c cycles later.
        stationary_diagonal, stationary: the tile's row R - 1 first, its row 0 last.
        sum_diagonal, sum: the sums, `latency` cycles after row 0's element for SA-Diag, 1 + c more for column c.
    """

    module_name = "systolic_array"

    def __init__(self, *, rows, columns, streamed_width, stationary_width, sum_width, diagonal_width,
                 diagonal_sum_width, pipeline, multiplier="inferred", booth_columns=0, pe="mac"):  # fmt: skip
        self.streamed_width = streamed_width
        self.rows = rows
        self.row = SystolicRow(
            columns=columns,
            streamed_width=streamed_width,
            stationary_width=stationary_width,
            sum_width=sum_width,
            diagonal_width=diagonal_width,
            diagonal_sum_width=diagonal_sum_width,
            pipeline=pipeline,
            multiplier=multiplier,
            booth_columns=booth_columns,
            pe=pe,
        )
        super().__init__(
            {
                "streamed": In(rows * streamed_width),
                "swap": In(rows),
                "load": In(1),
                "load_first": In(1),
                "stationary_diagonal": In(signed(diagonal_width)),
                "stationary": In(columns * stationary_width),
                "sum_diagonal": Out(signed(diagonal_sum_width)),
                "sum": Out(columns * sum_width),
            }
        )

    @property
    def latency(self):
        """Cycles from row 0's `streamed` to `sum_diagonal`: the rows, then the PE at the bottom."""
        return self.rows - 1 + self.row.latency

    def elaborate(self, platform):
        m = Module()
        # passing[r]: row r takes from above. It follows `load` one row a cycle; a new load starts it from row 0 again.
        passing = Signal(self.rows)
        m.d.sync += passing[0].eq(self.load)
        if self.rows > 1:
            still = self.load & ~self.load_first
            m.d.sync += passing[1:].eq(passing[:-1] & still.replicate(self.rows - 1))

        above = None
        for index in range(self.rows):
            row = instantiate(m, f"row_{index}", self.row)
            m.d.comb += [
                row.streamed.eq(self.streamed.word_select(index, self.streamed_width)),
                row.swap.eq(self.swap[index]),
                row.load.eq(passing[index]),
            ]
            if above is None:
                m.d.comb += [
                    row.stationary_diagonal_in.eq(self.stationary_diagonal),
                    row.stationary_in.eq(self.stationary),
                    row.sum_diagonal_in.eq(0),
                    row.sum_in.eq(0),
                ]
            else:
                m.d.comb += [
                    row.stationary_diagonal_in.eq(above.stationary_diagonal_out),
                    row.stationary_in.eq(above.stationary_out),
                    row.sum_diagonal_in.eq(above.sum_diagonal_out),
                    row.sum_in.eq(above.sum_out),
                ]
            above = row
        m.d.comb += [self.sum_diagonal.eq(above.sum_diagonal_out), self.sum.eq(above.sum_out)]
        return m
