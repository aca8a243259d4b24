"""LayerNorm lane against the golden LayerNorm, all features of a token through one lane, over the whole input range."""

from __future__ import annotations

import random

import cocotb
import numpy as np

from taylorvit.gen.verilog import emit
from taylorvit.golden.network.integer_layers import layer_norm
from taylorvit.rtl.network.norm_lane import NormLane
from taylorvit.simulation import build, expect_equal, run
from taylorvit.simulation.dsp_cells import with_dsp_models
from verif.rtl.harness import SideBySide, Timeline, drive, integers, on_every_block
from verif.rtl.network.configurations import CONFIGURATIONS, IN_CELLS, config_of
from verif.rtl.network.layer_norms import layer_norm_inputs

FEATURES = 3000  # of a configuration, tokens times their features


def blocks():
    return {name: NormLane(config_of(name)) for name in CONFIGURATIONS | IN_CELLS}


class Lane:
    """LayerNorms one after another, and the activations that must come of them."""

    def __init__(self, config, generator):
        self.config = config
        self.generator = generator
        self.block = NormLane(config)
        self.timeline = Timeline(self.block, generator, ("norm__valid", "constants__valid"))
        self.cycle = 0
        self.activations = {}  # cycle -> bank, address, data

    def layer_norm(self):
        """One LayerNorm: as many features at a time as there are tiles, then the memories are written anew."""
        config, generator = self.config, self.generator
        x, left_shifts, epsilon = layer_norm_inputs(config, generator)
        features = x.shape[1]
        gamma = np.array(integers(generator, generator.choice((2, 9, config.gamma_width)), features))
        beta = np.array(integers(generator, generator.choice((2, 20, config.beta_width)), features))
        normalized = layer_norm(x, left_shifts, epsilon, gamma, beta, 0, 8).normalized
        fits = int(np.abs(normalized * gamma + beta).max()).bit_length() - 7  # so that it is just not saturated
        shift = generator.choice((0, 63, *(max(0, fits - less) for less in (0, 1, 1, 2, 3))))
        shift = min(max(shift, config.norm_shift_min), config.norm_shift_max)
        golden = layer_norm(x, left_shifts, epsilon, gamma, beta, shift, 8)
        shift %= 1 << config.norm_shift_bits  # as it is told
        for first in range(0, features, config.residual_tiles):
            part = range(first, min(first + config.residual_tiles, features))
            for tile, feature in enumerate(part):
                self.timeline.set(
                    self.cycle, constants__valid=1, constants__tile=tile, constants__gamma=int(gamma[feature]),
                    constants__beta=int(beta[feature]), constants__left_shift=int(left_shifts[feature]),
                )  # fmt: skip
                self.cycle += 1
            for tile, feature in enumerate(part):
                for token in range(len(x)):
                    self.token(tile, int(x[token, feature]), golden, token, shift)
                    self.activations[self.cycle - 1 + self.block.latency] += (int(golden.output[token, feature]),)
                    self.cycle += generator.choice((0, 0, 0, 1))
            self.cycle += self.block.latency

    def token(self, tile, feature, golden, token, shift):
        """One feature of a token."""
        generator, block, cycle = self.generator, self.block, self.cycle
        variance, reciprocal = int(golden.variance[token, 0]), int(golden.reciprocal[token, 0])
        place = (generator.randrange(self.config.rows), generator.randrange(self.config.activation_depth))
        self.timeline.set(cycle, tile=tile)
        self.timeline.set(
            cycle + block.norm_delay, norm__valid=1, norm__factor=golden.aligned.shape[1] * reciprocal,
            norm__offset=int(golden.total[token, 0]) * reciprocal, norm__norm_shift=shift,
            norm__right_shift=17 + ((variance.bit_length() - 29) >> 1), norm__bank=place[0], norm__destination=place[1],
        )  # fmt: skip
        self.timeline.set(cycle + block.feature_delay, feature=feature)
        self.activations[cycle + block.latency] = place
        self.cycle += 1


async def check(view, name, seed):
    """Activations come in the cycles foretold, and are the golden model's."""
    lane = Lane(config_of(name), random.Random(seed))
    while len(lane.activations) < FEATURES:
        lane.layer_norm()
    members = ("bank", "address", "data")
    outputs = [f"activation__{member}" for member in ("valid", *members)]
    got = await drive(view, lane.timeline.inputs(), outputs, extra=lane.block.latency)
    valid = [cycle for cycle, value in enumerate(got["activation__valid"]) if int(value)]
    expect_equal("cycles of activations", valid, sorted(lane.activations))
    for member, numbers in zip(members, zip(*lane.activations.values())):
        words = [got[f"activation__{member}"][cycle] for cycle in lane.activations]
        seen = [word.to_signed() if member == "data" else int(word) for word in words]
        expect_equal(f"{member} of activations", seen, list(numbers))
    data = [activation[-1] for activation in lane.activations.values()]
    assert sum(-128 < value < 127 and value not in (-1, 0) for value in data) > len(data) // 10


@cocotb.test()
async def layer_norms_equal_golden(dut):
    """Lanes of all configurations, at once."""
    await on_every_block(dut, blocks(), check)


def test_norm_lane():
    block = SideBySide(blocks())
    result = run(build(with_dsp_models(emit(block)), block.module_name), __name__)
    assert result.compared >= 3 * FEATURES * len(blocks())
