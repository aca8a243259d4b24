"""A user's images, from whatever names them to pixels of 8 bits of a model's size.

digits.png  photos/  pixels.npz  mnist5k:0-9  digits  -->  pixels (images, channels, size, size), names, labels

an image file    whatever Pillow reads, if it is one image. One of the model's size is taken as it is, of another its
                 centre is cut out and resized, as `taylorvit evaluate` does. Its class is what its folder is named
                 after, if it is one of the model's.
a folder         its images, and those of its folders
a file .npz      pixels, integers of 0 to 255, (images, channels, size, size), or without the channel if it is one;
                 and perhaps labels, (images,)
a data set       held-out images by their numbers: mnist5k:0-9, mnist5k:3,7,20-29; all of them without numbers
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from taylorvit.boundary.errors import FileError
from taylorvit.boundary.reading import read_npz

if TYPE_CHECKING:
    import torch

    from taylorvit.golden.network.vit import VitShape

__all__ = ["Images", "fitted", "read_images"]

#: A dozen gigabytes of a DeiT's images, which nobody simulates.
MOST_IMAGES = 100_000


class Images(NamedTuple):
    """Images of one size.

    Attributes:
        pixels (np.ndarray): uint8, (images, channels, size, size).
        names (list[str]): what each is called.
        labels (list[int | None]): index of the class of each, None where it is not known.
    """

    pixels: np.ndarray
    names: list[str]
    labels: list[int | None]


class _Image(NamedTuple):
    pixels: np.ndarray
    name: str
    label: int | None


def read_images(sources: Sequence[str], shape: VitShape, classes: Sequence[str] = ()) -> Images:
    """The images that a user names.

    Args:
        sources (Sequence[str]): files, folders, data sets; at least one.
        shape (VitShape): sizes of the model.
        classes (Sequence[str]): names of its classes, after which folders may be named.

    Raises:
        ValueError: there is no such image, or it cannot be read or used; the text names it.
    """
    images = [image for source in sources for image in _images(source, shape, list(classes))]
    if not images:
        raise ValueError("images must be at least one")
    for image in images:
        if image.label is not None and not 0 <= image.label < shape.classes:
            raise ValueError(f"label of {image.name} must be in 0..{shape.classes - 1}, not {image.label!r}")
    return Images(np.stack([image.pixels for image in images]), [i.name for i in images], [i.label for i in images])


def _images(source: str, shape: VitShape, classes: list[str]) -> Iterator[_Image]:
    from taylorvit.golden.training.images import DATASETS

    path = Path(source)
    name, _colon, numbers = source.partition(":")
    if source and path.is_dir():
        yield from _of_folder(path, shape, classes)
    elif path.suffix.lower() == ".npz":
        yield from _of_arrays(path, shape)
    elif name in DATASETS and not path.exists():
        yield from _of_data_set(name, numbers, shape, classes)
    elif source and path.exists():
        yield _of_file(path, shape, _class_of(path.parent, classes))
    else:
        raise FileError(
            f"images must be a file, a folder or a data set ({', '.join(DATASETS)}; mnist5k:0-9 are ten of its "
            f"images), not {source!r}"
        )


def _of_folder(folder: Path, shape: VitShape, classes: list[str]) -> Iterator[_Image]:
    from taylorvit.golden.training.image_files import IMAGE_SUFFIXES, image_files, is_hidden

    files: list[tuple[Path, int | None]] = []
    for each in (folder, *sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path))):
        files += [(path, _class_of(each, classes)) for path in image_files(each)]
    if not files:
        raise FileError(f"{folder} must have images ({', '.join(IMAGE_SUFFIXES)}), or folders of images")
    if len(files) > MOST_IMAGES:
        raise FileError(f"{folder} must have at most {MOST_IMAGES:,} images, not {len(files):,}")
    for path, label in files:
        yield _of_file(path, shape, label)


def _class_of(folder: Path, classes: list[str]) -> int | None:
    """Index of the class that a folder is named after; None if there is none."""
    name = os.path.basename(os.path.abspath(folder))  # of `.`, too
    return classes.index(name) if name in classes else None


def _of_file(path: Path, shape: VitShape, label: int | None) -> _Image:
    from taylorvit.golden.training.image_files import read_pixels

    _require_colours(str(path), shape)
    return _Image(fitted(read_pixels(path, shape.channels), shape), str(path), label)


def fitted(image: torch.Tensor, shape: VitShape) -> np.ndarray:
    """An image as a model takes it: as it is if it has the model's size, else its centre, resized.

    Args:
        image (torch.Tensor): (channels, height, width), values of 0 to 1.
        shape (VitShape): sizes of the model.

    Returns:
        np.ndarray: uint8, (channels, size, size).
    """
    from taylorvit.golden.network.integer_vit import to_pixels
    from taylorvit.golden.training.images import centre_of

    if image.shape[1:] != (shape.image_size, shape.image_size):
        image = centre_of(image, shape.image_size)
    return to_pixels(image.numpy()).astype(np.uint8)


def _of_arrays(path: Path, shape: VitShape) -> Iterator[_Image]:
    arrays = read_npz(path, required=("pixels",), optional=("labels",))
    pixels, labels = arrays["pixels"], arrays.get("labels")
    size = (shape.channels, shape.image_size, shape.image_size)
    if pixels.ndim == 3 and shape.channels == 1:
        pixels = pixels[:, None]
    if pixels.ndim != 4 or pixels.shape[1:] != size:
        expected = f"(images, {', '.join(map(str, size))})"
        raise FileError(f"{path}: pixels must be of shape {expected}, not {arrays['pixels'].shape!r}")
    if pixels.dtype.kind not in "iu":
        raise FileError(f"{path}: pixels must be integers of 0 to 255, not {pixels.dtype}")
    if not len(pixels):
        raise FileError(f"{path}: pixels must be of at least one image")
    for value in (int(pixels.min()), int(pixels.max())):
        if not 0 <= value <= 255:
            raise FileError(f"{path}: pixels must be integers of 0 to 255, not {value!r}")
    if labels is not None and (labels.shape != pixels.shape[:1] or labels.dtype.kind not in "iu"):
        raise FileError(f"{path}: labels must be integers, one for each of {len(pixels)} images")
    for index, image in enumerate(pixels.astype(np.uint8)):
        yield _Image(image, f"{path.name}:{index}", None if labels is None else int(labels[index]))


def _of_data_set(name: str, numbers: str, shape: VitShape, classes: list[str]) -> Iterator[_Image]:
    from taylorvit.golden.network.integer_vit import to_pixels
    from taylorvit.golden.training.images import load_dataset

    data = load_dataset(name)
    size = (shape.channels, shape.image_size, shape.image_size)
    if (data.channels, data.image_size, data.image_size) != size:
        raise ValueError(
            f"images of {name} must have {_described(*size[:2])}, as the model takes them, not "
            f"{_described(data.channels, data.image_size)}; only image files are cut and resized"
        )
    known = list(data.classes) == classes
    indices = list(_numbers(name, numbers, len(data.testing)))
    pixels, labels = data.testing[indices]
    for index, image, label in zip(indices, to_pixels(pixels.numpy()).astype(np.uint8), labels.tolist()):
        yield _Image(image, f"{name}:{index}", label if known else None)


def _numbers(name: str, text: str, count: int) -> Iterator[int]:
    """Numbers of held-out images: 0-9, 3, 7,9-12; all of them for nothing."""
    if not text:
        yield from range(count)
        return
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 20:
            raise ValueError(f"images of {name} must be numbers and ranges of them, as 0-9,12, not {text!r}")
        begin, end = int(first), int(last) if dash else int(first)
        if not begin <= end < count:
            raise ValueError(f"images of {name} must be in 0..{count - 1}, in rising order, not {part!r}")
        yield from range(begin, end + 1)


def _require_colours(source: str, shape: VitShape) -> None:
    if shape.channels not in (1, 3):
        raise FileError(f"{source} must be an .npz of pixels: the model's images have {shape.channels} channels")


def _described(channels: int, size: int) -> str:
    return f"{channels} {'channel' if channels == 1 else 'channels'} of {size} x {size} pixels"
