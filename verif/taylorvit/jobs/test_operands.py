"""Operands of any size: the same integers, and the same decibels, whatever their scale."""

import numpy as np
import pytest

from taylorvit.gen.presets import load_preset
from taylorvit.golden.arithmetic.quantizer import dequantize
from taylorvit.golden.attention.float_attention import softmax_attention, taylor_attention
from taylorvit.golden.reports.sqnr import sqnr_db
from taylorvit.jobs import golden_steps
from taylorvit.jobs.operands import check_operands, read_operands

CONFIG = load_preset("tiny-4x4")


def judged(path, **arrays):
    """(operands, decibels against Algorithm 1 and against softmax) of an input file."""
    np.savez(path, **arrays)
    operands = read_operands(path, CONFIG)
    job = operands.job
    z = golden_steps(job, CONFIG).z
    assert np.isfinite(dequantize(z, job.z_exp)).all()  # what is written
    real_z = dequantize(z, job.z_exp - operands.real_exp)
    references = taylor_attention(*operands.real).z, softmax_attention(*operands.real)
    return operands, [sqnr_db(reference, real_z) for reference in references]


@pytest.fixture
def normal():
    return dict(zip("qkv", np.random.default_rng(1).standard_normal((3, 2, 9, 6))))


@pytest.mark.parametrize(("q", "k", "v"), [
    (0, 0, -997), (0, 0, 664), (0, 0, 1015), (0, 0, -1050), (-997, 997, 0), (664, -664, 664), (-1010, 1010, -900),
    (1, 1, 0),
])  # fmt: skip
def test_scale_does_not_matter(tmp_path, normal, q, k, v):
    operands, expected = judged(tmp_path / "a.npz", **normal)
    scaled = {name: np.ldexp(normal[name], shift) for name, shift in (("q", q), ("k", k), ("v", v))}
    if q + k:
        assert all(np.isfinite(judged(tmp_path / "b.npz", **scaled)[1]))
        return
    of_scaled, decibels = judged(tmp_path / "b.npz", **scaled)
    assert decibels == pytest.approx(expected, abs=1e-6) and min(expected) > 0
    for one, other in zip(operands.job.operands, of_scaled.job.operands):
        np.testing.assert_array_equal(one, other)
    assert of_scaled.job.z_exp == operands.job.z_exp + v and of_scaled.job.constants == operands.job.constants


@pytest.mark.parametrize(("q", "k"), [(-997, -997), (-1070, -1070), (-1070, 0), (-30, 5)])
def test_products_near_nothing(tmp_path, normal, q, k):
    scaled = normal | {"q": np.ldexp(normal["q"], q), "k": np.ldexp(normal["k"], k)}
    _operands, decibels = judged(tmp_path / "a.npz", **scaled)
    assert min(decibels) > 25  # Z is the mean of V then


@pytest.mark.parametrize("v_exp", [-1000, 0, 1000])
def test_integers_of_any_exponent(tmp_path, v_exp):
    integers = {name: np.random.default_rng(2).integers(-128, 128, (1, 9, 6)) for name in "qkv"}
    _operands, expected = judged(tmp_path / "a.npz", **integers, q_exp=-6, k_exp=-7)
    for q_exp, k_exp in ((-6, -7), (1087, -1100), (-1100, 1087)):
        _operands, decibels = judged(tmp_path / "b.npz", **integers, q_exp=q_exp, k_exp=k_exp, v_exp=v_exp)
        assert decibels == pytest.approx(expected, abs=1e-9)


def refusal(path, **arrays):
    np.savez(path, **arrays)
    with pytest.raises(ValueError) as error:
        read_operands(path, CONFIG)
    text = str(error.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_sizes_beyond_double_precision(tmp_path, normal):
    integers = {name: np.random.default_rng(2).integers(-128, 128, (1, 9, 6)) for name in "qkv"}
    integers |= {"q_exp": -6, "k_exp": -7}
    tiny = normal | {"v": np.ldexp(normal["v"], -1072)}
    for arrays in (integers | {"v_exp": 1100}, integers | {"v_exp": -1100}, tiny):
        assert "z_exp is -1074 to 1016, where z fits double precision, not " in refusal(tmp_path / "a.npz", **arrays)
    assert "q and k must be small enough" in refusal(tmp_path / "a.npz", **normal | {"q": np.ldexp(normal["q"], 664)})
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max:
        large = normal["v"].astype(np.longdouble) * np.longdouble(2) ** 2000
        assert refusal(tmp_path / "a.npz", **normal | {"v": large}).startswith("v must be finite, not ")


@pytest.mark.parametrize("dtype", ["?", "c16", "<U1"])
def test_other_kinds_of_numbers(tmp_path, normal, dtype):
    text = refusal(tmp_path / "a.npz", **normal | {"k": np.zeros((2, 9, 6), dtype)})
    assert text == f"k must be of floats or integers, not of {np.dtype(dtype)}"


@pytest.mark.parametrize("value", [np.bool_(1), 1.0, np.array([1, 2]), "1", np.uint64(2**64 - 1), 1j])
def test_exponents_that_are_none(tmp_path, value):
    integers = {name: np.ones((1, 3, 4), np.int8) for name in "qkv"}
    assert refusal(tmp_path / "a.npz", **integers, q_exp=value).startswith("q_exp must be ")


def test_what_no_accelerator_takes(tmp_path, normal):
    path = tmp_path / "a.npz"
    for arrays in (normal | {"k": normal["k"][:1]}, normal | {"q_exp": 1}, normal | {"v": np.zeros((2, 9, 6), "?")}):
        text = refusal(path, **arrays)
        with pytest.raises(ValueError) as error:
            check_operands(path)
        assert str(error.value) == f"{path}: {text}"
    np.savez(path, **normal)
    check_operands(path)


@pytest.mark.parametrize("dtype", [">f4", "<f2", ">i2", "u8"])
def test_byte_orders_and_widths(tmp_path, dtype):
    arrays = {name: np.arange(24).reshape(2, 3, 4).astype(dtype) for name in "qkv"}
    plain = {name: array.astype("f8" if "f" in dtype else "i8") for name, array in arrays.items()}
    jobs = [judged(tmp_path / "a.npz", **each)[0].job.to_mapping() for each in (arrays, plain)]
    for one, other in zip(*(job.values() for job in jobs), strict=True):
        assert np.array_equal(one, other)
