"""A small compiled model, images, and runs of it that nothing simulated."""

from dataclasses import replace
from itertools import product

import numpy as np

from taylorvit.compiler import compile_network
from taylorvit.compiler.layout import Layout
from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.integer_vit import IntegerVit
from taylorvit.golden.network.operations import Add
from taylorvit.jobs.compiled_model import CompiledModel
from taylorvit.jobs.images import Images
from taylorvit.rtl.network.command import Kind
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.simulation.network import NetworkRun
from verif.golden.network.models import SHAPE, quantized

__all__ = ["CONFIG", "IMAGES", "MODEL", "VIT", "right_run", "writes_of"]

CONFIG = replace(load_preset("vit-tiny-4x4"), name="small")
VIT = quantized(SHAPE)
MODEL = CompiledModel("noise", CONFIG, compile_network(VIT, CONFIG).tape, VIT, ["a", "b", "c"])
IMAGES = Images(
    np.random.default_rng(4).integers(0, 256, (3, 1, 6, 6), dtype=np.uint8), ["x.png", "y.png", "z.png"], [0, None, 2]
)


def right_run(**changes) -> NetworkRun:
    """What a run leaves in which everything is right, and took some cycles."""
    counters = {"CYCLES": 3000, "ARRAY_BUSY": 2700, "STALL_TAPE": 30, "STALL_IMAGE": 60, "STALL_OUTPUT": 0,
                "STALL_DATA": 210, "IMAGES_DONE": 3, "IMAGE_CYCLES": 950} | {
                    f"CYCLES_{kind.name}": 3000 // len(Kind) for kind in Kind}  # fmt: skip
    fields = {"logits": VIT(IMAGES.pixels.astype(np.int64)), "image_cycles": [1100, 950, 950], "jobs": [counters],
              "events": frozenset({"DONE"}), "writes": None, "seconds": 0.5, "cycles": 3200}  # fmt: skip
    return NetworkRun(**fields | changes)


def writes_of(images: Images, config: NetworkConfig = CONFIG, vit: IntegerVit = VIT) -> np.ndarray:
    """What the columns write into the residual stream; beside features, and before the first sum, anything."""
    random = np.random.default_rng(9)
    writes, sign = [], 1 << CONFIG.residual_width
    tiles, tokens = -(-SHAPE.width // CONFIG.columns), SHAPE.tokens
    for pixels in images.pixels:
        steps = vit.steps(pixels[None].astype(np.int64))
        for operation in vit.program:
            if not isinstance(operation, Add):
                continue
            first = operation.name == "residual.0"
            last_layer = operation.layer == SHAPE.depth - 1
            count = SHAPE.extra_tokens if last_layer else tokens
            blocks = Layout(SHAPE, config).blocks(count) if operation.branch.endswith("fc2") else [range(count)]
            for block, tile in product(blocks, range(tiles)):
                for token in block:
                    for column in range(CONFIG.columns):
                        place = tile * CONFIG.columns + column
                        word = int(steps[operation.name][0][token, place]) if place < SHAPE.width else 5
                        address = tile * tokens + token
                        if first:
                            writes.append((column, address, int(random.integers(sign))))
                        writes.append((column, address, word % sign))
    return np.array(writes, dtype=np.uint32)
