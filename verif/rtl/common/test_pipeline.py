"""Pipeline registers: values and bundles come when they should, and resets clear flags alone."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module, Mux, ResetSignal, Signal, signed
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.pipeline import delay, delay_bundle, gather, pass_on
from verif.rtl.harness import simulate

CYCLES = 60
BUNDLE = Signature({"valid": Out(1), "number": Out(5), "inner": Out(Signature({"flag": Out(1)}))})


def traces(m, inputs, outputs, rare=()):
    """Random values of the inputs, cycle by cycle, and what the outputs show in the same cycles.

    Inputs that are `rare` are high in one of eight cycles.
    """
    generator = random.Random(1)
    given = [
        [*(generator.getrandbits(len(signal)) for signal in inputs), *(generator.randrange(8) == 0 for _ in rare)]
        for _ in range(CYCLES)
    ]
    seen = []

    async def bench(context):
        for row in given:
            for signal, value in zip((*inputs, *rare), row):
                context.set(signal, value)
            seen.append([context.get(signal) for signal in outputs])
            await context.tick()

    simulate(m, bench)
    return given, seen


def later(rows, cycles):
    """The rows, some cycles later, behind rows of zeros."""
    return [[0] * len(rows[0])] * cycles + rows[: len(rows) - cycles]


@pytest.mark.parametrize("cycles", [0, 1, 4])
def test_a_value_comes_later(cycles):
    m = Module()
    number, flag = Signal(8), Signal()
    outputs = [delay(m, number, cycles, "number"), delay(m, flag, cycles, "flag")]
    given, seen = traces(m, [number, flag], outputs)
    assert seen == later(given, cycles)


def values_of(interface):
    return [value for _path, _member, value in BUNDLE.flatten(interface)]


@pytest.mark.parametrize("cycles", [0, 1, 3])
def test_a_bundle_comes_later(cycles):
    m = Module()
    source = BUNDLE.create(path=("source",))
    target = delay_bundle(m, source, cycles, "target")
    assert [signal.name for signal in values_of(target)] == ["target__valid", "target__number", "target__inner__flag"]
    given, seen = traces(m, values_of(source), values_of(target))
    assert seen == later(given, cycles)


def test_a_bundle_is_passed_on():
    m = Module()
    source, target = BUNDLE.create(path=("source",)), Signature({"t": In(BUNDLE)}).create(path=("block",)).t
    pass_on(m, source, target)
    given, seen = traces(m, values_of(source), values_of(target))
    assert seen == later(given, 1)


@pytest.mark.parametrize("count", [1, 4, 9])
def test_the_one_that_is_not_zero_comes_later(count):
    m = Module()
    which, value = Signal(range(count)), Signal(signed(6))
    outputs = [gather(m, [Mux(which == place, value, 0).as_signed() for place in range(count)], "any")]
    given, seen = traces(m, [which, value], outputs)
    expected = later([[value % 64 if which < count else 0] for which, value in given], 2)
    assert seen == expected


def test_a_reset_clears_flags_alone():
    m = Module()
    number, flag, clear, reset = Signal(8), Signal(), Signal(), Signal()
    m.d.comb += ResetSignal().eq(reset)
    outputs = [delay(m, number, 2, "number", reset=clear), delay(m, flag, 2, "flag", reset=clear)]
    given, seen = traces(m, [number, flag], outputs, rare=[clear, reset])
    none = [0, 0, 0, 0]
    expected = []
    for cycle in range(CYCLES):
        last, before = (given[cycle - age] if cycle >= age else none for age in (1, 2))
        expected.append([before[0], before[1] & ~(last[2] | last[3] | before[2] | before[3])])
    assert seen == expected
    assert sum(flag for _number, flag in seen) > 2
