"""The accelerator computes the attention of an integer Vision Transformer, with the registers of each layer."""

import numpy as np
import pytest
import torch

from taylorvit.golden.network.integer_vit import to_pixels
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.network.vit import SHAPES, VisionTransformer
from taylorvit.golden.training.images import load_dataset
from taylorvit.jobs import Job, format_of
from taylorvit.simulation import run
from verif.regression import test_hardwares as bench
from verif.regression.configurations import CONFIGURATIONS, build_accelerator


@pytest.mark.slow
@pytest.mark.parametrize("shape, data", [("vit_28", "mnist5k"), ("vit_25", "faces")])
def test_layers_of_a_vit(shape, data):
    config = CONFIGURATIONS["edge-16x8"]
    torch.manual_seed(0)
    model = VisionTransformer(SHAPES[shape], "taylor")
    with torch.no_grad():  # larger than a training begins with: logits around 1
        for block in model.blocks:
            block.attn.qkv.weight.mul_(3)
    dataset = load_dataset(data)
    images, _labels = dataset.training[list(range(16))]
    vit = quantize_vit(model, images, mean=dataset.mean, std=dataset.std, number_format=format_of(config))
    steps = vit.steps(to_pixels(dataset.testing[[0, 1]][0]))  # registers are of other images
    jobs, results = [], []
    for layer, registers in enumerate(vit.registers):
        q, k, v, z = (
            steps[f"blocks.{layer}.{name}"].reshape(-1, *steps[f"blocks.{layer}.{name}"].shape[2:]) for name in "qkvz"
        )
        assert np.unique(z).size > 50
        jobs.append(Job(q, k, v, registers, kernel="taylor").to_mapping())
        results.append(z)
    run(
        build_accelerator("edge-16x8"),
        bench.__name__,
        parameters={"config": config.to_mapping(), "jobs": jobs, "z": results},
    )
