"""Operand row: the banks of Q and of scores that feed one row of the array, with exponentials made on the way.

Row r holds the features r, r + R, ... of Q, and the scores of the tokens r, r + R, ... with the queries of two blocks:
for Q K^T the array reduces over features, for e V over tokens.

    control ----+------------------------------------------------> control of the row below, one cycle later
                |--> [Q bank] -------------------.
    scores --> [score banks] --> choice --------> exponential --> streamed, swap
    maximum ---------------------------------------^   ^
    entries of the table ------------------------------'

A row has several banks of scores if the array has columns that are no neighbours of it (`score_banks`). Each gets its
scores from one column, in those of the column's turns that are its own.
"""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.bank_chain import BankWrite, bank_write
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.common.widths import index_width, tile_width

from .bundles import Phase, ScoreWrite, StreamControl, score_address_width
from .exponential import Exponential, ExponentialWrite

__all__ = ["OperandRow"]


class OperandRow(Block):
    """One row's operand buffers.

    Args:
        config (AcceleratorConfig): the configuration; the depths of the banks and all widths follow from it.

    Ports:
        q_in, q_out: a beat of which the Q bank {half, row tile, token} takes an element; it goes on to the row below
            (`rtl.common.bank_chain.BankWrite`).
        scores (ScoreWrite, input, one for each bank of scores): the scores of a column; those of the bank's own turn
            are written one cycle later.
        turn (bits of a turn, input, one for each bank of scores): that turn, a constant.
        control_in, control_out: what to stream; passed on one cycle later.
        maximum_in, maximum_out: the largest score of the element's query, `memory_latency` cycles after its control;
            passed on one cycle later.
        table_write_in, table_write_out (ExponentialWrite): an entry of the table; passed on one cycle later. No reset
            stops it.
        streamed, swap: to the array, `latency` cycles after `control_in`.
    """

    module_name = "operand_row"
    waivers = {
        ("PINCONNECTEMPTY", "*_out"): "The last row has none below it.",
        ("PINCONNECTEMPTY", "*_out__*"): "The last row has none below it.",
    }

    def __init__(self, config):
        self.chain_registers = config.chain_registers
        self.stream_lanes = config.stream_lanes
        self.score_banks = config.score_banks
        control = StreamControl(config)
        score = ScoreWrite(config)
        q_address_width = 1 + tile_width(config.row_tiles) + index_width(config.max_tokens)
        pipeline = config.memory_pipeline
        self.q_bank = MemoryBank(depth=1 << q_address_width, width=config.data_width, pipeline=pipeline)
        self.score_bank = MemoryBank(
            depth=1 << score_address_width(config), width=config.kept_score_width, pipeline=pipeline
        )
        self.exponential = Exponential(
            score_width=config.kept_score_width,
            entries=config.exponential_entries,
            width=config.exponential_width,
            operand_width=config.data_width,
            pipeline=pipeline,
        )
        q_write = BankWrite(
            banks=config.rows, address_width=q_address_width, data_width=config.stream_lanes * config.data_width
        )
        table_write = ExponentialWrite(entries=config.exponential_entries, width=config.exponential_width)
        super().__init__(
            {
                "q_in": In(q_write),
                "q_out": Out(q_write),
                "scores": In(score).array(config.score_banks),
                "turn": In(score.members["part"].shape).array(config.score_banks),
                "control_in": In(control),
                "control_out": Out(control),
                "maximum_in": In(signed(config.kept_score_width)),
                "maximum_out": Out(signed(config.kept_score_width)),
                "table_write_in": In(table_write),
                "table_write_out": Out(table_write),
                "streamed": Out(signed(config.streamed_width)),
                "swap": Out(1),
            }
        )

    @property
    def memory_latency(self):
        """Cycles from `control_in` to the banks' words."""
        return self.score_bank.latency

    @property
    def latency(self):
        """Cycles from `control_in` to `streamed`: the banks, then the exponential."""
        return self.memory_latency + self.exponential.latency

    def elaborate(self, platform):
        m = Module()
        q_bank = instantiate(m, "q_bank", self.q_bank)
        exponential = instantiate(m, "exponential", self.exponential)
        bank_write(m, q_bank, self.q_in, self.q_out, shares=self.stream_lanes, registers=self.chain_registers)
        pass_on(m, self.control_in, self.control_out)
        m.d.sync += self.maximum_out.eq(self.maximum_in)
        for name in self.table_write_in.signature.members:
            source, target = getattr(self.table_write_in, name), getattr(self.table_write_out, name)
            register = Signal.like(source, name=f"table_write_{name}", reset_less=True)
            m.d.sync += register.eq(source)
            m.d.comb += target.eq(register)

        # `control_out` is this row's control one cycle later; the banks' words come with or after it.
        after = self.memory_latency - 1
        m.d.comb += [
            q_bank.read_address.eq(self.control_in.address),
            exponential.operand.eq(q_bank.read_data),
            exponential.score.eq(self._score(m, after)),
            exponential.maximum.eq(self.maximum_in),
            exponential.bypass.eq(delay(m, self.control_out.phase, after, "phase") == Phase.SCORES),
            *(
                getattr(exponential.table_write, name).eq(getattr(self.table_write_in, name))
                for name in self.table_write_in.signature.members
            ),
            self.streamed.eq(exponential.streamed),
            self.swap.eq(delay(m, self.control_out.swap, after + self.exponential.latency, "swap")),
        ]
        return m

    def _score(self, m, after):
        """Writes the banks of scores, and returns the score that the row streams."""
        banks = []
        for index, (score, turn) in enumerate(zip(self.scores, self.turn)):
            bank = instantiate(m, f"score_bank_{index}", self.score_bank)
            m.d.comb += [
                bank.write_enable.eq(delay(m, score.valid & (score.part == turn), 1, f"score_valid_{index}")),
                bank.write_address.eq(delay(m, score.address, 1, f"score_address_{index}")),
                bank.write_data.eq(delay(m, score.score, 1, f"score_{index}")),
                bank.read_address.eq(self.control_in.address),
            ]
            banks.append(bank.read_data)
        word = Signal.like(banks[0], name="score_word")
        with m.Switch(delay(m, self.control_out.bank, after, "bank")):
            for index, data in enumerate(banks[1:], 1):
                with m.Case(index):
                    m.d.comb += word.eq(data)
            with m.Default():
                m.d.comb += word.eq(banks[0])
        return word.as_signed()
