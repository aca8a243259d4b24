"""Models and images that a file names: what training, evaluation and capture have in common."""

import torch
from torch import nn
from torch.nn import functional

from golden.attention import AttentionChoice
from golden.checkpoint import Checkpoint, CheckpointError, load_weights
from golden.training.images import Dataset, Split, load_batches, load_dataset, load_folder
from golden.training.recipe import Data, Recipe, check_recipe
from golden.vit import SHAPES, VisionTransformer

__all__ = ["evaluate", "load_images", "model_of", "normalize", "recipe_of"]

_BATCH_OF_EVALUATION = 256


def recipe_of(checkpoint: Checkpoint) -> Recipe:
    """The recipe after which a file's weights were trained.

    Raises `ValueError` if the file does not say.
    """
    description = checkpoint.description
    tables = description.get("recipe") or description.get("quantization", {}).get("recipe")
    if tables is None:
        raise ValueError(f"{checkpoint.path} must say after which recipe it was trained, as files of `golden train` do")
    return check_recipe(tables, checkpoint.path)


def load_images(data: Data, image_size: int) -> Dataset:
    """The images that a recipe names."""
    return load_dataset(data.name) if data.name is not None else load_folder(data.folder, image_size)


def normalize(images: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """Images (images, channels, height, width) of 0 to 1 as a model gets them: mean 0 and deviation 1 a channel."""
    mean, std = (torch.tensor(each, device=images.device).view(-1, 1, 1) for each in (mean, std))
    return (images - mean) / std


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, dataset: Dataset, *, device: str = "cpu", workers: int = 0):
    """(share recognized, mean cross-entropy) of a model on a split.

    Args:
        model: images, as `normalize` makes them, to scores.
        dataset: that the split is of, for its mean and deviation.
    """
    model.eval()
    correct, loss = 0, 0.0
    batches = [batch.tolist() for batch in torch.arange(len(split)).split(_BATCH_OF_EVALUATION)]
    for images, labels in load_batches(split, batches, workers=workers):
        images, labels = images.to(device), labels.to(device)
        scores = model(normalize(images, dataset.mean, dataset.std)).float()
        correct += int((scores.argmax(dim=1) == labels).sum())
        loss += float(functional.cross_entropy(scores, labels, reduction="sum"))
    return correct / len(split), loss / len(split)


def model_of(checkpoint: Checkpoint, *, shape: str | None = None, attention: str | AttentionChoice | None = None):
    """The model of a checkpoint, with its weights.

    Args:
        shape: a name of `SHAPES`, for files that do not say which model they are of.
        attention: another one than that which the file names; for files that do not say, the default is softmax.

    Raises `CheckpointError` if the shape is not known, the weights are not of it, or the file is an integer model or
    the state of a training.
    """
    described = checkpoint.description.get("recipe")
    kind = checkpoint.description.get("kind")
    if kind == "integer vit":
        raise CheckpointError(f"{checkpoint.path} must be a model in floating point, and is an integer one")
    if kind == "training":
        raise CheckpointError(f"{checkpoint.path} must be a model, and is the state of a training, which leaves "
                              "model.safetensors beside it when it ends")  # fmt: skip
    if described is not None:
        model = check_recipe(described, checkpoint.path).model
        vit_shape, choice = model.vit_shape, model.choice
    elif shape in SHAPES:
        vit_shape, choice = SHAPES[shape], AttentionChoice("softmax")
    else:
        raise CheckpointError(
            f"{checkpoint.path} does not say which model it is of: shape must be one of {', '.join(SHAPES)}, "
            f"not {shape!r}"
        )
    if attention is not None:
        choice = AttentionChoice(attention) if isinstance(attention, str) else attention
    model = VisionTransformer(vit_shape, choice)
    load_weights(model, checkpoint)
    return model.eval()
