"""Operand row: the banks of Q and K that feed one row of the array, with K centred on the way.

Row r holds the features r, r + R, ... of Q, and the tokens r, r + R, ... of K: for Q G the array reduces over
features, for G = K^^T V over tokens. Words of Q are single elements; words of K are whole stream beats, from which
`lane` picks the feature.

    control ---+-----------------------------------------------> control of the row below, one cycle later
               |--> [Q bank] ---------------------.
               '--> [K bank] --> lane --> K << f --(-)--> streamed, swap
    mean ---------------------------------^     (centring adder)
"""

from amaranth.hdl import Module, signed
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.bank_chain import BankWrite, bank_write
from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bundles import Phase, StreamControl
from taylorvit.rtl.common.memory_bank import MemoryBank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.common.widths import index_width, tile_width

from .adder_array import CentringAdder

__all__ = ["OperandRow"]


class OperandRow(Block):
    """One row's operand buffers.

    Args:
        config (AcceleratorConfig): the configuration; the depths of the banks and all widths follow from it.

    Ports:
        q_in, q_out: a beat of which the Q bank {half, row tile, token} takes an element; it goes on to the row below
            (`rtl.common.bank_chain.BankWrite`).
        k_in, k_out: a beat for the K bank {half, token tile, beat}, likewise.
        control_in, control_out: what to stream; passed on one cycle later.
        mean_in, mean_out: k_mean of the feature, `memory_latency` cycles after its control; passed on one cycle later.
        streamed, swap: to the array, `latency` cycles after `control_in`.
    """

    module_name = "operand_row"
    waivers = {
        ("PINCONNECTEMPTY", "*_out"): "The last row has none below it.",
        ("PINCONNECTEMPTY", "*_out__*"): "The last row has none below it.",
    }

    def __init__(self, config):
        self.data_width = config.data_width
        self.chain_registers = config.chain_registers
        self.stream_lanes = config.stream_lanes
        control = StreamControl(config)
        q_address_width = 1 + tile_width(config.row_tiles) + index_width(config.max_tokens)
        k_address_width = 1 + tile_width(config.token_tiles) + tile_width(config.max_beats_per_row)
        pipeline = config.memory_pipeline
        self.q_bank = MemoryBank(depth=1 << q_address_width, width=config.data_width, pipeline=pipeline)
        self.k_bank = MemoryBank(
            depth=1 << k_address_width, width=config.stream_lanes * config.data_width, pipeline=pipeline
        )
        self.adder = CentringAdder(data_width=config.data_width, fraction=config.mean_fraction)
        beat_width = config.stream_lanes * config.data_width
        q_write, k_write = (
            BankWrite(banks=config.rows, address_width=width, data_width=beat_width)
            for width in (q_address_width, k_address_width)
        )
        super().__init__(
            {
                "q_in": In(q_write),
                "q_out": Out(q_write),
                "k_in": In(k_write),
                "k_out": Out(k_write),
                "control_in": In(control),
                "control_out": Out(control),
                "mean_in": In(signed(config.mean_width)),
                "mean_out": Out(signed(config.mean_width)),
                "streamed": Out(signed(config.streamed_width)),
                "swap": Out(1),
            }
        )

    @property
    def memory_latency(self):
        """Cycles from `control_in` to the banks' words."""
        return self.k_bank.latency

    @property
    def latency(self):
        """Cycles from `control_in` to `streamed`: the banks, then the centring adder."""
        return self.memory_latency + self.adder.latency

    def elaborate(self, platform):
        m = Module()
        q_bank = instantiate(m, "q_bank", self.q_bank)
        k_bank = instantiate(m, "k_bank", self.k_bank)
        adder = instantiate(m, "adder", self.adder)
        registers = self.chain_registers
        bank_write(m, q_bank, self.q_in, self.q_out, shares=self.stream_lanes, registers=registers)
        bank_write(m, k_bank, self.k_in, self.k_out, shares=1, registers=registers)
        m.d.comb += [
            q_bank.read_address.eq(self.control_in.address),
            k_bank.read_address.eq(self.control_in.address),
        ]
        pass_on(m, self.control_in, self.control_out)
        m.d.sync += self.mean_out.eq(self.mean_in)

        # `control_out` is this row's control one cycle later; the banks' words come with or after it.
        after = self.memory_latency - 1
        lane = delay(m, self.control_out.lane, after, "lane")
        m.d.comb += [
            adder.bypass.eq(delay(m, self.control_out.phase, after, "phase") == Phase.QG),
            adder.q.eq(q_bank.read_data),
            adder.k.eq(k_bank.read_data.word_select(lane, self.data_width)),
            adder.mean.eq(self.mean_in),
            self.streamed.eq(adder.streamed),
        ]
        m.d.comb += self.swap.eq(delay(m, self.control_out.swap, after + self.adder.latency, "swap"))
        return m
