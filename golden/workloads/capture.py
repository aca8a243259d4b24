"""Captures what the attention layers of a trained model receive for real images: workloads for the accelerator.

    taylorvit capture CHECKPOINT --images 8 -o FILE.npz

`taylorvit simulate` and `taylorvit run` take the file. The images are the first held-out ones of the model's data set,
or files. The workloads in `golden/workloads` were made by this command.
"""

import platform
from pathlib import Path

import numpy as np
import torch

from taylorvit.golden.attention.by_layer import text_of
from taylorvit.golden.checkpoints.checkpoint import Checkpoint
from taylorvit.golden.network.vit import VisionTransformer, VitShape, head_tensors
from taylorvit.golden.training.images import Dataset, read_image
from taylorvit.golden.training.loading import check_sizes, load_images, model_of, normalization_of, normalize, recipe_of
from taylorvit.golden.training.recipe import Recipe

from . import Workload

__all__ = ["capture_heads", "capture_workload"]


def capture_heads(
    model: VisionTransformer, inputs: torch.Tensor, layers: list[int] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Captures queries, keys and values of some layers.

    Args:
        model (VisionTransformer): the model.
        inputs (torch.Tensor): normalized images, (images, channels, image_size, image_size).
        layers (list[int] | None): indices of the layers, from 0; all of them if left out.

    Returns:
        Q, K and V, each (images x layers x heads, tokens, head_dim); the head varies fastest.

    Raises:
        ValueError: there is no such layer, or the list is empty.
    """
    depth = model.shape.depth
    layers = list(range(depth)) if layers is None else layers
    if not layers:
        raise ValueError("layers must be at least one")
    for layer in layers:
        if not 0 <= layer < depth:
            raise ValueError(f"layers must be 0 to {depth - 1}, not {layer}")
    captured = head_tensors(model, inputs)
    flattened = []
    for tensors in zip(*(captured[layer] for layer in layers), strict=True):  # the layers of one of q, k and v
        stacked = torch.stack(tensors, dim=1)  # (images, layers, heads, tokens, head_dim)
        flattened.append(stacked.flatten(0, 2).numpy())  # (images x layers x heads, tokens, head_dim)
    q, k, v = flattened
    return q, k, v


def capture_workload(
    checkpoint: Checkpoint,
    images: int | list[Path],
    layers: list[int] | None = None,
    *,
    recipe: Recipe | None = None,
    data: str | None = None,
) -> Workload:
    """Captures the workload of a model that `taylorvit train` made, or of published weights.

    Args:
        checkpoint (Checkpoint): the weights.
        images (int | list[Path]): number of held-out images, from the first one, or image files.
        layers (list[int] | None): indices of the layers, from 0; all of them if left out.
        recipe (Recipe | None): recipe of published weights, as `recipe_of` takes it.
        data (str | None): other images, as `recipe_of` takes them.

    Raises:
        ValueError: there are no images, or fewer than asked for; there is no such layer; a file is not an image; the
            checkpoint is not a float model for these images; or a head tensor is not finite.
    """
    model, inputs, known = _model_and_inputs(checkpoint, images, recipe, data)
    q, k, v = capture_heads(model, inputs, layers)
    shape = model.shape
    chosen = list(range(shape.depth)) if layers is None else layers
    provenance = {
        "made_by": "taylorvit capture",
        "model": (
            f"ViT, {shape.depth} layers of width {shape.width}, {shape.heads} heads of {shape.head_dim} "
            f"features, {shape.patch_size} x {shape.patch_size} patches of {shape.image_size} x "
            f"{shape.image_size} pixels and {shape.extra_tokens} further: {shape.tokens} tokens"
        ),
        "attention": text_of([choice.name for choice in model.attentions]),
        **known,
        "captured_layers": chosen,
        "order": "heads are images x layers x heads, the last varying fastest",
        "layers": len(chosen),
        "heads_per_layer": shape.heads,
        "scaling": "q is not divided by sqrt(head_dim)",
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
    }
    return Workload(q, k, v, provenance)


def _model_and_inputs(checkpoint: Checkpoint, images: int | list[Path], recipe: Recipe | None, data: str | None):
    """The model, normalized images, and the provenance of both."""
    description = checkpoint.description
    if not images and isinstance(images, list):
        raise ValueError("images must be at least one file")
    normalization = normalization_of(checkpoint)
    if isinstance(images, list) and normalization is not None and recipe is None and data is None:
        model = model_of(checkpoint)  # files need no data set, which may not be there
        known = {"data_set": description["data"].get("name"), "training": description["recipe"]} if description else {}
        pixels, shown = _of_files(images, model.shape)
        return model, normalize(pixels, *normalization), known | shown
    recipe = recipe_of(checkpoint, recipe=recipe, data=data)
    model = model_of(checkpoint, model=recipe.model)
    dataset = load_images(recipe.data, model.shape.image_size)
    check_sizes(model.shape, dataset, classes=False)
    known = {"data_set": dataset.name, "training": recipe.model_dump(mode="json")}
    metrics = description.get("metrics")
    if metrics and data is None:
        accuracy, tested = metrics[-1]["test_accuracy"], len(dataset.testing)
        known |= {"held_out_correct": round(accuracy * tested), "held_out_tested": tested}
        known |= {"held_out_accuracy": accuracy}
    pixels, shown = _of_files(images, model.shape) if isinstance(images, list) else _held_out(images, dataset)
    return model, normalize(pixels, dataset.mean, dataset.std), known | shown


def _of_files(paths: list[Path], shape: VitShape) -> tuple[torch.Tensor, dict]:
    pixels = torch.stack([read_image(path, shape.image_size, shape.channels) for path in paths])
    return pixels, {"captured_images": [path.name for path in paths], "captured_labels": []}


def _held_out(count: int, dataset: Dataset) -> tuple[torch.Tensor, dict]:
    if not 1 <= count <= len(dataset.testing):
        raise ValueError(f"images must be 1 to {len(dataset.testing)}, the held-out ones, not {count}")
    pixels, labels = dataset.testing[list(range(count))]
    names = [f"held-out image {index}" for index in range(count)]
    return pixels, {"captured_images": names, "captured_labels": labels.tolist()}
