"""What the attention layers of a trained model receive for real images: workloads for the accelerator.

    python -m golden capture CHECKPOINT --images 8 -o FILE.npz

The file is one that `python -m gen simulate` and `python -m fpga run` take. The images are held-out ones: the first of
the model's data set, or files. The workloads in `golden/workloads` were made by this command.
"""

import platform
from pathlib import Path

import numpy as np
import torch

from golden.checkpoint import Checkpoint
from golden.training.images import Dataset, read_image
from golden.training.models import load_images, model_of, normalize, recipe_of
from golden.vit import VisionTransformer, head_tensors
from golden.workloads import Workload

__all__ = ["capture_heads", "capture_workload"]


def capture_heads(
    model: VisionTransformer, inputs: torch.Tensor, layers: list[int] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q, K and V of some layers, each (images x layers x heads, tokens, head_dim); the head varies fastest.

    Args:
        inputs: normalized images.
        layers: from 0; all of them if left out.

    Raises:
        ValueError: there is no such layer, or none is asked for.
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
    return tuple(flattened)


def capture_workload(checkpoint: Checkpoint, images: int | list[Path], layers: list[int] | None = None) -> Workload:
    """The workload of a model that `golden train` made.

    Args:
        images: how many of the held-out ones, or files.
        layers: from 0; all of them if left out.

    Raises:
        ValueError: no images, more than there are, no such layer, a file that is no image or no such checkpoint.
    """
    recipe = recipe_of(checkpoint)
    model = model_of(checkpoint)
    dataset = load_images(recipe.data, model.shape.image_size)
    pixels, shown, labels = _images(dataset, images)
    q, k, v = capture_heads(model, normalize(pixels, dataset.mean, dataset.std), layers)
    shape = model.shape
    chosen = list(range(shape.depth)) if layers is None else layers
    last = checkpoint.description["metrics"][-1]
    tested = len(dataset.testing)
    provenance = {
        "made_by": "python -m golden capture",
        "model": (
            f"ViT, {shape.depth} layers of width {shape.width}, {shape.heads} heads of {shape.head_dim} "
            f"features, {shape.patch_size} x {shape.patch_size} patches of {shape.image_size} x "
            f"{shape.image_size} pixels and {shape.extra_tokens} further: {shape.tokens} tokens"
        ),
        "attention": recipe.model.attention,
        "data_set": dataset.name,
        "training": recipe.model_dump(mode="json"),
        "held_out_correct": round(last["test_accuracy"] * tested),
        "held_out_tested": tested,
        "held_out_accuracy": last["test_accuracy"],
        "captured_images": shown,
        "captured_labels": labels,
        "captured_layers": chosen,
        "order": "heads are images x layers x heads, the last varying fastest",
        "layers": len(chosen),
        "heads_per_layer": shape.heads,
        "scaling": "q is not divided by sqrt(head_dim)",
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
    }
    return Workload(q, k, v, provenance)


def _images(dataset: Dataset, images: int | list[Path]) -> tuple[torch.Tensor, list, list]:
    """(pixels, which they are, their labels where they are known)."""
    if isinstance(images, int):
        if not 1 <= images <= len(dataset.testing):
            raise ValueError(f"images must be 1 to {len(dataset.testing)}, the held-out ones, not {images}")
        pixels, labels = dataset.testing[list(range(images))]
        return pixels, [f"held-out image {index}" for index in range(images)], labels.tolist()
    if not images:
        raise ValueError("images must be at least one file")
    pixels = torch.stack([read_image(path, dataset.image_size, dataset.channels) for path in images])
    return pixels, [path.name for path in images], []
