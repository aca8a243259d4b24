"""The benchmark of trainings compares models that compute the same, and prints them all."""

import json

import pytest
import torch

from taylorvit.golden.attention.float_attention import softmax_attention

from . import training_benchmark


def test_models_of_softmax_are_the_same():
    models = training_benchmark.models_of("vit_8")
    assert list(models)[:3] == ["softmax, fused", "softmax, by its formula", "taylor"]
    fused, formula = models["softmax, fused"].eval(), models["softmax, by its formula"].eval()
    functions = [[block.attn.kernel.function for block in model.blocks] for model in (fused, formula)]
    assert set(functions[1]) == {softmax_attention} and softmax_attention not in functions[0]
    images = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(fused(images), formula(images))


def test_figures(tmp_path, capsys):
    output = tmp_path / "a.json"
    arguments = ["--shape", "vit_8", "--batch", "2", "--turns", "1", "--device", "cpu", "-o", str(output)]
    assert training_benchmark.main(arguments) == 0
    shown, report = capsys.readouterr().out, json.loads(output.read_text())
    assert report["batch"] == 2 and report["device"] == "cpu"
    for name, row in report["models"].items():
        assert name in shown and row["training"] > 0 and row["inference"] > 0


@pytest.mark.parametrize("arguments", [["--batch", "0"], ["--turns", "0"], ["-o", "none/a.json"]])
def test_requests_that_cannot_be(arguments, capsys):
    assert training_benchmark.main(arguments) == 2
    assert capsys.readouterr().err.startswith("training_benchmark: error: ")
