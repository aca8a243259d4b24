"""`taylorvit quantize`: an integer-only model from a trained one."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import console, needs, whole_number
from taylorvit.boundary.writing import check_output_file

from .checkpoints import add_checkpoint, beside, recipe_and_data

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Quantizes a model, with power-of-two scales calibrated on training images. Each layer has Taylor attention or "
        "softmax attention: that which it was trained with, unless --attention says another. Shows the SQNR of each "
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
        "later ones go over earlier ones (default: as trained)",
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
    accelerator = load_accelerator(arguments.accelerator) if arguments.accelerator else None
    options = {"images": arguments.images, "accelerator": accelerator, "attention": arguments.attention}
    options |= recipe_and_data(arguments)
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
    with screen.status("quantizing") as status:
        vit, sqnr = quantize_checkpoint(source, **options, progress=lambda step: status.update(f"quantizing {step}"))
    vit.save(output)
    screen.print(layer_sqnr_table(sqnr, vit.program))
    widths = vit.widths()
    widest = max(vit.linears, key=widths.__getitem__)
    screen.print(f"attention: {text_of(vit.kernels)}")
    screen.print(
        f"logits: {sqnr_text(sqnr['logits'])}; widest sum of products: {widths[widest]} bits, {widest}\nwrote  {output}"
    )
