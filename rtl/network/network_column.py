r"""Network column: everything above and below one column of the array, in step with that column.

          load -->      [tape bank]    kernel column <-----------------------------.
                          |     \        /                                         |
                          |      mux --> stationary                                |
                          v                 |                                      |
                    column constants   (SA-General)                                |
                          |                 |                                      |
          result -->      |     partial sum accumulator --> totals for the kernel -+
                          v                 v                                      |
            .------> [residual bank] -- output stage --> values: keys, values -----'
            |             |                 |   `------> logits
          norm -->   LayerNorm lane         +--> feature --> row sums --> sums
                          |                 |
                          '--> activation <-'<-- z of the kernel column

Where columns share LayerNorm lanes (`norm_lanes`), the lane is beside the columns, in their group, and each column has
a `NormOperand` in its place.

The three control bundles enter from the left and are passed on to the right one cycle later, and so are the row sums.
All delays are of the column's own time: column c works c cycles after column 0.
"""

from amaranth.hdl import Module, Mux, signed
from amaranth.lib.wiring import In, Out, Signature, flipped

from taylorvit.rtl.array.partial_sum_accumulator import PartialSumAccumulator
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect, copied
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, delay_bundle, pass_on
from taylorvit.rtl.common.widths import index_width

from .bundles import ActivationWrite, LoadControl, LoadKind, NormControl, NormRead, ResultControl, TableWrite
from .column_constants import ColumnConstants
from .command import Destination
from .norm_lane import NormLane
from .norm_operand import NormOperand, NormOperands
from .output_stage import OutputStage
from .row_sums import FeatureSums, RowSums
from .shared_norm_lane import SharedNormLane

__all__ = ["NetworkColumn"]


class NetworkColumn(Block):
    """One column's buffers, and what becomes of its totals.

    Constants of an output tile are complete with their last byte; its `load_in` comes before the `result_in` of the
    tile's first total, and not before that of the tile before. A word of the embedding is written `embedding_latency`
    cycles after its second byte's `load_in`, in which no total may go into the residual stream.

    Args:
        config (NetworkConfig): the configuration.
        kernel_column (Block): what the attention kernel has in each column (`rtl.network.kernel`).

    Ports:
        load_in, load_out (LoadControl): a row of a tile, or a byte of constants; passed on one cycle later.
        result_in, result_out (ResultControl): a partial sum; passed on one cycle later with the bank or the address of
            the next column.
        norm_in, norm_out (NormControl): a token of a LayerNorm, likewise; NormRead if columns share lanes.
        operand (NormOperands, output): for the shared lane, if there is one.
        normalized (ActivationWrite, input): of the shared lane, likewise, the lane's `latency` after `norm_in`.
        sums_in, sums_out (RowSums): sums over the features of a token, `sums_delay` and one cycle more after the
            `result_in` of its total.
        tape_write (enable of 1 bit, address, data of 8 bits, input): a byte for the tape bank.
        table_write (TableWrite, input): an entry of the table; no value goes through it meanwhile.
        partial_sum (partial_sum_width bits signed, input): from the array, `sum_delay` cycles after `result_in`.
        stationary (8 bits signed, output): to the array, `load_latency` cycles after `load_in`.
        kernel_in, kernel_out (the kernel's own): along the columns.
        feed (the kernel's own, input): what the kernel writes into this column.
        report (the kernel's own, output): to the kernel's center.
        activation (ActivationWrite, output): `activation_latency` cycles after `result_in`, `norm_latency` after
            `norm_in`, or `choice_latency` after the kernel gives z; never two in one cycle.
        logit_valid (1 bit, output): there is a logit of one of `max_classes`, `logit_latency` cycles after `result_in`.
        logit_address (index_width(max_classes) bits, output): its class; 0 if there is none.
        logit (logit_width bits signed, output): total and bias; 0 if there is none.
    """

    module_name = "network_column"
    waivers = {
        ("PINCONNECTEMPTY", "*_out"): "The last column has none on its right.",
        ("PINCONNECTEMPTY", "*_out__*"): "The last column has none on its right.",
    }

    def __init__(self, config, *, kernel_column):
        self.rows = config.rows
        self.classes = config.max_classes
        self.wraps = config.rows % config.columns != 0
        self.kernel_column = kernel_column
        pipeline, width = config.memory_pipeline, config.data_width
        self.tape_bank = MemoryBank(
            depth=config.tape_queue_rows, width=width, pipeline=pipeline, kind=config.tape_queue_memory
        )
        self.residual_bank = MemoryBank(
            depth=config.residual_depth, width=config.residual_width, pipeline=pipeline, kind=config.residual_memory
        )
        self.accumulator = PartialSumAccumulator(
            sum_width=config.partial_sum_width,
            depth=config.longest_pass,
            memory_pipeline=pipeline,
            memory_kind=config.partial_sum_memory,
        )
        self.constants = ColumnConstants(config)
        self.output_stage = OutputStage(config)
        self.shares_lane = config.columns_per_lane > 1
        self.norm_lane = SharedNormLane(config) if self.shares_lane else NormLane(config)
        self.norm_operand = NormOperand(config, scale_delay=self.norm_lane.scale_delay) if self.shares_lane else None
        self.feature_sums = FeatureSums(config)
        self._result = ResultControl(config)
        self._norm = NormRead(config) if self.shares_lane else NormControl(config)
        self._activation = ActivationWrite(config)
        bundles = {
            "load": LoadControl(config),
            "result": self._result,
            "norm": self._norm,
            "sums": RowSums(config),
        }
        kernel_ports = kernel_column.signature.members
        tape_write = {"enable": Out(1), "address": Out(index_width(config.tape_queue_rows)), "data": Out(width)}
        super().__init__(
            {f"{name}_in": In(bundle) for name, bundle in bundles.items()}
            | {f"{name}_out": Out(bundle) for name, bundle in bundles.items()}
            | {
                "tape_write": In(Signature(tape_write)),
                "table_write": In(TableWrite()),
                "partial_sum": In(signed(config.partial_sum_width)),
                "stationary": Out(signed(width)),
                "kernel_in": kernel_ports["side_in"],
                "kernel_out": kernel_ports["side_out"],
                "feed": kernel_ports["feed"],
                "report": kernel_ports["report"],
                "activation": Out(self._activation),
                "logit_valid": Out(1),
                "logit_address": Out(index_width(config.max_classes)),
                "logit": Out(signed(config.logit_width)),
            }
            | ({"operand": Out(NormOperands(config)), "normalized": In(self._activation)} if self.shares_lane else {})
        )

    @property
    def load_latency(self):
        """Cycles from `load_in` to `stationary`: the banks, then a register behind the choice between them."""
        return self.tape_bank.latency + 1

    @property
    def sum_delay(self):
        """Cycles from `result_in` to `partial_sum`."""
        return self.accumulator.sum_delay

    @property
    def total_latency(self):
        """Cycles from `result_in` to its total, for the output stage and the kernel."""
        return self.accumulator.latency

    @property
    def logit_latency(self):
        """Cycles from `result_in` to `logit`."""
        return self.total_latency + self.output_stage.sum_latency

    @property
    def residual_latency(self):
        """Cycles from `result_in` to the cycle that writes its total into the residual stream."""
        return self.total_latency + self.output_stage.feature_latency

    @property
    def value_latency(self):
        """Cycles from `result_in` to the key or value that the kernel column takes."""
        return self.total_latency + self.output_stage.latency

    @property
    def choice_latency(self):
        """Cycles from any source of activations to `activation`: a register, since rows are far away."""
        return 1

    @property
    def activation_latency(self):
        """Cycles from `result_in` to `activation`; the residual stream has been written before."""
        return self.value_latency + self.choice_latency

    @property
    def norm_latency(self):
        """Cycles from `norm_in` to `activation`."""
        return self.norm_lane.latency + self.choice_latency

    @property
    def sums_delay(self):
        """Cycles from `result_in` to `sums_in`."""
        return self.residual_latency + self.feature_sums.sums_delay

    @property
    def embedding_latency(self):
        """Cycles from the `load_in` of a second byte to the cycle that writes the embedding."""
        return self.tape_bank.latency + self.constants.embedding_latency

    def elaborate(self, platform):
        m = Module()
        kernel = instantiate(m, "kernel", self.kernel_column)
        constants = instantiate(m, "constants", self.constants)
        residual_bank = instantiate(m, "residual_bank", self.residual_bank)
        output = instantiate(m, "output_stage", self.output_stage)
        if self.shares_lane:
            norm = instantiate(m, "norm_operand", self.norm_operand)
            connect(m, norm.operand, flipped(self.operand))
        else:
            norm = instantiate(m, "norm_lane", self.norm_lane)
        connect(m, flipped(self.kernel_in), kernel.side_in)
        connect(m, kernel.side_out, flipped(self.kernel_out))
        connect(m, flipped(self.feed), kernel.feed)
        connect(m, kernel.report, flipped(self.report))
        self._load(m, kernel, constants)
        result = self._pass_on_result(m)
        total = self._total(m, result, kernel, constants, output)
        feature = _later(m, total, self.output_stage.feature_latency, "feature")
        self._pass_on_norm(m, norm)
        connect(m, constants.norm, norm.constants)

        # Residual stream: read for an addition or for a LayerNorm, written with a sum or with the embedding.
        ahead = self.total_latency + self.output_stage.residual_delay - self.residual_bank.latency
        address = result.address[: len(residual_bank.read_address)]
        summand_address = delay(m, address, ahead - 1, "summand_address")
        is_sum = feature["valid"] & (feature["destination"] == Destination.RESIDUAL)
        m.d.comb += [
            residual_bank.read_address.eq(Mux(self.norm_in.valid, self.norm_in.address, summand_address)),
            output.residual.eq(residual_bank.read_data),
            norm.feature.eq(residual_bank.read_data),
            residual_bank.write_enable.eq(is_sum | constants.embedding_valid),
            residual_bank.write_address.eq(Mux(is_sum, feature["address"], constants.embedding_address)),
            residual_bank.write_data.eq(Mux(is_sum, output.feature, constants.embedding)),
        ]

        # The row sums take the feature, shifted by its channel's constant.
        sums = instantiate(m, "feature_sums", self.feature_sums)
        connect(m, flipped(self.sums_in), sums.sums_in)
        connect(m, sums.sums_out, flipped(self.sums_out))
        m.d.comb += [
            sums.feature.eq(output.feature),
            sums.left_shift.eq(
                delay(m, constants.constants.left_shift, self.output_stage.feature_latency, "left_shift")
            ),
        ]

        normalized = self.normalized if self.shares_lane else norm.activation
        self._results(m, total, feature, kernel, output, normalized)
        return m

    def _load(self, m, kernel, constants):
        """Rows for the array, and bytes of constants."""
        tape_bank = instantiate(m, "tape_bank", self.tape_bank)
        pass_on(m, self.load_in, self.load_out)
        connect(m, flipped(self.load_in), kernel.load)
        m.d.comb += [
            tape_bank.write_enable.eq(self.tape_write.enable),
            tape_bank.write_address.eq(self.tape_write.address),
            tape_bank.write_data.eq(self.tape_write.data),
            tape_bank.read_address.eq(self.load_in.address),
        ]
        # `load_out` is this column's control one cycle later; the words come with or after it.
        word = delay_bundle(m, self.load_out, self.tape_bank.latency - 1, "word")
        from_tape = word.kind == LoadKind.TAPE_TILE
        m.d.sync += self.stationary.eq(Mux(from_tape, tape_bank.read_data.as_signed(), kernel.stationary))
        m.d.comb += [
            constants.valid.eq(word.valid),
            constants.kind.eq(word.kind),
            constants.number.eq(word.byte),
            constants.place.eq(word.place),
            constants.data.eq(tape_bank.read_data),
        ]

    def _pass_on_result(self, m):
        """Sends the next column its control; returns this column's own, one cycle after `result_in`."""
        result = self.result_in
        following = self._result.create(path=("next_result",))
        own = self._result.create(path=("own_result",))
        m.d.comb += copied(result, following)
        pass_on(m, following, self.result_out)
        m.d.comb += copied(self.result_out, own)

        # What differs from column to column has registers of its own.
        is_activation = result.destination == Destination.ACTIVATION
        counts_on = (result.destination == Destination.KEY) | (result.destination == Destination.LOGITS)
        m.d.comb += [
            following.bank.eq(result.bank + is_activation),
            following.address.eq(result.address + counts_on),
            own.bank.eq(delay(m, result.bank, 1, "own_bank")),
            own.address.eq(delay(m, result.address, 1, "own_address")),
        ]
        if self.wraps:
            with m.If(is_activation & (result.bank == self.rows - 1)):
                m.d.comb += [following.bank.eq(0), following.address.eq(result.following)]
        return own

    def _pass_on_norm(self, m, unit):
        """Sends the next column its token; the lane takes this column's one cycle after `norm_in`."""
        norm = self.norm_in
        if self.shares_lane:
            pass_on(m, norm, self.norm_out)
            m.d.comb += [unit.valid.eq(norm.valid), unit.tile.eq(norm.tile)]
            return
        following = self._norm.create(path=("next_norm",))
        m.d.comb += copied(norm, following)
        pass_on(m, following, self.norm_out)
        m.d.comb += copied(self.norm_out, unit.norm)
        m.d.comb += [
            unit.tile.eq(norm.tile),
            following.bank.eq(norm.bank + 1),
            unit.norm.bank.eq(delay(m, norm.bank, 1, "own_norm_bank")),
            unit.norm.destination.eq(delay(m, norm.destination, 1, "own_destination")),
        ]
        if self.wraps:
            with m.If(norm.bank == self.rows - 1):
                m.d.comb += [following.bank.eq(0), following.destination.eq(norm.following)]

    def _total(self, m, result, kernel, constants, output):
        """Totals, for the kernel and the output stage; returns what is said of them, `valid` that there is one."""
        accumulator = instantiate(m, "accumulator", self.accumulator)
        m.d.comb += [
            accumulator.valid.eq(self.result_in.valid),
            accumulator.first.eq(self.result_in.first),
            accumulator.last.eq(self.result_in.last),
            accumulator.index.eq(self.result_in.index),
            accumulator.partial_sum.eq(self.partial_sum),
        ]
        before = delay_bundle(m, result, self.total_latency - 2, "before_total")
        total = delay_bundle(m, before, 1, "total")
        active = constants.constants
        m.d.comb += [
            constants.take.eq(before.valid & before.last & before.begin),
            kernel.total.eq(accumulator.total),
            *copied(total, kernel.total_control),
            output.total.eq(accumulator.total),
            output.bias.eq(active.bias),
            output.stream_shift.eq(active.stream_shift),
            output.branch_shift.eq(active.branch_shift),
            output.right_shift.eq(active.right_shift),
            output.add.eq(total.destination == Destination.RESIDUAL),
            output.through_table.eq(total.table),
            output.table_write.eq(self.table_write.valid),
            output.table_entry.eq(self.table_write.entry),
            output.table_data.eq(self.table_write.data),
        ]
        return {"valid": accumulator.total_valid} | {name: getattr(total, name) for name in _KEPT}

    def _results(self, m, total, feature, kernel, output, lane):
        """Logits, values for the kernel, activations."""
        # The last output tile of the head may have columns without a class, whose number must not become another one.
        is_class = total["address"] < self.classes
        is_logit = total["valid"] & (total["destination"] == Destination.LOGITS) & is_class
        logit_valid = delay(m, is_logit, self.output_stage.sum_latency, "logit_valid")
        address = total["address"][: len(self.logit_address)]
        logit_address = delay(m, address, self.output_stage.sum_latency, "class")
        m.d.comb += [
            self.logit_valid.eq(logit_valid),
            self.logit_address.eq(Mux(logit_valid, logit_address, 0)),
            self.logit.eq(Mux(logit_valid, output.sum, 0)),
        ]

        ahead = _later(m, feature, self.output_stage.latency - self.output_stage.feature_latency - 1, "before_value")
        value = _later(m, ahead, 1, "value")
        m.d.comb += kernel.value.eq(output.value)
        for name, member in value.items():
            m.d.comb += getattr(kernel.value_control, name).eq(member)
        m.d.comb += kernel.value_control.last.eq(1)

        is_activation = delay(m, ahead["valid"] & (ahead["destination"] == Destination.ACTIVATION), 1, "is_activation")
        z, chosen = kernel.z, self._activation.create(path=("chosen",))
        m.d.comb += [
            chosen.valid.eq(is_activation | lane.valid | z.valid),
            chosen.bank.eq(Mux(is_activation, value["bank"], Mux(lane.valid, lane.bank, z.bank))),
            chosen.address.eq(Mux(is_activation, value["address"], Mux(lane.valid, lane.address, z.address))),
            chosen.data.eq(Mux(is_activation, output.value, Mux(lane.valid, lane.data, z.data))),
        ]
        pass_on(m, chosen, self.activation)


_KEPT = ("destination", "bank", "address", "begin", "end", "finish")
"""What is still needed of a result's control when its total is complete, besides that it is one."""


def _later(m, control, cycles, name):
    """What is said of a total, by name, some cycles later; `name` stands in front of the registers' names."""
    return {member: delay(m, value, cycles, f"{name}_{member}") for member, value in control.items()}
