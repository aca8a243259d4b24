"""Shared LayerNorm lane against the golden LayerNorm: its columns take turns, tokens come as closely as they may."""

from __future__ import annotations

import random

import cocotb
import numpy as np

from taylorvit.gen.verilog import emit
from taylorvit.golden.network.integer_layers import layer_norm
from taylorvit.rtl.network.shared_norm_lane import SharedNormLane
from taylorvit.simulation import build, expect_equal, run
from taylorvit.simulation.dsp_cells import with_dsp_models
from verif.rtl.harness import SideBySide, Timeline, drive, integers, on_every_block, ports_of
from verif.rtl.network.configurations import SHARED, SHARED_IN_CELLS, config_of
from verif.rtl.network.layer_norms import layer_norm_inputs

FEATURES = 2000  # of a configuration, tokens times their features


def blocks():
    return {name: SharedNormLane(config_of(name)) for name in SHARED | SHARED_IN_CELLS}


class Lane:
    """LayerNorms one after another, and the activations that must come of them."""

    def __init__(self, config, generator):
        self.config = config
        self.generator = generator
        self.block = SharedNormLane(config)
        # A column without a token gives zeros.
        zeros = (port for port in ports_of(self.block) if port.startswith("operands"))
        self.timeline = Timeline(self.block, generator, ("lane_in__valid", *zeros))
        self.cycle = 0
        self.count = 0
        self.activations = [{} for _column in range(self.block.members)]  # cycle -> bank, address, data
        self.passed_on = {}  # cycle -> members of lane_out

    def layer_norm(self):
        """One LayerNorm, of features that are all this lane's."""
        config, generator, columns = self.config, self.generator, self.block.members
        tiles = generator.randint(1, config.max_width // columns)
        x, left_shifts, epsilon = layer_norm_inputs(config, generator, features=tiles * columns)
        features = x.shape[1]
        gamma = np.array(integers(generator, generator.choice((2, 9, config.gamma_width)), features))
        beta = np.array(integers(generator, generator.choice((2, 20, config.beta_width)), features))
        normalized = layer_norm(x, left_shifts, epsilon, gamma, beta, 0, 8).normalized
        fits = int(np.abs(normalized * gamma + beta).max()).bit_length() - 7  # so that it is just not saturated
        shift = generator.choice((0, 63, *(max(0, fits - less) for less in (0, 1, 1, 2, 3))))
        shift = min(max(shift, config.norm_shift_min), config.norm_shift_max)
        golden = layer_norm(x, left_shifts, epsilon, gamma, beta, shift, 8)
        shift %= 1 << config.norm_shift_bits  # as it is told
        for tile in range(tiles):
            for token in range(len(x)):
                places = self.token(golden, token, shift)
                for column, place in enumerate(places):
                    feature = tile * columns + column
                    constants = (int(left_shifts[feature]), int(gamma[feature]), int(beta[feature]))
                    self.operand(column, int(x[token, feature]), *constants)
                    output = int(golden.output[token, feature])
                    self.activations[column][self.cycle + column + self.block.latency] = (*place, output)
                    self.count += 1
                self.cycle += columns + generator.choice((0, 0, 0, 1))
        self.cycle += self.block.latency + columns

    def token(self, golden, token, shift):
        """What is said of a token; returns bank and address of each column's activation."""
        config, generator, block, cycle = self.config, self.generator, self.block, self.cycle
        variance, reciprocal = int(golden.variance[token, 0]), int(golden.reciprocal[token, 0])
        banks, depth = config.rows, config.activation_depth
        bank = generator.randrange(banks if block.wraps else banks - block.members + 1)
        destination, following = generator.randrange(depth), generator.randrange(depth)
        control = {
            "valid": 1, "factor": golden.aligned.shape[1] * reciprocal, "norm_shift": shift, "following": following,
            "offset": int(golden.total[token, 0]) * reciprocal, "finish": generator.getrandbits(1),
            "right_shift": 17 + ((variance.bit_length() - 29) >> 1), "bank": bank, "destination": destination,
        }  # fmt: skip
        self.timeline.set(cycle, **{f"lane_in__{name}": value for name, value in control.items()})

        def place(column):
            wraps = block.wraps and bank + column >= banks
            return (bank + column) % banks if block.wraps else bank + column, following if wraps else destination

        passed_on = dict(zip(("bank", "destination"), place(block.members)))
        passed_on["bank"] %= 1 << len(block.lane_out.bank)  # that of a lane which is not there, behind the last one
        self.passed_on[cycle + block.members] = control | passed_on
        return [place(column) for column in range(block.members)]

    def operand(self, column, feature, left_shift, gamma, beta):
        """A column's operands of its token, in its own cycles."""
        block, timeline, cycle = self.block, self.timeline, self.cycle + column
        name = f"operands__{column}__"
        timeline.set(cycle + block.operand_delay, **{f"{name}feature": feature, f"{name}left_shift": left_shift})
        timeline.set(cycle + block.scale_delay, **{f"{name}gamma": gamma, f"{name}beta": beta})


async def check(view, name, seed):
    """Activations come in the cycles foretold, each to its column, and are the golden model's."""
    lane = Lane(config_of(name), random.Random(seed))
    while lane.count < FEATURES:
        lane.layer_norm()
    outputs = [port for port, (_width, incoming) in ports_of(lane.block).items() if not incoming]
    got = await drive(view, lane.timeline.inputs(), outputs, extra=lane.block.latency + lane.block.members)
    members = ("bank", "address", "data")
    for column, expected in enumerate(lane.activations):
        port = f"activations__{column}__"
        valid = [cycle for cycle, value in enumerate(got[port + "valid"]) if int(value)]
        expect_equal(f"cycles of activations of column {column}", valid, sorted(expected))
        for member, numbers in zip(members, zip(*expected.values())):
            words = [got[port + member][cycle] for cycle in expected]
            seen = [word.to_signed() if member == "data" else int(word) for word in words]
            expect_equal(f"{member} of activations of column {column}", seen, list(numbers))
    valid = [cycle for cycle, value in enumerate(got["lane_out__valid"]) if int(value)]
    expect_equal("cycles of tokens for the next lane", valid, sorted(lane.passed_on))
    for member in lane.block.lane_out.signature.members:
        words = [got[f"lane_out__{member}"][cycle] for cycle in lane.passed_on]
        seen = [word.to_signed() if member == "offset" else int(word) for word in words]
        expect_equal(f"{member} for the next lane", seen, [control[member] for control in lane.passed_on.values()])
    data = [activation[-1] for column in lane.activations for activation in column.values()]
    assert sum(-128 < value < 127 and value not in (-1, 0) for value in data) > len(data) // 10


@cocotb.test()
async def layer_norms_equal_golden(dut):
    """Lanes of all configurations, at once."""
    await on_every_block(dut, blocks(), check)


def test_shared_norm_lane():
    block = SideBySide(blocks())
    result = run(build(with_dsp_models(emit(block)), block.module_name), __name__)
    assert result.compared >= 3 * FEATURES * len(blocks())
