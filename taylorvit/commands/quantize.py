"""`taylorvit quantize`: an integer-only model from a trained one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from taylorvit.boundary.command import console, needs, whole_number
from taylorvit.boundary.writing import check_output_file
from taylorvit.gen.presets import load_metadata, of_kind
from taylorvit.rtl.network.config import NetworkConfig

from .checkpoints import add_checkpoint, beside, recipe_and_data

if TYPE_CHECKING:
    from rich.console import Console

    from taylorvit.golden.quantization import Quantized

__all__ = ["add_arguments", "run"]

_AUTO = "auto"  # an --attention that searches


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Quantizes a model, with power-of-two scales calibrated on training images. Each layer has Taylor attention or "
        "softmax attention: the one that it was trained with, unless --attention says another. Shows the SQNR of each "
        "layer."
    )
    add_checkpoint(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: integer.safetensors beside CHECKPOINT"
    )
    parser.add_argument(
        "--images",
        type=whole_number(1),
        default=128,
        metavar="N",
        help="training images to calibrate on (default: 128)",
    )
    parser.add_argument(
        "--accelerator",
        type=Path,
        metavar="METADATA.json",
        help="accelerator that computes attention, from `taylorvit generate` (default: 8 bits, any size)",
    )
    parser.add_argument(
        "--attention",
        action="append",
        default=[],
        metavar="LAYERS=KERNEL",
        help="attention kernel of layers, which count from 0: all=softmax, 0-2,5=taylor; may be given several times, "
        "later ones go over earlier ones (default: as trained). auto: the cheapest of the layers that no other names",
    )
    parser.add_argument(
        "--max-loss",
        metavar="LOSS",
        help="the most that --attention auto may lose on the images of the calibration, against the attention of the "
        "training in integers: points of recognized images, as 0.5%%, or of the SQNR of the logits, as 1dB",
    )
    parser.add_argument(
        "--fine-tune",
        type=whole_number(1),
        metavar="EPOCHS",
        help="epochs of quantization-aware training, at a tenth of the learning rate (default: none)",
    )
    parser.add_argument("--resume", action="store_true", help="resume an interrupted --fine-tune")


@needs("train")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    from taylorvit.golden.attention.by_layer import text_of
    from taylorvit.golden.metadata import load_accelerator
    from taylorvit.golden.quantization import fine_tune, quantize_checkpoint
    from taylorvit.golden.reports.layer_sqnr import layer_sqnr_table
    from taylorvit.golden.reports.sqnr import sqnr_text

    from .training_bar import training_bar

    screen = console()
    source = arguments.checkpoint
    output = arguments.output or beside(source) / "integer.safetensors"
    check_output_file(output, endings=(".safetensors",), inputs=(arguments.checkpoint,))
    if arguments.resume and not arguments.fine_tune:
        raise ValueError("--resume must come with --fine-tune: only training can be gone on with")
    automatic = _AUTO in arguments.attention
    attention = [text for text in arguments.attention if text != _AUTO]
    if automatic and arguments.max_loss is None:
        raise ValueError(
            "--attention auto must come with --max-loss: the cheapest attention of all may lose everything"
        )
    if arguments.max_loss is not None and not automatic:
        raise ValueError("--max-loss must come with --attention auto: nothing else searches")
    accelerator = load_accelerator(arguments.accelerator) if arguments.accelerator else None
    options = {"images": arguments.images, "accelerator": accelerator, "attention": attention}
    options |= recipe_and_data(arguments)
    made = None
    if automatic:
        made = _searched(arguments, options, screen)
        options["attention"] = [f"{layer}={kernel}" for layer, kernel in enumerate(made.vit.kernels)]
    if arguments.fine_tune:
        with training_bar(screen) as bar:
            source = fine_tune(
                source,
                output.with_name(f"{output.stem}_straight_through"),
                arguments.fine_tune,
                resume=arguments.resume,
                on_step=bar.on_step,
                progress=bar.progress,
                **options,
            )
        options |= {"attention": (), "recipe": None, "data": None}  # the checkpoint says them now
    if made is None or arguments.fine_tune:
        with screen.status("quantizing") as status:
            made = quantize_checkpoint(source, **options, progress=lambda step: status.update(f"quantizing {step}"))
    vit, sqnr = made
    vit.save(output)
    screen.print(layer_sqnr_table(sqnr, vit.program))
    widths = vit.widths()
    widest = max(vit.linears, key=widths.__getitem__)
    screen.print(f"attention: {text_of(vit.kernels)}")
    screen.print(
        f"logits: {sqnr_text(sqnr['logits'])}; widest sum of products: {widths[widest]} bits, {widest}\nwrote  {output}"
    )


def _searched(arguments: Namespace, options: dict, screen: Console) -> Quantized:
    """The integer model with the cheapest attention for a network accelerator; shows what was tried."""
    from taylorvit.compiler import cycles_of
    from taylorvit.compiler.fitting import check_shape
    from taylorvit.compiler.plan import plan_of
    from taylorvit.golden.checkpoints.checkpoint import load
    from taylorvit.golden.kernel_search import Bound, Trial, trial_table
    from taylorvit.golden.quantization import Search, quantize_checkpoint
    from taylorvit.golden.training.loading import recipe_of

    bound = Bound.parse(arguments.max_loss)
    if arguments.accelerator is None:
        raise ValueError("--attention auto must come with --accelerator, a network accelerator whose cycles it counts")
    config = of_kind(load_metadata(arguments.accelerator), NetworkConfig, "quantize --attention auto")
    recipe = recipe_of(load(arguments.checkpoint), **recipe_and_data(arguments))
    shape = recipe.model.vit_shape
    check_shape(shape, config)
    trials: list[Trial] = []

    def cycles(kernels: tuple[str, ...]) -> int:
        return cycles_of(plan_of(shape, config, kernels), config).cycles

    try:
        with screen.status("searching") as status:
            return quantize_checkpoint(
                arguments.checkpoint,
                **options,
                search=Search(cycles, bound, trials.append),
                progress=lambda step: status.update(f"trying {step}"),
            )
    finally:
        if trials:
            screen.print(trial_table(trials, bound))
