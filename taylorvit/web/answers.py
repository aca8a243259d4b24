"""What the page is told of an image: what the hardware says, and the integer model beside it."""

from __future__ import annotations

import base64
import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from taylorvit.golden.network.class_attention import ClassAttention, class_attention
from taylorvit.jobs.compiled_model import CompiledModel

from .classifier import Classification, Classifier

__all__ = ["answer", "png"]

_DIGITS = 4  # behind the point, of real numbers


def answer(classifier: Classifier, pixels: np.ndarray) -> dict[str, Any]:
    """Classifies an image by the hardware and by the integer model.

    Args:
        classifier (Classifier): the hardware.
        pixels (np.ndarray): uint8, (channels, size, size), of the model's size.

    Returns:
        dict: what `docs/web.md` describes, for JSON.

    Raises:
        CommandError: of `Classifier.classify`.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(1) as beside:  # the hardware is another process, or far away
        golden = beside.submit(class_attention, classifier.model.vit, pixels.astype(np.int64))
        found = classifier.classify(pixels)
        expected = golden.result()
    return _told(classifier, found, expected) | {
        "image": f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}",
        "took": round(time.monotonic() - began, 3),
    }


def _told(classifier: Classifier, found: Classification, expected: ClassAttention) -> dict[str, Any]:
    model: CompiledModel = classifier.model
    logits = model.vit.real("logits", found.logits)
    best = int(logits.argmax())
    others = np.sort(np.delete(logits, best))
    margins = logits - logits[best]
    if len(others):
        margins[best] = logits[best] - others[-1]
    return {
        "class": best,
        "logits": _rounded(logits),
        "margins": _rounded(margins),
        "different": int((found.logits != expected.logits).sum()),
        "cycles": found.cycles,
        "attention": [
            {"kernel": each.kernel, "taylor": _shares(each.taylor, model), "softmax": _shares(each.softmax, model)}
            for each in expected.layers
        ],
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), _DIGITS) for value in values.ravel()]


def _shares(weights: np.ndarray, model: CompiledModel) -> list[float]:
    """What patches get, row by row; 1 is what each token would get if all got the same."""
    return _rounded(weights * model.vit.shape.tokens)


def png(pixels: np.ndarray) -> bytes:
    """The PNG of an image.

    Args:
        pixels (np.ndarray): uint8, (channels, height, width), of 1 or 3 channels; of others, the first is shown.
    """
    from PIL import Image

    shown = pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels[0]
    file = io.BytesIO()
    Image.fromarray(shown).save(file, "PNG")
    return file.getvalue()
