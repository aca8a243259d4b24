"""Small networks and accelerators for the tests of the compiler."""

import numpy as np

from taylorvit.compiler import CompiledNetwork, compile_network
from taylorvit.compiler.fitting import format_of
from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.golden.network.vit import VitShape
from taylorvit.rtl.network.config import NetworkConfig
from verif.golden.network.random_models import random_model, random_shape

ARRAYS = [(4, 4), (8, 4), (5, 3), (16, 8)]

#: Sizes that divide no array; and the smallest that there is.
UNEVEN = VitShape(
    image_size=9, patch_size=3, channels=2, classes=7, depth=2, width=15, heads=3, mlp_ratio=3, distilled=True
)
SMALLEST = VitShape(image_size=1, patch_size=1, channels=1, classes=1, depth=1, width=1, heads=1, mlp_ratio=1)


def small_config(rows: int = 4, columns: int = 4, **fields) -> NetworkConfig:
    """An accelerator for `random_shape`."""
    sizes = {"max_tokens": 18, "max_width": 32, "max_hidden": 128, "max_patch": 18, "max_classes": 10}
    name = f"small-{rows}x{columns}"
    heads = {"max_heads": 4, "max_head_dim": 16}
    return NetworkConfig(**{"name": name, "rows": rows, "columns": columns} | sizes | heads | fields)


def network(seed: int, config: NetworkConfig, *, shape: VitShape | None = None, extreme: bool = False) -> IntegerVit:
    """A random model of any small shape, or of a given one; each layer has any of the accelerator's kernels."""
    shape = shape or random_shape(seed)
    kernels = np.random.default_rng(seed).choice(config.kernels, shape.depth).tolist()
    return random_model(shape, seed, extreme=extreme, number_format=format_of(config), kernels=kernels)


def compiled(
    seed: int, rows: int = 4, columns: int = 4, *, shape: VitShape | None = None, extreme: bool = False, **fields
) -> CompiledNetwork:
    """A compiled random model for an accelerator with these fields."""
    config = small_config(rows, columns, **fields)
    return compile_network(network(seed, config, shape=shape, extreme=extreme), config)


def patches_of(vit: IntegerVit, pixels: np.ndarray) -> np.ndarray:
    """Patches of one image, as a host sends them: (patches, pixels of a patch), 0 to 255."""
    shape = vit.shape
    side, size = shape.image_size // shape.patch_size, shape.patch_size
    patches = pixels.reshape(shape.channels, side, size, side, size).transpose(1, 3, 0, 2, 4)
    return patches.reshape(side * side, -1)
