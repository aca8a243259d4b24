"""Image files to pixels of 0 to 1, as a viewer shows them; a file that cannot be read is refused with the reason.

    pixels = read_pixels(path, channels=3)      (3, height, width)
    pixels = decode_pixels(content, ...)        from bytes, which anybody may have sent

A picture is turned as its EXIF tag says. Transparent pixels are white, as viewers show them. 16-bit grey is scaled by
its range, which PNG, PGM and TIFF define. Pixels that are floats, signed, or integers of 32 bits are refused, since the
file does not say which value is white. A file with several images, animated or in pages, is refused, since it does not
say which one is meant.
"""

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch

__all__ = ["IMAGE_SUFFIXES", "ImageError", "decode_pixels", "image_files", "is_hidden", "read_pixels"]

#: Endings of files that count as images in a folder, in upper or lower case.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

# What Pillow raises for damaged files.
_DAMAGED = (OSError, SyntaxError, ValueError, ArithmeticError, LookupError, AttributeError, TypeError, AssertionError,
            RuntimeError, EOFError, MemoryError, struct.error, zlib.error)  # fmt: skip

# Tags of TIFF: bits of a sample, whether 0 is white (0) or black, whether samples are unsigned (1), signed (2), floats.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_SIGNED = 2

# Formats whose first image is the whole picture: previews and depth maps, or layers, follow.
_PICTURE_FIRST = ("MPO", "PSD")

logging.getLogger("PIL").addHandler(logging.NullHandler())  # errors are raised, and need no log besides


class ImageError(ValueError):
    """A data set is not there, or an image cannot be read."""


def is_hidden(path: Path) -> bool:
    """Whether a computer put this among a user's files: `.DS_Store`, `._x.jpg`, `.ipynb_checkpoints`, `__MACOSX`."""
    return path.name.startswith((".", "__MACOSX"))


def image_files(folder: Path) -> list[Path]:
    """Lists the images in a folder in the order of their names, without hidden files and folders."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path) and path.is_file()
    )


def read_pixels(path: str | Path, channels: int) -> torch.Tensor:
    """Reads the image in a file, (channels, height, width), values of 0 to 1.

    Args:
        path (str | Path): the file.
        channels (int): 1 for a grey image, 3 for a coloured one.

    Raises:
        ImageError: there is no such file, or it is damaged, so large that memory may not suffice, or has several images
            or pixels of an unknown range.
    """
    with _refused(str(path), "an image that Pillow can read"):
        if not Path(path).is_file():
            raise ImageError(f"{path} must be an image that Pillow can read: no such file")
        if not Path(path).stat().st_size:
            raise ImageError(f"{path} must be an image that Pillow can read: it is empty")
        return _decoded(path, channels, str(path))


def decode_pixels(
    content: bytes, channels: int, *, name: str, formats: tuple[str, ...], most_pixels: int
) -> torch.Tensor:
    """Decodes the content of an image file, (channels, height, width), values of 0 to 1.

    Args:
        content (bytes): the content.
        channels (int): 1 for a grey image, 3 for a coloured one.
        name (str): what the text of an error calls it.
        formats (tuple[str, ...]): what it may be, by Pillow's names; for some, Pillow would start other programs.
        most_pixels (int): an image of more is refused before it is decoded; at most Pillow's own limit.

    Raises:
        ImageError: it is of another format, damaged, too large, or has several images.
    """
    from PIL import Image, UnidentifiedImageError

    what = f"an image in {', '.join(formats[:-1])} or {formats[-1]}"
    if not content:
        raise ImageError(f"{name} must be {what}: it is empty")
    with _refused(name, what, most_pixels):
        try:
            with Image.open(io.BytesIO(content), formats=formats) as file:
                width, height = file.size
        except UnidentifiedImageError:  # its text has the address of an object
            raise ImageError(f"{name} must be {what}") from None
        if width * height > most_pixels:
            raise ImageError(f"{name} must be an image of at most {most_pixels:,} pixels, not of {width} x {height}")
        return _decoded(io.BytesIO(content), channels, name, formats)


@contextmanager
def _refused(name: str, what: str, most_pixels: int | None = None) -> Iterator[None]:
    """What is raised for a damaged or an enormous image becomes an `ImageError`; Pillow's own limit stands for None."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tags that do not matter here, without the name of the file
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except ImageError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        most = Image.MAX_IMAGE_PIXELS if most_pixels is None else most_pixels
        raise ImageError(f"{name} must be an image of at most {most:,} pixels, not of more") from None
    except _DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{name} must be {what}: {reason}") from None


def _decoded(
    source: str | Path | io.BytesIO, channels: int, name: str, formats: tuple[str, ...] | None = None
) -> torch.Tensor:
    from PIL import Image

    with Image.open(source, formats=formats) as file:
        return torch.from_numpy(_pixels(file, channels, name)).permute(2, 0, 1).contiguous()


def _pixels(file, channels: int, name: str) -> np.ndarray:
    """The opened image, (height, width, channels), 0 to 1."""
    if not all(file.size):
        raise ImageError(f"{name} must be an image that Pillow can read: it has no pixels")
    if file.format not in _PICTURE_FIRST and getattr(file, "is_animated", False):
        raise ImageError(f"{name} must be one image, not several, animated or in pages: save the one that is meant")
    tags = getattr(file, "tag_v2", {})
    if tags.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED:
        raise ImageError(_unknown_range(name, "signed integers"))
    if file.mode in ("I", "F") or file.mode.startswith("I;16"):
        white = _white(file, tags, name)
        grey = np.asarray(_upright(file)).astype(np.float32) / white
        if tags.get(_PHOTOMETRIC) == 0:
            grey = 1 - grey
        if "transparency" in file.info:  # a grey that is transparent
            grey[grey == np.float32(file.info["transparency"]) / white] = 1
        return np.repeat(grey[..., None], channels, axis=-1)
    image = _on_white(_upright(file))
    if image.mode == "LAB":  # converts to grey only through RGB
        image = image.convert("RGB")
    pixels = np.array(image.convert("L" if channels == 1 else "RGB"), dtype=np.float32)
    pixels /= 255
    return pixels.reshape(*pixels.shape[:2], channels)


def _upright(file):
    """The image of a file, turned and mirrored as its EXIF tag says."""
    from PIL import ImageOps

    file.load()
    with suppress(*_DAMAGED):  # the picture is whole, but damaged tags do not say how it was taken
        ImageOps.exif_transpose(file, in_place=True)
    return file


def _on_white(image):
    """The image without transparency."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    if image.mode == "La":  # converts to colours only through LA
        image = image.convert("LA")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _white(file, tags, name: str) -> int:
    """The value of white in grey pixels of more than 8 bits."""
    if file.mode == "F":
        raise ImageError(_unknown_range(name, "floats"))
    if file.mode == "I":
        if file.format == "PPM":  # Pillow scales it to this value
            return 65535
        raise ImageError(_unknown_range(name, "integers of 32 bits"))
    if file.format == "TIFF":
        return (1 << tags[_BITS_PER_SAMPLE][0]) - 1
    if file.format == "PNG":
        return 65535
    raise ImageError(_unknown_range(name, f"16-bit integers in {file.format}"))


def _unknown_range(name: str, kind: str) -> str:
    return (
        f"{name} must have pixels of a known range, and has {kind}: save it with 8 bits, or as 16-bit grey PNG or TIFF"
    )
