"""What `simulate` writes: with docs/numerics.md alone, anybody can compute Z again from it."""

import json

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.golden.arithmetic.quantizer import dequantize
from taylorvit.jobs import golden_steps, read_operands, save_result
from taylorvit.rtl import __version__
from taylorvit.rtl.config import AcceleratorConfig
from verif.taylorvit.small import SMALL

from .written_formulas import softmax_z_of, z_of

# Numbers of other widths, in which t_D and T_N leave 64 bits.
WIDE = SMALL + "data_width = 16\nconstant_fraction = 16\nmean_fraction = 8\nstream_width = 64\n"


@pytest.fixture
def written(tmp_path):
    """written(configuration, input arrays): the arrays of the output."""

    def simulate(configuration, **arrays):
        (tmp_path / "small.toml").write_text(configuration, encoding="utf-8")
        np.savez(tmp_path / "in.npz", **arrays)
        assert main(["simulate", "--config", str(tmp_path / "small.toml"), "--input", str(tmp_path / "in.npz"), "-o",
                     str(tmp_path / "out.npz")]) == 0  # fmt: skip
        with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
            return dict(file)

    return simulate


def normal(heads=2, tokens=13, head_dim=7, **scales):
    drawn = np.random.default_rng(1).standard_normal((3, heads, tokens, head_dim))
    return {name: scales.get(name, 1.0) * x for name, x in zip("qkv", drawn)}


@pytest.mark.parametrize(
    "arrays", [normal(), normal(q=40, k=30, v=1e-3), normal(q=1e-4)], ids=["normal", "large logits", "small logits"]
)
def test_z_can_be_computed_again(written, arrays):
    file = written(SMALL, **arrays)
    np.testing.assert_array_equal(z_of(file), file["z_int"])
    assert len(np.unique(file["z_int"])) > 10
    for name in "qkv":  # what was quantized are the tensors that were given, to half a unit where none saturates
        real = dequantize(file[name], int(file[f"{name}_exp"]))
        assert np.median(np.abs(real - arrays[name])) <= 2.0 ** int(file[f"{name}_exp"]) / 2
    np.testing.assert_array_equal(file["z"], dequantize(file["z_int"], int(file["z_exp"])))
    assert str(file["version"]) == __version__ and json.loads(str(file["config"]))["name"] == "small"


def test_output_is_an_input(written):
    first = written(SMALL, **normal())
    second = written(SMALL, **first)
    assert sorted(first) == sorted(second)
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array)


def test_registers_of_more_than_64_bits(written):
    file = written(WIDE, **normal())
    np.testing.assert_array_equal(z_of(file), file["z_int"])
    assert file["z_int"].dtype == file["q"].dtype == np.int16
    integers = {name: file[name] for name in "qkv"}
    largest = written(WIDE, **integers, q_exp=-18, k_exp=-18)
    assert int(largest["c_d"]) > 1 << 64
    np.testing.assert_array_equal(z_of(largest), largest["z_int"])


@pytest.mark.parametrize("arrays", [normal(), normal(q=40, k=30, v=1e-3), normal(q=1e-4)],
                         ids=["normal", "large logits", "small logits"])  # fmt: skip
def test_softmax(arrays, tmp_path):
    """Its table is in the file, which is an input again; the integers are the golden model's."""
    config = AcceleratorConfig(name="small", kernel="softmax", rows=4, columns=4, max_tokens=16, max_head_dim=8)
    np.savez(tmp_path / "in.npz", **arrays)
    job = read_operands(tmp_path / "in.npz", config).job
    save_result(tmp_path / "out.npz", golden_steps(job, config).z, job, config)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(softmax_z_of(file), file["z_int"])
        assert len(np.unique(file["z_int"])) > 10 and len(file["exponentials"]) == config.exponential_entries
    again = read_operands(tmp_path / "out.npz", config).job
    assert again.constants == job.constants and (again.z_exp, again.q_exp) == (job.z_exp, job.q_exp)
