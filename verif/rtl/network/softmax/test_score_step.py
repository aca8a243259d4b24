"""Score step: a score is written if its column has a token, and the next column hears of the next bank."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.softmax.score_step import ScoreStep
from taylorvit.simulation import build, expect_equal, run, start
from verif.rtl.harness import SideBySide, View, idle_inputs

SIZES = {"max_width": 16, "max_hidden": 16, "max_patch": 4, "max_classes": 4, "max_heads": 1, "max_head_dim": 16,
         "kernel": "softmax", "max_tokens": 40}  # fmt: skip
ARRAYS = {"square": (4, 4), "odd": (5, 3), "tall": (8, 2)}


def blocks():
    configs = {
        name: NetworkConfig(name=name, rows=rows, columns=columns, **SIZES) for name, (rows, columns) in ARRAYS.items()
    }
    return {name: ScoreStep(config) for name, config in configs.items()}


def _signed(value, width):
    return value - (value >> (width - 1) << width)


@cocotb.test()
async def scores_are_written_and_handed_on(dut):
    generator = random.Random(cocotb.RANDOM_SEED)
    await start(dut, **idle_inputs(SideBySide(blocks())))
    for name, block in blocks().items():
        await _check(View(dut, name), block, *ARRAYS[name], generator)


async def _check(view, block, rows, columns, generator):
    write_layout = block.write.shape()
    ports = {port: len(value) for port, _member, value in block.flat_ports() if port.startswith("control_in")}
    width = len(block.score)
    handed_on = None
    for _cycle in range(300):
        values = {port: generator.getrandbits(bits) for port, bits in ports.items()}
        values["control_in__chain__left"] = generator.randint(0, columns)
        values["control_in__bank"] = bank = generator.randrange(rows)
        score = generator.getrandbits(width)
        for port, value in values.items():
            getattr(view, port).value = value
        view.score.value = score
        await ReadOnly()
        write = int(view.write.value)

        def field(name, layout=write_layout, word=write):
            place = layout[name]
            return word >> place.offset & (1 << place.width) - 1

        if handed_on:
            for port, value in handed_on.items():
                expect_equal(port, int(getattr(view, f"control_out__{port}").value), value)
            chain = write_layout["chain"].shape
            for part in ("valid", "maximum"):
                seen = field(part, chain, field("chain"))
                expect_equal(f"{part} of the report", seen, handed_on[f"chain__{part}"])
        counts, valid = values["control_in__chain__left"] > 0, values["control_in__chain__valid"]
        address, following = values["control_in__address"], values["control_in__following"]
        seen = [field(name) for name in ("valid", "bank", "address", "data")]
        expect_equal("write", seen, [valid & counts, bank, address, score])
        before = values["control_in__chain__maximum"]
        larger = counts and _signed(score, width) > _signed(before, width)
        wraps = bank == rows - 1
        handed_on = {
            "chain__valid": valid,
            "chain__index": values["control_in__chain__index"],
            "chain__left": max(0, values["control_in__chain__left"] - 1),
            "chain__maximum": score if larger else before,
            "bank": 0 if wraps else bank + 1,
            "address": following if wraps else address,
        }
        if wraps and rows % columns == 0:  # no column is behind it in its tile
            del handed_on["bank"], handed_on["address"]
        await RisingEdge(view.clk)


def test_score_step():
    design = SideBySide(blocks())
    result = run(build(emit(design), design.module_name), __name__)
    assert result.compared > 1000
