"""Column sums over tokens, against numpy."""

from __future__ import annotations

import random

import cocotb
import numpy as np

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.accumulator_array import AccumulatorArray
from taylorvit.simulation import build, expect_equal, pack, pattern, run, start
from verif.rtl.harness import SideBySide, View, drive, idle_inputs, limits

SIZES = {  # name: lanes, largest head dimension, data width, most tokens, registers behind the memories
    "one_lane": (1, 5, 4, 7, 0), "one_beat": (2, 2, 8, 16, 1), "default": (4, 64, 8, 256, 1),
    "wide": (2, 32, 12, 198, 0), "one_by_one": (1, 1, 6, 1, 2), "odd": (4, 13, 6, 50, 2), "two_beats": (4, 8, 8, 50, 0),
}  # fmt: skip


def sum_width(data_width, tokens):
    return data_width + (tokens - 1).bit_length()


def blocks():
    return {
        name: AccumulatorArray(
            lanes=lanes,
            beats=-(-head_dim // lanes),
            data_width=data_width,
            sum_width=sum_width(data_width, tokens),
            memory_pipeline=pipeline,
            module_name=f"accumulator_array_{pipeline}",
        )
        for name, (lanes, head_dim, data_width, tokens, pipeline) in SIZES.items()
    }


@cocotb.test()
async def sums_equal_numpy(dut):
    """Column sums of random matrices equal those of numpy."""
    arrays = blocks()
    await start(dut, **idle_inputs(SideBySide(arrays)))
    tasks = [
        cocotb.start_soon(check(View(dut, name), arrays[name], *size[:4], f"{cocotb.RANDOM_SEED}-{name}"))
        for name, size in SIZES.items()
    ]
    for task in tasks:
        await task


async def check(view, array, lanes, head_dim, data_width, max_tokens, seed):
    """Heads one after the other, halves in turn; while one is written, the sums of the one before are read."""
    generator = random.Random(seed)
    numbers = np.random.default_rng(generator.getrandbits(32))
    low, high = limits(data_width)
    heads = [(max_tokens, low), (max_tokens, high)]  # all minimum, all maximum
    heads += [(min(tokens, max_tokens), None) for tokens in (1, 2, 7, 16, 50, 197, max_tokens)]
    sums = None
    settle = array.write_latency - 1  # cycles between a head's last beat and the first address of its sums
    for head, (tokens, fill) in enumerate([*heads, (1, 0)]):
        dim = head_dim if head % 2 else generator.randint(1, head_dim)
        beats = -(-dim // lanes)
        matrix = numbers.integers(low, high, (tokens, beats * lanes), endpoint=True)
        if fill is not None:
            matrix[:] = fill
        # Writes, of every other head at once, with idle cycles in which the other inputs carry anything.
        activity = pattern("always" if head % 3 else "random", generator.getrandbits(32))
        writes = [(0, 0, 0, 0)] * (settle if head % 2 else 0)
        for token in range(tokens):
            for beat in range(beats):
                while not next(activity):
                    writes.append((0, generator.getrandbits(1), generator.randrange(array.beats), 0))
                row = matrix[token, beat * lanes : (beat + 1) * lanes]
                writes.append((1, int(token == 0), beat, pack(row.tolist(), data_width)))
        write, first, beat, data = map(list, zip(*writes))
        inputs = {"write": write, "first": first, "half": [head % 2] * len(write), "beat": beat, "data": data}
        # Every sum of the head before, the first of them as soon as it can be read after its last beat.
        if sums is not None:
            inputs |= {
                "read_half": [(head - 1) % 2] * (settle + len(sums)),
                "read_beat": [0] * settle + [j // lanes for j in range(len(sums))],
                "read_lane": [0] * settle + [j % lanes for j in range(len(sums))],
            }
        needed = 0 if sums is None else max(0, settle + len(sums) + array.read_latency - len(write))
        if needed:
            inputs["write"] = [*write, 0]
        got = await drive(view, inputs, ["read_data"], extra=max(0, needed - 1))
        if sums is not None:
            read = [value.to_signed() for value in got["read_data"][settle + array.read_latency :][: len(sums)]]
            expect_equal(f"sums of head {head - 1}", read, sums)
        view.write.value = 0
        sums = matrix.sum(axis=0).tolist()


def test_accumulator_array():
    block = SideBySide(blocks())
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > 500
