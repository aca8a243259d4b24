"""What a browser sends becomes pixels, or is refused in one sentence."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from taylorvit.golden.network.vit import VitShape
from taylorvit.jobs.images import read_images
from taylorvit.web.drawing import STYLES, drawn
from taylorvit.web.submissions import (
    FORMATS,
    MOST_DRAWING_BYTES,
    MOST_PIXELS,
    pixels_of_drawing,
    pixels_of_image,
)

GREY = VitShape(image_size=8, patch_size=4, channels=1, classes=2, depth=1, width=8, heads=1)
COLOUR = VitShape(image_size=16, patch_size=4, channels=3, classes=2, depth=1, width=8, heads=1)
PIXELS = np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def content_of(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_image_is_that_of_a_file(kind, shape, tmp_path):
    """The same pixels that `taylorvit simulate --images` takes."""
    content = content_of(PIXELS, kind)
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(content)
    assert np.array_equal(pixels_of_image(content, shape), read_images([str(path)], shape).pixels[0])


def test_image_of_the_size_of_the_model_is_taken_as_it_is():
    pixels = PIXELS[:8, :8, 0]
    assert np.array_equal(pixels_of_image(content_of(pixels), GREY), pixels[np.newaxis])
    assert np.array_equal(pixels_of_image(content_of(pixels), GREY, inverted=True), 255 - pixels[np.newaxis])


@pytest.mark.parametrize("content", [b"text", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0\n", content_of(PIXELS)[:100],
                                     content_of(PIXELS, "TIFF"), content_of(PIXELS, "PPM")])  # fmt: skip
def test_no_image(content):
    with pytest.raises(ValueError, match=r"^file must be an image in PNG, JPEG, WEBP, GIF or BMP(: [^\n]+)?$") as error:
        pixels_of_image(content, GREY)
    assert " at 0x" not in str(error.value)


def test_empty_file():
    with pytest.raises(ValueError, match="^file must be an image in PNG, JPEG, WEBP, GIF or BMP: it is empty$"):
        pixels_of_image(b"", GREY)


def test_bombs():
    """A few kilobytes that would become gigabytes: refused by what the header says."""
    for side, found in ((5000, "5000 x 5000"), (12_000, "more"), (20_000, "more")):  # Pillow refuses the last two
        bomb = io.BytesIO()
        Image.new("1", (side, side)).save(bomb, "PNG")
        text = f"file must be an image of at most {MOST_PIXELS:,} pixels, not of {found}"
        with pytest.raises(ValueError, match=f"^{text}$"):
            pixels_of_image(bomb.getvalue(), GREY)


def test_model_of_other_images():
    shape = VitShape(image_size=8, patch_size=4, channels=2, classes=2, depth=1, width=8, heads=1)
    with pytest.raises(ValueError, match="^channels of the model must be 1 or 3 for image files, not 2$"):
        pixels_of_image(content_of(PIXELS), shape)


def test_drawing():
    strokes = [[[0.1, 0.2], [0.9, 1]], [[0, 0.5]]]
    style = STYLES["digits"]
    content = json.dumps({"strokes": strokes}).encode()
    assert np.array_equal(pixels_of_drawing(content, style), drawn(strokes, style))


@pytest.mark.parametrize("content, text", [
    (b"\xff", "drawing must be JSON in UTF-8, not other bytes"),
    (b"", "drawing: file must be JSON of strokes: it is empty"),
    (b"null", "drawing: file must be JSON of strokes, a JSON object, not null"),
    (b'{"strokes": null}', "drawing: file must be JSON of strokes: strokes must be a list, not null"),
    (b"{", "drawing: file must be JSON of strokes"),
    (b"[]", "drawing: file must be JSON of strokes"),
    (b'{"strokes": 3}', "drawing: file must be JSON of strokes: strokes must be a list, not 3"),
    (b'{"strokes": [[["x", 1]]]}', "drawing: file must be JSON of strokes: strokes[0][0][0] must be a finite number"),
    (b'{"strokes": [[[NaN, 1]]]}', "drawing: file must be JSON of strokes: strokes[0][0][0] must be a finite number"),
    (b'{"strokes": []}', "drawing must have a stroke, and each stroke a point"),
    (b'{"strokes": [[]]}', "drawing must have a stroke, and each stroke a point"),
    (b'{"strokes": [[[0.5]]]}', "points of the drawing must be x and y in 0..1, not [0.5]"),
    (b'{"strokes": [[[0.5, 1.5]]]}', "points of the drawing must be x and y in 0..1, not [0.5, 1.5]"),
    (b" " * (MOST_DRAWING_BYTES + 1), "drawing must have at most 262,144 bytes, not 262,145"),
])  # fmt: skip
def test_no_drawing(content, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        pixels_of_drawing(content, STYLES["digits"])
