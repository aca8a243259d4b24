"""An integer model survives its file, byte for byte, and files that hold none are refused by name."""

import json
import zlib

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from taylorvit.golden.arithmetic.number_format import NetworkFormat
from taylorvit.golden.checkpoints.checkpoint import CheckpointError
from taylorvit.golden.checkpoints.checkpoint import save as save_checkpoint
from taylorvit.golden.network.integer_vit import IntegerVit, load_integer_vit
from taylorvit.golden.network.vit import VitShape
from verif.golden.network.models import SHAPE, SHAPES, counted_vit, mixed, pixels_of, quantized, random_vit


def test_what_is_saved_is_loaded(tmp_path):
    vit = quantized(SHAPES[3], number_format=NetworkFormat(shift_g_max=26))
    vit.save(tmp_path / "a.safetensors")
    loaded = load_integer_vit(tmp_path / "a.safetensors")
    loaded.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    for name in ("shape", "exponents", "offsets", "registers", "number_format", "data", "quantization"):
        assert getattr(loaded, name) == getattr(vit, name)
    assert loaded.tensors.keys() == vit.tensors.keys()
    assert all(np.array_equal(loaded.tensors[name], vit.tensors[name]) for name in vit.tensors)
    assert np.array_equal(loaded(pixels_of(SHAPES[3])), vit(pixels_of(SHAPES[3])))


def test_kernels_by_layer(tmp_path):
    vit = random_vit(SHAPES[3], 1, kernels=mixed(SHAPES[3]))
    vit.save(tmp_path / "a.safetensors")
    loaded = load_integer_vit(tmp_path / "a.safetensors")
    assert loaded.kernels == ("softmax", "taylor", "softmax") and loaded.registers == vit.registers
    assert np.array_equal(loaded(pixels_of(SHAPES[3])), vit(pixels_of(SHAPES[3])))


def test_files_of_version_2_have_taylor_attention(tmp_path):
    vit = counted_vit(SHAPE)
    tensors, description = described(vit, tmp_path / "a.safetensors")
    description = without(description, "kernels") | {"version": 2}
    of_softmax = ("score_width", "exponential_width", "exponential_entries", "shift_s_max")
    for name in of_softmax:
        description["number_format"] = without(description["number_format"], name)
    save_checkpoint(tmp_path / "b.safetensors", tensors, description)
    loaded = load_integer_vit(tmp_path / "b.safetensors")
    assert loaded.kernels == ("taylor", "taylor") and loaded.number_format == vit.number_format
    assert np.array_equal(loaded(pixels_of(SHAPE)), vit(pixels_of(SHAPE)))
    del description["number_format"]["c_d_width"]
    save_checkpoint(tmp_path / "b.safetensors", tensors, description)
    with pytest.raises(CheckpointError, match="and lacks 'c_d_width'"):
        load_integer_vit(tmp_path / "b.safetensors")


def test_types_in_the_file_are_those_that_the_docstring_names(tmp_path):
    quantized(SHAPE).save(tmp_path / "a.safetensors")
    types = {"embedding": torch.int16, "gamma": torch.int16, "beta": torch.int32, "bias": torch.int32}
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["taylorvit"])["kind"] == "integer vit"
        for name in file.keys():
            assert file.get_tensor(name).dtype == types.get(name.rpartition(".")[2], torch.int8), name


def test_the_description_is_that_of_the_files_that_were_written(tmp_path):
    """Text for text: a text of another form needs another version."""
    shape = VitShape(
        image_size=6, patch_size=3, channels=2, classes=3, depth=1, width=6, heads=2, mlp_ratio=2, distilled=True
    )
    counted_vit(shape).save(tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        text = file.metadata()["taylorvit"]
    assert f"{zlib.crc32(text.encode()):08x}" == "172c8463"


def described(vit: IntegerVit, path) -> tuple[dict, dict]:
    """Tensors and description of a file, to change and to write again."""
    vit.save(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        return tensors, json.loads(file.metadata()["taylorvit"])


def without(table: dict, name: str) -> dict:
    return {key: value for key, value in table.items() if key != name}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t, d: (t, {}), "must be an integer ViT, as `taylorvit quantize` writes it"),
        (lambda t, d: (t, d | {"kind": "model"}), "must be an integer ViT"),
        (
            lambda t, d: (t, without(d, "version")),
            "must be version 2 or 3, as `taylorvit quantize` writes it; quantize",
        ),
        (
            lambda t, d: (t, d | {"version": 4}),
            "a.safetensors must be version 2 or 3, .* quantize the checkpoint again$",
        ),
        (lambda t, d: (t, d | {"version": 2}), "fields must be kind, .* quantization, not 'kernels'"),
        (lambda t, d: (t, without(d, "kernels")), "must be a whole integer ViT, and lacks 'kernels'"),
        (lambda t, d: (t, d | {"kernels": ["taylor"]}), "kernels must be one for each of 2 layers, not 1"),
        (lambda t, d: (t, d | {"kernels": ["taylor", "relu"]}), "kernel must be one of taylor, softmax, not 'relu'"),
        (lambda t, d: (t, d | {"kernels": ["taylor", "softmax"]}), "unexpected keyword argument 'shift_g'"),
        (lambda t, d: (t, d | {"kernels": 3}), "must be a whole integer ViT: "),
        (lambda t, d: (t, d | {"number_format": without(d["number_format"], "score_width")}), "lacks 'score_width'"),
        (lambda t, d: (t, without(d, "offsets")), "and lacks 'offsets'"),
        (lambda t, d: (t, d | {"offsets": {}}), "offsets must be those of the shape, and lack blocks.0.gelu"),
        (
            lambda t, d: (t, d | {"offsets": d["offsets"] | {"blocks.1.gelu": 128}}),
            "blocks.1.gelu must be 0 to 127, no",
        ),
        (lambda t, d: (t, without(d, "shape")), "must be a whole integer ViT, and lacks 'shape'"),
        (lambda t, d: (t, without(d, "registers")), "and lacks 'registers'"),
        (lambda t, d: (t, without(d, "number_format")), "and lacks 'number_format'"),
        (lambda t, d: (t, d | {"kernel": "relu"}), "fields must be kind, .* quantization, not 'kernel'"),
        (lambda t, d: (t, d | {"shape": d["shape"] | {"width": 5}}), "heads must be a divisor of 5, not 2"),
        (lambda t, d: (t, d | {"shape": d["shape"] | {"width": 8}}), r"must be of shape \(8, 9\), not \(6, 9\)"),
        (lambda t, d: (t, d | {"shape": d["shape"] | {"colours": 3}}), "unexpected keyword argument 'colours'"),
        (lambda t, d: (t, d | {"shape": d["shape"] | {"depth": 3}}), "registers must be of 3 layers, not 2"),
        (lambda t, d: (t, d | {"exponents": without(d["exponents"], "logits")}), "exponents must be .* lack logits"),
        (lambda t, d: (t, d | {"exponents": d["exponents"] | {"x": 1}}), "exponents must be those .* and have x"),
        (lambda t, d: (t, d | {"exponents": d["exponents"] | {"norm": -7.5}}), "exponent of norm must be an integer"),
        (lambda t, d: (t, d | {"exponents": d["exponents"] | {"norm": 999}}), "norm must be -500 to 500, not 999"),
        (
            lambda t, d: (t, d | {"exponents": d["exponents"] | {"residual.1": -30}}),
            "channel . of residual.1 must be at l",
        ),
        (lambda t, d: (t, d | {"exponents": []}), "exponents must be those of the shape, and lack "),
        (
            lambda t, d: (t, d | {"registers": d["registers"][:1], "kernels": ["taylor"]}),
            "registers must be of 2 layers, not 1",
        ),
        (lambda t, d: (t, d | {"registers": [d["registers"][0] | {"c_v": -1}] * 2}), "c_v must be 0 to 16777215"),
        (lambda t, d: (t, d | {"registers": [without(d["registers"][0], "c_d")] * 2}), "argument: 'c_d'"),
        (lambda t, d: (t, d | {"registers": None}), "must be a whole integer ViT: "),
        (lambda t, d: (t, d | {"number_format": d["number_format"] | {"data_width": 1}}), "data_width must be 2 to 24"),
        (lambda t, d: (t, d | {"number_format": d["number_format"] | {"bits": 1}}), "keyword argument 'bits'"),
        (lambda t, d: (t, d | {"number_format": without(d["number_format"], "c_d_width")}), "and lacks 'c_d_width'"),
        (lambda t, d: (t, d | {"number_format": d["number_format"] | {"residual_width": 7}}), "width must be 8 to 16"),
        (lambda t, d: (t | {"embedding": t["embedding"] + 4000}, d), "embedding must be -2048 to 2047, not "),
        (lambda t, d: (t | {"head.weight_shift": t["blocks.0.proj.weight_shift"]}, d), "have head.weight_shift"),
        (
            lambda t, d: (t | {"blocks.0.proj.weight_shift": t["blocks.0.proj.weight_shift"] + 8}, d),
            "must be 0 to 7, n",
        ),
        (lambda t, d: (t, d | {"number_format": None}), "must be a whole integer ViT: "),
        (lambda t, d: (t, d | {"shape": d["shape"] | {"distilled": "no"}}), "distilled must be True or False, not"),
        (lambda t, d: (without(t, "head.bias"), d), "tensors must be those of the shape, and lack head.bias"),
        (lambda t, d: (t | {"dist_token": t["head.bias"]}, d), "tensors must be those .*, and have dist_token"),
        (lambda t, d: (t | {"head.bias": t["head.bias"][:2].clone()}, d), r"head.bias must be of shape \(3,\), not"),
        (lambda t, d: (t | {"head.bias": t["head.bias"].float()}, d), "head.bias must be integers, not torch.float32"),
        (lambda t, d: (t | {"head.weight": t["head.weight"].int() + 300}, d), "head.weight must be -128 to 127, not "),
        (lambda t, d: (t | {"residual.1.left_shift": t["residual.1.left_shift"] + 4}, d), "left_shift must be 0 to 3"),
    ],
)
def test_files_that_are_no_integer_model(change, text, tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, *change(*described(quantized(SHAPE), path)))
    with pytest.raises(CheckpointError, match=text) as error:
        load_integer_vit(path)
    assert "\n" not in str(error.value)


def test_files_of_others_are_refused(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="must be an integer ViT"):
        load_integer_vit(tmp_path / "a.safetensors")
