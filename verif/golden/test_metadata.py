"""What the generator writes is what the golden model reads; anything else is refused by name."""

import json

import numpy as np
import pytest
import torch

from taylorvit.boundary.reading import FileError
from taylorvit.gen.generate import generate
from taylorvit.gen.presets import load_preset
from taylorvit.golden.arithmetic.number_format import NetworkFormat
from taylorvit.golden.arithmetic.quantizer import dequantize
from taylorvit.golden.attention.float_attention import taylor_attention
from taylorvit.golden.attention.integer_attention import integer_taylor_attention
from taylorvit.golden.attention.job import quantize_job
from taylorvit.golden.metadata import load_accelerator
from taylorvit.golden.reports.sqnr import sqnr_db
from taylorvit.jobs import format_of
from taylorvit.rtl.config import AcceleratorConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    generate(load_preset("tiny-4x4"), path)
    return path


def test_it_is_that_of_the_configuration(folder):
    config = load_preset("tiny-4x4")
    accelerator = load_accelerator(folder / "metadata.json")
    assert accelerator.number_format == NetworkFormat.around(format_of(config))
    assert accelerator[2:] == (config.max_tokens, config.max_head_dim, ("taylor",)) and accelerator.name == "tiny-4x4"
    accelerator.check(config.max_tokens, config.max_head_dim)
    with pytest.raises(ValueError, match="^tokens must be at most 64 on tiny-4x4, not 65$"):
        accelerator.check(65, 1)
    with pytest.raises(ValueError, match="^head_dim must be at most 16 on tiny-4x4, not 17$"):
        accelerator.check(1, 17)


def test_widest_numbers(tmp_path):
    """c_d has 67 bits."""
    config = AcceleratorConfig(name="wide", rows=2, columns=1, data_width=16, mean_fraction=8, constant_fraction=16,
                               max_tokens=16, max_head_dim=16, stream_width=16)  # fmt: skip
    generate(config, tmp_path)
    number_format = load_accelerator(tmp_path / "metadata.json").number_format
    assert number_format == NetworkFormat.around(format_of(config)) and number_format.c_d_width > 63
    q, k, v = np.random.default_rng(1).normal(size=(3, 2, 16, 16))
    job = quantize_job(q / 1024, k / 1024, v, number_format)
    assert job.constants.c_d >= 1 << 63
    z = integer_taylor_attention(*job.operands, job.constants, number_format).z
    reference = taylor_attention(*map(torch.from_numpy, (q / 1024, k / 1024, v))).z.numpy()
    assert sqnr_db(reference, dequantize(z, job.z_exp)) > 80


def test_kernels(folder, tmp_path):
    """Numbers of a kernel that it does not have are the defaults; those of one that it has must be there."""
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["configuration"] |= {"kernel": "softmax", "score_width": 10, "exponential_width": 9}
    metadata["configuration"] |= {"exponential_entries": 256}
    del metadata["derived"]["c_v_width"]
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps(metadata))
    with pytest.raises(FileError, match="and lacks 'shift_s_max'$"):
        load_accelerator(path)
    metadata["derived"]["shift_s_max"] = 20
    path.write_text(json.dumps(metadata))
    accelerator = load_accelerator(path)
    widths = {"score_width": 10, "exponential_width": 9, "exponential_entries": 256, "shift_s_max": 20}
    assert {name: getattr(accelerator.number_format, name) for name in widths} == widths
    assert accelerator.number_format.c_v_width == NetworkFormat.c_v_width and accelerator.kernels == ("softmax",)
    accelerator.check_kernels(["softmax"] * 3)
    text = (
        "attention of each layer must be one that tiny-4x4 has, softmax, not taylor: choose with --attention, for "
        "example --attention all=softmax"
    )
    with pytest.raises(ValueError, match=f"^{text}$"):
        accelerator.check_kernels(["softmax", "taylor"])
    path.write_text(json.dumps(metadata | {"configuration": metadata["configuration"] | {"kernel": "taylor+relu"}}))
    with pytest.raises(FileError, match="kernel must be one that integer networks have, taylor, softmax, not 'relu'$"):
        load_accelerator(path)


@pytest.mark.parametrize(
    ("table", "name", "value", "text"),
    [
        ("configuration", "data_width", None, "and lacks 'data_width'$"),
        ("derived", "shift_g_max", None, "and lacks 'shift_g_max'$"),
        ("configuration", "data_width", 99, "data_width must be 2 to 24, not 99"),
        ("configuration", "max_tokens", "many", "max_tokens must be an integer, not 'many'"),
        ("configuration", "max_tokens", 0, "max_tokens must be at least 1, not 0"),
    ],
)
def test_what_is_none(folder, tmp_path, table, name, value, text):
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata[table][name] = value
    if value is None:
        del metadata[table][name]
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match=f"metadata.json: file must be the metadata.json of an accelerator.*{text}"):
        load_accelerator(tmp_path / "metadata.json")


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", '{"configuration": 1, "derived": 2}', "\ufeff{"])
def test_files_that_are_something_else(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match="a.json: file must be the metadata.json of an accelerator"):
        load_accelerator(tmp_path / "a.json")
