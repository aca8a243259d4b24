"""The three adders of the adder array, against Algorithm 1's sums in Python integers."""

from __future__ import annotations

import itertools
import random

import cocotb

from taylorvit.gen.verilog import emit
from taylorvit.rtl.attention.taylor.adder_array import CentringAdder, DenominatorAdder, NumeratorAdder
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.simulation import build, expect_equal, pack, run, start, unpack
from verif.rtl.harness import SideBySide, View, drive, idle_inputs, integers, limits, ports_of

COPIES = 8
CONFIGS = {
    f"width_{width}": AcceleratorConfig(
        name="adders", rows=4, columns=4, data_width=width, mean_fraction=fraction, constant_fraction=constant_fraction,
        max_tokens=tokens, max_head_dim=head_dim, stream_width=-(-width // 8) * 8,
    )
    for width, fraction, constant_fraction, tokens, head_dim in (
        (4, 3, 8, 7, 5), (6, 0, 0, 1, 1), (8, 3, 8, 256, 64), (12, 1, 5, 198, 32),
    )
} | {"right_shifts": AcceleratorConfig(name="adders", rows=4, columns=4, shift_z_max=7)}  # fmt: skip


def centring_adders():
    return {
        name: CentringAdder(data_width=config.data_width, fraction=config.mean_fraction)
        for name, config in CONFIGS.items()
    }


def numerator_adders():
    return {
        name: NumeratorAdder(
            product_width=config.qg_width,
            fraction=config.constant_fraction,
            shift_max=config.numerator_shift_max,
            bias_width=config.aligned_bias_width,
            k_sum_width=config.column_sum_width,
        )
        for name, config in CONFIGS.items()
    }


def denominator_adders():
    return {
        name: DenominatorAdder(
            product_width=config.q_k_hat_sum_width,
            fraction=config.constant_fraction,
            c_d_width=config.c_d_width,
            denominator_width=config.denominator_width,
            shift_max=config.divisor_shift_max,
            tokens_width=config.max_tokens.bit_length(),
            tokens_shift=config.data_width - 1,
            divisor_width=config.divisor_width,
        )
        for name, config in CONFIGS.items()
    }


# Benches: run inside the simulator.


def rows_of(values):
    """One list of `COPIES` values a cycle."""
    return [values[at : at + COPIES] for at in range(0, len(values), COPIES)]


def wide(block, **values):
    """Port -> words of all copies, from one list of values a cycle."""
    ports = ports_of(block)
    return {port: [pack(row, ports[port][0]) for row in rows] for port, rows in values.items()}


@cocotb.test()
async def keys_are_centred_queries_pass(dut):
    """K^ is K minus its mean with all fractional bits, and Q passes unchanged."""
    blocks = centring_adders()
    await start(dut, **idle_inputs(SideBySide(blocks, COPIES)))
    generator = random.Random(cocotb.RANDOM_SEED)
    for name, config in CONFIGS.items():
        data_width, mean_width = config.data_width, config.mean_width
        # Every k with every mean where that is few, then random ones with the extremes.
        pairs = [(0, 0)] * COPIES
        if data_width == 4:
            pairs += itertools.product(*(range(low, high + 1) for low, high in map(limits, (data_width, mean_width))))
        pairs += zip(integers(generator, data_width, 2000), integers(generator, mean_width, 2000))
        pairs += pairs[: -len(pairs) % COPIES]
        k, mean = map(list, zip(*pairs))
        q = integers(generator, data_width, len(k))
        bypass = [generator.getrandbits(1) for _ in k]
        expected = [
            one_q if passes else one_k * 2**config.mean_fraction - one_mean
            for passes, one_q, one_k, one_mean in zip(bypass, q, k, mean)
        ]
        block = blocks[name]
        inputs = wide(block, bypass=rows_of(bypass), q=rows_of(q), k=rows_of(k), mean=rows_of(mean))
        got = await drive(View(dut, name), inputs, ["streamed"], extra=block.latency)
        streamed = [unpack(word, config.streamed_width, COPIES) for word in got["streamed"][block.latency :]]
        expect_equal(f"streamed of {name}", streamed, rows_of(expected))


@cocotb.test()
async def numerators_are_aligned_sums(dut):
    """Numerators are the aligned Q G plus the bias, or the k_sum."""
    blocks = numerator_adders()
    await start(dut, **idle_inputs(SideBySide(blocks, COPIES)))
    generator = random.Random(cocotb.RANDOM_SEED)
    for name, config in CONFIGS.items():
        block = blocks[name]
        later = block.latency - 1  # k_sum joins in the last of the adder's cycles
        for shift in {min(shift, config.numerator_shift_max) for shift in (0, 1, 7, 8, 99, generator.randint(0, 30))}:
            count = 40 * COPIES
            product = integers(generator, config.qg_width, count)
            bias = integers(generator, config.aligned_bias_width, count)
            k_sum = integers(generator, config.column_sum_width, count)
            single = [generator.getrandbits(1) for _ in range(count)]
            expected = [
                a_k_sum if one else (a_product << config.constant_fraction << shift) + a_bias
                for one, a_k_sum, a_product, a_bias in zip(single, k_sum, product, bias)
            ]
            inputs = wide(
                block,
                product=rows_of(product),
                bias=rows_of(bias),
                shift=[[shift] * COPIES] * 40,
                single=[[0] * COPIES] * later + rows_of(single),
                k_sum=[[0] * COPIES] * later + rows_of(k_sum),
            )
            got = await drive(View(dut, name), inputs, ["numerator"], extra=block.latency - later)
            numerators = [unpack(word, config.numerator_width, COPIES) for word in got["numerator"][block.latency :]]
            expect_equal(f"numerator of {name} with shift {shift}", numerators, rows_of(expected))


@cocotb.test()
async def divisors_are_aligned_sums_or_the_tokens(dut):
    """Divisors are the aligned t_D, or the number of tokens for a row of means, and t_D <= 0 is marked."""
    blocks = denominator_adders()
    await start(dut, **idle_inputs(SideBySide(blocks, COPIES)))
    generator = random.Random(cocotb.RANDOM_SEED)
    for name, config in CONFIGS.items():
        block, view = blocks[name], View(dut, name)
        fraction, width = config.constant_fraction, config.q_k_hat_sum_width
        not_positive = 0
        for shift in range(config.divisor_shift_max + 1):
            # Constants near the products too, so that t_D is of either sign, and 0 and 1 among them.
            c_d = integers(generator, config.c_d_width, 10 * COPIES, signed=False)
            c_d += [generator.randrange(1 << min(config.c_d_width, width + fraction - 1)) for _ in range(10 * COPIES)]
            product = integers(generator, width, len(c_d))
            for at in range(0, len(c_d), 5):
                if (c_d[at] >> fraction) + 1 <= limits(width)[1]:
                    product[at] = -(c_d[at] >> fraction)
                    c_d[at] = (-product[at] << fraction) + generator.choice((-1, 0, 1))
                    c_d[at] = max(c_d[at], 0)
            tokens = [generator.choice((1, config.max_tokens)) for _ in c_d]
            single = [int(generator.random() < 0.3) for _ in c_d]
            inputs = wide(
                block,
                product=rows_of(product),
                single=rows_of(single),
                c_d=rows_of(c_d),
                tokens=rows_of(tokens),
                shift=[[shift] * COPIES] * (len(c_d) // COPIES),
            )
            # c_d and tokens hold during a job; here each row keeps its own for the cycles that it is on its way.
            inputs = {
                port: [word for word in words for _ in range(block.latency + 1)] for port, words in inputs.items()
            }
            got = await drive(view, inputs, ["divisor", "invalid"], extra=block.latency)
            arrived = slice(block.latency, None, block.latency + 1)
            divisors = [unpack(word, config.divisor_width, COPIES, signed=False) for word in got["divisor"][arrived]]
            invalids = [unpack(word, 1, COPIES, signed=False) for word in got["invalid"][arrived]]
            at = 0
            for got_divisors, got_invalids in zip(divisors, invalids):
                for divisor, invalid in zip(got_divisors, got_invalids):
                    denominator = c_d[at] + (product[at] << fraction)
                    where = f"{name}: c_d {c_d[at]}, product {product[at]}, shift {shift}, single {single[at]}"
                    expect_equal(f"invalid of {where}", invalid, not single[at] and denominator <= 0)
                    if not invalid:
                        aligned = tokens[at] << (config.data_width - 1) if single[at] else denominator << shift
                        expect_equal(f"divisor of {where}", divisor, aligned)
                    not_positive += invalid
                    at += 1
            expect_equal("all rows were looked at", at, len(c_d))
        expect_equal("some divisors were invalid", not_positive > 20, True)


# Tests: run by pytest.


def check(blocks, testcase):
    block = SideBySide(blocks, COPIES)
    result = run(build(emit(block), block.module_name), __name__, testcase=testcase)
    assert result.compared > 2_000


def test_centring_adder():
    check(centring_adders(), "keys_are_centred_queries_pass")


def test_numerator_adder():
    check(numerator_adders(), "numerators_are_aligned_sums")


def test_denominator_adder():
    check(denominator_adders(), "divisors_are_aligned_sums_or_the_tokens")
