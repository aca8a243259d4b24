"""`taylorvit classify`: images through the network accelerator, shown in the terminal with their classes.

The exit status is 1 if a logit differs from the integer model.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from taylorvit.boundary.command import console, needs, real_number
from taylorvit.models import bundled_names

from .network_options import add_images, add_memory
from .options import add_configuration, network_configuration_of

if TYPE_CHECKING:
    from taylorvit.jobs.compiled_model import CompiledModel
    from taylorvit.jobs.images import Images
    from taylorvit.simulation.network import NetworkRun

__all__ = ["add_arguments", "run"]

_MODEL = "mnist5k"
_IMAGES = "0-5"  # of the data set that the model was trained on
_CLOCK_MHZ = 100
_WIDTH = 120  # characters


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Compiles an integer model, runs images through the generated Verilog of the network accelerator, and shows "
        "images, classes, cycles and images a second. The exit status is 1 if a logit differs from the integer model."
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        default=_MODEL,
        help=f"one of {', '.join(bundled_names())} (default: {_MODEL}), or a file of `taylorvit quantize`",
    )
    add_images(parser)
    add_configuration(parser, required=False, accelerator="network")
    add_memory(parser)
    parser.add_argument(
        "--clock",
        metavar="MHZ",
        type=real_number(0.001, 10_000, "MHz"),
        default=_CLOCK_MHZ,
        help=f"clock for which images a second are told (default: {_CLOCK_MHZ} MHz)",
    )


@needs("sim,train")
def run(arguments: Namespace) -> int:
    """Carries out the command; returns the exit status."""
    from taylorvit.jobs.network_judgement import judge_network

    from .model_choice import chosen_model
    from .network_run import counted_images, run_images, show_network_verdict

    named = arguments.preset is not None or arguments.config is not None
    model = chosen_model(arguments.model, network_configuration_of(arguments, "classify") if named else None)
    sources = [f"{model.vit.data.get('name')}:{_IMAGES}"] if arguments.images is None else arguments.images
    images = counted_images(sources, model)
    outcome, golden, remarks = run_images(model, images, arguments)
    verdict = judge_network(outcome, model, images, golden, remarks)
    _show(outcome, model, images, arguments.clock)
    return show_network_verdict(verdict)


def _show(run: NetworkRun, model: CompiledModel, images: Images, clock_mhz: float) -> None:
    from taylorvit.jobs.network_judgement import cycles_back_to_back

    from .pictures import picture, side_by_side

    captions = []
    for logits, label in zip(run.logits, images.labels):
        found = int(logits.argmax())
        verdict = "" if label in (None, found) else f", but it is {model.classes[label]}"
        captions.append(f"{model.classes[found]}{verdict}")
    screen = console()
    if captions:
        pictures = [picture(pixels) for pixels in images.pixels[: len(captions)]]
        screen.print("\n".join(side_by_side(pictures, captions, _WIDTH)))
        cycles = cycles_back_to_back(run)
        screen.print(
            f"{cycles:,.0f} cycles an image: {clock_mhz * 1e6 / cycles:,.0f} images a second at {clock_mhz:g} MHz"
        )
