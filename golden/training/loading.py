"""Loads the models and images that a file names: what training, evaluation and capture have in common."""

import math
from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import nn
from torch.nn import functional

from taylorvit.golden.attention.trained_attention import AttentionChoice
from taylorvit.golden.checkpoints.checkpoint import Checkpoint, CheckpointError, fitting_weights, load_weights
from taylorvit.golden.network.vit import SHAPES, VisionTransformer, VitShape

from .images import (
    DATASETS,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Dataset,
    ImageError,
    Split,
    load_batches,
    load_dataset,
    load_folder,
)
from .recipe import Data, Model, Recipe, check_recipe

__all__ = ["check_sizes", "evaluate", "load_images", "model_of", "normalization_of", "normalize", "recipe_of"]

_BATCH_OF_EVALUATION = 256


def recipe_of(checkpoint: Checkpoint, *, recipe: Recipe | None = None, data: str | None = None) -> Recipe:
    """The recipe that a checkpoint was trained from, or the one that describes published weights.

    Args:
        checkpoint (Checkpoint): the weights.
        recipe (Recipe | None): recipe of published weights. A folder of the Hugging Face hub needs none, since it names
            the model itself.
        data (str | None): images in place of those of the recipe: the name of a data set, or a folder. They are
            normalized like the images of the training, where the checkpoint says how.

    Raises:
        ValueError: nothing names the model, or nothing names the images.
    """
    tables = _tables_of(checkpoint, recipe)
    if data is not None:
        tables = tables | {"data": {"name": data} if data in DATASETS else {"folder": data}}
    images = tables.get("data")
    if images is None and checkpoint.published is not None:
        raise ValueError(f"{checkpoint.path} does not name its images: --data must be a data set, or a folder")
    normalization = normalization_of(checkpoint)
    others = data is not None or checkpoint.published is not None
    if others and isinstance(images, dict) and images.get("mean") is None and normalization is not None:
        tables = tables | {"data": images | dict(zip(("mean", "std"), normalization))}
    return check_recipe(tables, checkpoint.path)


def _tables_of(checkpoint: Checkpoint, recipe: Recipe | None) -> dict:
    description, published = checkpoint.description, checkpoint.published
    if tables := description.get("recipe") or description.get("quantization", {}).get("recipe"):
        return tables
    if recipe is not None:
        return recipe.model_dump(mode="json")
    if published is not None:
        return {"model": {"shape": asdict(published.shape), "attention": "softmax"}}
    raise ValueError(
        f"{checkpoint.path} must hold the recipe of its training, as files of `taylorvit train` do, or "
        "--recipe must describe it"
    )


def normalization_of(checkpoint: Checkpoint) -> tuple[list[float], list[float]] | None:
    """Mean and standard deviation of each channel of the images of a training, or None if they are not known.

    Those of a folder of the Hugging Face hub that does not say them are ImageNet's, if its images are coloured.

    Args:
        checkpoint (Checkpoint): the weights.
    """
    if (published := checkpoint.published) is not None:
        if published.mean is not None and published.std is not None:
            return published.mean, published.std
        return (list(IMAGENET_MEAN), list(IMAGENET_STD)) if published.shape.channels == 3 else None
    data = checkpoint.description.get("data", {})
    return (data["mean"], data["std"]) if "mean" in data and "std" in data else None


def load_images(data: Data, image_size: int) -> Dataset:
    """Loads the images that a recipe names.

    Args:
        data (Data): table of the recipe.
        image_size (int): pixels of a side of the model's images.

    Raises:
        ImageError: the images are not there, or mean and standard deviation are not for their channels.
    """
    if data.folder is not None and not data.folder.is_dir():
        raise ImageError(
            "folder of the images must be there, seen from the folder in which the command runs, not "
            f"{str(data.folder)!r}; --data, or data.folder of a recipe to train from, names another"
        )
    dataset = load_dataset(data.name) if data.folder is None else load_folder(data.folder, image_size)
    if data.mean is None or data.std is None:
        return dataset
    if not len(data.mean) == len(data.std) == dataset.channels:
        raise ImageError(
            f"mean and std must have a number for each channel of {dataset.name}, {dataset.channels}, "
            f"not {data.mean} and {data.std}"
        )
    return dataset._replace(mean=tuple(data.mean), std=tuple(data.std))


def check_sizes(shape: VitShape, dataset: Dataset, *, classes: bool = True) -> None:
    """Checks that a model takes the images of a data set.

    Args:
        shape (VitShape): sizes of the model.
        dataset (Dataset): the images.
        classes (bool): whether the number of classes matters.

    Raises:
        ImageError: the number of classes, the channels or the size of the images differ.
    """
    for name, of_model, of_images in (
        ("classes", shape.classes, len(dataset.classes) if classes else shape.classes),
        ("channels", shape.channels, dataset.channels),
        ("image_size", shape.image_size, dataset.image_size),
    ):
        if of_model != of_images:
            raise ImageError(f"{name} of the model must be that of {dataset.name}, {of_images}, not {of_model}")


def normalize(images: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Normalizes images to mean 0 and standard deviation 1 in each channel, as a model receives them.

    Args:
        images (torch.Tensor): (images, channels, height, width), values of 0 to 1.
        mean (Sequence[float]): mean of each channel.
        std (Sequence[float]): standard deviation of each channel, above 0.

    Raises:
        ValueError: there is not one mean and one standard deviation for each channel.
    """
    if not len(mean) == len(std) == images.shape[1] or not all(each > 0 for each in std):
        raise ValueError(
            f"mean and std must have a number for each channel, {images.shape[1]}, those of std above 0, "
            f"not {mean} and {std}"
        )
    of_channels = (torch.tensor(each, device=images.device).view(-1, 1, 1) for each in (mean, std))
    mean_of_channels, std_of_channels = of_channels
    return (images - mean_of_channels) / std_of_channels


@torch.no_grad()
def evaluate(
    model: nn.Module, split: Split, dataset: Dataset, *, device: str | torch.device = "cpu", workers: int = 0
) -> tuple[float, float]:
    """Measures a model on a split.

    Args:
        model (nn.Module): computes scores of images that `normalize` made.
        split (Split): the images.
        dataset (Dataset): the data set of the split, for its mean and standard deviation.
        device (str | torch.device): device of the model.
        workers (int): processes that read images; 0 reads them in this one.

    Returns:
        The share of images that are recognized, and the mean cross-entropy: NaN if a score is not finite.
    """
    model.eval()
    correct, loss = 0, 0.0
    batches = [batch.tolist() for batch in torch.arange(len(split)).split(_BATCH_OF_EVALUATION)]
    for images, labels in load_batches(split, batches, workers=workers):
        images, labels = images.to(device), labels.to(device)
        scores = model(normalize(images, dataset.mean, dataset.std)).float()
        correct += int((scores.argmax(dim=1) == labels).sum())
        loss += float(functional.cross_entropy(scores, labels, reduction="sum"))
        if not bool(torch.isfinite(scores).all()):
            loss = math.nan  # an infinite score of another class would leave it finite
    return correct / len(split), loss / len(split)


def model_of(
    checkpoint: Checkpoint,
    *,
    model: Model | None = None,
    shape: str | None = None,
    attention: str | AttentionChoice | Sequence[str | AttentionChoice] | None = None,
) -> VisionTransformer:
    """Makes the float model of a checkpoint, with its weights.

    Args:
        checkpoint (Checkpoint): the weights.
        model (Model | None): table of the recipe, as `recipe_of` gives it.
        shape (str | None): without `model`, a name of `SHAPES` for published weights whose folder does not give the
            shape; attention is then softmax.
        attention (str | AttentionChoice | Sequence[str | AttentionChoice] | None): attention in place of that of the
            recipe, as `VisionTransformer` takes it.

    Raises:
        CheckpointError: the shape is not known, or the weights do not fit it; or the file is an integer model, or the
            state of a training.
    """
    path, published = checkpoint.path, checkpoint.published
    kind = checkpoint.description.get("kind")
    if kind == "integer vit":
        raise CheckpointError(f"{path} must be a float model, not an integer one")
    if kind == "training":
        raise CheckpointError(
            f"{path} must be a model, not the state of a training: a training that ends writes "
            "model.safetensors beside it"
        )
    if model is None and "recipe" in checkpoint.description:
        model = check_recipe(checkpoint.description["recipe"], path).model
    choice: str | AttentionChoice | Sequence[str | AttentionChoice]
    if model is not None:
        vit_shape, choice = model.vit_shape, model.choices
    else:
        vit_shape, choice = _shape_by_name(checkpoint, shape), "softmax"
    if published is not None and published.shape.heads != vit_shape.heads:
        raise CheckpointError(f"heads must be {published.shape.heads}, as {path} says, not {vit_shape.heads}")
    if attention is not None:
        choice = attention
    resample = model is not None and model.resample_positions
    with torch.device("meta"):  # a shape that is wrong may be too large for any memory
        fitting_weights(VisionTransformer(vit_shape, choice), checkpoint, resample_positions=resample)
    vit = VisionTransformer(vit_shape, choice)
    load_weights(vit, checkpoint, resample_positions=resample)
    return vit.eval()


def _shape_by_name(checkpoint: Checkpoint, shape: str | None) -> VitShape:
    if shape in SHAPES:
        return SHAPES[shape]
    if shape is None and checkpoint.published is not None:
        return checkpoint.published.shape
    raise CheckpointError(
        f"{checkpoint.path} does not name its model: shape must be one of {', '.join(SHAPES)}, not {shape!r}"
    )
