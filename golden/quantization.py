"""From a checkpoint to an integer-only model: post-training quantization, and quantization-aware training before it.

    vit, sqnr = quantize_checkpoint("model.safetensors")
    vit.save("integer.safetensors")

`golden.network.quantize` has the method, `golden.training.straight_through` the training.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from taylorvit.golden.attention.by_layer import by_layer
from taylorvit.golden.checkpoints.checkpoint import load
from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.golden.network.program import KERNELS, kernels_of
from taylorvit.golden.network.quantize import quantize_vit
from taylorvit.golden.reports.layer_sqnr import layer_sqnr
from taylorvit.golden.training.loading import check_sizes, load_images, model_of, recipe_of
from taylorvit.golden.training.recipe import Recipe, rounded_recipe
from taylorvit.golden.training.trainer import Progress, train
from taylorvit.golden.training.training_folder import only_training_in

from .kernel_search import Bound, Calibration, Trial, search_kernels
from .metadata import Accelerator

__all__ = ["Quantized", "Search", "fine_tune", "quantize_checkpoint"]


class Quantized(NamedTuple):
    """An integer model and its noise.

    Attributes:
        vit (IntegerVit): the integer model.
        sqnr (dict[str, float]): signal to quantization noise of its steps in dB, on the images of the calibration.
    """

    vit: IntegerVit
    sqnr: dict[str, float]


class Search(NamedTuple):
    """What `golden.kernel_search` is to find.

    Attributes:
        cost (Callable[[tuple[str, ...]], float]): what the attention kernels of all layers cost, for example in cycles.
        bound (Bound): the most that may be lost.
        tried (Callable[[Trial], None]): called with each choice that was tried.
    """

    cost: Callable[[tuple[str, ...]], float]
    bound: Bound
    tried: Callable[[Trial], None] = lambda _trial: None


def quantize_checkpoint(
    path: str | Path,
    *,
    images: int = 128,
    accelerator: Accelerator | None = None,
    attention: Sequence[str] = (),
    search: Search | None = None,
    recipe: Recipe | None = None,
    data: str | None = None,
    progress: Callable[[str], None] = lambda _step: None,
) -> Quantized:
    """Quantizes the float model of a checkpoint after its training.

    Args:
        path (str | Path): the checkpoint.
        images (int): number of training images for the calibration, at least 1; all of them if there are fewer.
        accelerator (Accelerator | None): accelerator that computes attention; one of 8 bits, of any size, with any
            attention kernel, if left out.
        attention (Sequence[str]): kernels by layer, as `golden.attention.by_layer.by_layer` takes them; a layer that
            none of them names has the kernel of the attention that it was trained with, or what a search finds.
        search (Search | None): whether to search the cheapest kernels for these layers, of those that the accelerator
            has, or of all.
        recipe (Recipe | None): recipe of published weights, as `recipe_of` takes it.
        data (str | None): other images, as `recipe_of` takes them.
        progress (Callable[[str], None]): called with the name of each layer as it begins.

    Raises:
        ValueError: the checkpoint is not a float model, or one that cannot be quantized.
        OverflowError: sums of the integer model could need more bits than there are.
    """
    checkpoint = load(path)
    recipe = recipe_of(checkpoint, recipe=recipe, data=data)
    model = model_of(checkpoint, model=recipe.model)
    own = kernels_of(recipe.model.attentions)
    kernels = by_layer(attention, ("",) * len(own) if search else own, names=KERNELS)
    if accelerator is not None:
        accelerator.check(model.shape.tokens, model.shape.head_dim)
        accelerator.check_kernels(filter(None, kernels))
    dataset = load_images(recipe.data, model.shape.image_size)
    check_sizes(model.shape, dataset, classes=False)  # scales do not depend on the classes of the images
    count = min(images, len(dataset.training))
    # Spread over all classes; the seed makes random crops the same every time.
    torch.manual_seed(recipe.training.seed if recipe.training else 1)
    shown, labels = dataset.training[[index * len(dataset.training) // count for index in range(count)]]

    def quantized(kernels: Sequence[str], progress: Callable[[str], None] = lambda _step: None) -> IntegerVit:
        return quantize_vit(
            model,
            shown,
            mean=dataset.mean,
            std=dataset.std,
            number_format=accelerator and accelerator.number_format,
            attention=kernels,
            data={"name": dataset.name, "classes": list(dataset.classes)},
            quantization={"checkpoint": str(path), "images": count, "recipe": recipe.model_dump(mode="json")},
            progress=progress,
        )

    if search is None:
        vit = quantized(kernels, progress)
    else:
        vit = search_kernels(
            Calibration(model, shown, labels, dataset.mean, dataset.std),
            own,
            [(kernel,) if kernel else (accelerator.kernels if accelerator else KERNELS) for kernel in kernels],
            quantize=quantized,
            cost=search.cost,
            bound=search.bound,
            tried=search.tried,
            progress=progress,
        )
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
    attention: Sequence[str] = (),
    recipe: Recipe | None = None,
    data: str | None = None,
) -> Path:
    """Trains a checkpoint quantization-aware: with attention and rounding of its integer model, from its own recipe.

    The recipe in the trained checkpoint has the attention that was trained, so that quantizing it chooses the same
    kernels again.

    Args:
        path (str | Path): the checkpoint.
        folder (Path): folder of this training.
        epochs (int): epochs of this training, at least 1, at a tenth of the recipe's learning rate.
        resume (bool): whether to continue a training in the folder.
        on_step (Callable[[str], None]): called with each step of the quantization before the training.
        progress (Progress): called with how far the training is.
        images (int): number of training images for the calibration of the integer model, at least 1.
        accelerator (Accelerator | None): accelerator that computes attention, as in `quantize_checkpoint`.
        attention (Sequence[str]): kernels by layer, likewise.
        recipe (Recipe | None): recipe of published weights, as `recipe_of` takes it.
        data (str | None): other images, as `recipe_of` takes them.

    Returns:
        The trained checkpoint.

    Raises:
        ValueError: the checkpoint is not a float model with a recipe to train from, or cannot be quantized, or the
            training cannot begin.
        OverflowError: sums of the integer model could need more bits than there are.
    """
    grids = folder / "grids.safetensors"
    before = recipe_of(load(path), recipe=recipe, data=data)
    kernels = by_layer(attention, kernels_of(before.model.attentions), names=KERNELS)
    rounded = rounded_recipe(before, Path(path), grids, epochs, kernels)
    with only_training_in(folder):
        if not (folder / "last.safetensors").exists():  # a training that is resumed keeps its grids
            made = quantize_checkpoint(
                path,
                images=images,
                accelerator=accelerator,
                attention=attention,
                recipe=recipe,
                data=data,
                progress=on_step,
            )
            made.vit.save(grids)
        return train(rounded, folder, resume=resume, progress=progress).path
