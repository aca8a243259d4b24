"""The seam between the page and the hardware: whatever takes an image and gives logits."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from taylorvit.jobs.compiled_model import CompiledModel

__all__ = ["Classification", "Classifier"]


class Classification(NamedTuple):
    """What hardware says of an image.

    Attributes:
        logits (np.ndarray): int64, (classes,).
        cycles (int | None): of the clock, from the start of the job to the last logit, without those in which the
            image was still awaited; None if the hardware does not count them.
    """

    logits: np.ndarray
    cycles: int | None


class Classifier(Protocol):
    """An accelerator, simulated or on a board, with a model in it.

    Attributes:
        model (CompiledModel): the model.
        place (str): what computes, for the page.
        clock_mhz (float): clock of the hardware, in MHz: that of the board, or the one that a simulation stands for.
    """

    model: CompiledModel
    place: str
    clock_mhz: float

    def classify(self, pixels: np.ndarray) -> Classification:
        """Sends an image through the hardware. One call at a time.

        Args:
            pixels (np.ndarray): uint8, (channels, size, size), of the model's size.

        Raises:
            CommandError: the hardware is silent, was lost, or ended the job with an error. A later call may succeed.
        """

    def close(self) -> None:
        """Lets the hardware go, also while `classify` waits for it in another thread."""
