"""Floats become a job, and nonsense is refused by name."""

import re

import numpy as np
import pytest
import torch

from taylorvit.golden.attention.job import Job, quantize_job
from verif.golden.attention.kernels.test_taylor import normal_operands


def test_way_through_json():
    job = quantize_job(*normal_operands((2, 9, 4), 4))
    mapping = job.to_mapping()
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in mapping.items()}
    again = Job.from_mapping(plain)
    assert again.constants == job.constants and again.z_exp == job.z_exp and again.kernel == "taylor"
    assert all((one == other).all() for one, other in zip(again.operands, job.operands, strict=True))


@pytest.mark.parametrize(
    "make", [torch.from_numpy, lambda x: torch.from_numpy(x).bfloat16(), lambda x: x.astype(np.float16)]
)
def test_tensors_and_narrow_floats_are_taken(make):
    job = quantize_job(*(make(x) for x in normal_operands((2, 9, 4), 4)))
    assert job.q.dtype == np.int64 and job.q.shape == (2, 9, 4)


@pytest.mark.parametrize(
    "change, error, text",
    [
        (lambda x: x.astype(int), TypeError, "k must be floating point, not int64"),
        (lambda x: torch.from_numpy(x).long(), TypeError, "k must be floating point, not torch.int64"),
        (lambda x: x.astype(complex), TypeError, "k must be floating point, not complex128"),
        (lambda x: x.astype(str), TypeError, "k must be floating point, not <U32"),
        (lambda x: np.where(x > 0, np.nan, x), ValueError, "k must be finite, not nan"),
        (lambda x: np.where(x > 0, np.inf, x), ValueError, "k must be finite, not inf"),
        (lambda x: x[0], ValueError, "k must be of shape (heads, tokens, head_dim), not (5, 3)"),
        (lambda x: x[:, :0], ValueError, "k must be without an empty dimension, not (2, 0, 3)"),
        (lambda x: x[:, 1:], ValueError, "k must be of the shape of q, (2, 5, 3), not (2, 4, 3)"),
        (
            lambda x: x * 1e30,
            ValueError,
            "q and k must be small enough for the constant n sqrt(d) to be at least 1",
        ),
    ],
)
def test_a_wrong_float_operand_is_named(change, error, text):
    q, k, v = normal_operands((2, 5, 3), 5)
    with pytest.raises(error, match=re.escape(text)):
        quantize_job(q, change(k), v)
