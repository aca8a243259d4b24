"""The generated Verilog of a network accelerator, under Verilator, as a classifier."""

from __future__ import annotations

from typing import cast

import numpy as np

from taylorvit.boundary import programs
from taylorvit.boundary.errors import CommandError
from taylorvit.jobs.compiled_model import CompiledModel
from taylorvit.jobs.patches import image_beats
from taylorvit.simulation.network import HARMLESS, NetworkJob, build_network, simulate_network

from .classifier import Classification, Classifier

__all__ = ["SimulatedClassifier"]


class SimulatedClassifier(Classifier):
    """A network accelerator in simulation. It is built when this is made, which may take a minute, or found again.

    Args:
        model (CompiledModel): the model, on its accelerator.
        clock_mhz (float): clock that the cycles are told for, in MHz.

    Raises:
        ToolError: a tool is missing or refuses the Verilog.
    """

    def __init__(self, model: CompiledModel, *, clock_mhz: float = 100) -> None:
        self.model, self.clock_mhz = model, clock_mhz
        self.place = f"simulated Verilog of {model.config.name}"
        self._simulation = build_network(model.config)

    def classify(self, pixels: np.ndarray) -> Classification:
        """Simulates one image, as `Classifier` says."""
        model, shape = self.model, self.model.vit.shape
        job = NetworkJob(
            tape=model.tape,
            beats=image_beats(pixels[np.newaxis], shape, model.config.image_lanes),
            patches=(shape.image_size // shape.patch_size) ** 2,
            patch_pixels=shape.channels * shape.patch_size**2,
            classes=shape.classes,
        )
        run = simulate_network(self._simulation, job)
        if not len(run.logits):
            errors = sorted(run.events - {"DONE", *HARMLESS})
            raise CommandError(f"logits of the image did not come: the job ended with the events {', '.join(errors)}")
        return Classification(run.logits[0], cast(int, run.image_cycles[0]))  # a simulation knows them all

    def close(self) -> None:
        """Ends the simulation that runs, if any."""
        programs.end_all()
