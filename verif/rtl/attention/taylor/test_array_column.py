"""One column of the array: its banks, totals and divisions, against Python integers.

Five things go on at once, as in a job: V and the biases are written into one half of their buffers; totals arrive for
one half of the G buffer and for some places of the row queue; tiles are loaded from the other halves; rows from the
other places are divided; Z is read from its other half. In the next round the halves change roles.
"""

from __future__ import annotations

import random

import cocotb
import pytest

from taylorvit.gen.verilog import emit
from taylorvit.golden.arithmetic.number_format import divide_round_half_up, saturate, shift_right_round_half_up
from taylorvit.rtl.attention.taylor.array_column import ArrayColumn
from taylorvit.rtl.common.bundles import Phase
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import build, expect_equal, parameters, run, start
from verif.rtl.harness import (
    Timeline,
    bits,
    drive,
    expect_handed_on,
    expect_passed_on,
    idle_inputs,
    integers,
    limits,
    passed_to,
    ports_of,
    tile_bits,
)
from verif.rtl.models import Totals, partial_sums, queue_slots

ROUNDS = 5
REDUCTIONS = 10  # a round
# Banks that take their share of what goes from column to column: columns that take one of each word.
SHARED = {"v": lambda config: config.stream_lanes, "bias": lambda config: 1}
STROBES = ("v_in__valid", "bias_in__valid", "accumulate_in__valid", "divide_in__start", "write_back_in__write",
           "write_back_in__mean")  # fmt: skip
CONFIGURATIONS = {
    "default": {"rows": 4, "columns": 4, "max_tokens": 64, "max_head_dim": 32, "divider_interval": 8},
    "odd": {"rows": 5, "columns": 3, "data_width": 6, "mean_fraction": 1, "max_tokens": 17, "max_head_dim": 13,
            "stream_width": 8, "divider_interval": 1, "memory_pipeline": 2},
    "wide": {"rows": 16, "columns": 8, "data_width": 12, "mean_fraction": 2, "max_tokens": 50, "max_head_dim": 32,
             "memory_pipeline": 1},
    "narrow": {"rows": 8, "columns": 4, "data_width": 4, "mean_fraction": 0, "max_tokens": 16, "max_head_dim": 12,
               "stream_width": 16, "divider_interval": 5},
    "smallest": {"rows": 2, "columns": 1, "max_tokens": 1, "max_head_dim": 1, "stream_width": 8},
}  # fmt: skip


def config_of(name):
    return AcceleratorConfig(name="column", **CONFIGURATIONS[name])


# Benches: run inside the simulator.


class Column:
    """Model of a column's memories, and what a round of inputs must do to them."""

    def __init__(self, config, generator):
        self.config = config
        self.generator = generator
        self.column = ArrayColumn(config)
        self.v, self.g, self.queue, self.bias, self.z = {}, {}, {}, {}, {}
        self.half = 0

    def places(self, half, minor):
        """All addresses {half, column tile, `minor` places} of one half."""
        tiles, minor_bits = self.config.column_tiles, bits(minor)
        return [(half << tile_bits(tiles) | tile) << minor_bits | at for tile in range(tiles) for at in range(minor)]

    def writes(self, timeline):
        """V and biases, a word a cycle; returns what the banks then hold."""
        config, generator = self.config, self.generator
        v = dict.fromkeys(self.places(self.half, config.max_tokens))
        for cycle, address in enumerate(v):
            [v[address]] = integers(generator, config.data_width, 1)
            others = generator.getrandbits((config.stream_lanes - 1) * config.data_width)
            data = others << config.data_width | v[address] % (1 << config.data_width)
            offset = generator.randrange(config.stream_lanes)
            timeline.set(cycle, v_in__valid=1, v_in__offset=offset, v_in__address=address, v_in__data=data)
        bias = {}
        for tile in range(config.column_tiles):
            address = self.half << tile_bits(config.column_tiles) | tile
            width = generator.choice((config.aligned_bias_width, generator.randint(2, config.aligned_bias_width)))
            [bias[address]] = integers(generator, width, 1)
            timeline.set(tile, bias_in__valid=1, bias_in__offset=0, bias_in__address=address,
                         bias_in__data=bias[address] % (1 << config.aligned_bias_width))  # fmt: skip
        return v, bias

    def reductions(self, timeline, shift_g):
        """Passes of partial sums, back to back; returns the G and the Q G that they give."""
        config = self.config
        kinds = {
            Phase.G: Totals(config.g_sum_width, self.places(self.half, config.max_head_dim)),
            Phase.QG: Totals(config.qg_width, queue_slots(config, self.half)),
        }
        g, queue = {}, {}
        for phase, totals, _ends in partial_sums(
            timeline, self.generator, self.column.accumulator, reductions=REDUCTIONS, kinds=kinds,
            longest=min(40, max(config.max_tokens, config.max_head_dim)), sum_width=config.partial_sum_width,
        ):  # fmt: skip
            if phase == Phase.G:
                g |= {
                    place: saturate(shift_right_round_half_up(total, shift_g), config.data_width)
                    for place, total in totals.items()
                }
            else:
                queue |= totals
        return g, queue

    def loads(self, timeline):
        """Rows of tiles from the half that is not written; returns [(cycle, stationary operand)]."""
        config, generator = self.config, self.generator
        expected = []
        for cycle in range(300):
            phase = generator.choice((Phase.G, Phase.QG))
            blank = int(generator.random() < 0.2)
            minor, bank = (config.max_tokens, self.v) if phase == Phase.G else (config.max_head_dim, self.g)
            address = generator.choice(self.places(1 - self.half, minor))
            timeline.set(cycle, load_in__phase=phase, load_in__blank=blank, load_in__address=address)
            expected.append((cycle + self.column.load_latency, 0 if blank else bank.get(address, 0)))
        return expected

    def divisions(self, timeline, numerator_shift):
        """Rows of Q G and rows of means; returns the Z that is written and [(cycle, k_mean)]."""
        config, generator, column = self.config, self.generator, self.column
        z, means = {}, []
        places = self.places(self.half, config.max_tokens)
        generator.shuffle(places)
        cycle = 0
        for place in places[:120]:
            mean = int(generator.random() < 0.3)
            slot = generator.choice(queue_slots(config, 1 - self.half))
            bias_address = (1 - self.half) << tile_bits(config.column_tiles) | generator.randrange(config.column_tiles)
            [k_sum] = integers(generator, config.column_sum_width, 1)
            aligned = self.queue.get(slot, 0) << config.constant_fraction << numerator_shift
            numerator = k_sum if mean else aligned + self.bias.get(bias_address, 0)
            # Divisors of the numerator's size, so that quotients of every size come out.
            largest = limits(config.divisor_width, signed=False)[1]
            divisor = min(largest, max(1, abs(numerator) * generator.randint(1, 64) // 16 + generator.randint(-2, 2)))
            invalid = int(not mean and generator.random() < 0.1)
            timeline.set(
                cycle,
                divide_in__start=1,
                divide_in__mean=mean,
                divide_in__queue_address=slot,
                divide_in__bias_address=bias_address,
            )
            if mean:
                timeline.set(cycle + column.k_sum_delay, k_sum=k_sum)
            timeline.set(cycle + column.divisor_delay, divisor_in=divisor, invalid_in=invalid)
            end = cycle + column.write_back_delay
            width = config.mean_width if mean else config.data_width
            if invalid:
                quotient = limits(width)[numerator >= 0]
            else:
                quotient = saturate(divide_round_half_up(numerator << (width - 1), divisor), width)
            timeline.set(end, write_back_in__write=1 - mean, write_back_in__mean=mean, write_back_in__address=place)
            means.append((end, quotient if mean else 0))
            if not mean:
                z[place] = quotient
            cycle += config.divider_row_interval + generator.choice((0, 0, 1, 5))
        return z, means

    def reads(self, timeline):
        """All of Z's half that is not written; returns [(cycle, element)]."""
        expected = []
        for cycle, address in enumerate(self.places(1 - self.half, self.config.max_tokens)):
            timeline.set(cycle, z_address=address)
            expected.append((cycle + self.column.z_latency, self.z.get(address, 0)))
        return expected


@cocotb.test()
async def rounds_equal_the_model(dut):
    """What the banks hold, the operands, quotients and bundles that leave equal the model, round after round."""
    config = config_of(parameters()["name"])
    generator = random.Random(cocotb.RANDOM_SEED)
    model = Column(config, generator)
    await start(dut, **idle_inputs(model.column))
    for number in range(ROUNDS):
        timeline = Timeline(model.column, generator, STROBES)
        shift_g = generator.choice((0, config.data_width, generator.randint(0, config.shift_g_max)))
        numerator_shift = generator.choice((0, config.numerator_shift_max, generator.randint(0, 9)))
        numerator_shift = min(numerator_shift, config.numerator_shift_max)
        v, bias = model.writes(timeline)
        g, queue = model.reductions(timeline, shift_g)
        stationary = model.loads(timeline)
        z, means = model.divisions(timeline, numerator_shift)
        elements = model.reads(timeline)

        inputs = timeline.inputs(shift_g_in=shift_g, numerator_shift_in=numerator_shift)
        chained = [port for port in inputs if port.partition("_in")[0] in SHARED]
        passed = [port for port in inputs if "_in" in port and port not in chained]
        outputs = ["stationary", "mean", "z_data", *map(passed_to, [*passed, *chained])]
        got = await drive(dut, inputs, outputs, extra=model.column.kept_latency + model.column.load_latency)
        for port, expected in (("stationary", stationary), ("mean", means), ("z_data", elements)):
            cycles, values = zip(*expected)
            seen = [got[port][cycle].to_signed() for cycle in cycles]
            expect_equal(f"{port} of round {number}", seen, list(values))
        expect_passed_on(got, inputs, passed, timeline.length, f" of round {number}")
        for bank, shares in SHARED.items():
            expect_handed_on(
                model.column, bank, got, inputs, timeline.length, shares=shares(config),
                registers=config.chain_registers, what=f" of round {number}",
            )  # fmt: skip

        model.v |= v
        model.bias |= bias
        model.g |= g
        model.queue |= queue
        model.z |= z
        model.half = 1 - model.half


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_array_column(name):
    block = ArrayColumn(config_of(name))
    result = run(build(emit(block), block.module_name), __name__, parameters={"name": name})
    assert result.compared > ROUNDS * len([port for port in ports_of(block) if "_out" in port]) * 300
