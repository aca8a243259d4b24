"""Tape and images as C source, and what the logits must be, for `fpga/c/example_network.c` or your own program."""

from __future__ import annotations

import numpy as np

from .c_source import byte_lines
from .compiled_model import CompiledModel
from .patches import image_beats

__all__ = ["network_job_source"]

_LOGITS_A_LINE = 8


def network_job_source(model: CompiledModel, pixels: np.ndarray, logits: np.ndarray) -> str:
    """The text of `example_network_job.h`.

    Args:
        model (CompiledModel): the model.
        pixels (np.ndarray): of the images, uint8, (images, channels, size, size).
        logits (np.ndarray): what comes out, integers (images, classes).
    """
    shape, config = model.vit.shape, model.config
    patches, patch_pixels = (shape.image_size // shape.patch_size) ** 2, shape.channels * shape.patch_size**2
    packets = [image.tobytes() for image in image_beats(pixels, shape, config.image_lanes)]
    images, classes = logits.shape
    return "\n".join(
        [
            f"/* {images} images for {model.name} on {config.name}. Generated; do not edit. */",
            "#ifndef EXAMPLE_NETWORK_JOB_H",
            "#define EXAMPLE_NETWORK_JOB_H",
            "",
            '#include "taylorvit_network.h"',
            "",
            f"#define EXAMPLE_IMAGES {images}u",
            f"#define EXAMPLE_IMAGE_BYTES {len(packets[0])}u /* of a packet */",
            f"#define EXAMPLE_CLASSES {classes}u",
            "",
            "static const struct taylorvit_network_job example_job = {",
            f"    .images = {images}, .patches = {patches}, .patch_pixels = {patch_pixels}, .classes = {classes},",
            f"    .tape_address = 0, .tape_length = {len(model.tape)},",
            "};",
            "",
            f"static const uint8_t example_tape[{len(model.tape)}] = {{",
            *byte_lines(model.tape, "    "),
            "};",
            "",
            "static const uint8_t example_images[EXAMPLE_IMAGES][EXAMPLE_IMAGE_BYTES] = {",
            *(line for packet in packets for line in ("    {", *byte_lines(packet, "        "), "    },")),
            "};",
            "",
            "static const int32_t example_logits[EXAMPLE_IMAGES][EXAMPLE_CLASSES] = {",
            *(line for of_image in logits.tolist() for line in ("    {", *_logit_lines(of_image), "    },")),
            "};",
            "",
            "#endif /* EXAMPLE_NETWORK_JOB_H */",
            "",
        ]
    )


def _logit_lines(logits: list[int]) -> list[str]:
    # -2^31 is no literal of C: its minus would come after a number that is too large.
    texts = ["-2147483647 - 1" if logit == -(1 << 31) else str(logit) for logit in logits]
    starts = range(0, len(texts), _LOGITS_A_LINE)
    return [f"        {', '.join(texts[start : start + _LOGITS_A_LINE])}," for start in starts]
