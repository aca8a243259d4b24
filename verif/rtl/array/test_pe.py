"""The processing element, cycle by cycle, against its equation."""

from __future__ import annotations

import random

import cocotb

from taylorvit.gen.verilog import blocks as emitted_blocks
from taylorvit.gen.verilog import emit
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.array.multiplier import FORMS
from taylorvit.rtl.array.pe import PES
from taylorvit.rtl.array.pe.base import ProcessingElement
from taylorvit.rtl.array.pe.mac import MultiplyAccumulate
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import build, expect_equal, pack, run, start
from verif.rtl.harness import SideBySide, View, drive, element, idle_inputs, integers, limits, ports_of, wrapped

COPIES = 4
CYCLES = 400
WIDTHS = {  # data width: (streamed, stationary, sum)
    4: (8, 4, 11),
    6: (7, 6, 13),
    8: (12, 8, 27),
    12: (16, 12, 30),
}
# The forms that differ in what is left to the PE's adder; `test_multiplier` has all of them.
PIPELINES = {"inferred": (0, 1, 2, 3), "booth": (1, 2)}


def blocks():
    return {
        f"{form}_{width}_pipeline_{pipeline}": MultiplyAccumulate(
            multiplier=FORMS[form](
                streamed_width=streamed,
                stationary_width=stationary,
                pipeline=pipeline,
                suffix=f"_{width}_pipeline_{pipeline}",
            ),
            sum_width=total,
        )
        for form, pipelines in PIPELINES.items()
        for width, (streamed, stationary, total) in WIDTHS.items()
        for pipeline in pipelines
    }


def golden(streamed, swap, load, stationary, partial_sum, sum_width, latency):
    """The sums that leave from cycle `latency` on, and the stationary operand passed on from cycle 1 on."""
    shadow, active = None, None
    products, passed = [], []
    for cycle in range(len(streamed)):
        active = shadow if swap[cycle] else active
        products.append(None if active is None else streamed[cycle] * active)
        shadow = stationary[cycle] if load[cycle] else shadow
        passed.append(shadow)
    sums = [
        None if product is None else wrapped(partial_sum[cycle + latency - 1] + product, sum_width)
        for cycle, product in enumerate(products[: len(products) - latency + 1])
    ]
    return sums, passed


@cocotb.test()
async def sums_follow_the_equation(dut):
    """Partial sums and what is passed on follow the equation of the PE, whatever is loaded and swapped when."""
    pes = blocks()
    await start(dut, **idle_inputs(SideBySide(pes, COPIES)))
    seed = cocotb.RANDOM_SEED
    tasks = [cocotb.start_soon(check(View(dut, name), pe, f"{seed}-{name}")) for name, pe in pes.items()]
    for task in tasks:
        await task


async def check(view, pe, seed):
    generator = random.Random(seed)
    widths = {port: width for port, (width, _incoming) in ports_of(pe).items()}
    vectors = [
        {
            "streamed_in": integers(generator, widths["streamed_in"], CYCLES),
            # Swaps alone, loads alone, both at once, in neighbouring cycles too.
            "swap_in": [int(generator.random() < 0.2) for _ in range(CYCLES)],
            "load_in": [int(generator.random() < 0.4) for _ in range(CYCLES)],
            "stationary_in": integers(generator, widths["stationary_in"], CYCLES),
            "partial_sum_in": integers(generator, widths["partial_sum_in"], CYCLES),
        }
        for _ in range(COPIES)
    ]
    for vector in vectors[:1]:  # the largest product on the largest sum: wraps
        for port in ("streamed_in", "stationary_in", "partial_sum_in"):
            vector[port] = [limits(widths[port])[0]] * CYCLES
    for vector in vectors[1:2]:  # the most negative product on the least sum
        for port, end in (("streamed_in", 1), ("stationary_in", 0), ("partial_sum_in", 0)):
            vector[port] = [limits(widths[port])[end]] * CYCLES
    inputs = {
        port: [pack(values, widths[port]) for values in zip(*(vector[port] for vector in vectors))]
        for port in vectors[0]
    }
    outputs = ("streamed_out", "swap_out", "load_out", "stationary_out", "partial_sum_out")
    got = await drive(view, inputs, outputs)

    for copy, vector in enumerate(vectors):
        sums, passed = golden(*vector.values(), widths["partial_sum_out"], pe.latency)
        for name, later, expected in (
            ("streamed_out", 1, vector["streamed_in"]),
            ("swap_out", 1, vector["swap_in"]),
            ("load_out", 1, vector["load_in"]),
            ("stationary_out", 1, passed),
            ("partial_sum_out", pe.latency, sums),
        ):
            begin = next(cycle for cycle, value in enumerate(expected) if value is not None)
            signed = name not in ("swap_out", "load_out")
            seen = [
                element(got[name][cycle + later], widths[name], copy, signed=signed)
                for cycle in range(begin, CYCLES - later)
            ]
            expect_equal(f"{name} of copy {copy}", seen, expected[begin : CYCLES - later])


class OtherElement(MultiplyAccumulate):
    """A processing element of the tests' own."""


def test_configuration_chooses_the_element(monkeypatch):
    sizes = {"name": "other", "rows": 4, "columns": 4, "multiplier": "ecp5", "booth_columns": 2}
    assert type(Accelerator(AcceleratorConfig(**sizes)).kernel.array.row.diagonal) is MultiplyAccumulate
    monkeypatch.setitem(PES, "other", f"{__name__}:OtherElement")
    accelerator = Accelerator(AcceleratorConfig(**sizes, pe="other"))
    elements = {
        block.module_name: block for block in emitted_blocks(accelerator) if isinstance(block, ProcessingElement)
    }
    assert elements.keys() == {"pe_diagonal", "pe", "pe_booth"}
    assert {type(element) for element in elements.values()} == {OtherElement}
    assert len({element.latency for element in elements.values()}) == 1


def test_pe():
    block = SideBySide(blocks(), COPIES)
    result = run(build(emit(block), block.module_name), __name__)
    assert result.compared > len(blocks()) * COPIES * CYCLES * 4
