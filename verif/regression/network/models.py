"""Networks for the regression of the whole network accelerator: random ones, small enough to simulate many of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from taylorvit.compiler import CompiledNetwork, compile_network, interpret
from taylorvit.compiler.fitting import format_of
from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.command import FIELDS, Opcode
from taylorvit.rtl.network.config import NetworkConfig
from verif.golden.network.random_models import random_model, random_shape
from verif.rtl.network.engine_bench import items_of

__all__ = ["TINY", "Network", "drawn", "network_of"]

TINY = VitShape(
    image_size=4, patch_size=2, channels=1, classes=3, depth=1, width=4, heads=2, mlp_ratio=1, distilled=True
)
"""A shape whose tape is short, for what is done many times."""


@dataclass(frozen=True, eq=False)
class Network:
    """A model, compiled for an accelerator.

    Attributes:
        compiled (CompiledNetwork): it.
        seed (int): of its numbers, and of its images'.
        by_row (bool): whether its images come row by row.
    """

    compiled: CompiledNetwork
    seed: int
    by_row: bool = False

    @property
    def vit(self) -> IntegerVit:
        return self.compiled.vit

    @property
    def config(self) -> NetworkConfig:
        return self.compiled.config

    @property
    def tape(self) -> bytes:
        return self.compiled.tape

    @property
    def classes(self) -> int:
        return self.vit.shape.classes

    def images(self, generator: np.random.Generator, count: int) -> list[np.ndarray]:
        """Random images, each (patches, pixels of a patch)."""
        size = (self.compiled.patches, self.compiled.patch_pixels)
        return [generator.integers(0, 256, size) for _ in range(count)]

    def logits(self, images: list[np.ndarray]) -> list[list[int]]:
        """What the integer model says of images."""
        return self.vit(self._pixels(images)).tolist()

    def denominator_errors(self, images: list[np.ndarray]) -> int:
        """How often the accelerator has to say that a row has no positive denominator: with each tile of its Z."""
        if not self.vit.with_errors(self._pixels(images))[1]:
            return 0
        shape, columns = self.vit.shape, self.config.columns
        rows = sum(interpret(self.tape, self.config, image, self.classes).denominator_errors for image in images)
        return rows * -(-(shape.width // shape.heads) // columns)

    def _pixels(self, images: list[np.ndarray]) -> np.ndarray:
        """Images, (images, channels, height, width)."""
        shape = self.vit.shape
        side, size = shape.image_size // shape.patch_size, shape.patch_size
        cut = np.stack(images).reshape(len(images), side, side, shape.channels, size, size)
        return cut.transpose(0, 3, 1, 4, 2, 5).reshape(len(images), shape.channels, side * size, side * size)

    def row_by_row(self) -> Network:
        """The same with images that come row by row, if a row of a patch is of whole beats."""
        whole = self.vit.shape.patch_size % self.config.image_lanes == 0
        return replace(self, by_row=True) if whole else self

    @cached_property
    def _beat(self) -> np.ndarray:
        """The beat in which each pixel comes, (patches, pixels of a patch)."""
        shape, lanes = self.vit.shape, self.config.image_lanes
        patch, pixel = np.indices((self.compiled.patches, self.compiled.patch_pixels))
        if not self.by_row:
            return patch * -(-self.compiled.patch_pixels // lanes) + pixel // lanes
        size, across = shape.patch_size, shape.image_size // shape.patch_size
        colour, inside = pixel // size**2, pixel % size**2
        y, x = patch // across * size + inside // size, patch % across * size + inside % size
        return (y * (shape.image_size // lanes) + x // lanes) * shape.channels + colour

    def beats(self, image: np.ndarray, generator: np.random.Generator) -> bytes:
        """The bytes of an image on its stream; what a patch's last beat has beyond its pixels is random."""
        lanes = self.config.image_lanes
        beats = generator.integers(0, 256, (self._beat.max() + 1, lanes), dtype=np.uint8)
        beats[self._beat, np.arange(image.shape[1]) % lanes] = image
        return beats.tobytes()

    def cut(self, image: np.ndarray, beats: int) -> np.ndarray:
        """The image of whose packet only so many beats came: zeros take the place of the others."""
        return np.where(self._beat < beats, image, 0)

    @cached_property
    def busy(self) -> int:
        """Elements that stream into the array for an image."""
        elements = 0
        for what, value in items_of(self.tape, self.config):
            if what == "command":
                fields = {name: value >> (8 * f.place) & (1 << 8 * f.bytes) - 1 for name, f in FIELDS.items()}
                if fields["opcode"] == Opcode.PRODUCT:
                    elements += fields["length"] * fields["input_tiles"] * fields["output_tiles"]
        return elements


def network_of(shape: VitShape, seed: int, config: NetworkConfig, *, extreme: bool = False) -> Network:
    """A random model of a shape; each layer has any of the accelerator's kernels."""
    kernels = np.random.default_rng(seed).choice(config.kernels, shape.depth).tolist()
    vit = random_model(shape, seed, extreme=extreme, number_format=format_of(config), kernels=kernels)
    return Network(compile_network(vit, config), seed)


def drawn(seed: int, config: NetworkConfig, *, extreme: bool | None = None, tokens: int = 11) -> Network:
    """A random model of any shape that all accelerators here can hold; every other one is extreme."""
    shape = random_shape(seed, tokens=tokens, width=12, head_dim=6, classes=4)
    return network_of(shape, seed, config, extreme=seed % 2 == 1 if extreme is None else extreme)
