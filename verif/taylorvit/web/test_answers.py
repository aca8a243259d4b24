"""What the page is told is what hardware and integer model say."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from taylorvit.boundary.errors import CommandError
from taylorvit.golden.network.class_attention import class_attention
from taylorvit.web.answers import answer, png
from verif.taylorvit.jobs.networks import IMAGES, MODEL

from .serving import ByTheModel

PIXELS = IMAGES.pixels[0]


def test_answer():
    found = answer(ByTheModel(MODEL), PIXELS)
    logits = MODEL.vit.real("logits", MODEL.vit(PIXELS[np.newaxis].astype(np.int64)))[0]
    assert np.allclose(found["logits"], logits, atol=1e-4)
    assert found["class"] == logits.argmax() and (found["cycles"], found["different"]) == (1000, 0)
    first, second, third = np.argsort(logits)[::-1]
    margins = found["margins"]
    assert margins[first] == pytest.approx(logits[first] - logits[second], abs=1e-4)
    assert margins[second] == -margins[first]
    assert margins[third] == pytest.approx(logits[third] - logits[first], abs=1e-4)
    assert 0 < found["took"] < 20
    header, _comma, data = found["image"].partition(",")
    assert header == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), PIXELS[0])


def test_attention_is_in_even_shares():
    found = answer(ByTheModel(MODEL), PIXELS)["attention"]
    wanted = class_attention(MODEL.vit, PIXELS.astype(np.int64)).layers
    assert [each["kernel"] for each in found] == list(MODEL.vit.kernels)
    for told, layer in zip(found, wanted, strict=True):
        assert np.allclose(told["taylor"], layer.taylor.ravel() * MODEL.vit.shape.tokens, atol=1e-4)
        assert np.allclose(told["softmax"], layer.softmax.ravel() * MODEL.vit.shape.tokens, atol=1e-4)


def test_difference_is_told():
    class Wrong(ByTheModel):
        def classify(self, pixels):
            found = super().classify(pixels)
            return found._replace(logits=found.logits + [0, 1, -1])

    assert answer(Wrong(MODEL), PIXELS)["different"] == 2


def test_lost_hardware():
    class Lost(ByTheModel):
        def classify(self, pixels):
            raise CommandError("gone")

    with pytest.raises(CommandError, match="gone"):
        answer(Lost(MODEL), PIXELS)


def test_pictures():
    colours = np.random.default_rng(1).integers(0, 256, (3, 4, 5), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(colours)))), colours.transpose(1, 2, 0))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(colours[:2])))), colours[0])
