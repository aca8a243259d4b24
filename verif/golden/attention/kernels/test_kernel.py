"""What the base class checks for every kernel: a kernel cannot forget it."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from taylorvit.golden.arithmetic.number_format import check_integer
from taylorvit.golden.attention.constants import Constants
from taylorvit.golden.attention.job import Job, quantize_job
from taylorvit.golden.attention.kernels import KERNELS, kernel_of
from verif.regression.mean_kernel import MEAN, IntegerMean

EACH = pytest.mark.parametrize("kernel", [*KERNELS.values(), IntegerMean()], ids=[*KERNELS, MEAN])
OPERANDS = np.random.default_rng(0).integers(-100, 100, (3, 2, 5, 3))


@dataclass(frozen=True)
class OtherConstants(Constants):
    """Constants of no kernel."""

    shift_z: int


def constants_of(kernel):
    return kernel.scales(*OPERANDS, -5, -5, -5, kernel.number_format()).constants


@EACH
def test_constants_of_another_kernel(kernel):
    text = f"constants must be a {kernel.constants.__name__}, not OtherConstants(shift_z=0)"
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        kernel.attention(*OPERANDS, OtherConstants(0), kernel.number_format())


@EACH
def test_constants_out_of_their_ranges(kernel):
    constants, number_format = constants_of(kernel), kernel.number_format()
    for name, (least, most) in kernel.constants.ranges(number_format).items():
        for value in (least - 1, most + 1):
            with pytest.raises(ValueError, match=f"^{name} must be {least} to {most}, not {value}$"):
                kernel.attention(*OPERANDS, replace(constants, **{name: value}), number_format)


@EACH
@pytest.mark.parametrize(
    "change, error, text",
    [
        (lambda v: v * 0.5, TypeError, "v must be integers, not float64"),
        (lambda v: v + 100, ValueError, "v must be -128 to 127 (8 bits), not "),
        (lambda v: v[0], ValueError, "v must be of shape (heads, tokens, head_dim), not (5, 3)"),
        (lambda v: v[:, 1:], ValueError, "v must be of the shape of q, (2, 5, 3), not (2, 4, 3)"),
    ],
)
def test_operands(kernel, change, error, text):
    q, k, v = OPERANDS
    constants, number_format = constants_of(kernel), kernel.number_format()
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        kernel.attention(q, k, change(v), constants, number_format)
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        kernel.scales(q, k, change(v), -5, -5, -5, number_format)


@EACH
@pytest.mark.parametrize("place, name", [*enumerate(("q_exp", "k_exp", "v_exp"))])
@pytest.mark.parametrize("value, error, rule", [
    (0.5, TypeError, "an integer"), (True, TypeError, "an integer"), (-1101, ValueError, "-1100 to 1100"),
])  # fmt: skip
def test_exponents(kernel, place, name, value, error, rule):
    exponents = [-5, -5, -5]
    exponents[place] = value
    with pytest.raises(error, match=f"^{name} must be {rule}, not {value}$"):
        kernel.scales(*OPERANDS, *exponents, kernel.number_format())


@EACH
@pytest.mark.parametrize("v_exp", [-1090, 1050])
def test_z_beyond_double_precision(kernel, v_exp):
    text = "v must be of such a size that z_exp is -1074 to 1016, where z fits double precision, not "
    with pytest.raises(ValueError, match=f"^{text}"):
        kernel.scales(*OPERANDS, -5, -5, v_exp, kernel.number_format())


@EACH
def test_scales_have_plain_integers_that_fit(kernel):
    scales = kernel.scales(*OPERANDS.astype(np.int8), *np.int64([-5, -5, -5]), kernel.number_format())
    assert scales == kernel.scales(*OPERANDS, -5, -5, -5, kernel.number_format())
    assert check_integer("z_exp", scales.z_exp) is scales.z_exp
    assert kernel.attention(*OPERANDS, scales.constants, kernel.number_format()).z.shape == OPERANDS.shape[1:]


@EACH
def test_kernels_of_constants(kernel):
    name = next((name for name, each in KERNELS.items() if each is kernel), None)
    if name is not None:
        assert kernel_of(constants_of(kernel)) == name
    else:  # that of the tests
        with pytest.raises(TypeError, match=f"^constants must be those of {', '.join(KERNELS)}, not MeanConstants"):
            kernel_of(constants_of(kernel))


def test_job_names_the_kernel_of_its_constants():
    job = quantize_job(*np.random.default_rng(0).standard_normal((3, 2, 5, 3)))
    with pytest.raises(TypeError, match="kernel"):
        Job(*job.operands, job.constants)
    text = "constants must be a JobConstants, not OtherConstants(shift_z=0)"
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        Job(*job.operands, OtherConstants(0), kernel="taylor")
    with pytest.raises(ValueError, match=f"^kernel must be one of {', '.join(KERNELS)}, not 'linear'$"):
        replace(job, kernel="linear")
