"""Augmentation: a batch of images and labels to a varied batch, by Kornia's operations.

Images are (images, channels, height, width), values of 0 to 1. Labels come out as shares of the classes, (images,
classes), since mixing images mixes labels. Random numbers come from torch's global generator.
"""

import kornia.augmentation as kornia
import torch
from kornia.augmentation.auto import RandAugment
from torch import nn
from torch.nn import functional

from .recipe import Augmentation

__all__ = ["Augment"]

# A smooth field of displacements: the width of its Gaussian in pixels, for images of about 28.
_ELASTIC_SIGMA = 4.0


class Augment(nn.Module):
    """The augmentation of a recipe.

    Args:
        settings (Augmentation): operations and their strengths; `rand_augment` needs images of three channels.
        classes (int): number of classes of the labels.
        label_smoothing (float): share of a label that is spread over all classes, from 0 to below 1.
    """

    def __init__(self, settings: Augmentation, *, classes: int, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.classes, self.label_smoothing = classes, label_smoothing
        operations: list[nn.Module] = []
        if settings.rotation or settings.shift or settings.scale or settings.shear:
            operations.append(
                kornia.RandomAffine(
                    degrees=settings.rotation,
                    translate=(settings.shift, settings.shift),
                    scale=(1 - settings.scale, 1 + settings.scale),
                    shear=settings.shear or None,
                    p=1.0,
                )
            )
        if settings.elastic:
            kernel = 2 * round(2 * _ELASTIC_SIGMA) + 1
            operations.append(
                kornia.RandomElasticTransform(
                    kernel_size=(kernel, kernel),
                    sigma=(_ELASTIC_SIGMA, _ELASTIC_SIGMA),
                    alpha=(settings.elastic, settings.elastic),
                    padding_mode="zeros",
                    p=1.0,
                )
            )
        if settings.flip:
            operations.append(kornia.RandomHorizontalFlip(p=settings.flip))
        if settings.rand_augment:
            operations.append(RandAugment(n=2, m=settings.rand_augment))  # type: ignore[arg-type]  # not only whole ones
        if settings.erasing:
            operations.append(kornia.RandomErasing(p=settings.erasing))
        self.operations = nn.Sequential(*operations)
        self.mixing = [(mix, alpha) for mix, alpha in ((_mixup, settings.mixup), (_cutmix, settings.cutmix)) if alpha]

    @torch.no_grad()
    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Varies a batch.

        Args:
            images (torch.Tensor): (images, channels, height, width), values of 0 to 1.
            labels (torch.Tensor): index of the class of each image, (images,), int64.

        Returns:
            Images of the same shape, and shares of the classes, (images, classes).
        """
        images = self.operations(images)
        shares = functional.one_hot(labels, self.classes).to(images.dtype)  # (images, classes)
        shares = shares * (1 - self.label_smoothing) + self.label_smoothing / self.classes
        if self.mixing:
            mix, alpha = self.mixing[int(torch.randint(len(self.mixing), ()))]
            images, shares = mix(images, shares, alpha)
        return images, shares


def _mixup(images: torch.Tensor, shares: torch.Tensor, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Each image mixed with the one at the other end of the batch, all in one proportion."""
    first = float(torch.distributions.Beta(alpha, alpha).sample())
    return images * first + images.flip(0) * (1 - first), shares * first + shares.flip(0) * (1 - first)


def _cutmix(images: torch.Tensor, shares: torch.Tensor, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A rectangle of each image is that of the image at the other end of the batch."""
    height, width = images.shape[-2:]
    side = (1 - float(torch.distributions.Beta(alpha, alpha).sample())) ** 0.5
    rows, columns = round(height * side), round(width * side)
    top, left = int(torch.randint(height - rows + 1, ())), int(torch.randint(width - columns + 1, ()))
    inside = (..., slice(top, top + rows), slice(left, left + columns))
    mixed = images.clone()
    mixed[inside] = images.flip(0)[inside]
    first = 1 - rows * columns / (height * width)
    return mixed, shares * first + shares.flip(0) * (1 - first)
