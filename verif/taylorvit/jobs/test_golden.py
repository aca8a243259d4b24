"""Jobs that an accelerator cannot take are refused before anything is built."""

from dataclasses import replace

import numpy as np
import pytest

from taylorvit.gen.presets import load_preset
from taylorvit.golden.attention.job import quantize_job
from taylorvit.jobs import golden_steps, quantize
from taylorvit.jobs.golden import check_job
from taylorvit.simulation import simulate
from verif.regression.mean_kernel import MEAN, registered

CONFIG = load_preset("tiny-4x4")


def operands(tokens=5, head_dim=8):
    return np.random.default_rng(3).standard_normal((3, 2, tokens, head_dim))


JOB = quantize(*operands(), CONFIG)


def test_what_was_quantized_for_an_accelerator_can_be_taken():
    check_job(JOB, CONFIG)
    assert golden_steps(JOB, CONFIG).z.shape == (2, 5, 8)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ({"tokens": 65}, "tokens must be at most 64 on tiny-4x4, not 65"),
        ({"head_dim": 17}, "head_dim must be at most 16 on tiny-4x4, not 17"),
    ],
)
def test_heads_too_large_for_the_accelerator_are_not_quantized(size, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        quantize(*operands(**size), CONFIG)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"q must be of shape \(heads, tokens, head_dim\), not \(5, 8\)"):
        quantize(*operands()[:, 0], CONFIG)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"q": JOB.q * 1000}, ValueError, r"q must be -128 to 127 \(8 bits\), not -?\d+"),
        ({"k": JOB.k[:, :, :3]}, ValueError, r"k must be of the shape of q, \(2, 5, 8\), not \(2, 5, 3\)"),
        ({"v": JOB.v / 2}, TypeError, "v must be an array of integers, not float64"),
        ({name: getattr(JOB, name)[:0] for name in "qkv"}, ValueError, r"none of them 0, not \(0, 5, 8\)"),
        ({name: np.ones((1, 65, 8), dtype=int) for name in "qkv"}, ValueError, "tokens must be at most 64 on tiny-4x4"),
        ({"constants": replace(JOB.constants, c_v=1 << 60)}, ValueError, "c_v must be 0 to "),
    ],
)
def test_a_job_that_the_accelerator_cannot_take_is_not_simulated(change, error, text):
    with pytest.raises(error, match=text):
        simulate.simulate(CONFIG, replace(JOB, **change))


def test_a_job_of_another_kernel_is_not_simulated():
    text = f"kernel of the job must be 'taylor', that of tiny-4x4, not '{MEAN}'"
    with registered(), pytest.raises(ValueError, match=f"^{text}$"):
        simulate.simulate(CONFIG, quantize_job(*operands(), kernel=MEAN))
