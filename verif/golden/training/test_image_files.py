"""Pixels of a file are those that a viewer shows, whatever its mode, its bits, its orientation; or it is refused."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from taylorvit.golden.training.image_files import ImageError, decode_pixels, read_pixels

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
WIDE = RANDOM.integers(0, 65536, (5, 7), dtype=np.uint16)
WIDE[0, :4] = (0, 255, 256, 65535)


def assert_pixels(path, expected, *, channels=1, atol=1e-6):
    """`expected`, (height, width) or (height, width, 3), 0 to 1, is what the file has."""
    expected = np.asarray(expected, dtype=np.float32)
    expected = expected[None] if expected.ndim == 2 else expected.transpose(2, 0, 1)
    pixels = read_pixels(path, channels)
    assert pixels.dtype == torch.float32 and pixels.shape[0] == channels
    torch.testing.assert_close(pixels, torch.from_numpy(expected.copy()).expand(channels, -1, -1), atol=atol, rtol=0)


# More than 8 bits


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF", "a.pgm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_grey(tmp_path, name, channels):
    Image.fromarray(WIDE).save(tmp_path / name, None if name != "a.TIFF" else "TIFF")
    assert_pixels(tmp_path / name, WIDE / 65535, channels=channels)


def tiff(samples: bytes, bits: int, *, photometric: int = 1, sample_format: int = 1, order: str = "<") -> bytes:
    """A grey file of 7 x 5, as Pillow writes none."""
    tags = {256: 7, 257: 5, 258: bits, 259: 1, 262: photometric, 273: 200, 277: 1, 278: 5, 279: len(samples),
            339: sample_format}  # fmt: skip
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(tags))
    return (head + entries + bytes(4)).ljust(200, b"\0") + samples


def test_other_tiffs_of_16_bits(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(WIDE.astype(">u2").tobytes(), 16, order=">"))
    assert_pixels(path, WIDE / 65535)
    path.write_bytes(tiff(WIDE.tobytes(), 16, photometric=0))  # 0 is white
    assert_pixels(path, 1 - WIDE / 65535)


def test_12_bit_grey(tmp_path):
    values = RANDOM.integers(0, 4096, (5, 7))
    values[0, :2] = (0, 4095)
    rows = [np.append(row, 0).reshape(-1, 2) for row in values]  # 7 samples and what fills the row's last byte
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for row in rows for a, b in row.tolist())
    samples = b"".join(packed[12 * row : 12 * row + 11] for row in range(5))
    (tmp_path / "a.tif").write_bytes(tiff(samples, 12))
    assert_pixels(tmp_path / "a.tif", values / 4095)


@pytest.mark.parametrize(
    ("samples", "bits", "sample_format", "kind"),
    [
        (WIDE.astype(np.float32), 32, 3, "floats"),
        (WIDE.astype(np.uint32), 32, 1, "integers of 32 bits"),
        (WIDE.astype(np.int32), 32, 2, "signed integers"),
        (WIDE.astype(np.int16), 16, 2, "signed integers"),
        (WIDE.astype(np.int8), 8, 2, "signed integers"),
    ],
)
def test_ranges_that_a_file_does_not_tell_are_refused(tmp_path, samples, bits, sample_format, kind):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(samples.tobytes(), bits, sample_format=sample_format))
    text = f"{path} must have pixels of a known range, and has {kind}: save it with 8 bits, or as 16-bit grey PNG or"
    with pytest.raises(ImageError, match=f"^{re.escape(text)} TIFF$"):
        read_pixels(path, 1)


def test_formats_that_do_not_tell_their_bits_are_refused(tmp_path):
    Image.fromarray(WIDE).save(tmp_path / "a.jp2")
    with pytest.raises(ImageError, match="must have pixels of a known range, and has 16-bit integers in JPEG2000: "):
        read_pixels(tmp_path / "a.jp2", 1)


# Modes


def test_colours_and_grey(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    assert_pixels(tmp_path / "a.png", COLOURS / 255, channels=3)
    luma = COLOURS @ np.array([0.299, 0.587, 0.114]) / 255
    assert_pixels(tmp_path / "a.png", luma, atol=0.5 / 255 + 1e-4)


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "gif"])
def test_black_and_white(tmp_path, ending):
    mask = COLOURS[..., 0] > 127
    Image.fromarray(mask).save(tmp_path / f"a.{ending}")
    assert_pixels(tmp_path / f"a.{ending}", mask)


@pytest.mark.parametrize(
    ("mode", "ending"), [("CMYK", "tif"), ("YCbCr", "tif"), ("LAB", "tif"), ("P", "png"), ("P", "gif"), ("RGBX", "tif")]
)
def test_other_colour_spaces(tmp_path, mode, ending):
    """Red stays red, whatever way it is stored."""
    path = tmp_path / f"a.{ending}"
    Image.new("RGB", (7, 5), (255, 0, 0)).convert(mode).save(path)
    assert_pixels(path, np.full((5, 7, 3), (1, 0, 0)), channels=3, atol=0.03)
    assert_pixels(path, np.full((5, 7), 0.299), atol=0.03)


# Transparency


@pytest.mark.parametrize(("mode", "ending"), [("RGBA", "png"), ("RGBA", "webp"), ("LA", "png"), ("LA", "tif")])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_transparent_is_white(tmp_path, mode, ending, channels):
    """A black shape that is in the transparency alone: without it, the image would be black everywhere."""
    alpha = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
    image = Image.new("RGB", (7, 5))
    image.putalpha(Image.fromarray(alpha))
    options = {"lossless": True, "exact": True} if ending == "webp" else {}
    image.convert(mode).save(tmp_path / f"a.{ending}", **options)
    assert_pixels(tmp_path / f"a.{ending}", 1 - alpha / 255, channels=channels, atol=1.5 / 255)


def png(colour_type: int, bits: int, rows: list[bytes], **chunks: bytes) -> bytes:
    """A file of 2 pixels a row, as Pillow writes none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 2, len(rows), bits, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    others = b"".join(chunk(kind.encode(), data) for kind, data in chunks.items())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + others + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_transparent_colours(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(3, 8, [b"\0\1"], PLTE=b"\xff\0\0\0\0\xff", tRNS=b"\xff\0"))  # of a palette
    assert_pixels(path, [[(1, 0, 0), (1, 1, 1)]], channels=3)
    path.write_bytes(png(0, 8, [b"\0\x33"], tRNS=b"\0\0"))  # a grey
    assert_pixels(path, [[1, 0.2]])
    path.write_bytes(png(2, 8, [b"\0\0\0\0\0\xff"], tRNS=bytes(6)))  # a colour
    assert_pixels(path, [[(1, 1, 1), (0, 0, 1)]], channels=3)
    path.write_bytes(png(0, 16, [b"\0\1\x33\x33"], tRNS=b"\0\1"))  # a grey of 16 bits
    assert_pixels(path, [[1, 0.2]])


# Orientation


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright(tmp_path, name, orientation):
    shown = np.zeros((16, 32, 3), dtype=np.uint8)  # a bright corner, top left, and a blue one, top right
    shown[:8, :8], shown[:8, 24:] = 255, (0, 0, 255)
    # How a camera stores what is then shown so (EXIF 2.3, tag 0x0112: where row 0 and column 0 are).
    stored = {
        1: shown, 2: shown[:, ::-1], 3: shown[::-1, ::-1], 4: shown[::-1], 5: shown.swapaxes(0, 1),
        6: np.rot90(shown, 1), 7: np.rot90(shown, 2).swapaxes(0, 1), 8: np.rot90(shown, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True}}.get(name[2:], {})
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / name, exif=exif, **options)
    assert_pixels(tmp_path / name, shown / 255, channels=3, atol=0.05)


def test_16_bit_images_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(WIDE).save(tmp_path / "a.png", exif=exif)
    assert_pixels(tmp_path / "a.png", np.rot90(WIDE, -1) / 65535)


def test_tags_that_are_damaged_turn_nothing(tmp_path, capsys):
    Image.fromarray(COLOURS).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\xff\xff\xff\xff")
    assert_pixels(tmp_path / "a.png", COLOURS / 255, channels=3)
    assert capsys.readouterr() == ("", "")


# Several images, none


RED_AND_GREEN = [Image.new("RGB", (7, 5), colour) for colour in ((255, 0, 0), (0, 255, 0))]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif"])
def test_several_images_are_refused(tmp_path, name):
    path, kind = tmp_path / name, {".tif": "TIFF"}.get(name[1:], name[2:].upper())
    options = {"lossless": True} if kind == "WEBP" else {}
    RED_AND_GREEN[0].save(path, save_all=True, append_images=RED_AND_GREEN[1:], **options)
    rule = "must be one image, not several, animated or in pages: save the one that is meant"
    with pytest.raises(ImageError, match=f"^{re.escape(str(path))} {rule}$"):
        read_pixels(path, 3)
    with pytest.raises(ImageError, match=f"^file {rule}$"):
        decode_pixels(path.read_bytes(), 3, name="file", formats=("PNG", kind), most_pixels=100)
    RED_AND_GREEN[0].save(path, save_all=True, **options)  # one image, as such a file may have
    assert_pixels(path, np.full((5, 7, 3), (1, 0, 0)), channels=3)


def test_picture_of_a_telephone_with_another_behind_it(tmp_path):
    path = tmp_path / "a.jpg"
    RED_AND_GREEN[0].save(path, "MPO", save_all=True, append_images=RED_AND_GREEN[1:])
    with Image.open(path) as file:
        assert (file.format, file.n_frames) == ("MPO", 2)
    assert_pixels(path, np.full((5, 7, 3), (1, 0, 0)), channels=3, atol=0.02)


def test_files_that_are_no_images(tmp_path):
    whole = tmp_path / "whole.png"
    Image.fromarray(COLOURS).save(whole)
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:90])
    (tmp_path / "nothing.png").write_bytes(png(0, 8, []))
    (tmp_path / "folder.png").mkdir()
    for name in ("text.png", "empty.png", "half.png", "nothing.png", "folder.png", "missing.png"):
        text = f"^{re.escape(str(tmp_path / name))} must be an image that Pillow can read: .+$"
        with pytest.raises(ImageError, match=text) as error:
            read_pixels(tmp_path / name, 3)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("limit", [40, 60])
def test_images_that_are_too_large(tmp_path, monkeypatch, limit):
    """From its limit on, Pillow warns of an attack; from twice that, it refuses."""
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ImageError, match=f"a.png must be an image of at most {limit} pixels, not of more$"):
        read_pixels(tmp_path / "a.png", 1)


def test_damaged_files_are_images_or_refused(tmp_path, monkeypatch):
    """Any byte may be wrong: one line, or pixels of 0 to 1."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # larger ones only take time
    seeds = []
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode, ending in (("RGB", "jpg"), ("RGB", "png"), ("L", "png"), ("P", "gif"), ("RGB", "webp"), ("RGB", "tif")):
        Image.fromarray(COLOURS).convert(mode).save(tmp_path / f"a.{ending}", **{} if mode == "P" else {"exif": exif})
        seeds.append((tmp_path / f"a.{ending}").read_bytes())
    outcomes = {True: 0, False: 0}
    for index in range(420):
        data = bytearray(seeds[index % len(seeds)])
        for place in RANDOM.integers(0, len(data), 1 + index % 3):
            data[place] = RANDOM.integers(0, 256)
        (tmp_path / "a.x").write_bytes(data[: len(data) - index % 5 // 4])
        try:
            pixels = read_pixels(tmp_path / "a.x", 1 + 2 * (index % 2))
            assert bool(torch.isfinite(pixels).all()) and float(pixels.min()) >= 0 and float(pixels.max()) <= 1
            outcomes[True] += 1
        except ImageError as error:
            assert "\n" not in str(error)
            outcomes[False] += 1
    assert min(outcomes.values()) > 30


def test_content_of_files():
    content = io.BytesIO()
    Image.fromarray(COLOURS).save(content, "PNG")
    options = {"name": "upload", "formats": ("PNG", "JPEG"), "most_pixels": 35}
    pixels = decode_pixels(content.getvalue(), 3, **options)
    assert torch.equal((pixels.permute(1, 2, 0) * 255).round().to(torch.uint8), torch.from_numpy(COLOURS))
    other = io.BytesIO()
    Image.fromarray(COLOURS).save(other, "BMP")
    for data, changes, text in (
        (content.getvalue(), {"most_pixels": 34}, "upload must be an image of at most 34 pixels, not of 7 x 5"),
        (other.getvalue(), {}, "upload must be an image in PNG or JPEG"),
        (b"", {}, "upload must be an image in PNG or JPEG: it is empty"),
        (content.getvalue()[:60], {}, "upload must be an image in PNG or JPEG: .+"),
    ):
        with pytest.raises(ImageError, match=f"^{text}$"):
            decode_pixels(data, 3, **options | changes)
