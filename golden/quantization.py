"""A checkpoint becomes an integer model, perhaps after a training with the rounding of its integers.

vit, sqnr = quantize_checkpoint("model.safetensors")
vit.save("integer.safetensors")
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.reports.layer_sqnr import layer_sqnr
from taylorvit.golden.training.loading import check_sizes, load_images, model_of, recipe_of
from taylorvit.golden.training.recipe import Recipe, rounded_recipe
from taylorvit.golden.training.trainer import Progress, train
from taylorvit.golden.training.training_folder import only_training_in

from .metadata import Accelerator

__all__ = ["Quantized", "fine_tune", "quantize_checkpoint"]


class Quantized(NamedTuple):
    """An integer model, and the signal to quantization noise of its steps in dB, on the images of the calibration."""

    vit: IntegerVit
    sqnr: dict[str, float]


def quantize_checkpoint(
    path: str | Path,
    *,
    images: int = 128,
    accelerator: Accelerator | None = None,
    recipe: Recipe | None = None,
    data: str | None = None,
    progress: Callable[[str], None] = lambda _step: None,
) -> Quantized:
    """The integer model of a checkpoint.

    Args:
        images: how many training images give the scales.
        accelerator: that computes attention; one of 8 bits, of any size, if left out.
        recipe, data: of weights of others, and other images, as `recipe_of` takes them.
        progress: told each step.

    Raises `ValueError` or `OverflowError` if the checkpoint is no float model, or one that cannot be quantized.
    """
    checkpoint = load(path)
    recipe = recipe_of(checkpoint, recipe=recipe, data=data)
    model = model_of(checkpoint, model=recipe.model)
    if accelerator is not None:
        accelerator.check(model.shape.tokens, model.shape.head_dim)
    dataset = load_images(recipe.data, model.shape.image_size)
    check_sizes(model.shape, dataset, classes=False)  # the scales do not depend on what is seen in the images
    count = min(images, len(dataset.training))
    # Spread over all classes, and the same crops every time where crops are random.
    torch.manual_seed(recipe.training.seed if recipe.training else 1)
    shown, _labels = dataset.training[[index * len(dataset.training) // count for index in range(count)]]
    vit = quantize_vit(
        model, shown, mean=dataset.mean, std=dataset.std, number_format=accelerator and accelerator.number_format,
        data={"name": dataset.name, "classes": list(dataset.classes)},
        quantization={"checkpoint": str(path), "images": count, "recipe": recipe.model_dump(mode="json")},
        progress=progress,
    )  # fmt: skip
    sqnr = layer_sqnr(model, vit, shown, mean=dataset.mean, std=dataset.std)
    vit.quantization["sqnr_db"] = {name: round(value, 2) for name, value in sqnr.items() if math.isfinite(value)}
    return Quantized(vit, sqnr)


def fine_tune(
    path: str | Path,
    folder: Path,
    epochs: int,
    *,
    resume: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
    progress: Progress = lambda done, epochs, text: None,
    images: int = 128,
    accelerator: Accelerator | None = None,
    recipe: Recipe | None = None,
    data: str | None = None,
) -> Path:
    """Trains a checkpoint with the rounding of its integer model, after its own recipe; the checkpoint that results.

    Args:
        folder: of this training.
        epochs: of this training, which has a tenth of the recipe's learning rate.
        resume: go on with it.
        on_step (Callable): told each step of the quantization before it.
        progress (Progress): told how far the training is.

    The others are those of `quantize_checkpoint`, for the integer model whose grids are kept.
    """
    grids = folder / "grids.safetensors"
    rounded = rounded_recipe(recipe_of(load(path), recipe=recipe, data=data), Path(path), grids, epochs)
    with only_training_in(folder):
        if not (folder / "last.safetensors").exists():  # a training that has begun keeps its grids
            made = quantize_checkpoint(path, images=images, accelerator=accelerator, recipe=recipe, data=data,
                                       progress=on_step)  # fmt: skip
            made.vit.save(grids)
        return train(rounded, folder, resume=resume, progress=progress).path
