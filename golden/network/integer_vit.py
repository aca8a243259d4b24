"""An integer-only Vision Transformer: what a whole model on the accelerator has to compute, bit for bit.

    vit = load_integer_vit("integer.safetensors")
    logits = vit(pixels)              # pixels of 8 bits in, integers out
    steps = vit.steps(pixels)         # every step by its name
    vit.widths()                      # bits that each sum can need, for any image

`golden.network.program` lists the operations, `golden.network.integer_network` gives them their numbers,
`golden.network.integer_run` computes them, `golden.network.integer_widths` bounds them, `golden.network.integer_file`
describes the file. `golden.network.quantize` makes such a model from a float one.

Tensors between layers have 8 bits, the residual stream 8 to 16. Weights have a left shift for each output channel, the
residual stream one for each channel (real = integer << left_shift * 2^exponent; P2-ViT, arXiv 2405.19915), and what
GELU reads and gives an offset (real = (integer + offset) * 2^exponent). Sums of products have at most 32 bits, which
`IntegerVit.widths` proves for the given weights, for all images.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from taylorvit.golden.arithmetic.number_format import check_integer
from taylorvit.golden.checkpoints.checkpoint import Checkpoint, CheckpointError, load

from . import integer_file
from .integer_network import IntegerNetwork
from .integer_run import Note, run
from .integer_widths import widths_of
from .operations import Attention

__all__ = ["IntegerVit", "from_checkpoint", "load_integer_vit", "to_pixels"]


def to_pixels(images) -> np.ndarray:
    """Rounds images of 0 to 1, (images, channels, height, width), to pixels of 8 bits, 0 to 255."""
    return np.floor(np.asarray(images, dtype=np.float64) * 255 + 0.5).clip(0, 255).astype(np.int64)


@dataclass
class IntegerVit(IntegerNetwork):
    """An integer Vision Transformer, whose attention is Taylor or softmax attention by layer.

    Attributes:
        data (dict): what the file says of the images.
        quantization (dict): what the file says of how the model was made.

    Raises:
        TypeError: a tensor, an exponent or an offset is not of integers.
        ValueError: tensors, exponents, offsets or registers are missing, too many, of another shape or out of range;
            heads differ in their exponents; or the residual stream is finer than both of what it is the sum of.
    """

    data: dict = field(default_factory=dict)
    quantization: dict = field(default_factory=dict)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Computes logits, integers, (images, classes).

        Args:
            pixels (np.ndarray): integers of 0 to 255, (images, channels, height, width).

        Raises:
            TypeError: pixels are not integers.
            ValueError: there are none, or they are of another shape or out of range.
        """
        return self.noted(pixels, lambda _name, _value: None)

    def with_errors(self, pixels: np.ndarray) -> tuple[np.ndarray, int]:
        """Computes logits, and counts rows of attention whose denominator is not positive, in all heads and layers.

        Args:
            pixels (np.ndarray): integers of 0 to 255, (images, channels, height, width).
        """
        names = {operation.denominator_errors for operation in self.program if isinstance(operation, Attention)}
        errors = []

        def count(name: str, value: np.ndarray) -> None:
            if name in names:
                errors.append(int(value))

        logits = self.noted(pixels, count)
        return logits, sum(errors)

    def noted(self, pixels: np.ndarray, note: Note) -> np.ndarray:
        """Computes logits, and tells each step as soon as it is computed.

        Args:
            pixels (np.ndarray): integers of 0 to 255, (images, channels, height, width).
            note (Note): called with the name and the value of each step, in order.
        """
        return run(self, self._checked(pixels), note)

    def steps(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Computes every step, by its name, in order; "logits" comes last. For a DeiT-Tiny, some 100 MB an image.

        The embedding, which is the same for all images, comes once: (1, tokens, width).

        Args:
            pixels (np.ndarray): integers of 0 to 255, (images, channels, height, width).
        """
        steps: dict[str, np.ndarray] = {}
        self.noted(pixels, steps.__setitem__)
        return steps

    def real(self, name: str, value: np.ndarray) -> np.ndarray:
        """The real values, float64, of a step that has an exponent.

        Keys of softmax attention have the mean key again that quantization took off, if `quantization` says it.
        """
        return np.ldexp(value + float(self.offsets.get(name, 0)), self.scale(name)) + self.key_mean(name)

    def key_mean(self, name: str) -> np.ndarray:
        """What quantization took off the keys `name` of softmax attention, (heads, 1, head_dim); 0 of other steps."""
        means = self.quantization.get("key_means", {}).get(name)
        if means is None:
            return np.zeros(())
        return np.array(means, dtype=np.float64).reshape(self.shape.heads, 1, self.shape.head_dim)

    def widths(self) -> dict[str, int]:
        """Bounds each sum, for any image, as `golden.network.integer_widths.widths_of` does."""
        return widths_of(self)

    def save(self, path: str | Path) -> None:
        """Writes the model; `CheckpointError` if that is not possible."""
        integer_file.write(path, self, data=self.data, quantization=self.quantization)

    def _checked(self, pixels: np.ndarray) -> np.ndarray:
        pixels = np.asarray(pixels)
        size = (self.shape.channels, self.shape.image_size, self.shape.image_size)
        if pixels.ndim != 4 or pixels.shape[1:] != size or not len(pixels):
            raise ValueError(f"pixels must be of shape (images, {', '.join(map(str, size))}), not {pixels.shape!r}")
        if not np.issubdtype(pixels.dtype, np.integer):
            raise TypeError(f"pixels must be integers, not {pixels.dtype}")
        for value in (int(pixels.min()), int(pixels.max())):
            check_integer("pixels", value, 0, 255)
        return pixels.astype(np.int64)


def load_integer_vit(path: str | Path) -> IntegerVit:
    """Reads what `IntegerVit.save` wrote.

    Args:
        path (str | Path): the file.

    Raises:
        CheckpointError: the file is anything else, or a sum of the model could overflow.
        FileError: the description in the file is not as it must be.
    """
    return from_checkpoint(load(path))


def from_checkpoint(checkpoint: Checkpoint) -> IntegerVit:
    """The integer model that a checkpoint holds; `CheckpointError` if it holds none, or one that could overflow."""
    path = checkpoint.path
    try:
        vit = IntegerVit(**integer_file.read_fields(checkpoint))
        vit.widths()
    except CheckpointError:
        raise
    except KeyError as error:
        raise CheckpointError(f"{path} must be a whole integer ViT, and lacks {error}") from None
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{path} must be a whole integer ViT: {error}") from None
    return vit
