"""LayerNorm's statistics against the golden LayerNorm: one factor, offset and shift a token, in the cycle foretold."""

from __future__ import annotations

import random
from itertools import pairwise
from math import ceil

import cocotb
import numpy as np

from taylorvit.gen.verilog import emit
from taylorvit.golden.network.integer_layers import NORMALIZED_FRACTION, RECIPROCAL_FRACTION, layer_norm
from taylorvit.rtl.network.command import Destination
from taylorvit.rtl.network.norm_statistics import NormStatistics
from taylorvit.simulation import build, expect_equal, run
from taylorvit.simulation.dsp_cells import with_dsp_models
from verif.rtl.harness import SideBySide, Timeline, drive, on_every_block
from verif.rtl.network.configurations import CONFIGURATIONS, IN_CELLS, config_of
from verif.rtl.network.layer_norms import layer_norm_inputs

STREAMS = 24
HURRIED = (8, 9)  # the second one begins before the tokens of the first one are prepared
SUMS_DELAY = 9  # anything
STROBES = ("result__valid", "sums__valid")


def block_of(config):
    return NormStatistics(config, sums_delay=SUMS_DELAY)


def blocks():
    return {name: block_of(config_of(name)) for name in CONFIGURATIONS | IN_CELLS}


# Benches: run inside the simulator.


class Statistics:
    """Residual streams one after another, and what must come of each."""

    def __init__(self, config, generator):
        self.config = config
        self.generator = generator
        self.block = block_of(config)
        self.timeline = Timeline(self.block, generator, STROBES)
        self.heads = {}  # cycle -> token, first_tile, last_tile
        self.blocks = 0  # of tokens
        self.restarts = []  # the cycle before `ready` is 0
        self.prepared = []  # of each residual stream: the cycles from which its tokens are prepared
        self.reads = []  # cycle of the address, token, factor, offset, right shift
        self.issues = [-self.block.interval]  # cycles in which tokens were begun
        self.cycle = 0

    def stream(self, hurried):
        """One residual stream in blocks of tokens, which may be asked for before the next one begins, or not.

        A hurried one is as short as all tokens can be, in one block, and the next one begins at once.
        """
        config, generator, block = self.config, self.generator, self.block
        sizes = (config.max_tokens, 1) if hurried else ()
        x, left_shifts, epsilon = layer_norm_inputs(config, generator, *sizes)
        tokens, features = x.shape
        ones = np.ones(features, dtype=np.int64)
        golden = layer_norm(x, left_shifts, epsilon, ones, 0 * ones, 0, 8)
        begin = self.cycle
        most_ends = 0 if hurried else min(3, tokens - 1)
        ends = sorted(generator.sample(range(1, tokens), generator.randint(0, most_ends)))
        ready = []
        for first, end in pairwise((0, *ends, tokens)):
            ready += self._ready(self._addition(golden.aligned, range(first, end)))
            self.cycle += 0 if hurried else generator.choice((0, 1, 20, block.latency))
        self.blocks += len(ends) + 1
        self.prepared.append(ready)
        if not hurried and generator.random() < 0.8:
            self.cycle = max(self.cycle, ready[-1])
            self._read(golden, features, ready)
        self.cycle += SUMS_DELAY + config.columns + block.total_sums.latency
        for cycle in range(begin, self.cycle):
            self.timeline.set(cycle, features=features, epsilon=epsilon)

    def _addition(self, aligned, tokens):
        """The residual addition of a block of tokens; returns the cycles in which its last sums come."""
        config, generator, timeline = self.config, self.generator, self.timeline
        tiles = ceil(aligned.shape[1] / config.columns)
        for tile in range(tiles):
            part = aligned[:, tile * config.columns : (tile + 1) * config.columns]
            first, last = tile == 0, tile == tiles - 1
            if last and tokens.start == 0:
                restart = self.cycle + self.block.restart_latency - 1
                self.restarts.append(restart)
                self.issues = [cycle for cycle in self.issues if cycle <= restart]
            arrivals = []
            for element, token in enumerate(tokens):
                timeline.set(
                    self.cycle, result__valid=1, result__last=1, result__destination=Destination.RESIDUAL,
                    result__index=element, result__first_tile=first, result__last_tile=last,
                    result__begin=element == 0, first_token=tokens.start,
                )  # fmt: skip
                self.heads[self.cycle + SUMS_DELAY] = (token, first, last)
                arrivals.append(self.cycle + SUMS_DELAY + config.columns)
                timeline.set(
                    arrivals[-1], sums__valid=1, sums__index=token, sums__first_tile=first, sums__last_tile=last,
                    sums__total=int(part[token].sum()), sums__squares=int((part[token] ** 2).sum()),
                )  # fmt: skip
                self.cycle += 1 + generator.choice((0, 0, 0, 0, 3))
            self.cycle += generator.choice((self.block.total_sums.return_delay, 10))
            self._others()
        return arrivals

    def _others(self):
        """Totals for other destinations, and sums that are no totals, which are none of its business."""
        for _ in range(self.generator.randrange(4)):
            destination = self.generator.choice([d for d in Destination if d != Destination.RESIDUAL])
            last, destination = self.generator.choice(((1, destination), (0, Destination.RESIDUAL)))
            self.timeline.set(self.cycle, result__valid=1, result__last=last, result__destination=destination)
            self.cycle += 1

    def _ready(self, arrivals):
        """From when on each token counts."""
        ready = []
        accumulated = self.block.total_sums.latency + 1
        for arrival in arrivals:
            self.issues.append(max(arrival + accumulated, self.issues[-1] + self.block.interval))
            ready.append(self.issues[-1] + self.block.latency - accumulated)
        return ready

    def _read(self, golden, features, ready):
        """Asks for all tokens, in any order; then each as soon as it counts."""
        tokens = list(range(len(ready)))
        self.generator.shuffle(tokens)
        for token in tokens:
            variance = int(golden.variance[token, 0])
            half_shift = (variance.bit_length() - 30 + 1) >> 1
            right_shift = RECIPROCAL_FRACTION - NORMALIZED_FRACTION + half_shift
            reciprocal, total = int(golden.reciprocal[token, 0]), int(golden.total[token, 0])
            factor, offset = features * reciprocal, total * reciprocal
            # What the columns do with them is the golden LayerNorm.
            normalized = (golden.aligned[token] * factor - offset + (1 << right_shift - 1)) >> right_shift
            assert (normalized == golden.normalized[token]).all()
            self.timeline.set(self.cycle, read_address=token)
            self.reads.append((self.cycle, token, factor, offset, right_shift))
            self.cycle += 1

    def ready_wave(self, cycles):
        """`ready` in each cycle."""
        wave = [0] * cycles
        for number, (restart, prepared) in enumerate(zip(self.restarts, self.prepared)):
            end = self.restarts[number + 1] if number + 1 < len(self.restarts) else cycles
            for cycle in range(restart + 1, min(end + 1, cycles)):
                wave[cycle] = sum(ready <= cycle for ready in prepared)
        return wave


async def check(view, name, seed):
    """Heads, `ready` in every cycle, and the numbers of all tokens are as they must be."""
    model = Statistics(config_of(name), random.Random(seed))
    for number in range(STREAMS):
        model.stream(number in HURRIED)
    assert len(model.reads) > STREAMS // 2 and model.blocks > STREAMS
    names = ("valid", "index", "first_tile", "last_tile", "total", "squares")
    outputs = ["ready", "factor", "offset", "right_shift", *(f"sums_head__{name}" for name in names)]
    got = await drive(view, model.timeline.inputs(), outputs, extra=model.block.latency)
    cycles = len(got["ready"])
    expect_equal("ready", [int(value) for value in got["ready"]], model.ready_wave(cycles))
    heads = [cycle for cycle in range(cycles) if int(got["sums_head__valid"][cycle])]
    expect_equal("cycles of heads", heads, sorted(model.heads))
    for cycle, head in model.heads.items():
        expect_equal("head", [int(got[f"sums_head__{name}"][cycle]) for name in names], [1, *map(int, head), 0, 0])
    for cycle, token, *numbers in model.reads:
        cycle += model.block.read_latency
        seen = [int(got["factor"][cycle]), got["offset"][cycle].to_signed(), int(got["right_shift"][cycle])]
        expect_equal(f"factor, offset, right_shift of token {token} in cycle {cycle}", seen, numbers)


@cocotb.test()
async def tokens_are_prepared(dut):
    """Statistics of all configurations, at once."""
    await on_every_block(dut, blocks(), check)


# Tests: run by pytest.


def test_norm_statistics():
    block = SideBySide(blocks())
    result = run(build(with_dsp_models(emit(block)), block.module_name), __name__)
    assert result.compared > 2000 * len(blocks())
