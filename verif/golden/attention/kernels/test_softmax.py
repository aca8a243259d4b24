"""Softmax attention in integers: against a slow model of its own, at its extremes, and against floating point."""

import math
import re
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taylorvit.golden import workloads
from taylorvit.golden.arithmetic.number_format import SoftmaxFormat
from taylorvit.golden.arithmetic.quantizer import dequantize, quantize_tensor
from taylorvit.golden.attention.float_attention import softmax_attention
from taylorvit.golden.attention.integer_softmax import SoftmaxConstants
from taylorvit.golden.attention.job import Job, quantize_job
from taylorvit.golden.attention.kernels import KERNELS, softmax
from taylorvit.golden.attention.kernels.softmax import exponential_table
from taylorvit.golden.reports.sqnr import sqnr_db
from verif.golden.attention.kernels.test_taylor import normal_operands

KERNEL = KERNELS["softmax"]
DEFAULT = SoftmaxFormat()
FORMATS = [
    DEFAULT,
    SoftmaxFormat(score_width=2, exponential_width=2, exponential_entries=2),
    SoftmaxFormat(score_width=6, exponential_width=5, exponential_entries=16, shift_s_max=31),
    SoftmaxFormat(data_width=12, score_width=16, exponential_width=15, exponential_entries=2048, shift_s_max=40),
    SoftmaxFormat(data_width=24, score_width=24, exponential_width=24, exponential_entries=64, shift_s_max=63),
]


def half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


def limited(x: int, width: int) -> int:
    return max(-(2 ** (width - 1)), min(x, 2 ** (width - 1) - 1))


def slow_attention(q, k, v, constants, number_format):
    """One head in fractions, a row and an element at a time."""
    q, k, v = (x.tolist() for x in (q, k, v))
    rows = []
    for query in q:
        logits = [Fraction(sum(a * b for a, b in zip(query, key)), 2**constants.shift_s) for key in k]
        scores = [limited(half_up(logit), number_format.score_width) for logit in logits]
        weights = []
        for score in scores:
            below = max(scores) - score
            weights.append(constants.exponentials[below] if below < number_format.exponential_entries else 0)
        columns = [sum(weight * value[feature] for weight, value in zip(weights, v)) for feature in range(len(v[0]))]
        quotients = [Fraction(column, sum(weights)) * Fraction(2) ** constants.shift_z for column in columns]
        rows.append([limited(half_up(quotient), number_format.data_width) for quotient in quotients])
    return rows


def z_of(q, k, v, constants, number_format=DEFAULT):
    return KERNEL.attention(q, k, v, constants, number_format).z


def lost_decibels(q, k, v):
    """By what the integer model is worse than quantizing Q, K, V and Z alone."""
    job = quantize_job(q, k, v, kernel="softmax")
    exponents = job.q_exp, job.k_exp, job.v_exp
    quantized = softmax_attention(*(dequantize(x, exponent) for x, exponent in zip(job.operands, exponents)))
    rounded = dequantize(quantize_tensor(quantized, job.z_exp, 8), job.z_exp)
    z, exact = dequantize(z_of(*job.operands, job.constants), job.z_exp), softmax_attention(q, k, v)
    return sqnr_db(exact, rounded) - sqnr_db(exact, z)


def table_of(*entries):
    return (*entries, *(0,) * (DEFAULT.exponential_entries - len(entries)))


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 12), st.integers(1, 9)),
    seed=st.integers(0, 2**32),
    number_format=st.sampled_from(FORMATS),
    data=st.data(),
)
def test_equals_the_slow_model(shape, seed, number_format, data):
    """Any constants, also ones that saturate everything, and tables that no exponential ever was."""
    random = np.random.default_rng(seed)
    spread = data.draw(st.sampled_from([1, 30, number_format.data_max]))
    q, k, v = random.integers(-spread - 1, spread, (3, *shape), endpoint=True)
    exponentials = random.integers(0, number_format.exponential_max, number_format.exponential_entries, endpoint=True)
    exponentials[0] = max(exponentials[0], 1)
    constants = SoftmaxConstants(
        shift_s=data.draw(st.integers(0, number_format.shift_s_max)),
        shift_z=data.draw(st.integers(number_format.shift_z_min, number_format.shift_z_max)),
        exponentials=exponentials,
    )
    steps = KERNEL.attention(q, k, v, constants, number_format)
    assert steps.z.tolist() == [slow_attention(*head, constants, number_format) for head in zip(q, k, v)]
    assert steps.denominator_errors == 0 and steps.t_d.min() >= constants.exponentials[0]


@settings(max_examples=40)
@given(
    head_dim=st.integers(1, 200), score_exp=st.integers(-14, 4), index=st.integers(0, 1023), width=st.integers(2, 24)
)
def test_table_is_correctly_rounded(head_dim, score_exp, index, width):
    table = exponential_table(head_dim, score_exp, SoftmaxFormat(exponential_width=width))
    with localcontext(prec=400):
        power = Decimal(index) * Decimal(2) ** score_exp / Decimal(head_dim).sqrt()
        assert table[index] == math.floor((2**width - 1) * (-power).exp() + Decimal("0.5"))
    assert len(table) == 1024 and table[0] == 2**width - 1 and list(table) == sorted(table, reverse=True)


def test_tables_at_their_ends():
    """Of scores so coarse that only the maximum counts, and so fine that all count alike."""
    assert exponential_table(64, 2200, DEFAULT) == table_of(2047)
    assert exponential_table(64, -2200, DEFAULT) == (2047,) * 1024
    assert exponential_table(1, 0, DEFAULT)[:4] == (2047, 753, 277, 102)


@pytest.mark.parametrize("tokens", [1, 257, 1025])
def test_long_heads(tokens):
    """All keys count: each row is the mean of V where all scores are equal, up to half a step of Z."""
    q, k, v = normal_operands((1, tokens, 8), tokens)
    job = quantize_job(q, np.repeat(k[:, :1], tokens, axis=1), v, kernel="softmax")
    steps = KERNEL.attention(*job.operands, job.constants, DEFAULT)
    assert (steps.exponentials == 2047).all() and (steps.t_d == 2047 * tokens).all()
    mean = dequantize(job.v, job.v_exp).mean(axis=1)
    assert np.abs(dequantize(steps.z, job.z_exp) - mean[:, np.newaxis]).max() <= 2.0 ** (job.z_exp - 1)


@pytest.mark.parametrize("tokens", [257, 1025])
def test_long_heads_against_floating_point(tokens):
    assert lost_decibels(*normal_operands((1, tokens, 16), tokens, (1.5, 1.5, 1.0))) < 1


@pytest.mark.parametrize("sign", [1, -1])
def test_all_scores_at_a_limit(sign):
    """Saturated scores are equal, even where sums are not."""
    random = np.random.default_rng(1)
    q = np.full((1, 20, 16), 127)
    k = sign * random.integers(100, 127, (1, 20, 16))
    v = random.integers(-128, 128, (1, 20, 16))
    constants = SoftmaxConstants(0, 0, exponential_table(16, -8, DEFAULT))
    steps = KERNEL.attention(q, k, v, constants, DEFAULT)
    assert len(np.unique(steps.sums)) > 10
    assert (steps.scores == (2047 if sign > 0 else -2048)).all() and (steps.maxima == steps.scores[:, :, 0]).all()
    expected = [half_up(Fraction(int(total), 20)) for total in v[0].sum(axis=0)]
    assert (steps.z == expected).all()


def test_one_key_far_above_the_rest():
    """It takes all, and what lies beyond the table counts nothing, not the table's last entry."""
    q, k = np.zeros((2, 1, 9, 4), dtype=int)
    v = np.random.default_rng(2).integers(-128, 128, (1, 9, 4))
    q[:], k[0, 5] = 100, 100
    constants = SoftmaxConstants(6, 0, (2047,) * 512 + (9,) * 512)
    steps = KERNEL.attention(q, k, v, constants, DEFAULT)
    assert (steps.maxima == 625).all() and steps.t_d[0, 0] == 2047 + 8 * 9  # 625 is within the table
    steps = KERNEL.attention(q, k, v, replace(constants, shift_s=5), DEFAULT)
    assert (steps.maxima == 1250).all() and (steps.t_d == 2047).all()
    assert (steps.z == v[:, 5:6]).all()


@pytest.mark.parametrize("difference, expected", [(1, 300), (1023, 9), (1024, 0), (2047, 0), (4095, 0)])
def test_end_of_the_table(difference, expected):
    """The last difference that has an entry, and the first that has none."""
    k = np.array([[[-min(difference, 2048)], [max(difference - 2048, 0)]]])
    constants = SoftmaxConstants(0, 0, (2047, *(300,) * 1022, 9))
    steps = KERNEL.attention(np.ones_like(k), k, k, constants, SoftmaxFormat(data_width=12))
    assert (steps.exponentials == [expected, 2047]).all() and (steps.t_d == 2047 + expected).all()


def test_z_saturates():
    q, k = np.zeros((2, 1, 3, 2), dtype=int)
    v = np.array([[[100, -100]] * 3])
    constants = SoftmaxConstants(0, 1, table_of(5))
    assert z_of(q, k, v, constants).tolist() == [[[127, -128]] * 3]
    assert z_of(q, k, v, replace(constants, shift_z=-3)).tolist() == [[[13, -12]] * 3]  # 12.5 and -12.5, halves up


@pytest.mark.parametrize("zero", ["q", "k", "v", "qkv"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_operands_of_zeros(zero, scale):
    q, k, v = (
        0 * x if name in zero else x
        for name, x in zip("qkv", normal_operands((2, 20, 8), 2, (scale,) * 3), strict=True)
    )
    job = quantize_job(q, k, v, kernel="softmax")
    z = dequantize(z_of(*job.operands, job.constants), job.z_exp)
    if "v" in zero:
        assert not z.any()
    else:  # without logits, attention is the mean of V
        assert sqnr_db(np.broadcast_to(v.mean(axis=1, keepdims=True), v.shape), z) > 25


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 40), st.integers(1, 16)),
    seed=st.integers(0, 2**32),
    q_scale=st.floats(-30, 30).map(lambda power: 10.0**power),
    k_scale=st.floats(-30, 30).map(lambda power: 10.0**power),
    v_scale=st.floats(-300, 300).map(lambda power: 10.0**power),
    number_format=st.sampled_from(FORMATS),
)
def test_constants_of_floats_always_fit(shape, seed, q_scale, k_scale, v_scale, number_format):
    """Of logits of any size: too small to matter, or so large that one key takes all."""
    q, k, v = normal_operands(shape, seed, (q_scale, k_scale, v_scale))
    job = quantize_job(q, k, v, number_format, kernel="softmax")
    z = dequantize(z_of(*job.operands, job.constants, number_format), job.z_exp)
    assert np.abs(z).max() <= 1.01 * np.abs(dequantize(job.v, job.v_exp)).max()


@pytest.mark.parametrize("source", ["mnist_vit", "photos_deit_tiny", 0.5, 1.0, 2.0, 3.0])
def test_within_a_decibel_of_the_quantized_operands(source):
    """Of what quantizing Q, K, V and Z alone leaves."""
    if isinstance(source, str):
        workload = workloads.load(source)
        layers = [[x[heads[:4]].astype(np.float64) for x in workload[:3]] for heads in workload.heads_of_layers()]
    else:
        layers = [normal_operands((2, 197, 64), 7, (source,) * 3)]
    assert max(lost_decibels(*layer) for layer in layers[:4]) < 1


def test_shift_of_the_least_error():
    """No other shift does better, before Z is rounded, than the one that is chosen; the noise of a few keys aside."""
    q, k, v = normal_operands((2, 100, 32), 3, (3.0, 3.0, 1.0))
    job = quantize_job(q, k, v, kernel="softmax")
    logit_exp = job.q_exp + job.k_exp
    reference = softmax_attention(*(dequantize(x, exponent) for x, exponent in zip(job.operands, (logit_exp, 0, 0))))
    errors = {}
    for shift in range(DEFAULT.shift_s_max + 1):
        constants = SoftmaxConstants(shift, 0, exponential_table(32, logit_exp + shift, DEFAULT))
        steps = KERNEL.attention(*job.operands, constants, DEFAULT)
        errors[shift] = np.sum((steps.t_n / steps.t_d[:, :, np.newaxis] - reference) ** 2)
    assert min(errors, key=errors.get) == job.constants.shift_s
    assert 0 < job.constants.shift_s < DEFAULT.shift_s_max


@pytest.mark.parametrize("heads", [1, 2, 3, 12, 36, 384])
def test_some_of_many_heads(heads, monkeypatch):
    """Every head of a layer has its turn, whatever the number of heads that are taken."""
    q = np.zeros((heads, 4, 1))
    for count in (1, 5, 12, heads, heads + 1):
        monkeypatch.setattr(softmax, "_MOST_SCORES", 16 * count)
        chosen = softmax._some_heads(q)
        assert len(set(chosen)) == len(chosen) == min(count, heads) and set(chosen) <= set(range(heads))
        if count >= 12 and heads >= 36:
            assert len({head % 12 for head in chosen}) == 12


def test_wide_steps():
    """Numerators of the widest operands and of a thousand keys need more bits than int64 would have after the shift."""
    number_format = FORMATS[-1]
    q, k, v = (np.full((1, 1000, 2), value) for value in (number_format.data_max, -1, number_format.data_min))
    constants = SoftmaxConstants(0, 31, (number_format.exponential_max,) * 64)
    assert (z_of(q, k, v, constants, number_format) == number_format.data_min).all()
    assert (z_of(q, k, v, replace(constants, shift_z=0), number_format) == number_format.data_min).all()


@pytest.mark.parametrize("exponentials, text", [
    ((1, 2), "exponentials must be 1024 numbers, not 2"),
    (table_of(2048), "exponentials[0] must be 0 to 2047, not 2048"),
    (table_of(1, -1), "exponentials[1] must be 0 to 2047, not -1"),
    (table_of(0, 1), "exponentials[0] must be at least 1, not 0"),
])  # fmt: skip
def test_wrong_tables(exponentials, text):
    operands = np.ones((3, 1, 2, 2), dtype=int)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        KERNEL.attention(*operands, SoftmaxConstants(0, 0, exponentials), DEFAULT)


def test_way_through_json():
    job = quantize_job(*normal_operands((2, 9, 4), 4), kernel="softmax")
    mapping = job.to_mapping()
    mapping["constants"]["exponentials"] = list(mapping["constants"]["exponentials"])
    again = Job.from_mapping(mapping)
    assert again.constants == job.constants and again.kernel == "softmax"
    assert job.registers == {"SHIFT_S": job.constants.shift_s, "SHIFT_Z": job.constants.shift_z}
    assert job.constants.tables == {"exponentials": job.constants.exponentials}
    assert "exponentials" not in repr(job.constants)


@pytest.mark.parametrize("fields, text", [
    ({"score_width": 1}, "score_width must be 2 to 24, not 1"),
    ({"exponential_width": 25}, "exponential_width must be 2 to 24, not 25"),
    ({"exponential_entries": 1000}, "exponential_entries must be a power of two from 2 to 65536, not 1000"),
    ({"exponential_entries": 1}, "exponential_entries must be a power of two from 2 to 65536, not 1"),
    ({"shift_s_max": 64}, "shift_s_max must be 0 to 63, not 64"),
    ({"shift_z_min": 3, "shift_z_max": 2}, "shift_z_min must be at most shift_z_max (2), not 3"),
    ({"data_width": 25}, "data_width must be 2 to 24, not 25"),
])  # fmt: skip
def test_wrong_formats(fields, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        SoftmaxFormat(**fields)
