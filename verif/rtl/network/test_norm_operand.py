"""Norm operand: a column's feature and constants for a shared LayerNorm lane, in its own cycles and in no other."""

from __future__ import annotations

import random

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.norm_operand import NormOperand
from taylorvit.simulation import build, expect_equal, run
from verif.rtl.harness import SideBySide, Timeline, drive, integers, on_every_block
from verif.rtl.network.configurations import SHARED, config_of

ROUNDS = 20  # in which all constants are written, then read
SCALE_DELAY = {name: 3 + 2 * place for place, name in enumerate(SHARED)}


def blocks():
    return {name: NormOperand(config_of(name), scale_delay=SCALE_DELAY[name]) for name in SHARED}


async def check(view, name, seed):
    """Operands of random tokens, with cycles between them in which there is none."""
    config, generator, block = config_of(name), random.Random(seed), blocks()[name]
    timeline = Timeline(block, generator, ("valid", "constants__valid"))
    expected = {member: {} for member in ("feature", "left_shift", "gamma", "beta")}
    cycle = 0
    for _round in range(ROUNDS):
        constants = []
        for tile in range(config.residual_tiles):
            [gamma], [beta] = integers(generator, config.gamma_width, 1), integers(generator, config.beta_width, 1)
            constants.append((generator.randint(0, config.left_shift_max), gamma, beta))
            timeline.set(cycle, constants__valid=1, constants__tile=tile, constants__left_shift=constants[tile][0],
                         constants__gamma=gamma, constants__beta=beta)  # fmt: skip
            cycle += 1
        for _token in range(4 * config.residual_tiles):
            tile = generator.randrange(config.residual_tiles)
            [feature] = integers(generator, config.residual_width, 1)
            timeline.set(cycle, valid=1, tile=tile)
            timeline.set(cycle + block.feature_delay, feature=feature)
            expected["feature"][cycle + block.feature_delay] = feature
            expected["left_shift"][cycle + block.feature_delay] = constants[tile][0]
            expected["gamma"][cycle + block.scale_delay] = constants[tile][1]
            expected["beta"][cycle + block.scale_delay] = constants[tile][2]
            cycle += generator.choice((1, 1, 2, 5))
        cycle += block.scale_delay
    got = await drive(view, timeline.inputs(), [f"operand__{name}" for name in expected], extra=block.scale_delay)
    for member, numbers in expected.items():
        words = got[f"operand__{member}"]
        whole = [numbers.get(cycle, 0) % (1 << len(word)) for cycle, word in enumerate(words)]
        expect_equal(member, [int(word) for word in words], whole)


@cocotb.test()
async def operands_in_their_own_cycles(dut):
    """Blocks of all configurations, at once."""
    await on_every_block(dut, blocks(), check)


def test_norm_operand():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared >= 4 * ROUNDS * len(SHARED)
